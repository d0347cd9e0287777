"""A whole run of a recipe, cold and warm: seconds, rate and peak memory by step.

    python benchmarks/end_to_end.py [RECIPE]

The cold run may compile kernels; the warm one has them. Both begin with an empty folder.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def measured(recipe: str, out: Path) -> dict[str, Any]:
    """Run `recipe` into `out`; return its record in run.json with the bytes of text it read."""
    command = [sys.executable, "-m", "bibim", "run", recipe, "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    record: dict[str, Any] = json.loads((out / "run.json").read_text("utf-8"))["runs"][-1]
    shards = json.loads((out / "documents" / "_manifest.json").read_text("utf-8"))["shards"]
    record["text_bytes"] = sum(shard["stats"]["text_bytes"] for shard in shards)
    return record


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }


def main(recipe: str = "mixtures/demo.yaml") -> None:
    """Measure twice, print a table, write results/end_to_end.json."""
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("cold", "warm"):
            runs[name] = measured(recipe, Path(folder) / name)
    text = runs["warm"]["text_bytes"]
    print(f"{recipe}: {text / 1e6:.1f} MB of text")
    print(f"{'step':<10}{'cold s':>9}{'warm s':>9}{'warm MB/s':>11}")
    for cold, warm in zip(runs["cold"]["steps"], runs["warm"]["steps"], strict=True):
        rate = text / 1e6 / warm["seconds"] if warm["seconds"] else float("inf")
        print(f"{warm['step']:<10}{cold['seconds']:>9.2f}{warm['seconds']:>9.2f}{rate:>11.2f}")
    for name, run in runs.items():
        print(f"{name}: {run['seconds']} s, peak {run['peak_rss_bytes'] / 2**20:,.0f} MiB")
    RESULTS.mkdir(exist_ok=True)
    result = {"recipe": recipe, "machine": machine(), "runs": runs}
    (RESULTS / "end_to_end.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
