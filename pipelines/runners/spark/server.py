"""Beam's job server, which is the Spark driver: one for all pipelines of a run.

It keeps one Spark application, so executors start once per run, not once per pipeline.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipelines.runners.spark.install import JAR, installed, spark_home
from schemas.errors import InputError, RunFault

MAIN = "org.apache.beam.runners.spark.SparkJobServerDriver"
OPENS = tuple(
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in ("sun.nio.ch", "java.nio", "java.util", "java.lang.invoke")
)
"""Packages of Java 17 that Spark 3.5 needs opened."""
LITTLE_JVM = "-XX:TieredStopAtLevel=1"
"""Java only moves names and keys here and starts Python: full optimisation would cost more than it
saves."""
END_WITH_PARENT = (
    "import ctypes, os, sys; sys.platform == 'linux' and ctypes.CDLL(None).prctl(1, 15); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)
"""Becomes the given command, which the kernel ends when its parent ends (Linux)."""
START_SECONDS = 120.0
LOG_LINES = 15
SLOTS = 16
"""Cores assumed of a cluster where `--workers` is 0."""


@dataclass(frozen=True)
class ServerSettings:
    """Settings of one job server."""

    master: str
    java: str = "java"
    jar: str | None = None
    """A job server that contains its own Spark; None: the one of `make spark`."""
    properties: tuple[str, ...] = ()
    log: Path | None = None


def job_server_jar(settings: ServerSettings) -> Path:
    """Return the jar of the job server, which executors receive too."""
    return Path(settings.jar) if settings.jar else installed() / JAR


def command(settings: ServerSettings, port: int) -> list[str]:
    """Return the command that starts a job server on loopback at `port`."""
    jar = job_server_jar(settings)
    if not jar.exists():
        raise InputError(f"--spark_job_server_jar={jar}: no such file")
    classes = str(jar) if settings.jar else f"{jar}{os.pathsep}{spark_home() / 'jars' / '*'}"
    arguments = {
        "job-host": "localhost",
        "job-port": port,
        "artifact-port": 0,
        "expansion-port": 0,
        "spark-master-url": settings.master,
    }
    return [
        settings.java,
        *OPENS,
        *settings.properties,
        "-cp",
        classes,
        MAIN,
        *(f"--{name}={value}" for name, value in arguments.items()),
    ]


@cache
def start(settings: ServerSettings) -> str:
    """Start a job server, or return the endpoint of the one that runs with these settings.

    It ends with this process. Raises InputError without Java, RunFault if it does not start.
    """
    port = free_port()
    environment = dict(os.environ)
    if loopback(settings.master):
        environment.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    output = settings.log.open("ab") if settings.log else subprocess.DEVNULL
    if shutil.which(settings.java) is None:
        raise InputError(
            f"{settings.java}: not found; --runner spark needs Java 17 on the PATH, or "
            "-- --job_server_java_launcher=/path/to/java"
        )
    process = subprocess.Popen(
        [sys.executable, "-c", END_WITH_PARENT, *command(settings, port)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
    )
    atexit.register(stop, process)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 1.0):
            return f"localhost:{port}"
        time.sleep(0.1)
    stop(process)
    raise RunFault(f"the Spark job server did not start{end_of_log(settings.log)}")


def end_of_log(log: Path | None) -> str:
    """Return the end of the job server's log, for a message."""
    if log is None or not log.exists():
        return ""
    lines = log.read_text("utf-8", "replace").splitlines()[-LOG_LINES:]
    return f"; the end of {log}:\n" + "\n".join(lines)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a job server, and with it its Spark application."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a free port of loopback; another process may take it before it is used."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def loopback(master: str) -> bool:
    """Return whether master and workers are this machine alone."""
    return master.startswith(("local", "spark://127.0.0.1", "spark://localhost"))
