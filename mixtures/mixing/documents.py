"""The documents that a mixture may use, and what each pool of them has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mixtures.mixing.plan import Pool, SourceTokens


@dataclass(frozen=True)
class Documents:
    """The documents that a mixture may use, as columns of one length.

    `ids`: shape (documents, 16). `pool`: number of the document's pool.
    `tokens`: tokens of the document, its end included.
    """

    ids: npt.NDArray[np.uint8]
    pool: npt.NDArray[np.int32]
    tokens: npt.NDArray[np.int64]


def available_tokens(
    documents: Documents,
    pools: Sequence[Pool],
    uses: npt.NDArray[np.int16],
    mask: npt.NDArray[np.bool_] | None = None,
) -> list[SourceTokens]:
    """Return the tokens of each pool, of the documents in `mask` (None: of all).

    `uses`: how often earlier stages took each document.
    """
    number = documents.pool if mask is None else documents.pool[mask]
    tokens = documents.tokens if mask is None else documents.tokens[mask]
    used = sums(number, tokens * (uses if mask is None else uses[mask]), len(pools))
    counts = np.bincount(number, minlength=len(pools))
    totals = sums(number, tokens, len(pools))
    return [
        SourceTokens(
            pool.source,
            pool.component,
            int(totals[index]),
            int(counts[index]),
            pool.factor,
            int(used[index]),
        )
        for index, pool in enumerate(pools)
    ]


def sums(
    group: npt.NDArray[Any], values: npt.NDArray[np.int64], groups: int
) -> npt.NDArray[np.int64]:
    """Return the sum of `values` of each group, exact."""
    total = np.zeros(groups, dtype=np.int64)
    np.add.at(total, group, values)
    return total
