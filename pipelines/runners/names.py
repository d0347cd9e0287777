"""The names of the runners. Imports nothing: the command line lists them."""

from __future__ import annotations

from enum import StrEnum


class RunnerName(StrEnum):
    """Where a pipeline's workers are; what `--runner` takes."""

    local = "local"
    spark = "spark"
    dataflow = "dataflow"
