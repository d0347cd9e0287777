"""Signals of units in plain Python: cut by the program, joined, counted and compared here.

docs/signals.md leaves open where text that is not Hangul is cut ("where the class of characters
changes"), and the model of Hangul is learned: the lengths of units come from the program, and their
strings, kinds, stop words and n-grams from the text.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pyarrow as pa

from filters.columnar.kernels import buffers
from filters.text.boundaries import FEATURES, judge, load_weights
from filters.text.units import COUNTS, cut_units
from tests.oracles.characters import is_letter, is_space, is_syllable
from tests.oracles.signals import Value, is_named, length, share, symbols

ENGLISH = {"the", "be", "to", "of", "and", "that", "have", "with"}
KOREAN = {
    "의",
    "다",
    "이",
    "는",
    "에",
    "을",
    "한",
    "년",
    "하",
    "은",
    "를",
    "했",
    "고",
    "에서",
    "가",
    "있",
    "으로",
    "인",
    "월",
    "로",
    "되",
}


def lengths_by_program(text: str) -> list[int]:
    """Return the characters of each unit, as the program cuts `text` alone."""
    data, offsets = buffers(pa.array([text], pa.large_string()))
    room = int(offsets[1] - offsets[0]) + 1
    hashes, sums = np.zeros(room, np.uint64), np.zeros(room, np.int64)
    found = cut_units(
        data,
        int(offsets[0]),
        int(offsets[1]),
        load_weights(),
        hashes,
        sums,
        np.zeros(COUNTS, np.int64),
    )
    return [int(n) for n in np.diff(sums[: found + 1])]


@cache
def pieces(run: str) -> tuple[str, ...]:
    """Return the units of a run of Hangul: a syllable that holds two morphemes counts in both."""
    data, offsets = buffers(pa.array([run], pa.large_string()))
    found, first = [], 0
    for at in range(len(run)):
        ends, meets = judge(
            data, int(offsets[0]), int(offsets[1]), int(offsets[0]) + 3 * at, load_weights(),
            np.zeros(FEATURES, np.int64),
        )  # fmt: skip
        if meets:
            found.append(run[first : at + 1])
            first = at
        if ends:
            found.append(run[first : at + 1])
            first = at + 1
    return tuple(found)


def units_of(text: str) -> list[str]:
    """Return the units of a text; AssertionError where the program's do not make up the text.

    the text is cut where the class of characters changes, and a run of Hangul where a small model
    learned from Kiwi cuts it
    """
    left = lengths_by_program(text)[::-1]
    units: list[str] = []
    at = 0
    while at < len(text):
        if is_space(text[at]):
            at += 1
            continue
        end = at
        while end < len(text) and is_syllable(text[end]):
            end += 1
        if end > at:
            for piece in pieces(text[at:end]):
                assert left and left.pop() == len(piece), f"unit {piece!r} of {text[at:end]!r}"
                units.append(piece)
            at = end
            continue
        assert left, f"no unit for {text[at : at + 20]!r}"
        unit = text[at : at + left.pop()]
        assert not any(is_space(c) or is_syllable(c) for c in unit), (
            f"unit {unit!r} crosses a class"
        )
        units.append(unit)
        at += len(unit)
    assert not left, f"{len(left)} units more than the text holds"
    return units


def top(units: list[str], size: int, chars: int) -> float:
    """share of characters in the most frequent n-gram of units (Gopher)"""
    grams = Counter(tuple(units[at : at + size]) for at in range(len(units) - size + 1))
    if not grams:
        return 0.0
    gram, times = grams.most_common(1)[0]
    return min(1.0, share(times * (length(list(gram)) + size - 1), chars))


def duplicated(units: list[str], size: int, chars: int) -> float:
    """share of characters in repeated n-grams of units (Gopher), from the left without overlap"""
    seen: set[tuple[str, ...]] = set()
    at = repeats = 0
    while at < len(units) - size + 1:
        gram = tuple(units[at : at + size])
        if gram in seen:
            repeats += length(list(gram))
            at += size
        else:
            seen.add(gram)
            at += 1
    return min(1.0, share(repeats, chars))


def unit_signals(text: str) -> dict[str, Value]:
    """Return every column that counts units, in the order of the docs' table."""
    units = units_of(text)
    named = [unit for unit in units if is_named(unit)]
    english = len(ENGLISH & {unit.lower() for unit in units if unit.isascii()})
    korean = len(KOREAN & set(units))
    found: dict[str, Value] = {
        "stop_words": max(english, korean),
        "english_stop_words": english,
        "korean_stop_words": korean,
        "units": len(named),
        "mean_unit_length": share(length(named), len(named)),
        "alpha_units": share(sum(any(map(is_letter, unit)) for unit in units), len(units)),
        "unit_symbol_ratio": share(symbols(text), len(units)),
        "unit_newlines": share(text.count("\n"), len(units)) if units else text.count("\n"),
        "unique_units": share(len(set(units)), len(units)),
    }
    found |= {f"top_{size}gram": top(units, size, len(text)) for size in (2, 3, 4)}
    return found | {f"dup_{size}gram": duplicated(units, size, len(text)) for size in range(5, 11)}
