"""The demo recipe, run once for all end-to-end tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import run_demo
from filelock import FileLock


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The output folder of a finished run with two workers; what it said is in `../said.txt`.

    Processes of one test run share it.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "demo"
    out, said = folder / "out", folder / "said.txt"
    with FileLock(folder.with_suffix(".lock")):
        if not said.exists():
            done = run_demo(out, "--workers", 2)
            assert done.returncode == 0, done.stderr[-4000:]
            said.write_text(done.stdout + done.stderr, "utf-8")
    return out
