"""Windows that may hold personal data, from a cheap pass over the Arrow buffers.

Each trigger (see `scan`) gives a window of a few hundred bytes; overlapping windows are joined.
Presidio reads the windows only. A value belongs to the window in whose core it starts, so each is
found once and as a whole.
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
"""All but names of persons, which are off by default."""
LARGEST_CORE = 4096
"""Bytes of a core; a longer one is split, so that the cost stays linear."""
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
"""Words beside the name of a person, for the optional type PERSON."""

_REACH = 1024

Words = tuple[Bytes, Longs, Mask]


@dataclass(frozen=True)
class CandidateWindows:
    """Windows of one kind, in order. Positions are bytes of the column's data buffer."""

    kind: int
    row: Longs
    start: Longs
    """`start` to `end` is the core: a value that starts in it belongs to this window."""
    end: Longs
    shown_start: Longs
    shown_end: Longs
    """What a recogniser reads: the core and its surroundings, in whole characters."""


def pack(words: Iterable[str]) -> Words:
    """Return words in lower case as bytes, their offsets, and by byte whether a word begins with
    it."""
    encoded = [word.lower().encode() for word in words]
    firsts = np.zeros(256, dtype=bool)
    firsts[[word[0] for word in encoded]] = True
    offsets = np.cumsum([0, *(len(word) for word in encoded)])
    return np.frombuffer(b"".join(encoded), np.uint8), offsets.astype(np.int64), firsts


@lru_cache
def tables() -> tuple[Bytes, Bytes, tuple[Words, ...]]:
    """Return the tables of the scan: classes of bytes, flags of syllables, packed words."""
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
    """Return for each row whether it may hold personal data; false means that there is none.

    Null rows are false.
    """
    found = np.zeros(len(text), dtype=bool)
    found[find_triggers(text, kinds)[:, 0]] = True
    return pa.array(found)


def find_windows(text: pa.LargeStringArray, kinds: int = ALL_KINDS) -> list[CandidateWindows]:
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
) -> CandidateWindows:
    row = found[:, 0]
    low, high = offsets[row], offsets[row + 1]
    start = np.maximum(found[:, 1] - KINDS[kind].before, low)
    end = np.maximum.accumulate(np.minimum(found[:, 2] + KINDS[kind].after, high))
    # Triggers are in order, so a window begins where no earlier one reaches.
    opens = np.ones(len(start), dtype=bool)
    opens[1:] = (start[1:] >= end[:-1]) | (row[1:] != row[:-1])
    first = np.flatnonzero(opens)
    last = np.append(first[1:], len(start)) - 1
    row, start, end = row[first], start[first], end[last]
    reach = np.zeros(len(start), np.int64)
    if ((end - start) > LARGEST_CORE).any():
        row, start, end, reach = _split(kind, row, start, end)
    low, high = offsets[row], offsets[row + 1]
    return CandidateWindows(
        kind,
        row,
        start,
        end,
        _to_character(data, np.maximum(start - KINDS[kind].margin, low), high),
        _to_character(data, np.minimum(end + reach + KINDS[kind].margin, high), high),
    )


def _split(kind: int, row: Any, start: Any, end: Any) -> tuple[Any, Any, Any, Any]:
    """Split long cores; each part is followed by as many bytes as a value may reach."""
    parts = -(-(end - start) // LARGEST_CORE)
    index = np.repeat(np.arange(len(start)), parts)
    step = np.arange(len(index)) - np.repeat(np.cumsum(parts) - parts, parts)
    part_start = start[index] + step * LARGEST_CORE
    part_end = np.minimum(part_start + LARGEST_CORE, end[index])
    beyond = KEY_BLOCK + _REACH if kind == SECRET else _REACH
    return row[index], part_start, part_end, np.where(part_end < end[index], beyond, 0)


def _to_character(data: Bytes, at: Any, limit: Any) -> Longs:
    """Return positions moved forward to where a character begins."""
    at = at.copy()
    for _ in range(3):
        inside = at < limit
        inside[inside] = (data[at[inside]] & 0xC0) == 0x80
        at[inside] += 1
    return np.asarray(at)
