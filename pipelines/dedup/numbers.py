"""Numbers of documents, as deduplication uses them instead of ids: 8 bytes, ordered by shard.

A document's number is `shard << ROW_BITS | row`. Shards are numbered in the order of `Corpus`: the
shards of this run by name, then those of prior runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipelines.engine.context import Context
from pipelines.storage.shards import ShardTask

ROW_BITS = 32
_ROW = (1 << ROW_BITS) - 1

Ints = npt.NDArray[np.int64]

Corpus = Sequence[tuple[Context, ShardTask]]
"""Every shard that takes part, by its number, with the context of its run."""


def documents_of(shard: int, rows: Ints) -> Ints:
    """Return the numbers of the documents at `rows` of a shard."""
    return (np.int64(shard) << ROW_BITS) | rows


def bounds_of(shard: int) -> tuple[np.int64, np.int64]:
    """Return the first number of a shard's documents, and the first one after them."""
    return np.int64(shard) << ROW_BITS, np.int64(shard + 1) << ROW_BITS


def shards_of(documents: Ints) -> Ints:
    """Return the number of each document's shard."""
    return documents >> ROW_BITS


def rows_of(documents: Ints) -> Ints:
    """Return each document's row in its shard."""
    return documents & _ROW
