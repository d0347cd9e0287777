"""A standalone Spark cluster on this machine: a master and a worker, on loopback only.

    python -m pipelines.runners.spark.cluster up [--cores 2] [--folder build/spark/cluster]
    python -m pipelines.runners.spark.cluster down [--folder …]

Spark's start scripts are not in the pyspark wheel; the classes that they start are.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

from pipelines.runners.spark.install import FOLDER, installed, spark_home
from pipelines.runners.spark.server import LITTLE_JVM, free_port
from pipelines.storage.files import write_text
from schemas.errors import BibimError, InputError, RunFault

STATE = "cluster.json"
START_SECONDS = 120.0


def up(folder: Path, cores: int) -> str:
    """Start master and worker with `cores` cores; return the master's address.

    Raises InputError if `folder` has a cluster, RunFault if the new one does not start.
    """
    if (folder / STATE).exists():
        raise InputError(f"{folder}: a cluster runs, or was not stopped; run `make spark-down`")
    folder.mkdir(parents=True, exist_ok=True)
    port, page = free_port(), free_port()
    master = f"spark://127.0.0.1:{port}"
    started = [
        _start(
            folder,
            "master",
            "org.apache.spark.deploy.master.Master",
            *("--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page)),
        )
    ]
    try:
        _wait(folder, page, workers=0)
        started.append(
            _start(
                folder,
                "worker",
                "org.apache.spark.deploy.worker.Worker",
                *("--host", "127.0.0.1", "--cores", str(cores), "--memory", f"{cores}g"),
                *("--webui-port", str(free_port()), "--work-dir", str(folder / "work"), master),
            )
        )
        _wait(folder, page, workers=1)
    except BaseException:
        _end([process.pid for process in started])
        raise
    state = {"master": master, "pids": [process.pid for process in started]}
    write_text(folder / STATE, json.dumps(state) + "\n")
    return master


def processes(folder: Path) -> list[int]:
    """Return the processes of the cluster of `folder`: the master's, then the worker's."""
    pids: list[int] = json.loads((folder / STATE).read_text("utf-8"))["pids"]
    return pids


def down(folder: Path) -> bool:
    """Stop the cluster of `folder`; return whether there was one."""
    try:
        pids = processes(folder)
    except FileNotFoundError:
        return False
    _end(pids)
    (folder / STATE).unlink()
    return True


def _start(folder: Path, name: str, kind: str, *arguments: str) -> subprocess.Popen[bytes]:
    home = spark_home()
    log = (folder / f"{name}.log").open("wb")
    return subprocess.Popen(
        [str(home / "bin" / "spark-class"), kind, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={
            **os.environ,
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_JAVA_OPTS": f"{LITTLE_JVM} -XX:+UseSerialGC",
        },
    )


def _wait(folder: Path, page: int, workers: int) -> None:
    """Wait until the master reports `workers` workers. Raises RunFault after START_SECONDS."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError),
            opener.open(f"http://127.0.0.1:{page}/json/", timeout=2) as answer,
        ):
            if json.load(answer)["aliveworkers"] >= workers:
                return
        time.sleep(0.2)
    raise RunFault(f"the Spark cluster did not start; see the logs in {folder}")


def _end(pids: list[int]) -> None:
    """End processes and their descendants: executors and their workers too."""
    everyone = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if "org.apache.spark.deploy" in " ".join(process.cmdline()):
                everyone += [*process.children(recursive=True), process]
    for process in everyone:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)
    _, left = psutil.wait_procs(everyone, timeout=10)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def main() -> None:
    """Start or stop the cluster."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("act", choices=("up", "down"))
    parser.add_argument("--cores", type=int, default=2, help="executors of one core")
    parser.add_argument("--folder", type=Path, default=FOLDER / "cluster")
    given = parser.parse_args()
    try:
        if given.act == "down":
            print("stopped" if down(given.folder) else "no cluster is running")
            return
        installed()
        print(up(given.folder.resolve(), given.cores))
    except BibimError as error:
        print(f"bibim: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
