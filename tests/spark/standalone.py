"""Where a test's Spark cluster is, and which of its processes are executors."""

from __future__ import annotations

from typing import NamedTuple

import psutil


class Cluster(NamedTuple):
    """The master's address, and the process that starts executors."""

    master: str
    worker: int

    def executors(self) -> list[psutil.Process]:
        return [
            child
            for child in psutil.Process(self.worker).children()
            if "CoarseGrainedExecutorBackend" in " ".join(child.cmdline())
        ]
