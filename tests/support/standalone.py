"""What the tests here share: the cluster, the recipe's slice, and runs of the command."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.support import ROOT

SECONDS = 1500.0
"""A run takes a twentieth of this on a quiet machine."""

LIMITS = {"ko-docs": 80, "ko-reviews": 60, "en-docs": 120, "code": 60, "web": 60}
RECIPE: tuple[str, ...] = ("mixtures/demo.yaml", "--set", "sources.stdlib.limit=120")
if (ROOT / "../shared/data/corpora").is_dir():  # else the demo's corpus stands in for the real one
    RECIPE = (
        "mixtures/ko-en-code.yaml",
        *(f"--set=sources.{name}.limit={limit}" for name, limit in LIMITS.items()),
        *("--set=tokenizer.vocab_size=4000", "--set=tokenizer.sample=1MB"),
        *("--set=mixture.tokens=300k", "--set=mixture.shards=2"),
    )


class Cluster(NamedTuple):
    """The master's address, and the process that starts executors."""

    master: str
    worker: int

    def busy(self, since: float) -> psutil.Process | None:
        """Return an executor that has started a worker since then, for the task it was given."""
        for child in psutil.Process(self.worker).children():
            with contextlib.suppress(psutil.Error):  # it is ending
                for own in child.children():  # a JVM has other children too, for a moment
                    if "harness" in " ".join(own.cmdline()) and own.create_time() > since:
                        return child
        return None

    def options(self) -> tuple[str, ...]:
        """Options that run a command on this cluster."""
        return (
            *("--runner", "spark", "--workers", "2", "--"),
            f"--spark_master_url={self.master}",
        )


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "bibim", *map(str, arguments)]


def bibim(*arguments: object) -> str:
    """Run a command of bibim; return what it printed."""
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, cwd=ROOT, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def digests(out: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a run but its diary (times differ)."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in ("run.json", "spark.log", ".lock")
    }
