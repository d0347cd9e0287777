"""Cutting a mixture into shards."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from mixtures.mixing.documents import sums
from schemas.errors import InputError

_CANDIDATES: Final = 32
"""Sequences on either side of its even place among which a shard's end is searched at least."""


def cut_shards(
    component: npt.NDArray[np.int64], tokens: npt.NDArray[np.int64], components: int, shards: int
) -> npt.NDArray[np.int64]:
    """Return where each of `shards` shards begins among the sequences, and the end.

    Each cut is within a hundredth of a shard of its even place (four hundredths where that leaves
    a component 0.4 % off, up to an eighth where those are fewer than 32 sequences on either side),
    or beside it where no sequence ends so near: at the sequence where the components so far are
    the nearest to their shares of the whole. Each shard has a sequence.
    Raises InputError if there are fewer sequences than shards.
    """
    if len(tokens) < shards:
        raise InputError(
            f"the mixture has {len(tokens):,} sequences for {shards:,} shards, and a shard without "
            "a sequence cannot be read; lower mixture.shards or raise mixture.tokens"
        )
    ends = np.cumsum(tokens)
    total = int(ends[-1])
    whole = sums(component, tokens, components)
    share = np.where(whole > 0, whole / total, 1.0)
    size = total / shards
    before = np.zeros(components, dtype=np.int64)
    counted = 0
    cuts = [0]
    for shard in range(1, shards):
        even = total * shard / shards
        middle = int(np.searchsorted(ends, even))
        near_first, near_last = _ending(ends, even, size / 25)
        far_first, far_last = _ending(ends, even, size / 8)
        most = len(tokens) - 1 - (shards - shard)  # leaves a sequence for each shard to come
        first = min(near_first, max(far_first, middle - _CANDIDATES), middle - 1)
        last = max(near_last, min(far_last, middle + _CANDIDATES), middle)
        first = min(max(first, cuts[-1]), most)
        last = min(max(last, first), most)
        before += sums(component[counted:first], tokens[counted:first], components)
        counted = first
        span = slice(first, last + 1)
        off = np.zeros(last + 1 - first)
        for number in range(components):
            own = before[number] + np.cumsum(np.where(component[span] == number, tokens[span], 0))
            np.maximum(off, np.abs(own - share[number] * ends[span]) / share[number], out=off)
        near = np.abs(ends[span] - even) <= size / 100
        if near.any() and off[near].min() <= 0.004 * size:
            off = np.where(near, off, np.inf)
        cuts.append(first + int(np.argmin(off)) + 1)
    return np.array([*cuts, len(tokens)], dtype=np.int64)


def _ending(ends: npt.NDArray[np.int64], even: float, within: float) -> tuple[int, int]:
    """Return the first and the last sequence that end `within` tokens of `even`."""
    first = np.searchsorted(ends, even - within)
    return int(first), int(np.searchsorted(ends, even + within, side="right")) - 1
