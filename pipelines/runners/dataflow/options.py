"""Beam's options for Dataflow, checked before any request to the network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    WorkerOptions,
)

from schemas.errors import InputError

FOLDER = r"gs://[a-z0-9][-_a-z0-9.]+[a-z0-9](/[^\r\n]*)?"
PROJECT = r"[a-z][-a-z0-9:.]+[a-z0-9]"

DEFAULTS = (
    "--worker_machine_type=n2-standard-4",
    "--disk_size_gb=100",
    # Dataflow starts a process per core; 12 threads in each would keep 12 shards in memory.
    "--number_of_worker_harness_threads=1",
    "--sdk_location=container",
)
"""Options of a run; the same option after `--` overrides."""

ONE_PROCESS = "--experiments=no_use_multiple_sdk_containers"
"""One process per machine, for those with a GPU: one model in memory, not one per core."""


def dataflow_options(given: Sequence[str], workers: int, out: Path | None) -> list[str]:
    """Return the options for Dataflow; `given`, those after `--`, override.

    `workers`: the maximum number of machines; 0: Dataflow decides. Raises InputError that names
    every option that is missing or wrong.
    """
    options = PipelineOptions(list(given))
    cloud, worker = options.view_as(GoogleCloudOptions), options.view_as(WorkerOptions)
    temporary = cloud.temp_location or f"{out}/.dataflow"
    wrong = []
    if not re.fullmatch(PROJECT, cloud.project or ""):
        wrong.append(f"--project={cloud.project or ''}: name the project's id, not its number")
    if not cloud.region:
        wrong.append("--region=: name where the jobs run, such as asia-northeast3")
    if not worker.sdk_container_image:
        wrong.append("--sdk_container_image=: name the image made from deploy/Dockerfile")
    if not re.fullmatch(FOLDER, str(out)):
        wrong.append(f"--out {out} (before `--`): workers do not share a disk; name a gs:// folder")
    elif not re.fullmatch(FOLDER, temporary):
        wrong.append(f"--temp_location={temporary}: name a gs:// folder")
    if cloud.staging_location and not re.fullmatch(FOLDER, cloud.staging_location):
        wrong.append(f"--staging_location={cloud.staging_location}: name a gs:// folder")
    if wrong:
        raise InputError("--runner dataflow, after `--`: " + "; ".join(wrong))
    return [
        "--runner=DataflowRunner",
        *DEFAULTS,
        f"--temp_location={temporary}",
        *([f"--max_num_workers={workers}"] if workers else []),
        *given,
    ]
