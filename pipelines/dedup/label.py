"""The annotation of duplicates: each shard's part of the clusters, as columns."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.columnar.arrays import fixed_binary
from filters.text.removed_spans import build_removed_spans
from pipelines.dedup.clusters import KINDS, entries, work_folder
from pipelines.dedup.common_lines import READS, kept_rows, repeats_of
from pipelines.dedup.numbers import rows_of
from pipelines.engine.context import Context
from pipelines.engine.exchange import load_array
from pipelines.stages.dedup import DEDUP
from pipelines.storage.shards import ShardTask, write_shard


class Label(beam.DoFn):
    """(number, task) in; writes the shard's annotation from `clusters.npy`."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def process(self, element: tuple[int, ShardTask]) -> Iterator[str]:
        """Write `annotations/dedup/NAME` in the row groups of the document shard."""
        number, task = element
        path = self._ctx.annotations / task.name
        batches = self._batches(number, task)
        write_shard(path, DEDUP, batches, key=task.key, documents_sha256=task.documents_sha256)
        yield task.name

    def _batches(self, number: int, task: ShardTask) -> Iterator[pa.RecordBatch]:
        ctx = self._ctx
        mine = entries(ctx, number)
        rows = rows_of(mine["document"])
        settings = ctx.config.dedup.lines
        if settings.enabled:
            counts = load_array(work_folder(ctx) / "lines.npy")
            kept = kept_rows(ctx, number, task)
        start = 0
        columns = READS if settings.enabled else ("id",)
        for batch in ctx.read(task.name, columns, task.documents_sha256):
            count = batch.num_rows
            chosen = (rows >= start) & (rows < start + count)
            at, here = rows[chosen] - start, mine[chosen]
            if settings.enabled:
                repeats = repeats_of(batch, kept[start : start + count], counts, settings)
            else:
                repeats = (build_removed_spans(count, (), ()), pa.nulls(count, pa.float32()))
            start += count
            yield _labelled(count, at, here, repeats)


def _labelled(
    count: int,
    at: npt.NDArray[np.int64],
    here: npt.NDArray[np.void],
    repeats: tuple[pa.ListArray, pa.Array],
) -> pa.RecordBatch:
    """Return DEDUP's columns for `count` rows; those at `at` have the entries `here`."""
    duplicate = np.zeros(count, bool)
    clustered = np.zeros(count, bool)
    size = np.ones(count, np.int32)
    survivor = np.zeros((count, 16), np.uint8)
    cluster = np.zeros((count, 16), np.uint8)
    kinds = np.zeros(count, np.int8)
    clustered[at] = True
    duplicate[at] = here["duplicate"]
    kinds[at] = here["kind"]
    size[at] = here["size"]
    survivor[at] = here["survivor"]
    cluster[at] = here["cluster"]
    return pa.RecordBatch.from_arrays(
        [
            pa.array(duplicate),
            _nullable(survivor, duplicate),
            pa.array(np.array(KINDS, object)[kinds], pa.string(), mask=~duplicate),
            _nullable(cluster, clustered),
            pa.array(size),
            *repeats,
        ],
        schema=DEDUP,
    )


def _nullable(values: npt.NDArray[np.uint8], valid: npt.NDArray[np.bool_]) -> pa.Array:
    rows = fixed_binary(values, 16)
    return rows.take(pa.array(np.arange(len(values)), mask=~valid))
