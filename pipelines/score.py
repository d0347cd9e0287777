"""The `score` stage: quality through Beam's RunInference.

The element is a shard task. Its texts are read inside `run_inference`, so they cross no boundary
between steps even where resource hints put inference on other machines than the rest; out
comes one small array of scores a row group, which the writer turns into the annotation shard.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.ml.inference.base import ModelHandler, RunInference

from filters.quality import Score
from pipelines.context import Context
from pipelines.runners import Runner, deal
from pipelines.shards import ShardTask
from pipelines.stage import annotate_shard, stored_batches
from schemas.errors import RunFault

ACCELERATOR = "type:nvidia-tesla-t4;count:1;install-nvidia-driver"
"""What a GPU worker asks for when the config's `quality.device` names CUDA; Beam's notation."""


@dataclass(frozen=True)
class Scored:
    """The scores of a shard's open rows (Score.schema), in order, by row group that has any."""

    task: ShardTask
    values: tuple[pa.RecordBatch, ...]


class QualityHandler(ModelHandler[ShardTask, Scored, Score]):
    """Scores whole shards, with one model a process."""

    def __init__(self, ctx: Context) -> None:
        super().__init__()
        self._ctx = ctx

    def load_model(self) -> Score:
        """Return the annotator, with torch on one thread: workers are one a core."""
        import torch

        if self._ctx.config.quality.device in ("auto", "cpu"):
            torch.set_num_threads(1)
        config = self._ctx.config
        return Score(config.quality, keep_embeddings=config.dedup.semantic.enabled)

    def run_inference(
        self,
        batch: Sequence[ShardTask],
        model: Score,
        inference_args: Mapping[str, Any] | None = None,
    ) -> Iterable[Scored]:
        """Yield the scores of each shard's rows that survive and have no value yet."""
        for task in batch:
            open_rows = _open_rows(self._ctx, task)
            start = 0
            values: list[pa.RecordBatch] = []
            for texts in self._texts(task) if open_rows.any() else ():
                selected = open_rows[start : start + texts.num_rows]
                start += texts.num_rows
                if selected.any():
                    values.append(_score(model, texts.filter(pa.array(selected))))
            yield Scored(task, tuple(values))

    def _texts(self, task: ShardTask) -> Iterator[pa.RecordBatch]:
        return self._ctx.read(task.name, Score.reads, task.documents_sha256)

    def get_num_bytes(self, batch: Sequence[ShardTask]) -> int:
        """Return about what the tasks weigh; Beam's default would pickle them to know."""
        return 200 * len(batch)

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        """One shard at a time: it is batch enough."""
        return {"min_batch_size": 1, "max_batch_size": 1}

    def get_resource_hints(self) -> dict[str, Any]:
        """Ask for a GPU where the config names one; a runner without such workers ignores it."""
        if self._ctx.config.quality.device.startswith("cuda"):
            return {"accelerator": ACCELERATOR}
        return {}

    def get_metrics_namespace(self) -> str:
        """Return the namespace of Beam's inference metrics."""
        return "bibim.score"


class WriteScores(beam.DoFn):
    """Scores in, name of the annotation shard out."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def process(self, scored: Scored) -> Iterator[str]:
        """Write the annotation shard. Raises RunFault if the rows changed since inference."""
        groups = iter(scored.values)

        def compute(batch: pa.RecordBatch) -> pa.RecordBatch:
            values = next(groups, pa.RecordBatch.from_pylist([], schema=Score.schema))
            if values.num_rows != batch.num_rows:
                raise RunFault(
                    f"{scored.task.name}: {values.num_rows} rows were scored where "
                    f"{batch.num_rows} survive; the annotations changed meanwhile. "
                    "Run the command again."
                )
            return values

        yield annotate_shard(
            self._ctx, scored.task, Score.schema, ("source",), compute, survivors_only=True
        ).name


def run_score(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    """Run the stage over `tasks`: annotation shards of `quality`, survivors only."""

    def build(pipeline: beam.Pipeline) -> None:
        (
            deal(pipeline, ctx.stage, tasks)
            | f"{ctx.stage}: infer" >> RunInference(QualityHandler(ctx))
            | f"{ctx.stage}: write" >> beam.ParDo(WriteScores(ctx))
        )

    runner.run(ctx.stage, build)


def _open_rows(ctx: Context, task: ShardTask) -> npt.NDArray[np.bool_]:
    """Return by row of the shard whether it survives and has no stored score that holds."""
    wanted = ctx.survivors(task.name)
    stored = stored_batches(ctx.folder("annotations", ctx.stage) / task.name, task)
    if stored:
        wanted = wanted & ~np.concatenate([np.asarray(b.column(0).is_valid()) for b in stored])
    return wanted


def _score(model: Score, texts: pa.RecordBatch) -> pa.RecordBatch:
    """Score rows in the order of their length: neighbours in a sub-batch then cost alike."""
    import pyarrow.compute as pc

    order = np.argsort(np.asarray(pc.binary_length(texts.column("text"))), kind="stable")
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return model(texts.take(pa.array(order))).take(pa.array(back))
