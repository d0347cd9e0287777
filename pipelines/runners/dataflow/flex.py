"""A run as one Dataflow job that drives the others: what the flex template launches.

A launcher may start one job, and a run is a job per pipeline. So the launched job has one step,
which does what `bibim run --runner dataflow` does. If its machine is lost, Dataflow repeats the
step, and the run is resumed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    WorkerOptions,
)

from pipelines.runners.dataflow.options import DEFAULTS
from schemas.errors import RunFault

SHOWN = 20
"""Lines of a run's output that its error shows."""


class Drive(beam.DoFn):
    """Arguments of `bibim` in, exit code out: runs the command in a process of its own."""

    def process(self, arguments: Sequence[str]) -> Iterator[int]:
        """Yield the exit code, 0. Raises RunFault with the end of the output for any other."""
        command = [sys.executable, "-m", "bibim", *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            lines = (done.stdout + done.stderr).strip().splitlines()
            raise RunFault("\n".join([f"exit code {done.returncode}", *lines[-SHOWN:]]))
        yield done.returncode


def arguments(parameters: argparse.Namespace, options: PipelineOptions) -> list[str]:
    """Return the arguments of `bibim`; its jobs use this job's project, region and image."""
    cloud, worker = options.view_as(GoogleCloudOptions), options.view_as(WorkerOptions)
    beam_options = [f"--project={cloud.project}", f"--region={cloud.region}"]
    beam_options.append(f"--sdk_container_image={worker.sdk_container_image}")
    if cloud.service_account_email:
        beam_options.append(f"--service_account_email={cloud.service_account_email}")
    chosen = ["run", parameters.config, "--out", parameters.out, "--runner", parameters.engine]
    if parameters.stages:
        chosen += ["--stages", parameters.stages]
    chosen += ["--workers", str(parameters.workers)]
    if parameters.engine == "dataflow":
        chosen += ["--", *beam_options, *parameters.beam_options.split()]
    return chosen


def parser() -> argparse.ArgumentParser:
    """Return the parser of the template's parameters; `--engine` is for tests without a cloud."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--config", required=True, help="A recipe in the image")
    parser.add_argument("--out", required=True, help="A gs:// folder")
    parser.add_argument("--stages", default="", help="Only these, comma-separated")
    parser.add_argument(
        "--workers", type=int, default=0, help="Maximum machines; 0: Dataflow decides"
    )
    parser.add_argument("--beam_options", default="", help="Beam options of every job")
    parser.add_argument("--engine", default="dataflow", choices=("dataflow", "local"))
    return parser


def main(given: Sequence[str] | None = None) -> None:
    """Start the job and return: a launcher must not wait for it."""
    parameters, rest = parser().parse_known_args(given)
    options = PipelineOptions([*DEFAULTS, *rest])
    pipeline = beam.Pipeline(options=options)
    called = arguments(parameters, options)
    pipeline | "run" >> beam.Create([called], reshuffle=False) | "drive" >> beam.ParDo(Drive())
    pipeline.run()


if __name__ == "__main__":
    main()
