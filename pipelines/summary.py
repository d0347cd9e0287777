"""What the command line prints before and after a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mixtures.solver import SourcePlan
from mixtures.stats import Fertility
from pipelines.catalog import STAGES, effective_rules, only_rules, rule_step, upsample_rules
from pipelines.context import Context
from pipelines.readers.plan import expansion, plan_splits
from pipelines.run import Run, pending_steps
from pipelines.steps import check_inputs
from pipelines.store import read_parquet
from schemas.config import Config
from schemas.documents import AUTO
from schemas.manifest import read_manifest
from schemas.rules import Rule


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
    if not manifest.exists():
        console.print(
            f"\nThere is no mixture yet; `bibim plan CONFIG --out {out}` shows what is left"
        )
        return
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

    for path in sorted((out / "mixture").glob("shard-*.parquet")):
        ids = read_parquet((path), columns=["id"]).column("id")
        if len(ids):
            return str(ids[0].as_py().hex())
    return "ID"


def print_fertility(console: Console, rows: Sequence[Fertility]) -> None:
    """Print tokens a document and bytes a token, by tokenizer and component."""
    table = Table(title="Tokenizers on the same documents", title_justify="left")
    table.add_column("tokenizer")
    table.add_column("component")
    for column in ("vocabulary", "tokens/document", "bytes/token", "on morphemes"):
        table.add_column(column, justify="right")
    for row in rows:
        share = row.morpheme_alignment
        aligned = "–" if share is None else f"{share:.1%}"
        table.add_row(
            row.tokenizer,
            row.component,
            f"{row.vocab_size:,}",
            f"{row.tokens_per_document:,.1f}",
            f"{row.bytes_per_token:.3f}",
            aligned,
        )
    console.print(table)


def print_plan(console: Console, config: Config, out: Path | None, offline: bool) -> None:
    """Print sources, stages, rules and the solved mixture of a config. Touches nothing.

    Tokens are estimated from the sizes of files until a run in `out` has counted them. With
    `offline` no source is looked at.
    """
    rules = effective_rules(config)
    upsample_rules(config)
    only_rules(config)
    if not offline:
        check_inputs(config, STAGES)
    splits = None if offline else _plan_sources(console, config)
    print_rules(console, rules)
    if splits is not None and out is not None:
        _print_stages(console, config, out)
    if splits is not None:
        _print_estimate(console, config, splits, out)
    console.print(f"{config.name}: the config is valid", highlight=False)


def print_rules(console: Console, rules: Sequence[Rule]) -> None:
    """Print the rules in the order in which they decide."""
    table = Table(title="Rules: the first that a document breaks is the reason")
    for column in ("stage", "keeps where", "null", "reason"):
        table.add_column(column)
    for rule in rules:
        null = {"keep": "kept", "drop": "dropped"}[rule.when_null]
        table.add_row(rule_step(rule.scope, rule.column), Text(str(rule)), null, rule.reason)
    console.print(table)


Sizes = dict[str, tuple[int, int]]
"""Source → (bytes of files, bytes of text, about)."""


def _plan_sources(console: Console, config: Config) -> Sizes:
    table = Table(title="Sources")
    for column in ("source", "component", "format"):
        table.add_column(column)
    for column in ("files", "MB", "MB of text, about", "shards"):
        table.add_column(column, justify="right")
    sizes: Sizes = {}
    for name, source in config.sources.items():
        splits = plan_splits(name, source, config.ingest)
        files = {file.path: file for split in splits for file in split.files}
        size = sum(file.size for file in files.values())
        text = sum(file.size * expansion(file.path) for file in files.values())
        sizes[name] = (size, text)
        kinds = ", ".join(sorted({split.format for split in splits}))
        table.add_row(
            name,
            source.component,
            kinds,
            f"{len(files):,}",
            f"{size / 1e6:,.1f}",
            f"{text / 1e6:,.1f}",
            f"{len(splits):,}",
        )
    console.print(table)
    return sizes


def _print_stages(console: Console, config: Config, out: Path) -> None:
    """Print which steps a run into `out` would do again."""
    table = Table(title=f"Stages of {out}")
    table.add_column("step")
    table.add_column("would")
    for name, done in pending_steps(config, out):
        table.add_row(name, "be kept" if done else "run (only what is missing or changed)")
    console.print(table)


def _print_estimate(console: Console, config: Config, sizes: Sizes, out: Path | None) -> None:
    """Print the solved mixture: exact where `out` has tokens, else estimated."""
    from pipelines.mix import plan_estimated, plan_exact

    exact = out is not None and read_manifest(out / "annotations/tokenize") is not None
    if exact and out is not None:
        solved = plan_exact(Context(out, config, "mix"))
    else:
        rows = [
            (name, component, text // len(components), 1 + text // len(components) // 4000)
            for name, (_, text) in sizes.items()
            for components in (_components_of(config, name),)
            for component in components
        ]
        _, solved = plan_estimated(rows, config.mixture)
    title = "exact" if exact else "estimated from file sizes, before any filter"
    table = Table(title=f"Mixture of {solved.planned:,} tokens ({title})")
    table.add_column("component")
    table.add_column("source")
    for column in ("available", "target", "epochs"):
        table.add_column(column, justify="right")
    for component in solved.components:
        target = f"{component.planned:,} ({float(component.share):.2%})"
        table.add_row(component.component, "", "", target, "", style="bold")
        for source in solved.sources:
            if source.component == component.component:
                table.add_row(
                    "", _pool_name(source), f"{source.tokens:,}", f"{source.target:,}",
                    f"{source.epochs:.2f}",
                )  # fmt: skip
    console.print(table)


def _pool_name(plan: SourcePlan) -> str:
    return plan.source if plan.factor == 1 else f"{plan.source} × {float(plan.factor):g}"


def _components_of(config: Config, name: str) -> list[str]:
    """Return which components a source may feed; an `auto` source feeds several alike."""
    component = config.sources[name].component
    if component != AUTO:
        return [component]
    fed = sorted(set(config.identify.components.values()) & set(config.mixture.weights))
    return fed or sorted(config.mixture.weights)
