"""What `bibim plan` prints: sources, stages, rules and the solved mixture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.stages.catalog import (
    COMMANDS,
    check_inputs,
    effective_rules,
    only_rules,
    rule_stage,
    upsample_rules,
)
from pipelines.stages.mix import STAGE as MIX
from pipelines.stages.tokenize import STAGE as TOKENIZE
from schemas.config import Config
from schemas.documents import AUTO
from schemas.rules import Rule

if TYPE_CHECKING:
    from mixtures.mixing.plan import SourcePlan


def print_plan(console: Console, config: Config, out: Path | None, offline: bool) -> None:
    """Print sources, stages, rules and the solved mixture of a config. Writes nothing.

    Tokens are estimated from the sizes of files until a run in `out` has counted them. With
    `offline` no source is opened.
    """
    rules = effective_rules(config)
    upsample_rules(config)
    only_rules(config)
    if not offline:
        check_inputs(config, COMMANDS)
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
        table.add_row(rule_stage(rule.scope, rule.column), Text(str(rule)), null, rule.reason)
    console.print(table)


Sizes = dict[str, tuple[int, int]]
"""Source → (bytes of files, bytes of text, about)."""


def _plan_sources(console: Console, config: Config) -> Sizes:
    from pipelines.ingest.readers.plan import expansion, plan_splits, read_share

    table = Table(title="Sources")
    for column in ("source", "component", "files by format"):
        table.add_column(column)
    for column in ("MB", "MB of text, about", "shards"):
        table.add_column(column, justify="right")
    sizes: Sizes = {}
    left: list[str] = []
    for name, source in config.sources.items():
        splits = plan_splits(name, source, config.ingest)
        files = {file: split.format for split in splits for file in split.files}
        kinds = Counter(kind for file, kind in files.items() if not file.passed)
        passed = Counter(file.passed.reason for file in files if file.passed)
        size = sum(file.size for file in files if not file.passed)
        text = sum(file.size * expansion(file, source) for file in files)
        text = int(text * read_share(splits))
        sizes[name] = (size, text)
        table.add_row(
            name,
            source.component,
            _counted(kinds),
            f"{size / 1e6:,.1f}",
            f"{text / 1e6:,.1f}",
            f"{len(splits):,}",
        )
        if passed:
            left.append(f"source {name} passes over: {_counted(passed)}")
    console.print(table)
    for line in left:
        console.print(line, highlight=False, markup=False, emoji=False)
    return sizes


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


def _print_stages(console: Console, config: Config, out: Path) -> None:
    """Print which stages a run into `out` would compute."""
    from pipelines.driver import pending_stages

    table = Table(title=f"Stages of {out}")
    table.add_column("stage")
    table.add_column("a run would")
    for name, done in pending_stages(config, out):
        table.add_row(name, "keep it" if done else "compute what is missing or changed")
    console.print(table)


def _print_estimate(console: Console, config: Config, sizes: Sizes, out: Path | None) -> None:
    """Print the solved mixture: from counted tokens where `out` has them, else estimated.

    A run takes whole documents, so its tokens differ from the targets by less than one document per
    source.
    """
    from pipelines.engine.context import Context
    from pipelines.mix.gather import plan_estimated, plan_exact
    from schemas.manifest import read_manifest

    exact = out is not None and read_manifest(out / TOKENIZE.folder) is not None
    if exact and out is not None:
        solved = plan_exact(Context(out, config, MIX.name))
    else:
        rows = [
            (name, component, text // len(components), 1 + text // len(components) // 4000)
            for name, (_, text) in sizes.items()
            for components in (_components_of(config, name),)
            for component in components
        ]
        _, solved = plan_estimated(rows, config.mixture)
    title = (
        "counted tokens; a run takes whole documents"
        if exact
        else "estimated from file sizes and limits, before any filter"
    )
    table = Table(title=f"Mixture of {solved.planned:,} tokens ({title})")
    table.add_column("component")
    table.add_column("source")
    for column in ("available", "target", "epochs"):
        table.add_column(column, justify="right")
    shares = solved.shares()
    for component in solved.components:
        target = f"{component.planned:,} ({shares[component.component]:.2%})"
        if component.shortfall:
            target += f", asked {float(component.share):.2%}"
        table.add_row(component.component, "", "", target, "", style="bold")
        for source in solved.sources:
            if source.component == component.component:
                table.add_row(
                    "", _pool_name(source), f"{source.tokens:,}", f"{source.target:,}",
                    f"{source.epochs:.2f}",
                )  # fmt: skip
    console.print(table)
    if not exact and any(stage.only for stage in config.mixture.stages):
        console.print("`only` of the stages is not applied: it reads columns that a run measures")


def _pool_name(plan: SourcePlan) -> str:
    return plan.source if plan.factor == 1 else f"{plan.source} × {float(plan.factor):g}"


def _components_of(config: Config, name: str) -> list[str]:
    """Return which components a source may feed; an `auto` source may feed several."""
    component = config.sources[name].component
    if component != AUTO:
        return [component]
    fed = sorted(set(config.identify.components.values()) & set(config.mixture.weights))
    return fed or sorted(config.mixture.weights)
