"""Where the morphemes of a run of Hangul syllables end: a linear model learned from Kiwi.

Two questions a syllable, each a sum of small weights that hashed features of its neighbours
point to: does a morpheme end after it, and does it hold the end of one morpheme and the start of
the next (했 = 하 + 었, 합니다 = 하 + ᆸ니다)? A hundredth of Kiwi's time. `filters.fit.boundaries`
makes the weights; docs/signals.md says how often verdicts over these pieces agree with those over
Kiwi's.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from filters.columnar.kernels import GOLDEN, kernel

BITS = 18
"""Two to this many weights; features share them by hash (Weinberger et al. 2009)."""
MODEL = Path(__file__).parents[1] / "models" / "boundaries.npz"
FEATURES = 9
SYLLABLES = 0xD7A3 - 0xAC00 + 1
_BASE = 0xAC00 - 1  # 0 is the edge of the run

Weights = npt.NDArray[np.int8]


@lru_cache(1)
def load_weights() -> Weights:
    """Return int8 [2 ** BITS + 1, 2]: weights by hash of either question; the last are biases."""
    with np.load(MODEL) as file:
        weights: Weights = file["weights"]
    return weights


@kernel
def _at(data, start, end, place):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the number of the syllable that begins at byte `place`, 0 outside the run."""
    if place < start or place >= end:
        return np.uint64(0)
    cp = (
        (np.int64(data[place] & 0x0F) << 12)
        | (np.int64(data[place + 1] & 0x3F) << 6)
        | np.int64(data[place + 2] & 0x3F)
    )
    return np.uint64(cp - _BASE)


@kernel
def _slot(kind, one, two, three, four):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the weight's place of the feature `kind` over up to four syllables."""
    packed = one | two << np.uint64(14) | three << np.uint64(28) | four << np.uint64(42)
    packed ^= np.uint64(kind) << np.uint64(58)
    packed ^= packed >> np.uint64(29)
    return np.int64((packed * GOLDEN) >> np.uint64(64 - BITS))


@kernel
def features(data, start, end, place, slots):  # type: ignore[no-untyped-def]  # typed by Numba
    """Write the FEATURES places of the syllable at byte `place` of the run `data[start:end]`.

    `slots`: int64 [FEATURES]. Three bytes a syllable; `place` is on a syllable's first.
    """
    before, previous = _at(data, start, end, place - 6), _at(data, start, end, place - 3)
    here = _at(data, start, end, place)
    following, after = _at(data, start, end, place + 3), _at(data, start, end, place + 6)
    beyond = _at(data, start, end, place + 9)
    zero = np.uint64(0)
    left = np.uint64(min((place - start) // 3, 3))
    right = np.uint64(min((end - place) // 3, 4))
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
def judge(data, start, end, place, weights, slots):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return (a morpheme ends after this syllable, two morphemes meet in it).

    `slots` is room for `features`. The run's last syllable always ends one.
    """
    features(data, start, end, place, slots)
    ends = np.int64(weights[1 << BITS, 0])
    meets = np.int64(weights[1 << BITS, 1])
    for index in range(FEATURES):
        ends += weights[slots[index], 0]
        meets += weights[slots[index], 1]
    return ends > 0 or place + 3 >= end, meets > 0
