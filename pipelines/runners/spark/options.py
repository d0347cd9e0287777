"""Beam's options for Spark: our defaults, then those given after `--`, which override them."""

from __future__ import annotations

import atexit
import copy
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from apache_beam.options.pipeline_options import (
    JobServerOptions,
    PipelineOptions,
    PortableOptions,
    SetupOptions,
    SparkRunnerOptions,
)
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.transforms.environments import Environment

from pipelines.runners.machine import usable_cores
from pipelines.runners.spark.harness import START_FOLDER
from pipelines.runners.spark.server import LITTLE_JVM, SLOTS, ServerSettings, job_server_jar, start
from schemas.errors import InputError

DEFAULTS = (
    # A worker with its models serves all tasks of a stage; Beam's default of 0 ends it after each.
    # Idle timeout; each pipeline starts its own workers, so an hour would accumulate them.
    "--environment_cache_millis=20000",
    # Beam's default of 0 fetches a side input again for every bundle.
    "--max_cache_memory_usage_mb=256",
    # Otherwise `pip freeze` runs per pipeline, for a log; nodes have the environment of this one.
    "--experiments=disable_logging_submission_environment",
)
MASTERS = ("local", "spark://", "yarn", "k8s://")
TASKS_PER_SLOT = 8
"""Partitions of a shuffle per core: small ones, since the last partition keeps other cores waiting,
and since a failed one is repeated as a whole."""


class Portable(PortableRunner):
    """Beam's portable runner, but the job server's jar is not sent to the job server.

    The Java side reads from `files_to_stage` what executors load. Beam's Python side would upload
    it too, 100 MB per pipeline, for workers to fetch. Files that a user stages are still sent.
    """

    def default_environment(self, options: PipelineOptions) -> Environment:
        """Return what workers run in."""
        without = copy.deepcopy(options)
        without.view_as(SetupOptions).files_to_stage = None
        return super().default_environment(without)


@cache
def harness() -> str:
    """Return the command that starts a worker: `bibim-harness`, as installed beside Python.

    From a tree that is not installed it is a script in a temporary folder, for this machine only.
    """
    script = Path(sys.executable).parent / "bibim-harness"
    if script.exists():
        return str(script)
    folder = Path(tempfile.mkdtemp(prefix="bibim-harness-"))
    atexit.register(shutil.rmtree, folder, True)
    script = folder / "bibim-harness"
    script.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m pipelines.runners.spark.harness "$@"\n',
        "utf-8",
    )
    script.chmod(0o755)
    return str(script)


def spark_options(
    given: Sequence[str], workers: int, log: Path | None
) -> tuple[list[str], ServerSettings]:
    """Return Beam's options for a pipeline on Spark, and the settings of its job server.

    `given`: options after `--`, which override. `workers`: cores to use; 0: unknown, of a
    cluster. Raises InputError for a master that Spark does not have.
    """
    options = PipelineOptions(list(given))
    master, slots = _master(given, options, workers)
    # Local: one JVM with a worker per core. Cluster: executors of one core with one worker each.
    parallel = slots if master.startswith("local") else 1
    if _names(given, "sdk_worker_parallelism"):
        parallel = int(options.view_as(PortableOptions).sdk_worker_parallelism)
    server = options.view_as(JobServerOptions)
    properties = _properties(master, slots, parallel, workers)
    for text in server.job_server_jvm_properties:
        name, _, value = text.partition("=")
        properties[name] = value
    settings = ServerSettings(
        master=master,
        java=server.job_server_java_launcher,
        jar=options.view_as(SparkRunnerOptions).spark_job_server_jar,
        properties=(
            LITTLE_JVM,
            *(f"{name}={value}" if value else name for name, value in properties.items()),
        ),
        log=log,
    )
    # Workers start in the executor's folder; relative paths of a config start at this one.
    worker = {"command": harness(), "env": {START_FOLDER: os.getcwd()}}
    return [
        "--runner=PortableRunner",
        *DEFAULTS,
        f"--sdk_worker_parallelism={parallel}",
        "--default_sdk_harness_log_level=ERROR",  # the highest that both languages have
        "--environment_type=PROCESS",
        f"--environment_config={json.dumps(worker)}",
        f"--files_to_stage={job_server_jar(settings)}",
        *given,
    ], settings


def _master(given: Sequence[str], options: PipelineOptions, workers: int) -> tuple[str, int]:
    """Return Spark's master and the number of cores to plan for."""
    named = _names(given, "spark_master_url")
    master = options.view_as(SparkRunnerOptions).spark_master_url if named else "local"
    if not master.startswith(MASTERS):
        raise InputError(
            f"--spark_master_url={master}: is not a master of Spark; write spark://HOST:PORT, "
            "yarn, k8s://HOST:PORT or local[CORES], or leave the option out"
        )
    slots = workers or (usable_cores() if master.startswith("local") else SLOTS)
    return (master if named else f"local[{slots}]"), slots


def _properties(master: str, slots: int, parallel: int, workers: int) -> dict[str, str]:
    """Return properties of the job server's JVM, which are Spark's configuration."""
    properties = {
        "-Dbeam.spark.test.reuseSparkContext": "true",  # one application for the whole run
        "-Dspark.app.name": "bibim",
        "-Dspark.default.parallelism": str(TASKS_PER_SLOT * slots),
        "-Dspark.ui.showConsoleProgress": "false",
        "-Dspark.executor.extraJavaOptions": f"{LITTLE_JVM} -XX:+UseSerialGC",
    }
    if not master.startswith("local"):
        properties["-Dspark.executor.cores"] = str(parallel)
        if workers:
            properties["-Dspark.cores.max"] = str(workers)
    return properties


def _names(given: Sequence[str], name: str) -> bool:
    return any(option.split("=")[0] == f"--{name}" for option in given)


def endpoint(given: Sequence[str], settings: ServerSettings) -> list[str]:
    """Return the option that names the job server, started unless `given` names one."""
    return [] if _names(given, "job_endpoint") else [f"--job_endpoint={start(settings)}"]
