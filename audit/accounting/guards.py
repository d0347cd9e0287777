"""Guards: figures of a run that need a person's decision or look, with their numbers.

The limits are the config's section `guards`. Every figure comes from the ledger, from stored
columns or from the mixture's manifest; no signal is computed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from audit.accounting.ledger import Ledger
from audit.query.reading import decided, mixture_of, rules_of
from filters.rules.decide import in_scope
from filters.rules.evaluate import breaks, valued
from pipelines.stages.catalog import rule_columns
from schemas.config import Config, GuardName, Guards
from schemas.documents import AUTO
from schemas.rules import Rule

STEP = Decimal("0.1")
"""Relative change of a threshold that measures how many documents are near it."""
MAX_CLUSTERS = 5
"""Large clusters that are reported one by one, largest first."""


class Finding(BaseModel):
    """A guard's finding. A `warning` needs a decision, a `note` a look."""

    guard: GuardName
    severity: Literal["warning", "note"]
    source: str | None = None
    component: str | None = None
    rule: str | None = None
    message: str
    figures: dict[str, int | float | str]


def run_guards(out: Path, config: Config, accounts: Ledger) -> list[Finding]:
    """Return the findings of all guards for the run in `out`, whose ledger is `accounts`.

    Warnings come before notes; the order is otherwise that of the guards in the config.
    """
    limits = config.guards
    found = list(_source_loss(config, accounts))
    if limits.idle_rule or limits.steep_rule is not None:
        tallies = _tally(out, config)
        if limits.idle_rule:
            found += _idle_rules(config, accounts, tallies)
        if limits.steep_rule is not None:
            found += _steep_rules(limits, limits.steep_rule, tallies)
    if limits.large_cluster is not None and "dedup" in accounts.steps:
        found += _large_clusters(out, config, limits.large_cluster)
    found += _short_components(out, limits)
    return sorted(found, key=lambda finding: finding.severity == "note")


def failing(findings: list[Finding], config: Config) -> list[Finding]:
    """Return the findings of guards that `guards.fail_on` names."""
    return [finding for finding in findings if finding.guard in config.guards.fail_on]


def _source_loss(config: Config, accounts: Ledger) -> Iterator[Finding]:
    limit = config.guards.source_loss
    for source, account in sorted(accounts.sources.items()):
        read = account.read.documents
        if limit is None or read < config.guards.least_documents:
            continue
        auto = source in config.sources and config.sources[source].component == AUTO
        for reason, count in (*account.dropped.items(), *account.rejected.items()):
            share = count.documents / read
            if share <= limit or (auto and reason == "no_component"):
                continue
            verb = "could not be read" if reason in account.rejected else "dropped"
            yield Finding(
                guard="source_loss",
                severity="warning",
                source=source,
                rule=reason,
                message=f"{source}: {count.documents:,} of {read:,} documents ({share:.1%}) "
                f"{verb}: {reason}; more than {limit:.0%}",
                figures={
                    "documents": count.documents,
                    "read": read,
                    "share": share,
                    "raw_bytes": count.raw_bytes,
                    "limit": limit,
                },
            )


@dataclass
class Tally:
    """Counts of one rule over the documents that it can drop.

    These are the documents of its scope with a value in its column and, where null drops, those
    without.
    """

    rule: Rule
    documents: int = 0
    broken: int = 0
    fired: int = 0
    """Documents that break it first, so that it is their reason."""
    judged: int = 0
    """Documents with a value that pass every other rule; of rules with a threshold."""
    tighter: Rule | None = None
    looser: Rule | None = None
    least: float = np.inf
    most: float = -np.inf
    newly_dropped: Counter[str] = field(default_factory=Counter)
    """By source: what the tighter threshold would drop."""
    newly_kept: Counter[str] = field(default_factory=Counter)
    """By source: what the looser threshold would let pass."""


def _tally(out: Path, config: Config) -> list[Tally]:
    """Return the tallies of all rules, in one pass over stored columns."""
    rules = rules_of(out, config)
    columns = rule_columns(rules)
    tallies = [Tally(rule) for rule in rules]
    for group in decided(out, config, rules, columns):
        values = {name: group.columns.column(name) for name in columns}
        assigned, source = values["assigned"], values["source"]
        scopes = [in_scope(rule, assigned, source) for rule in rules]
        broken = [
            scope & breaks(rule, values[rule.column])
            for scope, rule in zip(scopes, rules, strict=True)
        ]
        faults = np.sum(broken, axis=0, dtype=np.int64)
        for number, (tally, scope, own) in enumerate(zip(tallies, scopes, broken, strict=True)):
            column = values[tally.rule.column]
            about = scope & (valued(column) | (tally.rule.when_null == "drop"))
            tally.documents += int(about.sum())
            tally.broken += int(own.sum())
            tally.fired += int((group.verdict == number).sum())
            if tally.rule.threshold is None:
                continue
            about &= valued(column)
            alone = about & (faults == own)
            tally.judged += int(alone.sum())
            if tally.tighter is None:
                tally.tighter, tally.looser = neighbours(tally.rule, column.type)
            if not alone.any() or tally.tighter is None or tally.looser is None:
                continue
            bounds = pc.min_max(column.filter(pa.array(alone))).as_py()
            tally.least = min(tally.least, bounds["min"])
            tally.most = max(tally.most, bounds["max"])
            _move(tally.newly_dropped, source, alone & ~own & breaks(tally.tighter, column))
            _move(tally.newly_kept, source, alone & own & ~breaks(tally.looser, column))
    return tallies


def _move(moved: Counter[str], source: pa.Array, rows: npt.NDArray[np.bool_]) -> None:
    if rows.any():
        moved.update(source.filter(pa.array(rows)).to_pylist())


def neighbours(rule: Rule, column: pa.DataType) -> tuple[Rule | None, Rule | None]:
    """Return the rule with its threshold a tenth tighter and a tenth looser.

    A column of whole numbers moves by one at least. (None, None) where the threshold is 0 in a
    column of fractions, infinite, or missing.
    """
    if rule.threshold is None or not math.isfinite(rule.threshold):
        return None, None
    value = Decimal(str(rule.value))
    step = abs(value) * STEP
    if pa.types.is_integer(column):
        step = max(Decimal(1), step.to_integral_value())
    if not step:
        return None, None
    step = step if rule.op in (">", ">=") else -step
    return replace(rule, value=_number(value + step)), replace(rule, value=_number(value - step))


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _idle_rules(config: Config, accounts: Ledger, tallies: list[Tally]) -> Iterator[Finding]:
    for tally in tallies:
        rule = tally.rule
        if rule.column not in config.rules.get(rule.scope, {}) or tally.fired:
            continue
        figures: dict[str, int | float | str] = {
            "documents": tally.documents,
            "broken": tally.broken,
        }
        severity: Literal["warning", "note"] = "note"
        if not tally.documents:
            severity = "warning"
            message = (
                f"{rule} decides nothing: no document of {rule.scope} has a {rule.column}; "
                "remove the rule or change its scope"
            )
        elif tally.documents < config.guards.least_documents:
            continue
        elif tally.broken:
            message = (
                f"{rule} is never the reason: the {tally.broken:,} documents that break it "
                "break an earlier rule"
            )
        else:
            message = f"{rule} drops none of {tally.documents:,} documents"
            if np.isfinite(tally.least):
                figures |= {"least": tally.least, "most": tally.most}
                low = rule.op in (">", ">=")
                nearest = tally.least if low else tally.most
                message += f"; the {'lowest' if low else 'highest'} value is {nearest:.4g}"
        yield Finding(
            guard="idle_rule", severity=severity, rule=str(rule), message=message, figures=figures
        )


def _steep_rules(limits: Guards, limit: float, tallies: list[Tally]) -> Iterator[Finding]:
    for tally in tallies:
        tighter, looser = tally.tighter, tally.looser
        if tally.judged < limits.least_documents or tighter is None or looser is None:
            continue
        # A threshold beyond the column's last value drops everything: it is not a neighbour.
        beyond = tally.least if "<" in tighter.op else tally.most
        inside = tighter.value <= beyond if ">" in tighter.op else tighter.value >= beyond  # type: ignore[operator]
        dropped = tally.newly_dropped.total() if inside else 0
        kept = tally.newly_kept.total()
        if max(dropped, kept) <= limit * tally.judged:
            continue
        parts = []
        for count, by_source, there, verb in (
            (dropped, tally.newly_dropped, tighter, "drops {} more"),
            (kept, tally.newly_kept, looser, "keeps {} more"),
        ):
            if count > limit * tally.judged:
                source, most = by_source.most_common(1)[0]
                of = f", {most:,} of {source}" if len(by_source) > 1 else f", all of {source}"
                share = count / tally.judged
                parts.append(f"{there} {verb.format(f'{count:,}')} ({share:.1%}{of})")
        yield Finding(
            guard="steep_rule",
            severity="note",
            rule=str(tally.rule),
            message=f"{tally.rule} is steep: of {tally.judged:,} documents that it alone decides, "
            + "; ".join(parts),
            figures={
                "judged": tally.judged,
                "tighter": str(tighter),
                "newly_dropped": dropped,
                "looser": str(looser),
                "newly_kept": kept,
                "limit": limit,
            },
        )


def _large_clusters(out: Path, config: Config, limit: int) -> Iterator[Finding]:
    sizes: Counter[bytes] = Counter()
    sources: dict[bytes, Counter[str]] = {}
    for group in decided(out, config, (), ["source", "cluster_id", "cluster_size"]):
        large = group.columns.filter(pc.greater(group.columns.column("cluster_size"), limit))
        if not large.num_rows:
            continue
        for cluster, source in zip(
            large.column("cluster_id").to_pylist(), large.column("source").to_pylist(), strict=True
        ):
            sizes[cluster] += 1
            sources.setdefault(cluster, Counter())[source] += 1
    ranked = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    for cluster, size in ranked[:MAX_CLUSTERS]:
        by_source = ", ".join(f"{n:,} of {name}" for name, n in sources[cluster].most_common(3))
        yield Finding(
            guard="large_cluster",
            severity="warning",
            source=sources[cluster].most_common(1)[0][0],
            message=f"{size:,} documents are one cluster of duplicates ({by_source}), more than "
            f"{limit:,}: a template, or pairs chained together; see bibim explain OUT "
            f"{cluster.hex()}",
            figures={
                "documents": size,
                "cluster": cluster.hex(),
                "clusters": len(sizes),
                "limit": limit,
            },
        )


def _short_components(out: Path, limits: Guards) -> Iterator[Finding]:
    manifest = mixture_of(out)
    if limits.short_component is None or manifest is None:
        return
    for component in manifest["components"]:
        target, achieved = component["target"], component["achieved"]
        lacking = 1 - achieved / target if target else 0.0
        if lacking > limits.short_component:
            name = component["component"]
            yield Finding(
                guard="short_component",
                severity="warning",
                component=name,
                message=f"{name}: {achieved:,} of {target:,} target tokens, {lacking:.1%} short; "
                "give it more sources, raise mixture.max_epochs or lower its weight",
                figures={
                    "target": target,
                    "achieved": achieved,
                    "short": lacking,
                    "limit": limits.short_component,
                },
            )
