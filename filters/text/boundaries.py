"""Where the morphemes of a run of Hangul syllables end: a linear model learned from Kiwi.

The model answers two questions per syllable: does a morpheme end after it, and does it hold the end
of one morpheme and the start of the next (했 = 하 + 었)? Each answer is the sign of a
sum of weights, one per hashed feature of the neighbouring syllables. It takes a hundredth of Kiwi's
time. `filters/fit/boundaries.py` fits the weights; docs/signals.md reports how often rules over
these pieces agree with rules over Kiwi's morphemes.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from filters.columnar.kernels import GOLDEN, kernel

BITS = 18
"""There are 2 ** BITS weights; features share them by hash (Weinberger et al. 2009)."""
MODEL = Path(__file__).parents[1] / "models" / "boundaries.npz"
FEATURES = 9
SYLLABLES = 0xD7A3 - 0xAC00 + 1
_BASE = 0xAC00 - 1  # 0 is the edge of the run

Weights = npt.NDArray[np.int8]


@lru_cache(1)
def load_weights() -> Weights:
    """Return int8 [2 ** BITS + 1, 2]: weights by hash, a column per question; the last row is the
    biases."""
    with np.load(MODEL) as file:
        weights: Weights = file["weights"]
    return weights


@kernel
def _syllable(data, start, end, at):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the number of the syllable that begins at byte `at`, 0 outside of the run."""
    if at < start or at >= end:
        return np.uint64(0)
    cp = (
        (np.int64(data[at] & 0x0F) << 12)
        | (np.int64(data[at + 1] & 0x3F) << 6)
        | np.int64(data[at + 2] & 0x3F)
    )
    return np.uint64(cp - _BASE)


@kernel
def _slot(kind, one, two, three, four):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the index of the weight of feature `kind` over up to four syllables."""
    packed = one | two << np.uint64(14) | three << np.uint64(28) | four << np.uint64(42)
    packed ^= np.uint64(kind) << np.uint64(58)
    packed ^= packed >> np.uint64(29)
    return np.int64((packed * GOLDEN) >> np.uint64(64 - BITS))


@kernel
def features(data, start, end, at, slots):  # type: ignore[no-untyped-def]  # typed by Numba
    """Write to `slots` (int64 [FEATURES]) the weights of a syllable of the run `data[start:end]`.

    A syllable is three bytes; `at` is its first.
    """
    before, previous = _syllable(data, start, end, at - 6), _syllable(data, start, end, at - 3)
    here = _syllable(data, start, end, at)
    following, after = _syllable(data, start, end, at + 3), _syllable(data, start, end, at + 6)
    beyond = _syllable(data, start, end, at + 9)
    zero = np.uint64(0)
    left = np.uint64(min((at - start) // 3, 3))
    right = np.uint64(min((end - at) // 3, 4))
    edges = (left << np.uint64(3) | right) + np.uint64(1)
    slots[0] = _slot(1, here, following, zero, zero)
    slots[1] = _slot(2, previous, here, following, zero)
    slots[2] = _slot(3, here, following, after, zero)
    slots[3] = _slot(4, before, previous, here, following)
    slots[4] = _slot(5, here, following, after, beyond)
    slots[5] = _slot(6, previous, here, zero, zero)
    slots[6] = _slot(7, following, after, zero, zero)
    slots[7] = _slot(8, here, edges, zero, zero)
    slots[8] = _slot(9, following, edges, zero, zero)


@kernel
def judge(data, start, end, at, weights, slots):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return (a morpheme ends after the syllable at `at`, two morphemes meet in it).

    `slots` is scratch for `features`. The last syllable of the run always ends a morpheme.
    """
    features(data, start, end, at, slots)
    ends = np.int64(weights[1 << BITS, 0])
    meets = np.int64(weights[1 << BITS, 1])
    for index in range(FEATURES):
        ends += weights[slots[index], 0]
        meets += weights[slots[index], 1]
    return ends > 0 or at + 3 >= end, meets > 0
