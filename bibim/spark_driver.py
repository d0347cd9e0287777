"""The driver of a job that spark-submit runs: started by Spark, beside the driver's JVM.

Beam's job server is started inside that JVM, so the job has the master, the resources and the
credentials that spark-submit was given. The jar contains the job to run.

    spark-submit [SPARK OPTIONS] job.jar …/bibim/spark_driver.py ""
"""

from __future__ import annotations

import json
import os
import sys
import urllib.parse
from pathlib import Path
from typing import Any

ENTRY = "bibim-job.json"
"""The job inside the jar."""
SERVER = ("--job-host=localhost", "--job-port=0", "--artifact-port=0", "--expansion-port=0")


def gateway() -> Any:
    """Return the JVM that started this process. Raises RunFault where Spark did not start it."""
    from schemas.errors import RunFault

    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        raise RunFault("spark-submit starts this file; see docs/spark.md")
    from py4j.java_gateway import GatewayParameters, JavaGateway  # Spark puts it on the path

    return JavaGateway(
        gateway_parameters=GatewayParameters(
            port=int(os.environ["PYSPARK_GATEWAY_PORT"]),
            auth_token=os.environ["PYSPARK_GATEWAY_SECRET"],
            auto_convert=True,
        )
    )


def settings(get: Any, workers: int, options: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the options of Beam, and the properties that spark-submit has left unset.

    `get` returns a property of Spark, or None.
    """
    from pipelines.runners.spark.options import spark_options

    cores = get("spark.executor.cores")
    given = [f"--spark_master_url={get('spark.master')}"]
    if cores:
        given.append(f"--sdk_worker_parallelism={cores}")
    given += options
    _, server = spark_options(given, workers, None)
    properties = {}
    for text in server.properties:
        name, _, value = text.removeprefix("-D").partition("=")
        if text.startswith("-D") and get(name) is None:
            properties[name] = value
    return given, properties


def run(java: Any) -> None:
    """Read the job from the jar, start the job server, run the stages."""
    from bibim.cli.options import console, quiet_libraries
    from bibim.finish import guard, print_summary
    from pipelines.driver import Run
    from pipelines.engine.progress import reporter
    from pipelines.runners.runner import Runner
    from pipelines.storage.store import as_path
    from schemas.config import Config

    quiet_libraries()
    jvm = java.jvm
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    entry = loader.getResource(ENTRY)
    job = json.loads(bytes(entry.openStream().readAllBytes()))
    jar = urllib.parse.unquote(entry.getPath().removeprefix("file:").partition("!")[0])
    if os.path.isdir(job["folder"]):
        os.chdir(job["folder"])
    system = jvm.java.lang.System
    own = [f"--spark_job_server_jar={jar}", *job["options"]]
    options, properties = settings(system.getProperty, job["workers"], own)
    for name, value in properties.items():
        system.setProperty(name, value)
    beam = jvm.org.apache.beam
    beam.sdk.io.FileSystems.setDefaultPipelineOptions(
        beam.sdk.options.PipelineOptionsFactory.create()
    )
    master = f"--spark-master-url={system.getProperty('spark.master')}"
    arguments = java.new_array(jvm.java.lang.String, len(SERVER) + 1)
    for number, text in enumerate((*SERVER, master)):
        arguments[number] = text
    server = beam.runners.spark.SparkJobServerDriver.fromParams(arguments)
    endpoint = server.start()
    try:
        runner = Runner("spark", job["workers"], (*options, f"--job_endpoint={endpoint}"))
        config, out = Config.model_validate(job["config"]), as_path(job["out"])
        done = Run(config, out, runner, reporter())
        done.execute(job["stages"])
        print_summary(console(), out, done)
        guard(console(), out, config)
    finally:
        server.stop()


def main() -> None:
    """Run the job; the exit code is that of `bibim run`."""
    sys.path[:] = [path for path in sys.path if Path(path) != Path(__file__).parent]
    from schemas.errors import BibimError

    try:
        run(gateway())
    except BibimError as error:
        print(f"bibim: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
