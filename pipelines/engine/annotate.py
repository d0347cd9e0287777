"""A stage with an annotator: document shard in, annotation shard out, in one fused DoFn.

The worker streams the row groups of a document shard, joined with the columns of earlier
stages, through an annotator. A stage over survivors computes the rows that survive and have
no value yet, keeps stored values, and leaves the rest null: loosening a rule costs the rows that it
adds, tightening costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.utils.shared import Shared

from filters.annotator import Annotator
from pipelines.engine.context import Context
from pipelines.runners.runner import Runner, distribute
from pipelines.stages.catalog import stage
from pipelines.storage.shards import DOCUMENTS_SHA256, KEY, ShardTask, write_receipt, write_shard
from pipelines.storage.store import open_parquet
from schemas.manifest import Shard, sha256_file

Compute = Callable[[pa.RecordBatch], pa.RecordBatch]


def stored_batches(path: Path, task: ShardTask) -> list[pa.RecordBatch] | None:
    """Return the row groups of the annotation shard at `path` if its values still hold.

    They hold when the shard carries the task's key (same config, code and models) and belongs
    to the same document shard; None otherwise.
    """
    if not path.exists():
        return None
    file = open_parquet(path)
    try:
        tags = file.schema_arrow.metadata or {}
        if (
            tags.get(KEY, b"").decode() != task.key
            or tags.get(DOCUMENTS_SHA256, b"").decode() != task.documents_sha256
        ):
            return None
        return [
            file.read_row_group(group, use_threads=False).combine_chunks().to_batches()[0]
            if file.metadata.row_group(group).num_rows
            else pa.RecordBatch.from_pylist([], schema=file.schema_arrow)
            for group in range(file.num_row_groups)
        ]
    finally:
        file.close(force=True)


def fill_rows(
    schema: pa.Schema,
    rows: int,
    selected: npt.NDArray[np.bool_],
    computed: pa.RecordBatch | None,
    stored: pa.RecordBatch | None,
) -> pa.RecordBatch:
    """Return `rows` rows: `computed` at the `selected` ones, `stored` or null elsewhere."""
    pieces = [batch for batch in (stored, computed) if batch is not None]
    base = stored.num_rows if stored is not None else 0
    count = computed.num_rows if computed is not None else 0
    indices = np.arange(rows) if stored is not None else np.full(rows, base + count)
    indices[selected] = base + np.arange(count)
    parts: list[list[pa.Array]] = [
        [*(piece.column(column).cast(field.type) for piece in pieces), pa.nulls(1, field.type)]
        for column, field in enumerate(schema)
    ]
    take = pa.array(indices)
    return pa.RecordBatch.from_arrays(
        [pa.concat_arrays(part).take(take) for part in parts], schema=schema
    )


def annotate_shard(
    ctx: Context,
    task: ShardTask,
    schema: pa.Schema,
    reads: Sequence[str],
    compute: Compute,
    survivors_only: bool,
) -> Shard:
    """Write the annotation shard of `task`, computing only values that are not stored yet.

    `compute` takes a batch with the columns `reads` and returns `schema`'s columns. On a
    computed row the first column is never null: that marks stored rows.
    """
    folder = ctx.annotations
    path = folder / task.name
    stored = stored_batches(path, task)
    wanted = ctx.survivors(task.name) if survivors_only else np.ones(task.rows, dtype=bool)
    if stored is not None:
        done = (
            np.concatenate([np.asarray(batch.column(0).is_valid()) for batch in stored])
            if stored
            else np.zeros(0, dtype=bool)
        )
        if not (wanted & ~done).any():
            shard = Shard(
                name=task.name,
                rows=len(done),
                bytes=path.stat().st_size,
                sha256=sha256_file(path),
                key=task.key,
                stats={"computed": 0},
            )
            write_receipt(folder, shard)
            return shard
        wanted = wanted & ~done
    stats: dict[str, Any] = {"computed": int(wanted.sum())}
    return write_shard(
        path,
        schema,
        _annotated(ctx, task, schema, reads, compute, wanted, stored),
        key=task.key,
        documents_sha256=task.documents_sha256,
        stats=stats,
    )


def _annotated(
    ctx: Context,
    task: ShardTask,
    schema: pa.Schema,
    reads: Sequence[str],
    compute: Compute,
    wanted: npt.NDArray[np.bool_],
    stored: Sequence[pa.RecordBatch] | None,
) -> Iterator[pa.RecordBatch]:
    start = 0
    for group, batch in enumerate(ctx.read(task.name, reads, task.documents_sha256)):
        selected = wanted[start : start + batch.num_rows]
        start += batch.num_rows
        old = stored[group] if stored is not None else None
        if selected.all() and batch.num_rows:
            yield compute(batch)
            continue
        computed = compute(batch.filter(pa.array(selected))) if selected.any() else None
        yield fill_rows(schema, batch.num_rows, selected, computed, old)


class AnnotateShard(beam.DoFn):
    """Shard task in, shard name out. The annotator is made once per worker process.

    Beam shares it between DoFns: Spark makes a DoFn per partition.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._annotator = Shared()

    def process(self, task: ShardTask) -> Iterator[str]:
        """Write the task's annotation shard and yield its name."""
        declared = stage(self._ctx.stage)
        kind = declared.load()

        def compute(batch: pa.RecordBatch) -> pa.RecordBatch:
            # Made on first use: a shard with nothing to compute loads no model.
            annotator: Annotator = self._annotator.acquire(lambda: declared.make(self._ctx.config))
            return annotator(batch)

        yield annotate_shard(
            self._ctx, task, kind.schema, kind.reads, compute, declared.survivors_only
        ).name


def run_annotate(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    """Run the stage of `ctx`, which declares an annotator, over `tasks`."""

    def build(pipeline: beam.Pipeline) -> None:
        distribute(pipeline, ctx.stage, tasks) | f"{ctx.stage}: annotate" >> beam.ParDo(
            AnnotateShard(ctx)
        )

    runner.run(ctx.stage, build)
