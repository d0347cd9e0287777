"""Running the command line as a user does."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT

RECIPE = ROOT / "mixtures" / "demo.yaml"
SMALLER = ("--set", "sources.stdlib.limit=120", "--set", "mixture.tokens=300k")


def bibim(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does and return what it printed."""
    command = [sys.executable, "-m", "bibim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def run_demo(out: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the smaller demo into `out`."""
    return bibim("run", RECIPE, "--out", out, *SMALLER, *arguments)


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of `folder` by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file()
    }
