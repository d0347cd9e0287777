"""Comparison of `measure` with the oracles: batches, mismatches, the smallest text for each."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache

import pyarrow as pa

from filters.measure.annotator import Measure
from schemas.config import Measure as Settings
from tests.oracles.signals import PROSE, SIGNALS, Value
from tests.oracles.signals_of_code import CODE
from tests.oracles.texts import shorten
from tests.oracles.units import unit_signals

Row = dict[str, object]
PROSE_KIND, CODE_KIND = ("ko", None), ("code", "javascript")
Mismatch = tuple[str, str, Value, object]
"""Column, text, what the oracle computes, what the program does."""


@cache
def annotator() -> Measure:
    return Measure(Settings())


def batch(
    values: Sequence[str | None], kinds: Sequence[tuple[str | None, str | None]]
) -> pa.RecordBatch:
    """Return documents as `measure` reads them: text, component, programming language, meta."""
    return pa.RecordBatch.from_arrays(
        [
            pa.array(values, pa.large_string()),
            pa.array([component for component, _ in kinds], pa.string()),
            pa.array([language for _, language in kinds], pa.string()),
            pa.nulls(len(kinds), pa.string()),
        ],
        names=["text", "assigned", "code_lang", "meta"],
    )


def measured(values: Sequence[str | None], kind: tuple[str | None, str | None]) -> list[Row]:
    return list(annotator()(batch(values, [kind] * len(values))).to_pylist())


def expected(text: str, kind: tuple[str | None, str | None]) -> dict[str, Value]:
    """Return what the oracles compute of a text: every column that applies to its kind."""
    code = kind == CODE_KIND
    found = {name: compute(text) for name, compute in (SIGNALS | (CODE if code else PROSE)).items()}
    return found if code else found | unit_signals(text)


def equals(wanted: Value, found: object) -> bool:
    """Return whether a column's value is the oracle's, or between its bounds, as float32."""
    least, most = wanted if isinstance(wanted, tuple) else (wanted, wanted)
    if not isinstance(found, int | float):
        return False
    slack = 1e-6 * max(1.0, abs(most))
    return not math.isnan(found) and least - slack <= found <= most + slack


def mismatches(
    texts: Iterable[str], kind: tuple[str | None, str | None]
) -> tuple[int, dict[str, list[Mismatch]]]:
    """Return how many values were compared, and those that differ by column.

    The texts are measured in batches of 100 as a run does; the oracles see each alone.
    """
    texts = list(texts)
    compared, found = 0, defaultdict(list)
    for begin in range(0, len(texts), 100):
        part = texts[begin : begin + 100]
        for text, row in zip(part, measured(part, kind), strict=True):
            try:
                wanted = expected(text, kind)
            except AssertionError as error:
                found["units"].append(("units", text, math.nan, str(error)))
                continue
            compared += len(wanted)
            for name, value in wanted.items():
                if not equals(value, row[name]):
                    found[name].append((name, text, value, row[name]))
    return compared, dict(found)


def differs(name: str, kind: tuple[str | None, str | None]) -> Callable[[str], bool]:
    """Return whether a text alone shows the mismatch of one column."""

    def fails(text: str) -> bool:
        try:
            wanted = expected(text, kind)
        except AssertionError:
            return name == "units"
        return name in wanted and not equals(wanted[name], measured([text], kind)[0][name])

    return fails


def report(found: dict[str, list[Mismatch]], kind: tuple[str | None, str | None]) -> str:
    """Return a line per column that differs, with the smallest text that shows it."""
    lines = []
    for name, cases in sorted(found.items()):
        shortest = min(cases, key=lambda case: len(case[1]))
        fails = differs(name, kind)
        text = shortest[1]
        if len(text) < 5_000 and fails(text):
            text = shorten(text, fails)
            shortest = mismatches([text], kind)[1][name][0]
        lines.append(
            f"{name}: {len(cases)} texts, e.g. {shortest[1][:200]!r}: "
            f"expected {shortest[2]}, got {shortest[3]}"
        )
    return "\n".join(lines)


def shuffled(count: int, seed: int) -> list[int]:
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return order
