"""Repetition of characters, whatever the language's words are."""

from __future__ import annotations

import numpy as np

from filters.kernels import find_slot, kernel, mix64, next_codepoint, table_size
from filters.signals.family import PROSE, Family

GRAM = 10
"""Characters of a window, as in Laurençon et al. 2022 (ROOTS): character repetition ratio."""


@kernel
def compute(data, offsets, where):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return float64 [rows, 1]: share of character 10-grams that the most frequent ones take.

    As in ROOTS: of the windows' counts, sorted, the sum of the √(different windows) largest
    over the sum of all. Windows that stand once count nothing towards the numerator.
    """
    rows = len(offsets) - 1
    out = np.zeros((rows, 1))
    power = np.uint64(1)
    base = np.uint64(0x9E3779B97F4A7C15)
    for _ in range(GRAM):
        power = power * base
    for row in range(rows):
        if not where[row]:
            continue
        begin, end = offsets[row], offsets[row + 1]
        length = end - begin
        window = np.zeros(GRAM, np.uint64)
        size = table_size(length)
        keys = np.zeros(size, np.uint64)
        counts = np.zeros(size, np.int32)
        value = np.uint64(0)
        at = begin
        seen = windows = different = 0
        while at < end:
            cp, at = next_codepoint(data, at)
            place = seen % GRAM
            value = value * base + np.uint64(cp) - window[place] * power
            window[place] = np.uint64(cp)
            seen += 1
            if seen < GRAM:
                continue
            key = mix64(value) | np.uint64(1)
            slot = find_slot(keys, key)
            if keys[slot] == 0:
                keys[slot] = key
                different += 1
            counts[slot] += 1
            windows += 1
        if windows == 0:
            continue
        # Counts are small numbers: rank them by counting how many windows stand k times.
        most = counts.max()
        ranks = np.zeros(most + 1, np.int64)
        for slot in range(size):
            ranks[counts[slot]] += 1
        left = int(np.sqrt(different))
        taken = 0
        for count in range(most, 1, -1):
            here = min(left, ranks[count])
            taken += here * count
            left -= here
            if left == 0:
                break
        out[row, 0] = taken / windows
    return out


SIGNALS = Family(
    columns={
        "char_repetition": "share of the most frequent character 10-grams (ROOTS; at most 0.2)",
    },
    compute=compute,
    components=PROSE,
)
