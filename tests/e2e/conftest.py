"""The demo recipe, run once for all end-to-end tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import run_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a finished run with two workers; what it said is in `../said.txt`."""
    out = tmp_path_factory.mktemp("demo") / "out"
    done = run_demo(out, "--workers", 2)
    assert done.returncode == 0, done.stderr[-4000:]
    (out.parent / "said.txt").write_text(done.stdout + done.stderr, "utf-8")
    return out
