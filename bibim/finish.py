"""The last steps of a run: the audit's index, the guards, and the summary on the screen."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipelines.driver import Run
from pipelines.storage.layout import AUDIT_STATS, MIXTURE_MANIFEST, side_cars
from pipelines.storage.store import StorePath, read_parquet
from schemas.config import Config
from schemas.errors import InputError, RunFault

PREPARED_ROWS = 2_000_000
"""Documents up to which a run builds the audit's index; beyond, the first query builds it."""


def prepare(out: Path, config: Config) -> None:
    """Build the index that the audit queries, for runs of a size that takes seconds."""
    from audit.query.frame import Frame
    from audit.query.reading import documents_of, finished_steps

    if isinstance(out, StorePath) or "measure" not in finished_steps(out, config):
        return
    if sum(shard.rows for shard in documents_of(out).shards) <= PREPARED_ROWS:
        with suppress(InputError):  # more rules than the audit shows: reported when it is opened
            Frame(out, config)


def guard(console: Console, out: Path, config: Config) -> None:
    """Write `audit/stats.json` and print the guards' findings. Raises RunFault as `fail_on`
    requires.

    Guards read the columns of `identify`: before that step there is nothing to report.
    """
    from audit.accounting.guards import failing
    from audit.accounting.stats import write_stats
    from audit.query.reading import finished_steps
    from audit.report.tables import print_findings

    if "identify" not in finished_steps(out, config):
        return
    findings = write_stats(out, config).guards
    prepare(out, config)
    print_findings(console, findings)
    if stopped := failing(findings, config):
        names = ", ".join(sorted({finding.guard for finding in stopped}))
        raise RunFault(
            f"guards.fail_on: {len(stopped)} findings of {names}, see above and "
            f"{out / AUDIT_STATS}; the output is complete. "
            "Fix the rules or the sources, or change the guard's limit."
        )


def print_summary(console: Console, out: Path, run: Run) -> None:
    """Print the mixture's table, where the files are and which commands to try next."""
    seconds = sum(result.seconds for result in run.results)
    ran = [result for result in run.results if result.ran]
    console.print(
        f"{len(ran)} of {len(run.results)} stages had work to do; {seconds:.1f} s, "
        f"peak memory of all processes {run.memory.peak / 2**20:,.0f} MiB",
        highlight=False,
    )
    manifest = out / MIXTURE_MANIFEST
    if not manifest.exists():
        console.print(
            f"\nThere is no mixture yet; `bibim plan CONFIG --out {out}` shows the remaining steps"
        )
        return
    print_mixture(console, json.loads(manifest.read_text("utf-8")))
    console.print(f"\nmixture   {out / 'mixture'}", highlight=False)
    console.print(f"report    bibim audit show {out}", highlight=False)
    console.print("\nTry next:", highlight=False)
    for command in (
        f"bibim audit check {out}",
        f'bibim what-if {out} --rule "ko.hangul_ratio>=0.5"',
        f"bibim explain {out} {_any_document(out)}",
    ):
        console.print(f"  {command}", highlight=False, soft_wrap=True)


def print_mixture(console: Console, manifest: dict[str, Any]) -> None:
    """Print the tokens of the mixture by component and source."""
    total = manifest["achieved_tokens"]
    table = Table(title=f"Mixture: {total:,} tokens in {len(manifest['shards'])} shards")
    table.add_column("component")
    table.add_column("source")
    for column in ("tokens", "share", "wanted", "epochs", "documents"):
        table.add_column(column, justify="right")
    for component in manifest["components"]:
        name = component["component"]
        table.add_row(
            name,
            "",
            f"{component['achieved']:,}",
            f"{component['achieved_share']:.3%}",
            f"{component['share']:.3%}",
            "",
            f"{component['sequences']:,}",
            style="bold",
        )
        for source in manifest["sources"]:
            if source["component"] == name and source["achieved"]:
                table.add_row(
                    "",
                    source["source"],
                    f"{source['achieved']:,}",
                    f"{source['achieved'] / total:.3%}",
                    "",
                    f"{source['achieved'] / source['available']:.2f}",
                    f"{source['sequences']:,}",
                )
    console.print(table)


def _any_document(out: Path) -> str:
    """Return the id of a document in the mixture, to show `explain` with."""
    for path in side_cars(out):
        ids = read_parquet(path, columns=["id"]).column("id")
        if len(ids):
            return str(ids[0].as_py().hex())
    return "ID"
