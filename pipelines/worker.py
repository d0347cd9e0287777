"""A local worker process: Beam's own, without its chatter, forked where its modules are loaded.

What a worker raises comes back to the driver as an exception, so its log on the screen would
only say it twice, in the middle of a progress bar.

    python -m pipelines.worker DRIVER
"""

from __future__ import annotations

import importlib
import logging
import sys

from pipelines.nursery import hatch

MODULES = (
    "apache_beam.runners.worker.sdk_worker_main",
    "pipelines.ingest",
    "pipelines.stage",
    "pipelines.dedup",
    "pipelines.score",
    "pipelines.tokenize",
    "pipelines.mix",
)


def preload() -> None:
    """Load what every worker needs: its modules, and its kernels where they are compiled."""
    logging.disable(logging.WARNING)  # Beam warns of each cloud client that is not installed
    for name in MODULES:
        importlib.import_module(name)
    from pipelines.warm import load

    load()


def main() -> None:
    """Serve the process DRIVER, which started this one, until it ends."""
    hatch(int(sys.argv[1]), "pipelines.worker", sys.argv)


def serve(arguments: list[str]) -> None:
    """Be Beam's worker for the runner that the environment names."""
    logging.disable(logging.CRITICAL)
    from apache_beam.runners.worker.sdk_worker_main import main as work

    work(arguments)


if __name__ == "__main__":
    main()
