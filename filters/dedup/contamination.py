"""Contamination: n-grams of benchmark items inside documents.

Units are words (runs of letters and digits, without case), or for Korean items single letters and
digits. White space and marks are left out. An item shorter than a window is matched as a whole if
it has at least MIN_WORDS or MIN_CHARS units; shorter ones are not specific enough and are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa

from filters.columnar.arrays import Floats, Ints, Keys
from filters.columnar.kernels import (
    GOLDEN,
    HANGUL,
    MARK,
    SPACE,
    buffers,
    classify,
    find_slot,
    kernel,
    mix64,
    next_codepoint,
    table_size,
)
from filters.dedup.minhash import fold

MIN_WORDS = 8
MIN_CHARS = 20
CHARS_PER_WORD = 3
"""Korean characters that are as specific as an English word: for 13 words a window has 39."""


@kernel
def _units(data, begin, end, by_char, units):  # type: ignore[no-untyped-def]  # typed by Numba
    count = 0
    at = begin
    value = np.uint64(0)
    while at < end:
        cp, at = next_codepoint(data, at)
        kind = classify(cp)
        plain = kind != SPACE and kind != MARK  # noqa: PLR1714  # compiles to two tests
        if by_char:
            if plain:
                units[count] = np.uint64(fold(cp)) + np.uint64(1)
                count += 1
        elif plain:
            value = (value ^ np.uint64(fold(cp))) * GOLDEN + np.uint64(1)
        elif value:
            units[count] = mix64(value)
            count += 1
            value = np.uint64(0)
    if value:
        units[count] = mix64(value)
        count += 1
    return count


@kernel
def _window_power(n):  # type: ignore[no-untyped-def]  # typed by Numba
    power = np.uint64(1)
    for _ in range(n):
        power = power * GOLDEN
    return power


@kernel
def _span_key(units, start, length):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the key of `length` units from `start` on, as a rolling window computes it."""
    value = np.uint64(0)
    for at in range(start, start + length):
        value = value * GOLDEN + units[at]
    return mix64(value) | np.uint64(1)


@kernel
def _has_hangul(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    while at < end:
        cp, at = next_codepoint(data, at)
        if classify(cp) == HANGUL:
            return True
    return False


@kernel
def _scan(  # type: ignore[no-untyped-def]  # typed by Numba
    data,
    offsets,
    by_char,
    n,
    keys,
    items,
    k,
    heads,
    entries,
    next_entry,
    lengths,
    wholes,
    owners,
):
    """Return (share, longest run, item) of each row: windows of `n` units, and short items.

    A short item counts as one window where no window matches.

    The other arguments are the fields of `ItemIndex`. A short item is found by its first `k` units
    (`heads`, an open table whose `entries` begin lists linked by `next_entry`), then compared as a
    whole.
    """
    rows = len(offsets) - 1
    share = np.zeros(rows, np.float32)
    longest = np.zeros(rows, np.int32)
    found = np.full(rows, -1, np.int32)
    size = 0
    for row in range(rows):
        size = max(size, offsets[row + 1] - offsets[row])
    units = np.empty(size + 1, np.uint64)
    power, head_power = _window_power(n), _window_power(k)
    for row in range(rows):
        if by_char and not _has_hangul(data, offsets[row], offsets[row + 1]):
            continue
        count = _units(data, offsets[row], offsets[row + 1], by_char, units)
        value = head = np.uint64(0)
        run = matched = whole = 0
        for at in range(count):
            value = value * GOLDEN + units[at]
            head = head * GOLDEN + units[at]
            if at >= n:
                value = value - units[at - n] * power
            if at >= k:
                head = head - units[at - k] * head_power
            if at >= n - 1:
                slot = find_slot(keys, mix64(value) | np.uint64(1))
                if keys[slot] != 0:
                    run = run + 1 if run else n
                    matched += 1
                    if run > longest[row]:
                        longest[row] = run
                        found[row] = items[slot]
                else:
                    run = 0
            if at >= k - 1:
                slot = find_slot(heads, mix64(head) | np.uint64(1))
                if heads[slot] == 0:
                    continue
                start = at - k + 1
                entry = entries[slot]
                while entry >= 0:
                    length = lengths[entry]
                    fits = length > longest[row] and start + length <= count
                    if fits and _span_key(units, start, length) == wholes[entry]:
                        longest[row] = length
                        found[row] = owners[entry]
                        whole = 1
                    entry = next_entry[entry]
        share[row] = min(1.0, max(matched, whole) / max(count - n + 1, 1))
    return share, longest, found


@dataclass(frozen=True)
class ItemIndex:
    """The items of one kind of unit: windows of `n` units, and short items by their first `k`."""

    by_char: bool
    n: int
    keys: Keys
    items: Ints
    k: int
    heads: Keys
    entries: Ints
    next_entry: Ints
    lengths: Ints
    wholes: Keys
    owners: Ints


@dataclass(frozen=True)
class Index:
    """What documents are compared with: the ids of the items, and an index per kind of unit."""

    names: list[str]
    parts: list[ItemIndex]

    def can_match(self) -> bool:
        """Return whether an item is long enough to be found in a document."""
        return any(part.keys.any() or part.heads.any() for part in self.parts)


def item_units(text: str, by_char: bool) -> Keys:
    """Return the units of one item."""
    data, offsets = buffers(pa.array([text], pa.large_string()))
    units = np.empty(len(data) + 1, np.uint64)
    return units[: _units(data, offsets[0], offsets[1], by_char, units)]


def build_index(items: list[tuple[str, str, str]], ngram: int) -> Index:
    """Return the index of `items`: windows of `ngram` words, or of 3 × `ngram` characters
    for items that hold Hangul."""
    by_kind: dict[bool, list[tuple[int, Keys]]] = {}
    for number, (_, text, _) in enumerate(items):
        by_char = any("가" <= ch <= "힣" for ch in text)
        by_kind.setdefault(by_char, []).append((number, item_units(text, by_char)))
    parts = [_index_items(by_char, by_kind[by_char], ngram) for by_char in sorted(by_kind)]
    return Index([name for name, _, _ in items], parts)


def _table(pairs: dict[int, int]) -> tuple[Keys, Ints]:
    """Return an open hash table of key → value."""
    keys = np.zeros(table_size(len(pairs)), np.uint64)
    values = np.full(len(keys), -1, np.int32)
    for key, value in pairs.items():
        slot = find_slot(keys, np.uint64(key))
        keys[slot], values[slot] = key, value
    return keys, values


def _index_items(by_char: bool, items: list[tuple[int, Keys]], ngram: int) -> ItemIndex:
    n = ngram * CHARS_PER_WORD if by_char else ngram
    k = min(MIN_CHARS if by_char else MIN_WORDS, n)
    full: dict[int, int] = {}
    heads: dict[int, int] = {}
    short: list[tuple[int, int, int, int]] = []  # length, whole, owner, next
    for number, units in items:
        if len(units) >= n:
            for key in _window_keys(units, n):
                full.setdefault(int(key), number)
        elif len(units) >= k:
            head = int(_span_key(units, 0, k))
            whole = int(_span_key(units, 0, len(units)))
            short.append((len(units), whole, number, heads.get(head, -1)))
            heads[head] = len(short) - 1
    columns = list(zip(*short, strict=True)) if short else [(), (), (), ()]
    return ItemIndex(
        by_char,
        n,
        *_table(full),
        k,
        *_table(heads),
        next_entry=np.array(columns[3], np.int32),
        lengths=np.array(columns[0], np.int32),
        wholes=np.array(columns[1], np.uint64),
        owners=np.array(columns[2], np.int32),
    )


@kernel
def _window_keys(units, n):  # type: ignore[no-untyped-def]  # typed by Numba
    power = _window_power(n)
    out = np.empty(len(units) - n + 1, np.uint64)
    value = np.uint64(0)
    for at in range(len(units)):
        value = value * GOLDEN + units[at]
        if at >= n:
            value = value - units[at - n] * power
        if at >= n - 1:
            out[at - n + 1] = mix64(value) | np.uint64(1)
    return out


def contamination(text: pa.LargeStringArray, index: Index) -> tuple[Floats, Ints, list[str | None]]:
    """Return for each text: share of its windows found in an item, longest run in units, and
    the item's id (None where no window matches)."""
    data, offsets = buffers(text)
    rows = len(text)
    share = np.zeros(rows, np.float32)
    longest = np.zeros(rows, np.int32)
    owner = np.full(rows, -1, np.int32)
    for part in index.parts:
        matched, run, found = _scan(
            data, offsets, *(getattr(part, field.name) for field in fields(part))
        )
        share = np.maximum(share, matched)
        better = run > longest
        owner = np.where(better, found, owner)
        longest = np.maximum(longest, run)
    return share, longest, [index.names[o] if o >= 0 else None for o in owner]


def compile_kernels() -> None:
    """Compile (or load from the cache) the kernels of this module."""
    index = build_index([("item", "one two three four five six seven eight nine", "")], 3)
    contamination(pa.array(["one two three"], pa.large_string()), index)
