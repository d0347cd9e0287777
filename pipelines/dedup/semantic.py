"""The stage `semantic`: documents that repeat another in meaning, by the embeddings of `score`.

Embeddings are assigned to cells through `pipelines.engine.exchange`; inside a cell the preferred
document survives, by the same rule as for other duplicates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.columnar.arrays import Floats, fixed_binary, fixed_matrix
from filters.dedup.semantic import PER_CELL, fit_cells, nearest_cell, semantic_duplicates
from pipelines.dedup.numbers import bounds_of, documents_of, rows_of
from pipelines.engine.context import Context
from pipelines.engine.exchange import Exchange, Slice, load_array, save_array
from pipelines.runners.runner import Runner, distribute
from pipelines.stages.semantic import SEMANTIC
from pipelines.storage.layout import WORK, source_of
from pipelines.storage.shards import ShardTask, write_shard
from pipelines.storage.store import remove_tree

SAMPLE = 50_000
"""Documents whose embeddings decide the cells."""
DROP = np.dtype([("document", "<i8"), ("of", "u1", 16), ("similarity", "<f4")])


class EmitSample(beam.DoFn):
    """(number, task) in; writes the embeddings of a keyed sample of kept documents."""

    def __init__(self, ctx: Context, work: Path, share: float) -> None:
        self._ctx = ctx
        self._work = work
        self._share = share

    def process(self, element: tuple[int, ShardTask]) -> Iterator[int]:
        """Write `sample-NUMBER.npy`, float16. Ids are hashes, so their first bytes choose."""
        number, task = element
        found = []
        for _, ids, vectors, _ in _embedded(self._ctx, number, task):
            first = np.ascontiguousarray(ids[:, :8]).view(">u8")[:, 0]
            found.append(vectors[first.astype(np.float64) < self._share * 2.0**64])
        if found:
            save_array(self._work / f"sample-{number:05d}.npy", np.concatenate(found))
        yield number


class EmitCells(beam.DoFn):
    """(number, task) in, (cell, slice) out: number, id, size, rank and embedding."""

    def __init__(self, ctx: Context, work: Path) -> None:
        self._ctx = ctx
        self._work = work

    def process(self, element: tuple[int, ShardTask]) -> Iterator[tuple[int, Slice]]:
        """Write the documents of the shard by cell."""
        number, task = element
        centres = load_array(self._work / "centres.npy")
        prefer = {name: at for at, name in enumerate(self._ctx.config.dedup.prefer)}
        rank = prefer.get(source_of(task.name), len(prefer))
        rows, cells = [], []
        for documents, ids, vectors, sizes in _embedded(self._ctx, number, task):
            some = np.empty(len(documents), _entry(vectors.shape[1]))
            some["document"], some["id"], some["vector"] = documents, ids, vectors
            some["bytes"], some["rank"] = sizes, rank
            rows.append(some)
            cells.append(nearest_cell(vectors.astype(np.float32), centres))
        if rows:
            exchange = Exchange(self._work / "cells", rows[0].dtype)
            yield from exchange.write(f"{number:05d}", np.concatenate(rows), np.concatenate(cells))


class FindSemantic(beam.DoFn):
    """(cell, slices) in; writes the documents of the cell that repeat another."""

    def __init__(self, work: Path, threshold: float) -> None:
        self._work = work
        self._threshold = threshold

    def process(self, element: tuple[int, Iterable[Slice]]) -> Iterator[int]:
        """Write `drops-CELL.npy`, rows of DROP."""
        cell, slices = element
        rows = Exchange(self._work / "cells", None).read(slices)
        halves = np.ascontiguousarray(rows["id"]).view(">u8").astype(np.uint64)
        rows = rows[np.lexsort((halves[:, 1], halves[:, 0], -rows["bytes"], rows["rank"]))]
        vectors = rows["vector"].astype(np.float32)
        length = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))  # float16 rounds it
        vectors /= np.maximum(length, np.float32(1e-6))
        of, similarity = semantic_duplicates(vectors, self._threshold)
        gone = of >= 0
        drops = np.empty(int(gone.sum()), DROP)
        drops["document"], drops["of"] = rows["document"][gone], rows["id"][of[gone]]
        drops["similarity"] = similarity[gone]
        save_array(self._work / f"drops-{cell:05d}.npy", drops)
        yield cell


class Label(beam.DoFn):
    """(number, task) in; writes the shard's annotation."""

    def __init__(self, ctx: Context, work: Path) -> None:
        self._ctx = ctx
        self._work = work

    def process(self, element: tuple[int, ShardTask]) -> Iterator[str]:
        """Write `annotations/semantic/NAME` in the row groups of the document shard."""
        number, task = element
        drops = load_array(self._work / "drops.npy")
        begin, end = np.searchsorted(drops["document"], bounds_of(number))
        mine = np.asarray(drops[begin:end])
        path = self._ctx.annotations / task.name
        batches = self._batches(task, rows_of(mine["document"]), mine)
        write_shard(path, SEMANTIC, batches, key=task.key, documents_sha256=task.documents_sha256)
        yield task.name

    def _batches(
        self, task: ShardTask, rows: npt.NDArray[np.int64], mine: npt.NDArray[np.void]
    ) -> Iterator[pa.RecordBatch]:
        start = 0
        for batch in self._ctx.read(task.name, ["id"], task.documents_sha256):
            count = batch.num_rows
            chosen = (rows >= start) & (rows < start + count)
            at = np.full(count, -1, np.int64)
            at[rows[chosen] - start] = np.flatnonzero(chosen)
            start += count
            take = pa.array(at, mask=at < 0)
            yield pa.RecordBatch.from_arrays(
                [fixed_binary(mine["of"], 16).take(take), pa.array(mine["similarity"]).take(take)],
                schema=SEMANTIC,
            )


def run_semantic(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    """Label the documents that repeat another in meaning, among those that the rules keep."""
    work = ctx.annotations / WORK
    remove_tree(work)
    work.mkdir(parents=True)
    settings = ctx.config.dedup.semantic
    shards = list(enumerate(sorted(tasks, key=lambda task: task.name)))
    total = max(sum(task.rows for task in tasks), 1)

    def gather(pipeline: beam.Pipeline) -> None:
        share = min(1.0, SAMPLE / total)
        distribute(pipeline, "sample", shards) | "sample: write" >> beam.ParDo(
            EmitSample(ctx, work, share)
        )

    def compare(pipeline: beam.Pipeline) -> None:
        (
            distribute(pipeline, "cells", shards)
            | "cells: assign"
            >> beam.ParDo(EmitCells(ctx, work)).with_output_types(tuple[int, Slice])
            | "cells: group" >> beam.GroupByKey()
            | "cells: compare" >> beam.ParDo(FindSemantic(work, settings.threshold))
        )

    def label(pipeline: beam.Pipeline) -> None:
        distribute(pipeline, "label", shards) | "label: write" >> beam.ParDo(Label(ctx, work))

    runner.run("semantic-sample", gather)
    samples = [load_array(path) for path in sorted(work.glob("sample-*.npy"))]
    drops = np.zeros(0, DROP)
    if sum(map(len, samples)):
        cells = settings.cells or max(1, min(10_000, total // PER_CELL))
        sample = np.concatenate(samples).astype(np.float32)
        save_array(work / "centres.npy", fit_cells(sample, cells))
        runner.run("semantic-compare", compare)
        drops = np.concatenate([load_array(path) for path in sorted(work.glob("drops-*.npy"))])
    save_array(work / "drops.npy", drops[np.argsort(drops["document"])])
    runner.run("semantic-label", label)
    remove_tree(work)


def _entry(dimensions: int) -> Any:
    return np.dtype(
        [
            ("document", "<i8"),
            ("id", "u1", 16),
            ("bytes", "<i8"),
            ("rank", "<i4"),
            ("vector", "<f2", dimensions),
        ]
    )


def _embedded(
    ctx: Context, number: int, task: ShardTask
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8], Floats, npt.NDArray[np.int64]]]:
    """Yield numbers, ids, embeddings (float16) and bytes of kept documents, by row group."""
    kept = ctx.survivors(task.name)
    start = 0
    for batch in ctx.read(task.name, ["id", "bytes", "embedding"], task.documents_sha256):
        alive = np.flatnonzero(kept[start : start + batch.num_rows])
        documents = documents_of(number, start + alive)
        start += batch.num_rows
        if not len(alive):
            continue
        chosen = batch.take(pa.array(alive))
        embedding = chosen.column("embedding")
        width = len(embedding[0].as_py())
        yield (
            documents,
            fixed_matrix(chosen.column("id"), 16, "u1"),
            fixed_matrix(embedding, width, "<f2"),
            np.asarray(chosen.column("bytes")),
        )
