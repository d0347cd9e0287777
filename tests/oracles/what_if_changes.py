"""Random changes of rules, and a config with them in place, made from docs/config.md alone."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

NUMBERS = (
    "words", "chars", "bytes", "lines", "max_line_length", "mean_line_length", "stop_words",
    "hangul_ratio", "alnum_ratio", "short_lines", "lang_score", "syntax_ok", "comment_lines",
    "cluster_size", "pii_count", "toxicity", "spam", "quality", "tokens",
)  # fmt: skip
STRINGS = ("lang", "license", "code_lang", "url", "duplicate_kind", "lang_other")
FLAGS = ("duplicate",)
LATE = ("cluster_size", "toxicity", "quality", "tokens", "duplicate", "duplicate_kind")
SIDES = {"toxicity": "<", "spam": "<", "quality": ">", "pii_count": "<"}
"""Column → the side of the rule that a section of the config stands for."""
PART = re.compile(r"(>=|<=|==|!=|>|<)\s*(\"[^\"]*\"|[^,\s]+)|(in \[[^\]]*\])|null:\s*(keep|drop)")


def stored_values(out: Path) -> dict[str, list[Any]]:
    """Return the distinct values of each column that a change may ask for."""
    found: dict[str, set[Any]] = {}
    for path in sorted([*out.glob("documents/*.parquet"), *out.glob("annotations/*/*.parquet")]):
        table = pq.read_table(path)
        for name in {*NUMBERS, *STRINGS, *FLAGS} & set(table.column_names):
            column = table.column(name)
            if pa.types.is_dictionary(column.type):
                column = column.cast(pa.string())
            found.setdefault(name, set()).update(set(column.to_pylist()) - {None})
    return {name: sorted(values) for name, values in found.items()}


def draw_change(rng: random.Random, made: dict[str, Any], values: dict[str, list[Any]]) -> str:
    """Return a rule such as `ko.words>=20, <=50`, drawn at random."""
    scopes = ["all", "ko", "en", "code", *made["sources"]]
    kind = rng.random()
    names = LATE if kind < 0.35 else STRINGS if kind < 0.5 else (*NUMBERS, *FLAGS)
    kept = [(scope, name) for scope, rules in made["rules"].items() for name in rules]
    scope, column = rng.choice(scopes), rng.choice(names)
    if rng.random() < 0.4:
        scope, column = rng.choice(kept)
    have = values.get(column) or [0]
    condition = _condition(rng, have)
    if rng.random() < 0.15:
        condition += f", null: {rng.choice(['keep', 'drop'])}"
    return f"{scope}.{column}{'' if condition[0] in '<>=!' else ' '}{condition}"


def _condition(rng: random.Random, have: list[Any]) -> str:
    value = rng.choice(have)
    if isinstance(value, bool):
        return f"{rng.choice(['==', '!='])}{str(rng.random() < 0.5).lower()}"
    if isinstance(value, str):
        some = [_shown(each) for each in rng.sample(have, min(len(have), rng.randint(1, 3)))]
        kind = rng.random()
        if kind < 0.3:
            return f"in [{', '.join(some)}]"
        return f"=={some[0]}" if kind < 0.5 else ", ".join(f"!={each}" for each in some)
    kind = rng.random()
    if kind < 0.1:
        return f"{rng.choice(['==', '!='])}{_shown(value)}"
    if kind < 0.15:
        return f"in [{', '.join(_shown(each) for each in rng.sample(have, min(3, len(have))))}]"
    # Most thresholds are near the values' lower or upper end, where a rule drops some.
    at = rng.choice([0.1, 0.3, 0.7, 0.9, rng.random()])
    near = have[min(int(at * len(have)), len(have) - 1)]
    if rng.random() < 0.2 and isinstance(near, float):
        near += rng.choice([1e-9, -1e-9])
    if kind < 0.3:
        low, high = sorted((near, value))
        return f"{rng.choice(['>', '>='])}{_shown(low)}, {rng.choice(['<', '<='])}{_shown(high)}"
    return f"{rng.choice(['>=', '>'] if at < 0.5 else ['<=', '<'])}{_shown(near)}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value if re.fullmatch(r"[A-Za-z][\w.-]*", value) else json.dumps(value)
    return repr(value)


def split(rule: str) -> tuple[str, str, str]:
    match = re.fullmatch(r"([\w-]+)\.(\w+)\s*(.+)", rule)
    assert match is not None, rule
    return match.group(1), match.group(2), match.group(3)


def _parts(condition: str) -> tuple[list[str], str | None]:
    parts, null = [], None
    for op, value, listed, word in PART.findall(condition):
        if word:
            null = word
        else:
            parts.append(listed or f"{op}{value}")
    return parts, null


def _side(part: str) -> str:
    """Return what a part stands for: a new one replaces the old one of the same side."""
    if part.startswith("!="):
        return part
    return "is" if part.startswith(("==", "in ")) else part[0]


def applied(made: dict[str, Any], changes: Iterable[str]) -> dict[str, Any] | None:
    """Return the config with the changes in place; None where a text cannot write it.

    A change replaces the same side of the same column and scope; another is added to the column,
    a new column to its scope. A condition has one `null`, so a column with two cannot be written.
    """
    changed = copy.deepcopy(made)
    for change in changes:
        scope, column, condition = split(change)
        parts, null = _parts(condition)
        if scope == "all" and SIDES.get(column) in map(_side, parts):
            return None  # a section may stand for it
        rules = changed["rules"].setdefault(scope, {})
        old, old_null = _parts(rules.get(column, ""))
        replaced = [part for part in old if _side(part) not in {_side(each) for each in parts}]
        if replaced and null != old_null:
            return None
        order = {_side(part): part for part in [*old, *parts]}
        text = ", ".join(order.values())
        rules[column] = text + (f", null: {null}" if null else "")
    return changed


def exported(made: dict[str, Any], sections: dict[str, Any]) -> dict[str, Any]:
    """Return the config with the exported sections in place: `rules` whole, others by key."""
    changed = copy.deepcopy(made)
    for name, section in sections.items():
        if name == "rules":
            changed["rules"] = section
        else:
            changed.setdefault(name, {}).update(section)
    return changed
