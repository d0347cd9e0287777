"""Where to look for personal data: a cheap pass over the Arrow buffers.

A trigger (see `scan`) becomes a window of a few hundred bytes; windows that overlap become
one. Presidio reads the windows only. A value is taken from the window in whose core it
starts, so each is found once and none is cut.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from filters.columnar.arrays import Bytes, Longs, Mask
from filters.columnar.kernels import buffers
from filters.pii.entities import (
    BANKS,
    HANGUL_DIGITS,
    KEY_PREFIXES,
    KINDS,
    NAME,
    NUMBER_WORDS,
    PASSPORT_WORDS,
    PLACE_WORDS,
    PLATE_SYLLABLES,
    SECRET,
    SECRET_WORDS,
)
from filters.pii.regions import PROVINCES
from filters.pii.scan import KEY_BLOCK, triggers
from filters.pii.shapes import NUMERAL, PLACE_MARK, PLATE_MARK, REGION_MARK

ALL_KINDS = (1 << len(KINDS)) - 1
USUAL_KINDS = ALL_KINDS & ~(1 << NAME)
"""All but persons' names, which are off by default."""
LARGEST_CORE = 4096
"""Bytes; a longer run of candidates is read in pieces, so that cost stays linear."""
NAME_LABELS = (
    "님",
    "씨",
    "담당자",
    "성함",
    "성명",
    "이름",
    "예금주",
    "대표자",
    "작성자",
    "신청자",
    "수취인",
    "수신인",
    "보호자",
    "환자",
    "고객명",
)
"""What stands beside a person's name, for the optional PERSON type."""

_REACH = 1024

Words = tuple[Bytes, Longs, Mask]


@dataclass(frozen=True)
class Windows:
    """Windows of one kind, in order of place. Byte positions in the column's data buffer."""

    kind: int
    row: Longs
    start: Longs
    """A value that starts at or after `start` and before `end` belongs to this window."""
    end: Longs
    shown_start: Longs
    shown_end: Longs
    """What a recogniser gets to see: the core and its surroundings, whole characters."""


def pack(words: Iterable[str]) -> Words:
    """Return lower-case words as bytes, their offsets, and which bytes any begins with."""
    encoded = [word.lower().encode() for word in words]
    firsts = np.zeros(256, dtype=bool)
    firsts[[word[0] for word in encoded]] = True
    places = np.cumsum([0, *(len(word) for word in encoded)])
    return np.frombuffer(b"".join(encoded), np.uint8), places.astype(np.int64), firsts


@lru_cache
def tables() -> tuple[Bytes, Bytes, tuple[Words, ...]]:
    """Return what the scan looks up: byte classes, syllable flags, packed words."""
    classes = np.zeros(256, np.uint8)
    for byte in b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz":
        classes[byte] = 1
    for byte in b"\"'=:>":
        classes[byte] = 2
    classes[0xEA:0xEE] = 3
    for byte in (*b"@%-([{<", 0xEF):
        classes[byte] = 4
    flags = np.zeros(0xD7A4 - 0xAC00, np.uint8)
    for syllables, flag in (
        (HANGUL_DIGITS, NUMERAL),
        (PLATE_SYLLABLES, PLATE_MARK),
        ("로길동리가하산", PLACE_MARK),
        ("시군구도읍면", REGION_MARK),
    ):
        for syllable in syllables:
            flags[ord(syllable) - 0xAC00] |= flag
    lists = (
        NUMBER_WORDS,
        BANKS,
        (*PLACE_WORDS, *PROVINCES),
        PASSPORT_WORDS,
        SECRET_WORDS,
        KEY_PREFIXES,
        NAME_LABELS,
    )
    return classes, flags, tuple(pack(words) for words in lists)


def find_triggers(text: pa.LargeStringArray, kinds: int = ALL_KINDS) -> Longs:
    """Return int64 [n, 4]: row, start, end, kinds as bits of every trigger in `text`."""
    data, offsets = buffers(text)
    classes, flags, words = tables()
    return np.asarray(triggers(data, offsets, kinds, classes, flags, words))


def has_candidates(text: pa.LargeStringArray, kinds: int = USUAL_KINDS) -> pa.BooleanArray:
    """Return for each row whether it may hold personal data: true wherever there is some.

    Null rows are false.
    """
    found = np.zeros(len(text), dtype=bool)
    found[find_triggers(text, kinds)[:, 0]] = True
    return pa.array(found)


def find_windows(text: pa.LargeStringArray, kinds: int = ALL_KINDS) -> list[Windows]:
    """Return the windows of each kind that has any."""
    data, offsets = buffers(text)
    found = find_triggers(text, kinds)
    result = []
    for kind in range(len(KINDS)):
        rows = found[(found[:, 3] >> kind) & 1 == 1]
        if len(rows):
            result.append(_windows(kind, rows, data, offsets))
    return result


def _windows(
    kind: int,
    found: Longs,
    data: Bytes,
    offsets: Longs,
) -> Windows:
    row = found[:, 0]
    low, high = offsets[row], offsets[row + 1]
    start = np.maximum(found[:, 1] - KINDS[kind].before, low)
    end = np.maximum.accumulate(np.minimum(found[:, 2] + KINDS[kind].after, high))
    # Triggers come in order of place, so a window opens where nothing before reaches.
    opens = np.ones(len(start), dtype=bool)
    opens[1:] = (start[1:] >= end[:-1]) | (row[1:] != row[:-1])
    first = np.flatnonzero(opens)
    last = np.append(first[1:], len(start)) - 1
    row, start, end = row[first], start[first], end[last]
    reach = np.zeros(len(start), np.int64)
    if ((end - start) > LARGEST_CORE).any():
        row, start, end, reach = _cut(kind, row, start, end)
    low, high = offsets[row], offsets[row + 1]
    return Windows(
        kind,
        row,
        start,
        end,
        _to_character(data, np.maximum(start - KINDS[kind].margin, low), high),
        _to_character(data, np.minimum(end + reach + KINDS[kind].margin, high), high),
    )


def _cut(kind: int, row: Any, start: Any, end: Any) -> tuple[Any, Any, Any, Any]:
    """Cut long cores into pieces; a piece shows as much after it as a value may reach."""
    pieces = -(-(end - start) // LARGEST_CORE)
    index = np.repeat(np.arange(len(start)), pieces)
    step = np.arange(len(index)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    cut_start = start[index] + step * LARGEST_CORE
    cut_end = np.minimum(cut_start + LARGEST_CORE, end[index])
    beyond = KEY_BLOCK + _REACH if kind == SECRET else _REACH
    return row[index], cut_start, cut_end, np.where(cut_end < end[index], beyond, 0)


def _to_character(data: Bytes, at: Any, limit: Any) -> Longs:
    """Return positions moved forward to where a character begins."""
    at = at.copy()
    for _ in range(3):
        inside = at < limit
        inside[inside] = (data[at[inside]] & 0xC0) == 0x80
        at[inside] += 1
    return np.asarray(at)
