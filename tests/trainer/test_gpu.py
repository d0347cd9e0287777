"""The benchmark for a GPU, at a toy shape on the CPU: it runs where Beam is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT

PROGRAM = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    loaded = {"apache_beam", "transformers"} & set(sys.modules)
    assert not loaded, loaded
"""


def test_every_row_of_the_benchmark_runs_and_agrees_with_float32(tmp_path: Path):
    file = ROOT / "benchmarks/gpu.py"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file), "--tiny", "--json", str(tmp_path / "x.json")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    found = json.loads((tmp_path / "x.json").read_text("utf-8"))
    assert 0 < found["agrees"]["largest difference"] < 0.01
    for row in ("context 128", "context 256"):
        assert found[row]["tokens/s"] > 0
        assert found[row]["MFU"] > 0
    assert "MFU" not in found["documents apart"]
