"""A worker process on a Spark executor, started by Beam's Java side (environment PROCESS).

Does what Beam's Go `boot` does in a container, for an environment that is installed already:
requests the pipeline's options and endpoints from the runner, then serves it. It stages nothing.
The worker itself is a fork of pipelines.runners.local.fork_server; Java started this process, and
ends the worker by ending it.

    bibim-harness --id=ID --provision_endpoint=HOST:PORT [endpoints]
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import re
import sys
import threading
import time
from pathlib import Path

from pipelines.runners.local.fork_server import spawn
from pipelines.runners.machine import limit_threads

PARENT_SECONDS = 1.0
START_FOLDER = "BIBIM_START_FOLDER"
"""Environment variable: the folder in which `bibim` was started, where this machine has it."""


def settings(worker: str, provision: str, control: str, log: str) -> dict[str, str]:
    """Return the environment that Beam's worker reads, from the runner at `provision`."""
    import grpc
    from apache_beam.portability.api import (
        beam_provision_api_pb2,
        beam_provision_api_pb2_grpc,
        endpoints_pb2,
    )
    from apache_beam.runners.worker.worker_id_interceptor import WorkerIdInterceptor
    from google.protobuf import json_format, text_format

    with grpc.insecure_channel(provision) as channel:
        named = grpc.intercept_channel(channel, WorkerIdInterceptor(worker))
        stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(named)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()
        info = stub.GetProvisionInfo(request, timeout=60).info

    def endpoint(sent: endpoints_pb2.ApiServiceDescriptor, given: str) -> str:
        service = sent if sent.url else endpoints_pb2.ApiServiceDescriptor(url=given)
        return str(text_format.MessageToString(service))

    return {
        "WORKER_ID": worker,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "CONTROL_API_SERVICE_DESCRIPTOR": endpoint(info.control_endpoint, control),
        "LOGGING_API_SERVICE_DESCRIPTOR": endpoint(info.logging_endpoint, log),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
    }


def end_with_parent() -> None:
    """End this process when the executor that started it has ended, for whatever reason."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os._exit(1)  # files that were being written keep their temporary names

    threading.Thread(target=watch, daemon=True).start()


def executor_group(executor: int) -> str:
    """Return a name that executors of one application share where one process started them.

    That process is a worker daemon of Spark's own cluster. A container has one executor, and its
    own memory limit. Empty where the executor's command line does not name an application.
    """
    words = Path(f"/proc/{executor}/cmdline").read_bytes().split(b"\0")
    status = Path(f"/proc/{executor}/stat").read_text("utf-8", "replace")
    parent = status.rpartition(")")[2].split()[1]
    if b"--app-id" not in words or parent == "1":
        return ""
    application = words[words.index(b"--app-id") + 1].decode()
    python = hashlib.sha256(sys.executable.encode()).hexdigest()[:8]
    return f"{parent}-{re.sub(r'[^A-Za-z0-9_-]', '_', application)}-{python}"


def main() -> None:
    """Serve one executor until it ends."""
    end_with_parent()
    folder = os.environ.get(START_FOLDER)
    if folder and os.path.isdir(folder):
        os.chdir(folder)
    limit_threads()
    executor = os.getppid()
    spawn(executor, "pipelines.runners.spark.harness", sys.argv, executor_group(executor))


def preload() -> None:
    """Load what every worker of an executor needs."""
    from pipelines.runners.local.worker import preload as load

    load()


def serve(arguments: list[str]) -> None:
    """Be Beam's worker for the runner that `arguments` names."""
    parser = argparse.ArgumentParser(description="A worker of a Spark executor.")
    parser.add_argument("--id", required=True)
    parser.add_argument("--provision_endpoint", required=True)
    parser.add_argument("--control_endpoint", default="")
    parser.add_argument("--logging_endpoint", default="")
    given, _ = parser.parse_known_args(arguments[1:])
    os.environ.update(
        settings(given.id, given.provision_endpoint, given.control_endpoint, given.logging_endpoint)
    )
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    from apache_beam.runners.worker.sdk_worker_main import main as work

    work(arguments)


if __name__ == "__main__":
    main()
