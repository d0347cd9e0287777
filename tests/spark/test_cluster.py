"""The same job on a standalone Spark cluster: the bytes of a local run, also after a kill.

The Korean source lies in files whose names need quoting anywhere, one in five of them empty.
"""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from standalone import Cluster

ROOT = Path(__file__).parents[2]
FILES = 10
SECONDS = 1500.0
"""A run takes a tenth of this on a quiet machine."""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's recipe, smaller, with its Korean documents dealt over oddly named files."""
    folder = tmp_path_factory.mktemp("recipe")
    odd = folder / "한국어 자료 100%25 (1)"
    odd.mkdir()
    lines = (ROOT / "mixtures/demo/ko.jsonl").read_bytes().splitlines(keepends=True)
    for number in range(FILES):
        dealt = [] if number % 5 == 4 else lines[number::FILES]
        (odd / f"글 %{number}% #{number}.jsonl").write_bytes(b"".join(dealt))
    config = yaml.safe_load((ROOT / "mixtures/demo.yaml").read_text("utf-8"))
    config["sources"]["ko"]["path"] = f"{odd}/*.jsonl"
    config["ingest"]["max_reject_share"] = 0.05  # an empty file is a reject
    config["sources"]["stdlib"]["limit"] = 120
    config["mixture"]["tokens"] = "300k"
    path = folder / "odd.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True), "utf-8")
    return path


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "pipelines.cli", *map(str, arguments)]


def bibim(*arguments: object) -> None:
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, cwd=ROOT, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def on(spark: Cluster, *more: str) -> tuple[str, ...]:
    quick = "-XX:TieredStopAtLevel=1"  # a JVM that lives for a minute: compile little
    return (
        *("--runner", "spark", "--workers", "2", *more, "--"),
        f"--spark_master_url={spark.master}",
        f"--job_server_jvm_properties={quick}",
        f"--job_server_jvm_properties=-Dspark.executor.extraJavaOptions={quick}",
    )


@pytest.fixture(scope="module")
def local(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("local") / "out"
    bibim("run", recipe, "--out", out, "--workers", 1)
    return out


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below `folder`."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def busy(spark: Cluster, since: float) -> psutil.Process | None:
    """Return an executor that has started a worker since then, for the task it was given."""
    for executor in spark.executors():
        if any(child.create_time() > since for child in executor.children()):
            return executor
    return None


@pytest.mark.timeout(2 * SECONDS)
def test_two_executors_write_the_bytes_of_a_local_run(
    spark: Cluster, recipe: Path, local: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    bibim("run", recipe, "--out", out, *on(spark))
    assert digests(out / "mixture") == digests(local / "mixture")
    assert (out / "spark.log").read_text("utf-8", "replace").count("Granted executor ID") == 2
    bibim("audit", out, "--check")


@pytest.mark.timeout(2 * SECONDS)
def test_an_executor_killed_in_measure_changes_nothing(
    spark: Cluster, recipe: Path, local: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    stages = ("--stages", "ingest,identify,measure")
    said = tmp_path / "said.txt"
    with said.open("wb") as file:
        process = subprocess.Popen(
            command("run", recipe, "--out", out, *on(spark, *stages)),
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    begun = out / "annotations/measure/_receipts/step"
    deadline = time.monotonic() + SECONDS
    found = None
    while process.poll() is None and time.monotonic() < deadline and found is None:
        found = busy(spark, begun.stat().st_mtime) if begun.exists() else None
        time.sleep(0.01)
    assert found is not None, said.read_text("utf-8")[-4000:]
    found.send_signal(signal.SIGKILL)
    assert not (out / "annotations/measure/_manifest.json").exists(), "measure was complete"
    assert process.wait(SECONDS) == 0, said.read_text("utf-8")[-4000:]
    assert "Granted executor ID" in _after_loss(out / "spark.log")
    # The rest of the job goes on here, in the same folder, from what Spark wrote.
    bibim("run", recipe, "--out", out, "--workers", 1)
    steps = {
        step["step"]: step["ran"]
        for step in json.loads((out / "run.json").read_text("utf-8"))["runs"][-1]["steps"]
    }
    assert steps["ingest"] == steps["measure"] == 0
    assert digests(out / "mixture") == digests(local / "mixture")
    bibim("audit", out, "--check")


def _after_loss(log: Path) -> str:
    """Return what the driver noted after it lost an executor."""
    _, lost, after = log.read_text("utf-8", "replace").partition("Lost executor")
    assert lost, "no executor was lost"
    return after
