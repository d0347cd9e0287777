"""Copies and tokens of each document in the mixture, looked up by id."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audit.query.reading import mixture_of, read_columns
from mixtures.keys import base_keys, id_matrix
from pipelines.storage.layout import side_cars

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class MixtureUse:
    """Copies and tokens of every document of a mixture, in the order of the ids' two halves."""

    head: Words
    tail: Words
    copies: Ints
    tokens: Ints

    def of(self, ids: npt.NDArray[np.uint8]) -> tuple[Ints, Ints]:
        """Return copies and tokens of each id (rows of 16 bytes); 0 where the mixture lacks it."""
        copies, tokens = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.int64)
        if not len(ids) or not len(self.head):
            return copies, tokens
        head, tail = base_keys(ids), base_keys(ids[:, 8:])
        at = np.searchsorted(self.head, head)
        # Ids that share their first half are adjacent; they are rare.
        for _ in range(int(np.diff(self._heads()).max(initial=1))):
            here = np.minimum(at, len(self.head) - 1)
            found = (self.head[here] == head) & (self.tail[here] == tail)
            copies[found], tokens[found] = self.copies[here[found]], self.tokens[here[found]]
            at = at + 1
        return copies, tokens

    def _heads(self) -> Ints:
        """Return where each first half begins, and the end."""
        new = np.flatnonzero(self.head[1:] != self.head[:-1]) + 1
        return np.concatenate([[0], new, [len(self.head)]]).astype(np.int64)


def read_mixture_use(out: Path) -> MixtureUse | None:
    """Return what the side-cars of the mixture in `out` hold; None where `mix` has not finished."""
    if mixture_of(out) is None:
        return None
    heads, tails, counts = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)], [np.zeros(0)]
    for path in side_cars(out):
        table = read_columns(out, path, ["id", "tokens"]).combine_chunks()
        for batch in table.to_batches():
            ids = id_matrix(batch.column("id"))
            heads.append(base_keys(ids))
            tails.append(base_keys(ids[:, 8:]))
            counts.append(batch.column("tokens").to_numpy())
    head, tail = np.concatenate(heads), np.concatenate(tails)
    tokens = np.concatenate(counts).astype(np.int64)
    order = np.lexsort((tail, head))
    head, tail, tokens = head[order], tail[order], tokens[order]
    new = np.ones(len(head), dtype=bool)
    new[1:] = (head[1:] != head[:-1]) | (tail[1:] != tail[:-1])
    first = np.flatnonzero(new)
    copies = np.diff(np.append(first, len(head))).astype(np.int64)
    sums = np.add.reduceat(tokens, first) if len(first) else tokens
    return MixtureUse(head[first], tail[first], copies, sums)
