"""Repetition of characters, whatever the language's words are."""

from __future__ import annotations

import numpy as np

from filters.columnar.counting import MAX_BITS, distribute, parts_of
from filters.columnar.kernels import GOLDEN, find_slot, kernel, mix64, next_codepoint, table_size
from filters.signals.family import PROSE, Family

GRAM = 10
"""Characters of a window, as in Laurençon et al. 2022 (ROOTS): character repetition ratio."""


@kernel
def _hash_windows(data, begin, end, hashes, power):  # type: ignore[no-untyped-def]  # typed by Numba
    """Put a hash of every window of GRAM codepoints into `hashes`; return how many."""
    window = np.zeros(GRAM, np.uint64)
    value = np.uint64(0)
    at = begin
    seen = place = 0
    while at < end:
        cp, at = next_codepoint(data, at)
        value = value * GOLDEN + np.uint64(cp) - window[place] * power
        window[place] = np.uint64(cp)
        place = place + 1 if place + 1 < GRAM else 0
        seen += 1
        if seen >= GRAM:
            hashes[seen - GRAM] = mix64(value) | np.uint64(1)
    return max(seen - GRAM + 1, 0)


@kernel
def _keep_repeated(hashes, begin, end, once, twice):  # type: ignore[no-untyped-def]  # typed by Numba
    """Keep those of `hashes[begin:end]` that may occur twice, from `begin` on; return how many.

    Two bit maps record which bits were set once and which twice. Hashes that occur once are nearly
    always left out, so the exact table stays small.
    """
    words = 16
    while words * 64 < 8 * (end - begin):
        words *= 2
    once[:words] = 0
    twice[:words] = 0
    mask = np.uint64(words - 1)
    one = np.uint64(1)
    for index in range(begin, end):
        key = hashes[index]
        word = (key >> np.uint64(7)) & mask
        bit = one << ((key >> np.uint64(1)) & np.uint64(63))
        twice[word] |= once[word] & bit
        once[word] |= bit
    left = 0
    for index in range(begin, end):
        key = hashes[index]
        word = (key >> np.uint64(7)) & mask
        if twice[word] & (one << ((key >> np.uint64(1)) & np.uint64(63))):
            hashes[begin + left] = key
            left += 1
    return left


@kernel
def _share(hashes, windows, grouped, positions, starts):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the share of the most frequent windows; the last three arguments are scratch."""
    bits = parts_of(windows)
    if bits:
        distribute(hashes, windows, bits, grouped, positions, starts)
    else:
        grouped = hashes
        starts[0], starts[1] = 0, windows
    widest = 0
    for part in range(1 << bits):
        widest = max(widest, starts[part + 1] - starts[part])
    words = 16
    while words * 64 < 8 * widest:
        words *= 2
    once, twice = np.empty(words, np.uint64), np.empty(words, np.uint64)
    room = 0
    table, counts = np.empty(0, np.uint64), np.empty(0, np.int32)
    ranks = np.zeros(256, np.int64)  # how many distinct windows occur k times
    different = windows
    for part in range(1 << bits):
        begin = starts[part]
        left = _keep_repeated(grouped, begin, starts[part + 1], once, twice)
        if left == 0:
            continue
        size = table_size(left)
        if size > room:
            room = size
            table, counts = np.empty(room, np.uint64), np.empty(room, np.int32)
        slots = table[:size]
        slots[:] = 0
        counts[:size] = 0
        highest = 0
        for index in range(begin, begin + left):
            slot = find_slot(slots, grouped[index])
            slots[slot] = grouped[index]
            counts[slot] += 1
            highest = max(highest, counts[slot])
            different -= counts[slot] > 1
        if highest >= len(ranks):
            wider = np.zeros(2 * highest, np.int64)
            wider[: len(ranks)] = ranks
            ranks = wider
        for slot in range(size):
            ranks[counts[slot]] += 1
    remaining = int(np.sqrt(different))
    taken = 0
    for count in range(len(ranks) - 1, 1, -1):
        here = min(remaining, ranks[count])
        taken += here * count
        remaining -= here
        if remaining == 0:
            break
    return taken / windows


@kernel
def compute(data, offsets, where):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return float64 [rows, 1]: share of character 10-grams that the most frequent ones take.

    As in ROOTS: the sum of the √(distinct windows) largest counts over the sum of all counts.
    Windows that occur once add nothing to the numerator. 0 for texts shorter than a window.
    """
    rows = len(offsets) - 1
    out = np.zeros((rows, 1))
    power = np.uint64(1)
    for _ in range(GRAM):
        power = power * GOLDEN
    longest = 0
    for row in range(rows):
        if where[row]:
            longest = max(longest, offsets[row + 1] - offsets[row])
    hashes, grouped = np.empty(longest, np.uint64), np.empty(longest, np.uint64)
    positions = np.empty(longest, np.int32)
    starts = np.empty((1 << MAX_BITS) + 1, np.int64)
    for row in range(rows):
        if not where[row]:
            continue
        windows = _hash_windows(data, offsets[row], offsets[row + 1], hashes, power)
        if windows:
            out[row, 0] = _share(hashes, windows, grouped, positions, starts)
    return out


SIGNALS = Family(
    columns={
        "char_repetition": "share of the most frequent character 10-grams (ROOTS: at most 0.2)",
    },
    compute=compute,
    kind=PROSE,
)
