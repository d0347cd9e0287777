"""What went in and what came out of a run: funnel, languages, rules, tokenizer."""

from __future__ import annotations

import json
import math
from typing import Any, cast

import numpy as np

from audit.accounting.ledger import rejects
from audit.query.frame import Frame
from audit.query.histogram import signals
from audit.query.plain import Json
from audit.query.reading import documents_of
from pipelines.stages.catalog import STAGES
from schemas.rules import is_number


def overview(frame: Frame, show_pii: bool) -> Json:
    """Return the run, its funnel by source, component and reason, rules and shares."""
    groups = frame.groups
    first = groups.first()
    lines: dict[tuple[str, str, str], list[int]] = {}
    for at in range(len(first)):
        reason = "kept" if first[at] < 0 else frame.rules[first[at]].reason
        key = (
            str(frame.sources.names[groups.source[at]]),
            frame.components.names[groups.component[at]] or "–",
            reason,
        )
        line = lines.setdefault(key, [0, 0, 0, 0, 0])
        for number, column in enumerate(
            (groups.documents, groups.bytes, groups.chars, groups.tokens, groups.raw_bytes)
        ):
            line[number] += int(column[at])
    read: dict[str, list[int]] = {}
    for shard in documents_of(frame.out).shards:
        account = read.setdefault(shard.name.rsplit("-", 1)[0], [0, 0])
        account[0] += int(shard.stats["records"])
        account[1] += int(shard.stats["raw_bytes"])
    for source, reason, _, count in rejects(frame.out):
        line = lines.setdefault((source, "–", f"unreadable: {reason}"), [0, 0, 0, 0, 0])
        line[0] += count.documents
        line[4] += count.raw_bytes
    return {
        "name": frame.config.name,
        "steps": frame.steps,
        "rows": frame.rows,
        "read": read,
        "funnel": [[*key, *line] for key, line in sorted(lines.items())],
        "languages": _languages(frame),
        "rules": [_rule(frame, index) for index in range(len(frame.rules))],
        "signals": signals(frame),
        "mixture": _json_file(frame, "mixture/manifest.json"),
        "runs": (_json_file(frame, "run.json") or {}).get("runs", []),
        "tokenizer": _tokenizer(frame),
        "show_pii": show_pii,
    }


def _languages(frame: Frame) -> list[list[Any]]:
    groups, kept = frame.groups, frame.groups.mask == 0
    totals: dict[str, list[int]] = {}
    for at in range(len(kept)):
        row = totals.setdefault(frame.languages.names[groups.language[at]] or "–", [0, 0, 0])
        row[0] += int(groups.documents[at])
        row[1] += int(groups.documents[at]) * bool(kept[at])
        row[2] += int(groups.tokens[at]) * bool(kept[at])
    ranked = sorted(totals.items(), key=lambda item: (-item[1][0], item[0]))
    return [[name, *row] for name, row in ranked[:20]]


def _rule(frame: Frame, index: int) -> Json:
    """Return what a rule drops: as the first reason, at all, and as the only one."""
    groups = frame.groups
    rule, bit = frame.rules[index], np.uint64(1 << index)
    breaks = (groups.mask & bit) > 0
    only, first = groups.mask == bit, groups.first() == index
    scope = frame.scoped(rule, groups.source, groups.component)
    by_source = {}
    for code, name in enumerate(frame.sources.names):
        here = groups.source == code
        if name is not None and (count := int(groups.documents[here & breaks].sum())):
            by_source[name] = [count, int(groups.documents[here & first].sum())]
    number = float(cast(float, rule.value)) if is_number(rule.value) else None
    return {
        "text": str(rule),
        "scope": rule.scope,
        "column": rule.column,
        "op": rule.op,
        "value": rule.value if number is None or math.isfinite(number) else None,
        "null": rule.null,
        "reason": rule.reason,
        "step": STAGES[frame.step_index(rule)].name,
        "movable": rule.threshold is not None and math.isfinite(rule.threshold),
        "asked": int(groups.documents[scope].sum()),
        "breaks": [int(groups.documents[breaks].sum()), int(groups.bytes[breaks].sum())],
        "first": [int(groups.documents[first].sum()), int(groups.bytes[first].sum())],
        "only": [int(groups.documents[only].sum()), int(groups.bytes[only].sum())],
        "by_source": by_source,
    }


def overlap(frame: Frame) -> list[list[int]]:
    """Return a square: documents that break both rule i and rule j."""
    groups = frame.groups
    size = len(frame.rules)
    bits = ((groups.mask[:, None] >> np.arange(size, dtype=np.uint64)) & np.uint64(1)).astype(
        np.float64
    )
    square = (bits * groups.documents[:, None]).T @ bits
    return [[int(value) for value in row] for row in square]


def _tokenizer(frame: Frame) -> Json:
    """Return the tokenizer's card and, by component, what it makes of the kept documents."""
    groups = frame.groups
    card = _json_file(frame, "tokenizer/card.json") or {}
    kept = groups.mask == 0
    rows = []
    for code, name in enumerate(frame.components.names):
        here = kept & (groups.component == code)
        if name is None or not groups.tokens[here].sum():
            continue
        columns = (groups.documents, groups.bytes, groups.chars, groups.tokens)
        rows.append([name, *(int(column[here].sum()) for column in columns)])
    plain = {k: v for k, v in card.items() if isinstance(v, str | int | float | bool)}
    return {"card": plain, "components": rows}


def _json_file(frame: Frame, name: str) -> Json | None:
    path = frame.out / name
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else None
