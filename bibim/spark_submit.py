"""`bibim submit spark`: one jar that spark-submit takes, on any cluster.

The jar contains Beam's job server and the job: config, folder, stages, options. Its main class
is Spark's own for Python drivers, which starts bibim.spark_driver.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bibim import spark_driver
from pipelines.runners.spark.install import JAR, installed
from pipelines.storage.files import atomic_path
from schemas.config import Config
from schemas.errors import InputError

ENTRY = spark_driver.ENTRY


@dataclass(frozen=True)
class Job:
    """Everything that defines a run; stored in the jar as JSON."""

    config: dict[str, object]
    out: str
    stages: tuple[str, ...]
    workers: int
    options: tuple[str, ...]
    folder: str
    """The folder at which relative paths of the config start."""


def job_of(
    config: Config, out: Path, stages: Sequence[str], workers: int, options: Sequence[str]
) -> Job:
    """Return the job that `bibim run` with the same arguments would do from this folder.

    Raises InputError where the job would need a secret that no environment variable has: a jar
    must not contain one.
    """
    if config.pii.pseudonymises() and config.pii.key.value and not config.pii.key.variable:
        raise InputError(
            "pii.key: a jar must not contain secrets; write `key: ${PII_KEY}` and set PII_KEY "
            "here and where the driver runs"
        )
    return Job(
        config.model_dump(mode="json"),
        str(out),
        tuple(stages),
        workers,
        tuple(options),
        os.getcwd(),
    )


def write_job(job: Job, path: Path) -> None:
    """Write the jar `path`. Raises InputError where `make spark` has not been run."""
    with atomic_path(path) as temporary:
        shutil.copyfile(installed() / JAR, temporary)
        with zipfile.ZipFile(temporary, "a", zipfile.ZIP_DEFLATED) as jar:
            jar.writestr(ENTRY, json.dumps(asdict(job), ensure_ascii=False))


def submission(path: Path, master: str) -> str:
    """Return the command line that runs the jar at `path` with the environment of this process."""
    python = sys.executable
    words = [
        *("spark-submit", "--master", master, "--name", "bibim"),
        *("--conf", f"spark.pyspark.python={python}"),
        *(str(path), spark_driver.__file__, ""),
    ]
    return " ".join(shlex.quote(word) for word in words)
