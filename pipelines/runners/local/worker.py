"""A local worker process: Beam's own, without its log, forked from a process with its modules.

What a worker raises comes back to the driver as an exception, so its log on the screen would
only repeat it, in the middle of a progress bar.

    python -m pipelines.runners.local.worker DRIVER
"""

from __future__ import annotations

import importlib
import logging
import signal
import sys

from pipelines.runners.local.fork_server import spawn

MODULES = (
    "apache_beam.runners.worker.sdk_worker_main",
    "pipelines.ingest.run",
    "pipelines.engine.annotate",
    "pipelines.dedup.run",
    "pipelines.inference.score",
    "pipelines.tokenize.run",
    "pipelines.mix.run",
)


def preload() -> None:
    """Load what every worker needs: its modules, and its kernels where they are compiled."""
    logging.disable(logging.WARNING)  # Beam warns of each cloud client that is not installed
    for name in MODULES:
        importlib.import_module(name)
    from pipelines.runners.precompile import load

    load()


def main() -> None:
    """Serve the process DRIVER, which started this one, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches this one too: no traceback
    spawn(int(sys.argv[1]), "pipelines.runners.local.worker", sys.argv)


def serve(arguments: list[str]) -> None:
    """Be Beam's worker for the runner that the environment names."""
    logging.disable(logging.CRITICAL)
    from apache_beam.runners.worker.sdk_worker_main import main as work

    work(arguments)


if __name__ == "__main__":
    main()
