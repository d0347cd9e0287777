"""Counting equal 64-bit hashes, a part that fits the cache at a time.

A hash table larger than the cache costs a miss an item, so long documents would cost several
times more a byte than short ones. Here items are first dealt into parts by the top bits of
their hash; equal hashes share a part, and each part is counted in a small table.
"""

from __future__ import annotations

import numpy as np

from filters.columnar.kernels import find_slot, kernel, table_size

PART = 1 << 13
"""Items a part at most, about; its table (twice as many slots) stays in the second-level cache."""
MOST_BITS = 12


@kernel
def parts_of(items):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return how many bits of the hash tell the part: 2 ** bits parts."""
    bits = 0
    while (items >> bits) > PART and bits < MOST_BITS:
        bits += 1
    return bits


@kernel
def deal(keys, items, bits, dealt, places, starts):  # type: ignore[no-untyped-def]  # typed by Numba
    """Deal `keys[:items]` into 2 ** `bits` parts, in their order inside each.

    `dealt` gets the keys, `places` the index of each in `keys`, `starts` (2 ** bits + 1) where
    each part begins. `bits` is 1 or more.
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
        own = np.int64(keys[index] >> shift)
        at = heads[own]
        dealt[at] = keys[index]
        places[at] = index
        heads[own] = at + 1


@kernel
def group_equal(dealt, begin, end, table, counts, firsts, places, groups, sizes, heads, known):  # type: ignore[no-untyped-def]  # typed by Numba
    """Group the equal keys of one part; return (groups known so far, different keys here).

    For an item that stands alone `groups[place]` is -1, else the number of its group; `sizes`
    and `heads` hold each group's items and its first place. `table`, `counts`, `firsts` are
    scratch, at least `table_size(end - begin)` long.
    """
    width = table_size(end - begin)
    slots = table[:width]
    slots[:] = 0
    different = 0
    for at in range(begin, end):
        slot = find_slot(slots, dealt[at])
        if slots[slot] == 0:
            slots[slot] = dealt[at]
            counts[slot] = 0
            firsts[slot] = places[at]
            different += 1
        counts[slot] += 1
        groups[places[at]] = slot
    for at in range(begin, end):
        place = places[at]
        slot = groups[place]
        if counts[slot] == 1:
            groups[place] = -1
            continue
        if counts[slot] > 0:  # met for the first time: from now on its number, below zero
            sizes[known] = counts[slot]
            heads[known] = firsts[slot]
            counts[slot] = -1 - known
            known += 1
        groups[place] = -1 - counts[slot]
    return known, different
