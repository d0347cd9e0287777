"""Repeated n-grams of units, in time that shrinks with n: only what repeats can repeat longer.

Definitions of Gopher (Rae et al. 2021, table A1) as datatrove computes them, over units.
"""

from __future__ import annotations

import numpy as np

from filters.kernels import find_slot, kernel, mix64, table_size

LONGEST = 10
TOP = (2, 3, 4)
DUPLICATE = (5, 6, 7, 8, 9, 10)
_BASE = np.uint64(0x9E3779B97F4A7C15)


@kernel
def repeated_ngrams(hashes, sums, units, chars, keys, counts, firsts, places, values, slots, out):  # type: ignore[no-untyped-def]  # typed by Numba
    """Fill `out` with ten shares of one text; return how many different units it has.

    `out` float64 [9]: for n of TOP, occurrences times characters (with a space between units)
    of the most frequent n-gram, the earliest of equals, over `chars` (one occurrence counts too).
    Then, for n of DUPLICATE, characters in n-grams that stood before, read from the left and
    never overlapping, over `chars`. At most 1.

    `hashes`, `sums`: of `cut_units`. The others are scratch: `keys` (zeros), `counts`,
    `firsts` of `table_size(units)`; `places`, `values`, `slots` of `units`.
    """
    out[:] = 0
    for n in TOP:
        if units >= n:
            out[n - 2] = min(1.0, (sums[n] - sums[0] + n - 1) / chars)
    different = 0
    alive = units  # n-grams that may stand twice: their places, ascending, and their hashes
    for at in range(units):
        places[at] = at
        values[at] = hashes[at]
    for n in range(1, LONGEST + 1):
        if n > 1:
            # An n-gram stands twice only where both of its (n - 1)-grams do.
            left = 0
            for index in range(alive - 1):
                if places[index + 1] == places[index] + 1:
                    at = places[index]
                    places[left] = at
                    values[left] = values[index] * _BASE + hashes[at + n - 1]
                    left += 1
            alive = left
        if alive == 0:
            break
        width = table_size(alive)
        keys[:width] = 0
        table = keys[:width]
        for index in range(alive):
            key = mix64(values[index] + np.uint64(n)) | np.uint64(1)
            slot = find_slot(table, key)
            if table[slot] == 0:
                table[slot] = key
                counts[slot] = 0
                firsts[slot] = places[index]
                different += n == 1
            counts[slot] += 1
            slots[index] = slot
        left = 0
        best = 1
        best_first = 0
        for index in range(alive):
            slot = slots[index]
            if counts[slot] < 2:
                continue
            if counts[slot] > best:
                best, best_first = counts[slot], firsts[slot]
            places[left] = places[index]
            values[left] = values[index]
            slots[left] = slot
            left += 1
        alive = left
        if 2 <= n <= 4 and best > 1:
            size = sums[best_first + n] - sums[best_first] + n - 1
            out[n - 2] = min(1.0, best * size / chars)
        elif n >= 5:
            repeated = 0
            free = 0
            for index in range(alive):
                at = places[index]
                if at < free:
                    continue
                slot = slots[index]
                if firsts[slot] < 0:
                    repeated += sums[at + n] - sums[at]
                    free = at + n
                else:
                    firsts[slot] = -1
            out[n - 2] = min(1.0, repeated / chars)
    return different
