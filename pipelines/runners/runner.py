"""Runners: where a pipeline's workers are.

`local` is Beam's FnApiRunner, in this process with one worker, in processes of its own with
more. DirectRunner is never used: it would download and run a binary first. `spark` is Beam's
portable runner, see pipelines.runners.spark; `dataflow` is Google Cloud Dataflow, one job per
pipeline.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import re
import shlex
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, TestOptions

from pipelines.runners.machine import limit_threads
from pipelines.runners.names import RunnerName
from pipelines.storage.files import atomic_path
from pipelines.storage.store import as_path
from schemas.errors import BibimError, InputError, RunFault

T = TypeVar("T")

LISTS = ".lists"
LISTED = 1000
"""Elements above which a pipeline carries the path of their list, not themselves."""


@dataclass(frozen=True)
class Runner:
    """A runner with its worker count and the Beam options given after `--`."""

    name: str = RunnerName.local
    workers: int = 1
    options: Sequence[str] = field(default_factory=tuple)
    log: Path | None = None
    """Where a job server writes its log."""
    out: Path | None = None
    """The run's folder; lists of elements are stored in it."""

    def run(self, label: str, build: Callable[[beam.Pipeline], None]) -> None:
        """Build one pipeline, run it and wait.

        A BibimError that a worker raised is raised here with its message; anything else
        becomes a RunFault that carries the worker's traceback as its cause.
        """
        pipeline = self.pipeline(label, build)
        # The exceptions of Dataflow's client have no common class.
        kind = Exception if self.name == RunnerName.dataflow else RuntimeError
        try:
            result = pipeline.run()
            result.wait_until_finish()
        except kind as error:
            raise _worker_error(label, str(error)) from error
        if pipeline.options.view_as(TestOptions).dry_run:
            size = result.job.proto_pipeline.ByteSize()
            raise RunFault(f"{label}: --dry_run: its job of {size:,} bytes was built, not started")

    def pipeline(self, label: str, build: Callable[[beam.Pipeline], None]) -> Job:
        """Return the pipeline that `run` runs, built."""
        options = PipelineOptions([f"--job_name=bibim-{label}", *self._engine(label)])
        limit_threads()
        # What a worker raises comes back as an exception; its log would only repeat it.
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
        runner = None  # the options name it
        if self.name == RunnerName.local:
            runner = _fn_api_runner(options, in_process=self.workers == 1)
        elif self.name == RunnerName.spark:
            from pipelines.runners.spark.options import Portable

            runner = Portable()
        pipeline = Job(runner=runner, options=options)
        pipeline.lists = self.out / LISTS if self.out else None
        build(pipeline)
        return pipeline

    def _engine(self, label: str) -> list[str]:
        """Return the options that choose the engine, then the user's own."""
        if self.name == RunnerName.dataflow:
            from pipelines.runners.dataflow.options import dataflow_options

            unique = f"--job_name=bibim-{label}-{uuid.uuid4().hex[:8]}"
            return [unique, *dataflow_options(self.options, self.workers, self.out)]
        if self.name == RunnerName.spark:
            from pipelines.runners.spark.options import endpoint, spark_options

            options, server = spark_options(self.options, self.workers, self.log)
            return [*options, *endpoint(self.options, server)]
        return [
            "--runner=FnApiRunner",
            f"--direct_num_workers={self.workers}",
            "--default_sdk_harness_log_level=CRITICAL",
            *self.options,
        ]


class Job(beam.Pipeline):
    """A pipeline with a folder for long lists of its elements."""

    lists: Path | None = None


def _worker_error(label: str, text: str) -> BibimError:
    """Return the error that `text`, a worker's traceback, ends with."""
    kinds = {"InputError": InputError, "RunFault": RunFault}
    found = re.findall(
        r"^schemas\.errors\.(InputError|RunFault): (.*?)(?: \[while running '.*?'\])?$",
        text,
        re.MULTILINE | re.DOTALL,
    )
    if found:
        kind, message = found[0]
        return kinds[kind](message.split(" [while running")[0].strip())
    lines = [line for line in text.strip().splitlines() if line.strip()]
    last = lines[-1] if lines else "no message"
    return RunFault(
        f"{label}: a worker failed: {last}\n"
        "Finished shards are kept; run the same command again to resume."
    )


def _fn_api_runner(options: PipelineOptions, in_process: bool) -> Any:
    """Return FnApiRunner; unless `in_process`, its workers are processes of
    pipelines.runners.local.worker.

    The options are passed to them here: without this, a runner named on the command line would
    drop them, and with them the file systems' settings.
    """
    from apache_beam.portability.api import beam_provision_api_pb2
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.runners.portability.fn_api_runner.fn_runner import ExtendedProvisionInfo
    from apache_beam.runners.portability.portable_runner import JobServiceHandle
    from apache_beam.transforms.environments import SubprocessSDKEnvironment

    info = beam_provision_api_pb2.ProvisionInfo(
        pipeline_options=JobServiceHandle.encode_pipeline_options(options.get_all_options())
    )
    if in_process:
        return FnApiRunner(provision_info=ExtendedProvisionInfo(info))
    environment = SubprocessSDKEnvironment.from_command_string(
        f"{shlex.quote(sys.executable)} -m pipelines.runners.local.worker {os.getpid()}"
    )
    return FnApiRunner(environment, provision_info=ExtendedProvisionInfo(info))


def _values(group: tuple[int, list[T]]) -> list[T]:
    return list(group[1])


def distribute(pipeline: beam.Pipeline, label: str, elements: Sequence[T]) -> beam.PCollection[T]:
    """Distribute `elements` over the workers in turn, in the order given.

    Put the largest first: two workers then end at about the same time. The GroupByKey lets the
    runner assign elements to several workers; only shard names cross it. More than LISTED are
    written to a file that a worker reads: a job with all of them would be too large.
    """
    # From 1: Spark then assigns the first ones to its first tasks (31 + n, modulo their number).
    numbered = list(enumerate(elements, 1))
    lists = getattr(pipeline, "lists", None)
    if lists is not None and len(numbered) > LISTED:
        listed = (
            pipeline
            | f"{label}: list" >> beam.Create([_write_list(lists, label, numbered)])
            | f"{label}: read" >> beam.FlatMap(_read_list).with_output_types(tuple[int, object])
        )
    else:
        listed = pipeline | f"{label}: list" >> beam.Create(numbered, reshuffle=False)
    return (
        listed
        | f"{label}: distribute" >> beam.GroupByKey()
        | f"{label}: take" >> beam.FlatMap(_values)
    )


def _write_list(folder: Path, label: str, elements: list[tuple[int, T]]) -> tuple[str, str]:
    """Write `elements`; return the file's path and SHA-256."""
    data = pickle.dumps(elements)
    digest = hashlib.sha256(data).hexdigest()
    path = folder / f"{label}-{digest[:16]}.pickle"
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return str(path), digest


def _read_list(listed: tuple[str, str]) -> Iterator[tuple[int, Any]]:
    """Yield a list's elements. Raises RunFault where the file is not the one that was written."""
    path, digest = as_path(listed[0]), listed[1]
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise RunFault(f"{path}: changed since this run wrote it; run the same command again")
    yield from pickle.loads(data)
