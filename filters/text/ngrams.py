"""Shares of repeated n-grams of units.

Definitions of Gopher (Rae et al. 2021, table A1) as datatrove computes them, over units. Only an
n-gram whose parts repeat can repeat, so each n looks at what is left of n - 1.
"""

from __future__ import annotations

import numpy as np

from filters.columnar.counting import MAX_BITS, distribute, group_equal, parts_of
from filters.columnar.kernels import GOLDEN, kernel, mix64, table_size

LONGEST = 10
TOP = (2, 3, 4)
DUPLICATE = (5, 6, 7, 8, 9, 10)


@kernel
def repeated_ngrams(hashes, sums, units, chars, out):  # type: ignore[no-untyped-def]  # typed by Numba
    """Fill `out` with nine shares of one text; return how many distinct units it has.

    `out` is float64 [9]. For n of TOP: occurrences times characters (with a space between units) of
    the most frequent n-gram, the earliest of equals, over `chars`; one occurrence counts too. Then,
    for n of DUPLICATE: characters in n-grams that occurred before, taken from the left without
    overlap, over `chars`. Every share is at most 1. `hashes` and `sums` are of `cut_units`.
    """
    out[:] = 0
    for n in TOP:
        if units >= n:
            out[n - 2] = min(1.0, (sums[n] - sums[0] + n - 1) / chars)
    starts_at = np.arange(units).astype(np.int32)  # of n-grams that may occur twice, ascending
    values = hashes[:units].copy()
    keys, grouped = np.empty(units, np.uint64), np.empty(units, np.uint64)
    origins, groups = np.empty(units, np.int32), np.empty(units, np.int32)
    sizes, heads = np.empty(units // 2 + 1, np.int32), np.empty(units // 2 + 1, np.int32)
    starts = np.empty((1 << MAX_BITS) + 1, np.int64)
    room = 0
    table = np.empty(0, np.uint64)
    counts, firsts = np.empty(0, np.int32), np.empty(0, np.int32)
    distinct = 0
    was_grouped = False
    alive = units
    for n in range(1, LONGEST + 1):
        if n > 1:
            # An n-gram can occur twice only where both of its (n - 1)-grams do.
            left = 0
            for index in range(alive - 1):
                if starts_at[index + 1] == starts_at[index] + 1:
                    at = starts_at[index]
                    starts_at[left] = at
                    values[left] = values[index] * GOLDEN + hashes[at + n - 1]
                    left += 1
            alive = left
        if alive == 0:
            break
        for index in range(alive):
            keys[index] = mix64(values[index] + np.uint64(n)) | np.uint64(1)
        bits = parts_of(alive)
        if bits:
            distribute(keys, alive, bits, grouped, origins, starts)
            parts = grouped
        else:  # one part, as it is
            starts[0], starts[1] = 0, alive
            parts = keys
            if n == 1 or was_grouped:
                for index in range(alive):
                    origins[index] = index
        was_grouped = bits > 0
        known = 0
        for part in range(1 << bits):
            begin, end = starts[part], starts[part + 1]
            if table_size(end - begin) > room:
                room = table_size(end - begin)
                table = np.empty(room, np.uint64)
                counts, firsts = np.empty(room, np.int32), np.empty(room, np.int32)
            known, here = group_equal(
                parts, begin, end, table, counts, firsts, origins, groups, sizes, heads, known
            )
            if n == 1:
                distinct += here
        if known == 0:
            break
        if 2 <= n <= 4:
            best, best_head = 0, 0
            for group in range(known):
                if sizes[group] < best:
                    continue
                head = starts_at[heads[group]]
                if sizes[group] > best or head < best_head:
                    best, best_head = sizes[group], head
            size = sums[best_head + n] - sums[best_head] + n - 1
            out[n - 2] = min(1.0, best * size / chars)
        elif n >= 5:
            repeated = 0
            free = 0
            for index in range(alive):
                group = groups[index]
                at = starts_at[index]
                if group < 0 or at < free:
                    continue
                if sizes[group] == 0:
                    repeated += sums[at + n] - sums[at]
                    free = at + n
                else:
                    sizes[group] = 0  # met
            out[n - 2] = min(1.0, repeated / chars)
        left = 0
        for index in range(alive):
            if groups[index] >= 0:
                starts_at[left] = starts_at[index]
                values[left] = values[index]
                left += 1
        alive = left
    return distinct
