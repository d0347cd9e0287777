"""The documents that a mixture may use, and what each pool of them has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mixtures.mixing.plan import Cell, Pool, SourceTokens


@dataclass(frozen=True)
class Documents:
    """The documents that a mixture may use, as columns of one length.

    `ids`: shape (documents, 16). `pool`: number of the document's pool.
    `tokens`: tokens of the document, its end included.
    """

    ids: npt.NDArray[np.uint8]
    pool: npt.NDArray[np.int32]
    tokens: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """The cells of documents: those of one pool that the same stages may use.

    `number`: of each document's cell. `cells`: by their numbers.
    """

    number: npt.NDArray[np.int64]
    cells: tuple[Cell, ...]


def cells_of(
    documents: Documents,
    pools: Sequence[Pool],
    allowed: Sequence[npt.NDArray[np.bool_] | None] = (None,),
) -> Cells:
    """Return the cells; a pool without documents has one too.

    `allowed`: for each stage the mask of the documents that it may use (None: all).
    """
    number = documents.pool.astype(np.int64)
    stages = [0] * len(pools)
    of_pool = list(range(len(pools)))
    for stage, mask in enumerate(allowed):
        bit = 1 << stage
        if mask is None:
            stages = [bits | bit for bits in stages]
            continue
        found, number = np.unique(2 * number + mask, return_inverse=True)
        # A cell without documents may be used by all stages, so that its pool is known to them.
        kept = {value // 2 for value in found.tolist()}
        empty = [at for at in range(len(stages)) if at not in kept]
        codes = [*found.tolist(), *(2 * at + 1 for at in empty)]
        stages = [stages[code // 2] | (bit if code % 2 else 0) for code in codes]
        of_pool = [of_pool[code // 2] for code in codes]
    every = (1 << len(allowed)) - 1
    cells = tuple(
        Cell(pools[pool], -1 if bits == every else bits)
        for pool, bits in zip(of_pool, stages, strict=True)
    )
    return Cells(number, cells)


def available_tokens(
    documents: Documents,
    cells: Cells,
    uses: npt.NDArray[np.int16],
    mask: npt.NDArray[np.bool_] | None = None,
) -> list[SourceTokens]:
    """Return the tokens of each cell, of the documents in `mask` (None: of all), in order.

    `uses`: how often earlier stages took each document.
    """
    count = len(cells.cells)
    number = cells.number if mask is None else cells.number[mask]
    tokens = documents.tokens if mask is None else documents.tokens[mask]
    used = sums(number, tokens * (uses if mask is None else uses[mask]), count)
    counts = np.bincount(number, minlength=count)
    totals = sums(number, tokens, count)
    available = [
        SourceTokens(
            cell.pool.source,
            cell.pool.component,
            int(totals[at]),
            int(counts[at]),
            cell.pool.factor,
            int(used[at]),
            cell.stages,
        )
        for at, cell in enumerate(cells.cells)
    ]
    return sorted(available, key=lambda e: (e.component, e.source, e.factor, e.stages))


def sums(
    group: npt.NDArray[Any], values: npt.NDArray[np.int64], groups: int
) -> npt.NDArray[np.int64]:
    """Return the sum of `values` of each group, exact."""
    total = np.zeros(groups, dtype=np.int64)
    np.add.at(total, group, values)
    return total
