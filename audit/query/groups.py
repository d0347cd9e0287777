"""Groups of a run's rows: what the rows of each have in common, and the sums over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from audit.query.columns import BLOCK, Codes, Ints, Masks, Values

SEEN = 16
"""Values of `seen`: four stages annotate survivors only."""

_Number = TypeVar("_Number", np.int64, np.uint64)


@dataclass(frozen=True)
class Groups:
    """What the rows have in common, one entry per group, and the sums over its rows.

    `mask` has bit i set where rule i is broken; `seen`: the stages of `audit.query.frame.LATE` that
    annotated the rows, one bit each. A rule of one that did not is not broken.
    """

    source: npt.NDArray[np.int32]
    component: npt.NDArray[np.int32]
    language: npt.NDArray[np.int32]
    mask: npt.NDArray[np.uint64]
    seen: npt.NDArray[np.uint8]
    documents: Ints
    raw_bytes: Ints
    bytes: Ints
    chars: Ints
    tokens: Ints

    def first(self) -> npt.NDArray[np.int64]:
        """Return the index of the first rule broken in each group, or -1."""
        return first_bit(self.mask)


def first_bit(mask: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return the number of the lowest set bit of each mask, -1 where there is none."""
    lowest = mask & (~mask + np.uint64(1))
    found = np.full(mask.shape, -1, np.int64)
    some = lowest > 0
    found[some] = np.log2(lowest[some].astype(np.float64)).astype(np.int64)
    return found


@dataclass(frozen=True)
class Labels:
    """What each row is grouped by, one entry per row; strings are codes."""

    source: Codes
    component: Codes
    language: Codes
    mask: Masks
    seen: npt.NDArray[np.uint8]

    def keys(self, masks: Masks, sizes: tuple[int, int, int]) -> Ints:
        """Return one number per row for its combination. `masks`: sorted, each that there is."""
        keys = np.empty(len(self.mask), np.int64)
        for start in range(0, len(keys), BLOCK):
            part = slice(start, start + BLOCK)
            code = np.searchsorted(masks, self.mask[part])
            for values, size in zip(
                (self.source, self.component, self.language), sizes, strict=True
            ):
                code = code * size + values[part]
            keys[part] = code * SEEN + self.seen[part]
        return keys


def group_rows(
    labels: Labels, sizes: tuple[int, int, int], columns: Sequence[Values | None]
) -> tuple[Codes, Groups]:
    """Return the group of each row, and the groups. Works in blocks of rows.

    `sizes`: the number of codes of source, component and language. `columns`: raw bytes, bytes,
    characters and tokens of each row; None where a run has not counted them yet.
    """
    masks = _distinct(labels.mask)
    keys = labels.keys(masks, sizes)
    distinct = _distinct(keys)
    group = np.empty(len(keys), np.int32)
    sums = np.zeros((5, len(distinct)), np.int64)
    for start in range(0, len(keys), BLOCK):
        part = slice(start, start + BLOCK)
        here = np.searchsorted(distinct, keys[part])
        group[part] = here
        sums[0] += np.bincount(here, minlength=len(distinct))
        for number, column in enumerate(columns, 1):
            if column is not None:
                weights = np.maximum(column[part], 0).astype(np.float64)
                sums[number] += np.bincount(here, weights, len(distinct)).astype(np.int64)
    rest, seen = distinct // SEEN, (distinct % SEEN).astype(np.uint8)
    parts = []
    for size in reversed(sizes):
        parts.append((rest % size).astype(np.int32))
        rest = rest // size
    language, component, source = parts
    return group, Groups(source, component, language, masks[rest], seen, *sums)


def _distinct(values: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    """Return the sorted distinct values, found in blocks."""
    blocks = [np.unique(values[at : at + BLOCK]) for at in range(0, len(values), BLOCK)]
    return np.unique(np.concatenate(blocks)) if blocks else values[:0]
