"""Duplicates in meaning, found again for other documents: what `semantic` would do after a change.

The run keeps the embeddings of all documents that reached the stage, so it can be repeated for any
of them, by the steps of `pipelines.dedup.semantic`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from audit.query.columns import Bools
from audit.query.frame import Frame
from audit.query.reading import read_columns
from filters.columnar.arrays import fixed_matrix
from filters.dedup.semantic import PER_CELL, fit_cells, nearest_cell, semantic_duplicates
from pipelines.stages.measure import STAGE as MEASURE
from pipelines.stages.score import STAGE as SCORE
from pipelines.storage.layout import DOCUMENTS, source_of
from schemas.rules import Rule

MAX_ROWS = 50_000
"""Documents of a run up to which every embedding decides the cells, as here."""


class Repeated:
    """What `semantic` finds for the documents `reach` (by row): which repeat another, how closely.

    All must have an embedding.
    """

    def __init__(self, frame: Frame, reach: Bools) -> None:
        self.duplicate = np.zeros(frame.rows, bool)
        self.similarity = np.zeros(frame.rows, np.float32)
        rows, vectors, order = _embedded(frame, reach)
        if not len(rows):
            return
        settings = frame.config.dedup.semantic
        cells = settings.cells or max(1, min(10_000, frame.rows // PER_CELL))
        floats = vectors.astype(np.float32)
        nearest = nearest_cell(floats, fit_cells(floats, cells))
        length = np.sqrt((floats * floats).sum(axis=1, keepdims=True))
        floats /= np.maximum(length, np.float32(1e-6))
        for cell in np.unique(nearest).tolist():
            mine = order[nearest[order] == cell]
            of, similarity = semantic_duplicates(floats[mine], settings.threshold)
            self.duplicate[rows[mine]] = of >= 0
            self.similarity[rows[mine]] = similarity

    def column(self, rule: Rule) -> pa.Array:
        """Return the new values, of all rows, of the column of `rule`."""
        if rule.column == "semantic_of":  # rules only ask whether it is null
            return pa.array(np.ones(len(self.duplicate), bool), mask=~self.duplicate)
        return pa.array(self.similarity, mask=~self.duplicate)


def _embedded(
    frame: Frame, reach: Bools
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float16], npt.NDArray[np.int64]]:
    """Return the rows `reach`, shards by name, their embeddings, and their order of preference."""
    prefer = {name: at for at, name in enumerate(frame.config.dedup.prefer)}
    rows, vectors, ids, sizes, ranks = [], [], [], [], []
    for shard in sorted(frame.shards, key=lambda shard: shard.name):
        chosen = np.flatnonzero(reach[shard.first : shard.first + shard.rows])
        if not len(chosen):
            continue
        columns = {}
        for folder, name in (
            (DOCUMENTS, "id"),
            (MEASURE.folder, "bytes"),
            (SCORE.folder, "embedding"),
        ):
            table = read_columns(frame.out, frame.out / folder / shard.name, [name])
            columns[name] = table.column(0).take(pa.array(chosen)).combine_chunks()
        embedding = columns["embedding"]
        vectors.append(fixed_matrix(embedding, len(embedding[0].as_py()), "<f2"))
        ids.append(fixed_matrix(columns["id"], 16, "u1"))
        sizes.append(np.asarray(columns["bytes"]))
        ranks.append(np.full(len(chosen), prefer.get(source_of(shard.name), len(prefer))))
        rows.append(shard.first + chosen)
    if not rows:
        return np.zeros(0, np.int64), np.zeros((0, 1), np.float16), np.zeros(0, np.int64)
    halves = np.ascontiguousarray(np.concatenate(ids)).view(">u8").astype(np.uint64)
    keys = (halves[:, 1], halves[:, 0], -np.concatenate(sizes), np.concatenate(ranks))
    return np.concatenate(rows), np.concatenate(vectors), np.lexsort(keys)
