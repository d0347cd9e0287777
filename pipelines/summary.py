"""What the command line prints before and after a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipelines.catalog import STAGES, effective_rules
from pipelines.run import Run
from schemas.config import Config


def print_summary(console: Console, out: Path, run: Run) -> None:
    """Print the mixture's table, where things lie and what to try next."""
    seconds = sum(result.seconds for result in run.results)
    ran = [result for result in run.results if result.ran]
    console.print(
        f"{len(ran)} of {len(run.results)} steps had work to do; {seconds:.1f} s, "
        f"peak memory of all processes {run.memory.peak / 2**20:,.0f} MiB",
        highlight=False,
    )
    manifest = out / "mixture" / "manifest.json"
    if manifest.exists():
        print_mixture(console, json.loads(manifest.read_text("utf-8")))
    console.print(f"\nmixture   {out / 'mixture'}", highlight=False)
    console.print(f"report    bibim audit {out}", highlight=False)
    console.print("\nTry next:", highlight=False)
    for command in (
        f"bibim audit {out} --check",
        f'bibim what-if {out} --rule "ko.hangul_ratio>=0.5"',
        f"bibim explain {out} {_any_document(out)}",
    ):
        console.print(f"  {command}", highlight=False, soft_wrap=True)


def print_mixture(console: Console, manifest: dict[str, Any]) -> None:
    """Print what the mixture holds by component and source."""
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
    import pyarrow.parquet as pq

    for path in sorted((out / "mixture").glob("shard-*.parquet")):
        ids = pq.read_table(path, columns=["id"]).column("id")
        if len(ids):
            return str(ids[0].as_py().hex())
    return "ID"
