"""A job for spark-submit, run by Spark's own command on the cluster of two executors."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from pipelines.runners.spark import install
from tests.support.standalone import RECIPE, ROOT, SECONDS, Cluster, bibim, digests

STAGES = ("documents", "rejects", "annotations/identify")


@pytest.mark.timeout(SECONDS)
def test_spark_submit_runs_the_job_that_was_made(
    spark: Cluster, local: Path, tmp_path: Path
) -> None:
    jar, out = tmp_path / "job.jar", tmp_path / "out"
    printed = bibim(
        *("submit", "spark", *RECIPE, "--out", out, "--output", jar),
        *("--stages", "ingest,identify", "--workers", 2),
    )
    words = shlex.split(printed)
    assert words[:3] == ["spark-submit", "--master", "MASTER"]
    words[2] = spark.master
    home = install.spark_home()
    words[0] = str(home / "bin" / "spark-submit")
    environment = {**os.environ, "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1"}
    done = subprocess.run(
        words,
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    assert done.stderr.count("Granted executor ID") == 2
    for folder in STAGES:
        if (local / folder).exists():
            assert digests(out / folder) == digests(local / folder)
    jar.unlink()
