"""A Spark cluster of two executors on loopback, and a local run to compare with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.runners.spark import cluster, install
from schemas.errors import InputError
from tests.support.standalone import RECIPE, Cluster, bibim


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if "BIBIM_TEST_SPARK" not in os.environ:
        pytest.skip("starts a Spark cluster: `make test-spark` runs it")
    try:
        install.spark_home()
        install.installed()
    except InputError as error:
        pytest.skip(str(error))
    folder: Path = tmp_path_factory.mktemp("cluster")
    master = cluster.up(folder, cores=2)
    try:
        yield Cluster(master, cluster.processes(folder)[-1])
    finally:
        cluster.down(folder)


@pytest.fixture(scope="session")
def local(spark: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe, run on this machine without Spark."""
    out = tmp_path_factory.mktemp("local") / "out"
    bibim("run", *RECIPE, "--out", out, "--workers", 1)
    return out
