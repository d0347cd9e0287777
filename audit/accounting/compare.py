"""Two runs side by side: what changed between them, and why.

The other run is the earlier one: `dropped` means kept there and dropped here. Two documents are
the same if their ids are equal, that is, their source and origin.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from audit.accounting.ledger import KEPT_NAME, SourceAccount, ledger, sum_counts
from audit.query.reading import decided, finished_steps, mixture_of, rules_of
from filters.rules.decide import KEPT
from pipelines.stages.tokenize import STAGE as TOKENIZE
from pipelines.storage.layout import source_of
from schemas.config import Config
from schemas.rules import ALL, Rule

SHOWN = 3
"""Documents that are named for each kind of move."""


class Pair(BaseModel):
    """A value before (the other run's) and after (this run's); None where it is missing."""

    name: str
    before: Any
    after: Any

    @property
    def differs(self) -> bool:
        return bool(self.before != self.after)

    def moved(self) -> float:
        """Return the relative change of a number; 1 where one side is missing or 0."""
        if not self.differs:
            return 0.0
        if not self.before or self.after is None:
            return 1.0
        return float(abs(self.after - self.before) / abs(self.before))


class Move(BaseModel):
    """Documents of a source that changed sides: from one verdict to another."""

    source: str
    before: str
    """`kept`, a reason, or `absent` where the other run has no such document."""
    after: str
    documents: int
    tokens: int
    """In the run that kept them."""
    why: str
    examples: list[str]


class Difference(BaseModel):
    """What changed from `before` to `after`: causes first, then data."""

    before: str
    after: str
    config: list[Pair]
    code: list[Pair]
    """Packages by version, and steps by a hash of their code (`step measure`)."""
    rules: list[Pair]
    """By scope and reason; None where the run does not have the rule."""
    sources: list[Pair]
    """`SOURCE read`, `SOURCE rejected`, `SOURCE kept`, `SOURCE tokens`, equal or not."""
    shares: list[Pair]
    """`COMPONENT share` and `COMPONENT tokens` of the mixture, equal or not."""
    moves: list[Move]
    rewritten: dict[str, int]
    """By source: documents whose text differs."""

    def changes(self, tolerance: float = 0.0) -> list[str]:
        """Return the data that changed by more than `tolerance`, one line each.

        `tolerance` is relative to the run before. Causes (config, code) alone do not count.
        Documents that changed sides count against the documents that were read.
        """
        found = [
            f"{pair.name}: {_plain(pair.before)} before, {_plain(pair.after)} after"
            for pair in (*self.sources, *self.shares)
            if pair.moved() > tolerance
        ]
        read = {p.name.removesuffix(" read"): p.before or 0 for p in self.sources}
        for source, documents in self.rewritten.items():
            if documents > tolerance * read.get(source, 0):
                found.append(f"{source}: {documents:,} documents have another text")
        for move in self.moves:
            if move.documents > tolerance * read.get(move.source, 0):
                found.append(
                    f"{move.source}: {move.documents:,} documents from {move.before} to "
                    f"{move.after}"
                )
        return found


def _plain(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else f"{value:,}" if value else str(value)


def compare_runs(after: tuple[Path, Config], before: tuple[Path, Config]) -> Difference:
    """Return what changed between two runs, each as far as it got."""
    accounts = [ledger(*run).sources for run in (before, after)]
    rules = [_rules(*run) for run in (before, after)]
    settings = [_flat(run[1].model_dump(mode="json")) for run in (before, after)]
    ruled = _pairs(*rules)
    moves, rewritten = _moves(before, after)
    return Difference(
        before=str(before[0]),
        after=str(after[0]),
        config=[pair for pair in _pairs(*settings) if pair.differs],
        code=[pair for pair in _pairs(_code(before[0]), _code(after[0])) if pair.differs],
        rules=[pair for pair in ruled if pair.differs],
        sources=_pairs(_figures(accounts[0]), _figures(accounts[1])),
        shares=_pairs(_shares(before[0]), _shares(after[0])),
        moves=moves,
        rewritten=rewritten,
    )


def _pairs(before: dict[str, Any], after: dict[str, Any]) -> list[Pair]:
    names = list(dict.fromkeys([*before, *after]))
    return [Pair(name=n, before=before.get(n), after=after.get(n)) for n in names]


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return key path → value of nested mappings; lists stay whole."""
    if not isinstance(value, dict) or not value:
        return {path: value}
    return {
        name: inner
        for key, part in value.items()
        for name, inner in _flat(part, f"{path}.{key}" if path else str(key)).items()
    }


def _code(out: Path) -> dict[str, Any]:
    """Return the versions that the last run in `out` recorded: packages, and steps' code."""
    path = out / "run.json"
    if not path.exists():
        return {}
    last = json.loads(path.read_text("utf-8"))["runs"][-1]
    steps = {f"step {name}": version for name, version in last.get("code", {}).items()}
    return {"python": last["python"], **last["versions"], **steps}


def _rules(out: Path, config: Config) -> dict[str, str]:
    return _named(rules_of(out, config))


def _named(rules: list[Rule]) -> dict[str, str]:
    """Return rules by scope and reason."""
    found: dict[str, list[str]] = {}
    for rule in rules:
        found.setdefault(f"{rule.scope}.{rule.reason}", []).append(str(rule))
    return {name: " and ".join(texts) for name, texts in found.items()}


def _figures(accounts: dict[str, SourceAccount]) -> dict[str, int]:
    figures: dict[str, int] = {}
    for source, account in sorted(accounts.items()):
        figures[f"{source} read"] = account.read.documents
        figures[f"{source} rejected"] = sum_counts(account.rejected.values()).documents
        figures[f"{source} kept"] = account.kept.documents
        figures[f"{source} tokens"] = account.kept.tokens
    return figures


def _shares(out: Path) -> dict[str, int | float]:
    manifest = mixture_of(out)
    figures: dict[str, int | float] = {}
    for component in manifest["components"] if manifest else ():
        figures[f"{component['component']} share"] = component["achieved_share"]
        figures[f"{component['component']} tokens"] = component["achieved"]
    return figures


def _moves(
    before: tuple[Path, Config], after: tuple[Path, Config]
) -> tuple[list[Move], dict[str, int]]:
    """Return the documents that changed sides, and how many have another text, by source."""
    moves: list[Move] = []
    rewritten: dict[str, int] = {}
    rules = [rules_of(*run) for run in (before, after)]
    sides = [dict(_verdicts(*run)) for run in (before, after)]
    for source in sorted({*sides[0], *sides[1]}):
        nothing = next(iter(sides[0].values() or sides[1].values())).slice(0, 0)
        old, new = (side.get(source, nothing) for side in sides)
        joined = old.join(new, keys="id", join_type="full outer", right_suffix="_after")
        both = joined.filter(
            pc.and_(pc.is_valid(joined["verdict"]), pc.is_valid(joined["verdict_after"]))
        )
        changed = pc.sum(pc.not_equal(both["text"], both["text_after"])).as_py()
        if changed:
            rewritten[source] = changed
        for name in ("verdict", "verdict_after"):
            place = joined.schema.get_field_index(name)
            joined = joined.set_column(place, name, pc.fill_null(joined[name], "absent"))
        joined = joined.filter(pc.not_equal(joined["verdict"], joined["verdict_after"]))
        moves += _described(source, joined.sort_by("id"), rules)
    return moves, rewritten


def _described(source: str, joined: pa.Table, rules: list[list[Rule]]) -> Iterator[Move]:
    grouped = joined.group_by(["verdict", "verdict_after"]).aggregate(
        [("tokens", "sum"), ("tokens_after", "sum"), ([], "count_all")]
    )
    for row in grouped.sort_by(
        [("verdict", "ascending"), ("verdict_after", "ascending")]
    ).to_pylist():
        here = joined.filter(
            pc.and_(
                pc.equal(joined["verdict"], row["verdict"]),
                pc.equal(joined["verdict_after"], row["verdict_after"]),
            )
        )
        components = pc.unique(pc.coalesce(here["component_after"], here["component"]))
        scopes = {ALL, source, *components.to_pylist()}
        yield Move(
            source=source,
            before=row["verdict"],
            after=row["verdict_after"],
            documents=row["count_all"],
            tokens=(row["tokens_sum"] or 0) + (row["tokens_after_sum"] or 0),
            why=_why(row["verdict"], row["verdict_after"], _own(rules, scopes)),
            examples=[value.hex() for value in here["id"].slice(0, SHOWN).to_pylist()],
        )


def _own(rules: list[list[Rule]], scopes: set[str | None]) -> list[list[Rule]]:
    """Return the rules of both runs that apply to documents of `scopes`."""
    return [[rule for rule in side if rule.scope in scopes] for side in rules]


def _why(before: str, after: str, rules: list[list[Rule]]) -> str:
    """Return which changed rule moved documents, if one did. `rules`: of both runs, that apply."""
    if "absent" in (before, after):
        return "the source has other documents"
    ruled = _pairs(*(_named(side) for side in rules))
    causes = []
    for pair in ruled:
        if not pair.differs or pair.name.partition(".")[2] not in (before, after):
            continue
        if pair.before is None:
            causes.append(f"new rule {pair.after}")
        elif pair.after is None:
            causes.append(f"rule {pair.before} removed")
        else:
            causes.append(f"{pair.before} became {pair.after}")
    if causes:
        return "; ".join(causes)
    orders = [_order(side, before, after) for side in rules]
    if all(orders) and orders[0] != orders[1]:
        return f"the rules decide in another order: {orders[1][0]} before {orders[1][-1]}"
    if "duplicate" in (before, after):
        return "other documents are kept, so clusters have other survivors"
    return "no rule of that reason changed: its column has other values"


def _order(rules: list[Rule], before: str, after: str) -> list[str]:
    """Return the two reasons in the order in which they decide; nothing unless rules give both."""
    reasons = list(dict.fromkeys(rule.reason for rule in rules))
    found = sorted((reasons.index(name), name) for name in (before, after) if name in reasons)
    return [name for _, name in found] if len(found) > 1 else []


def _verdicts(out: Path, config: Config) -> Iterator[tuple[str, pa.Table]]:
    """Yield source and table (id, verdict by name, hash of the text, tokens of the kept)."""
    rules = rules_of(out, config)
    names = pa.array([*(rule.reason for rule in rules), KEPT_NAME])
    steps = finished_steps(out, config)
    columns = ["source", "id", "assigned"] + ["exact_hash"] * ("sign" in steps)
    columns += ["tokens"] * (TOKENIZE.name in steps)
    parts: dict[str, list[pa.Table]] = {}
    for group in decided(out, config, rules, columns):
        batch = group.columns
        rows = len(group.verdict)
        verdict = np.where(group.verdict == KEPT, len(rules), group.verdict)
        tokens = batch.column("tokens") if TOKENIZE.name in steps else pa.nulls(rows, pa.int32())
        hashes = batch.column("exact_hash") if "sign" in steps else pa.nulls(rows, pa.binary(16))
        table = pa.table(
            {
                "id": batch.column("id"),
                "verdict": names.take(pa.array(verdict)),
                "component": batch.column("assigned"),
                "text": hashes,
                "tokens": pc.if_else(pa.array(group.kept), tokens, pa.scalar(None, pa.int32())),
            }
        )
        parts.setdefault(source_of(group.shard), []).append(table)
    for source, tables in parts.items():
        yield source, pa.concat_tables(tables)
