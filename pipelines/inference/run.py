"""Annotators that are models, through Beam's RunInference.

The element is a shard task. Its record batches are read inside `run_inference`, so texts do not
cross the boundary between transforms, even where resource hints put inference on other machines.
The result is a record batch of values per row group, which the writer turns into the annotation
shard.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.annotator import Annotator
from pipelines.engine.annotate import annotate_shard, stored_batches
from pipelines.engine.context import Context
from pipelines.runners.dataflow.options import ONE_PROCESS
from pipelines.runners.runner import Runner, distribute
from pipelines.storage.shards import ShardTask
from schemas.config import Config
from schemas.errors import RunFault
from schemas.extras import hidden

with hidden("torch"):  # Beam tries it for a manager of several models, which is not used here
    from apache_beam.ml.inference.base import ModelHandler, RunInference

ACCELERATOR = "type:nvidia-tesla-t4;count:1;install-nvidia-driver"
"""A GPU where the config names no other."""
GPU_RAM = "12GB"
"""Minimum memory of a machine with a GPU: models are loaded through it."""


@dataclass(frozen=True)
class Model:
    """What a stage infers with: an annotator's class, how one is made, and where it runs.

    `make` must be a function of a module, to be picklable. `device`: `auto`, `cpu`, `cuda` …;
    `accelerator`: the hint for workers where that is CUDA, in Beam's notation.
    """

    annotator: type[Annotator]
    make: Callable[[Config], Annotator]
    device: str
    accelerator: str = ACCELERATOR

    @property
    def on_gpu(self) -> bool:
        """Whether the config names CUDA."""
        return self.device.startswith("cuda")


@dataclass(frozen=True)
class Inferred:
    """The values of a shard's open rows (the annotator's schema), in order, by row group
    that has any."""

    task: ShardTask
    values: tuple[pa.RecordBatch, ...]


class ShardHandler(ModelHandler[ShardTask, Inferred, Annotator]):
    """Annotates whole shards, with one model per process."""

    def __init__(self, ctx: Context, model: Model) -> None:
        super().__init__()
        self._ctx = ctx
        self._model = model

    def load_model(self) -> Annotator:
        """Return the annotator. Where it loads torch, torch has one thread: workers are one per
        core.
        """
        annotator = self._model.make(self._ctx.config)
        torch = sys.modules.get("torch")
        if torch is not None and self._model.device in ("auto", "cpu"):
            torch.set_num_threads(1)
        return annotator

    def run_inference(
        self,
        batch: Sequence[ShardTask],
        model: Annotator,
        inference_args: Mapping[str, Any] | None = None,
    ) -> Iterable[Inferred]:
        """Yield the values of each shard's rows that survive and have no value yet."""
        for task in batch:
            open_rows = _open_rows(self._ctx, task)
            start = 0
            values: list[pa.RecordBatch] = []
            for texts in self._texts(task) if open_rows.any() else ():
                selected = open_rows[start : start + texts.num_rows]
                start += texts.num_rows
                if selected.any():
                    values.append(_by_length(model, texts.filter(pa.array(selected))))
            yield Inferred(task, tuple(values))

    def _texts(self, task: ShardTask) -> Iterator[pa.RecordBatch]:
        return self._ctx.read(task.name, self._model.annotator.reads, task.documents_sha256)

    def get_num_bytes(self, batch: Sequence[ShardTask]) -> int:
        """Return about the size of the tasks; Beam's default would pickle them to measure it."""
        return 200 * len(batch)

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        """Return limits of one shard per batch: the annotator batches its rows itself."""
        return {"min_batch_size": 1, "max_batch_size": 1}

    def get_resource_hints(self) -> dict[str, Any]:
        """Return the hint for a GPU where the config names one. Local runners ignore it."""
        if self._model.on_gpu:
            return {"accelerator": self._model.accelerator, "min_ram": GPU_RAM}
        return {}

    def get_metrics_namespace(self) -> str:
        """Return the namespace of Beam's inference metrics."""
        return f"bibim.{self._ctx.stage}"


class WriteValues(beam.DoFn):
    """Values in, name of the annotation shard out."""

    def __init__(self, ctx: Context, schema: pa.Schema) -> None:
        self._ctx = ctx
        self._schema = schema

    def process(self, inferred: Inferred) -> Iterator[str]:
        """Write the annotation shard. Raises RunFault if the rows changed since inference."""
        groups = iter(inferred.values)

        def compute(batch: pa.RecordBatch) -> pa.RecordBatch:
            values = next(groups, pa.RecordBatch.from_pylist([], schema=self._schema))
            if values.num_rows != batch.num_rows:
                raise RunFault(
                    f"{inferred.task.name}: {values.num_rows} rows were scored where "
                    f"{batch.num_rows} survive; the annotations changed meanwhile. "
                    "Run the command again."
                )
            return values

        yield annotate_shard(
            self._ctx, inferred.task, self._schema, ("source",), compute, survivors_only=True
        ).name


def run_inference(runner: Runner, ctx: Context, tasks: list[ShardTask], model: Model) -> None:
    """Write the annotation shards of `tasks` with `model`, survivors only."""

    def build(pipeline: beam.Pipeline) -> None:
        (
            distribute(pipeline, ctx.stage, tasks)
            | f"{ctx.stage}: infer" >> RunInference(ShardHandler(ctx, model))
            | f"{ctx.stage}: write" >> beam.ParDo(WriteValues(ctx, model.annotator.schema))
        )

    if runner.name == "dataflow" and model.on_gpu:
        runner = replace(runner, options=(ONE_PROCESS, *runner.options))
    runner.run(ctx.stage, build)


def _open_rows(ctx: Context, task: ShardTask) -> npt.NDArray[np.bool_]:
    """Return bool [rows] of the shard: it survives and has no valid stored value."""
    wanted = ctx.survivors(task.name)
    stored = stored_batches(ctx.annotations / task.name, task)
    if stored:
        wanted = wanted & ~np.concatenate([np.asarray(b.column(0).is_valid()) for b in stored])
    return wanted


def _by_length(model: Annotator, texts: pa.RecordBatch) -> pa.RecordBatch:
    """Annotate rows in the order of their length, so that sub-batches need little padding."""
    import pyarrow.compute as pc

    order = np.argsort(np.asarray(pc.binary_length(texts.column("text"))), kind="stable")
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return model(texts.take(pa.array(order))).take(pa.array(back))
