"""Counting of equal 64-bit hashes, one part that fits into the cache after another.

A hash table larger than the cache costs one cache miss per item, so a long document would cost
several times more per byte than a short one. So items are first distributed to parts by the top
bits of their hash; equal hashes share a part, and each part is counted in a small table.
"""

from __future__ import annotations

import numpy as np

from filters.columnar.kernels import find_slot, kernel, table_size

PART = 1 << 13
"""Items per part, about; its table (twice as many slots) stays in the second-level cache."""
MAX_BITS = 12


@kernel
def parts_of(items):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return how many top bits of the hash choose the part: there are 2 ** bits parts."""
    bits = 0
    while (items >> bits) > PART and bits < MAX_BITS:
        bits += 1
    return bits


@kernel
def distribute(keys, items, bits, grouped, positions, starts):  # type: ignore[no-untyped-def]  # typed by Numba
    """Sort `keys[:items]` into 2 ** `bits` parts, stable inside each.

    Written: `grouped`, the keys part by part; `positions`, the index of each in `keys`; `starts`
    (2 ** bits + 1), where each part begins. `bits` is 1 or more.
    """
    parts = 1 << bits
    shift = np.uint64(64 - bits)
    starts[: parts + 1] = 0
    for index in range(items):
        starts[np.int64(keys[index] >> shift) + 1] += 1
    for part in range(parts):
        starts[part + 1] += starts[part]
    heads = starts[:parts].copy()
    for index in range(items):
        target = np.int64(keys[index] >> shift)
        at = heads[target]
        grouped[at] = keys[index]
        positions[at] = index
        heads[target] = at + 1


@kernel
def group_equal(grouped, begin, end, table, counts, firsts, positions, groups, sizes, heads, known):  # type: ignore[no-untyped-def]  # typed by Numba
    """Group the equal keys of `grouped[begin:end]`; return (groups so far, distinct keys here).

    `groups` gets, at the position of each item, the number of its group, or -1 for a key that
    occurs once. `sizes` and `heads` get the items of each group and its first position. `known` is
    the number of groups before. `table`, `counts` and `firsts` are scratch, at least
    `table_size(end - begin)` long.
    """
    width = table_size(end - begin)
    slots = table[:width]
    slots[:] = 0
    different = 0
    for at in range(begin, end):
        slot = find_slot(slots, grouped[at])
        if slots[slot] == 0:
            slots[slot] = grouped[at]
            counts[slot] = 0
            firsts[slot] = positions[at]
            different += 1
        counts[slot] += 1
        groups[positions[at]] = slot
    for at in range(begin, end):
        position = positions[at]
        slot = groups[position]
        if counts[slot] == 1:
            groups[position] = -1
            continue
        if counts[slot] > 0:  # first occurrence: from here on the group's number, stored below zero
            sizes[known] = counts[slot]
            heads[known] = firsts[slot]
            counts[slot] = -1 - known
            known += 1
        groups[position] = -1 - counts[slot]
    return known, different
