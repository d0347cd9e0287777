"""Runners: where a pipeline's workers are.

`local` is Beam's FnApiRunner, in this process with one worker, in processes of its own with
more. DirectRunner is never named: it would download and run a binary first. `spark` is Beam's
portable runner, see pipelines.spark.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.threads import limit_threads
from schemas.errors import BibimError, InputError, RunFault

T = TypeVar("T")


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Runner:
    """A runner with its worker count and the Beam options given after `--`."""

    name: str = "local"
    workers: int = 1
    options: Sequence[str] = field(default_factory=tuple)
    log: Path | None = None
    """Where a job server writes its log."""

    def run(self, label: str, build: Callable[[beam.Pipeline], None]) -> None:
        """Build one pipeline, run it and wait.

        A BibimError that a worker raised is raised here with its message; anything else
        becomes a RunFault that carries the worker's traceback as its cause.
        """
        options = PipelineOptions([f"--job_name=bibim-{label}", *self._engine()])
        limit_threads()
        # What a worker raises comes back as an exception; its log would only say it again.
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
        runner = None  # of the options
        if self.name == "local":
            runner = _fn_api_runner(options, in_process=self.workers == 1)
        pipeline = beam.Pipeline(runner=runner, options=options)
        build(pipeline)
        try:
            pipeline.run().wait_until_finish()
        except RuntimeError as error:
            raise _worker_error(label, str(error)) from error

    def _engine(self) -> list[str]:
        """Return the options that choose the engine, then the user's own."""
        if self.name == "spark":
            from pipelines.spark.options import endpoint, spark_options

            options, server = spark_options(self.options, self.workers, self.log)
            return [*options, *endpoint(self.options, server)]
        return [
            "--runner=FnApiRunner",
            f"--direct_num_workers={self.workers}",
            "--default_sdk_harness_log_level=CRITICAL",
            *self.options,
        ]


def _worker_error(label: str, text: str) -> BibimError:
    """Return the error that `text`, a worker's traceback, tells of."""
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
        "What was finished is kept; run the same command again to go on."
    )


def _fn_api_runner(options: PipelineOptions, in_process: bool) -> Any:
    """Return FnApiRunner; unless `in_process`, its workers are processes of pipelines.worker.

    The options are handed on to them: named on the command line the runner drops them there,
    and with them the file systems' settings.
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
        f"{shlex.quote(sys.executable)} -m pipelines.worker"
    )
    return FnApiRunner(environment, provision_info=ExtendedProvisionInfo(info))


def _values(group: tuple[int, list[T]]) -> list[T]:
    return list(group[1])


def deal(pipeline: beam.Pipeline, label: str, elements: Sequence[T]) -> beam.PCollection[T]:
    """Deal `elements` over the workers in turn, in the order given.

    Put the largest first: two workers then end at about the same time. The GroupByKey is
    what lets the runner give elements to several workers; only shard names cross it.
    """
    # From 1: Spark then deals the first ones to its first tasks (31 + n, modulo their number).
    numbered = list(enumerate(elements, 1))
    return (
        pipeline
        | f"{label}: list" >> beam.Create(numbered, reshuffle=False)
        | f"{label}: deal" >> beam.GroupByKey()
        | f"{label}: take" >> beam.FlatMap(_values)
    )
