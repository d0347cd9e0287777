"""What Spark needs, part by part, without Java: options, the jar, the workers' launcher."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from concurrent import futures
from pathlib import Path

import grpc
import numpy as np
import psutil
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.portability.api import (
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    endpoints_pb2,
)
from google.protobuf import json_format

from bibim import spark_driver
from bibim.cli.options import load
from bibim.spark_submit import ENTRY, job_of, write_job
from pipelines.engine.exchange import save_array
from pipelines.runners.spark import install
from pipelines.runners.spark.harness import START_FOLDER, executor_group, settings
from pipelines.runners.spark.options import spark_options
from pipelines.runners.spark.server import ServerSettings, command
from schemas.config import Config
from schemas.errors import InputError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like what `make spark` leaves."""
    jars = tmp_path / "python" / "pyspark" / "jars"
    jars.mkdir(parents=True)
    (jars / "spark-core_2.12-3.5.9.jar").touch()
    (tmp_path / install.JAR).touch()
    monkeypatch.setenv("BIBIM_SPARK", str(tmp_path))
    monkeypatch.delenv("SPARK_HOME", raising=False)
    return tmp_path


def portable(options: list[str]) -> PortableOptions:
    return PipelineOptions(options).view_as(PortableOptions)


def test_without_a_master_spark_runs_here_with_a_worker_for_each_core(folder: Path) -> None:
    options, server = spark_options((), 3, None)
    assert server.master == "local[3]"
    assert portable(options).sdk_worker_parallelism == "3"


def test_on_a_cluster_executors_have_one_core_and_one_worker(folder: Path) -> None:
    options, server = spark_options(("--spark_master_url=spark://here:7077",), 8, None)
    assert server.master == "spark://here:7077"
    assert portable(options).sdk_worker_parallelism == "1"
    assert "-Dspark.executor.cores=1" in server.properties
    assert "-Dspark.cores.max=8" in server.properties


@pytest.mark.parametrize("master", ["", "here:7077", "http://here:7077"])
def test_a_value_that_is_not_a_master_is_refused_at_once(folder: Path, master: str) -> None:
    with pytest.raises(InputError, match=f"spark_master_url={master}: is not a master of Spark"):
        spark_options((f"--spark_master_url={master}",), 2, None)


def test_options_after_the_dashes_override_what_bibim_sets(folder: Path) -> None:
    given = (
        "--spark_master_url=yarn",
        "--sdk_worker_parallelism=4",
        "--environment_cache_millis=5",
        "--max_cache_memory_usage_mb=1",
        "--job_server_jvm_properties=-Dspark.default.parallelism=900",
        "--job_server_jvm_properties=-Xmx4g",
    )
    options, server = spark_options(given, 0, None)
    found = portable(options)
    assert found.sdk_worker_parallelism == "4"
    assert int(found.environment_cache_millis) == 5
    assert [o for o in options if "max_cache" in o][-1] == "--max_cache_memory_usage_mb=1"
    assert "-Dspark.executor.cores=4" in server.properties
    assert "-Xmx4g" in server.properties
    parallel = [p for p in server.properties if "default.parallelism" in p]
    assert parallel == ["-Dspark.default.parallelism=900"]


def test_workers_get_the_folder_that_paths_count_from(folder: Path) -> None:
    options, _ = spark_options((), 1, None)
    worker = json.loads(portable(options).environment_config)
    assert worker["env"][START_FOLDER] == os.getcwd()
    assert os.access(worker["command"], os.X_OK)


def test_only_the_job_server_is_sent_to_executors_and_spark_stays_out(folder: Path) -> None:
    options, server = spark_options((), 1, None)
    assert f"--files_to_stage={folder / install.JAR}" in options
    started = command(server, 1234)
    classes = started[started.index("-cp") + 1].split(os.pathsep)
    assert classes == [
        str(folder / install.JAR),
        str(folder / "python" / "pyspark" / "jars" / "*"),
    ]


def test_a_job_server_of_the_users_own_is_taken_whole(tmp_path: Path) -> None:
    jar = tmp_path / "own.jar"
    jar.touch()
    started = command(ServerSettings(master="local[1]", jar=str(jar)), 1234)
    assert started[started.index("-cp") + 1] == str(jar)


def test_a_missing_job_server_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIBIM_SPARK", str(tmp_path))
    with pytest.raises(InputError, match="make spark"):
        spark_options((), 1, None)


def make_jar(path: Path, entries: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as jar:
        for name, text in entries.items():
            jar.writestr(name, text)
    return path


def test_merging_joins_services_and_drops_what_no_longer_fits(tmp_path: Path) -> None:
    service = "META-INF/services/org.apache.beam.sdk.io.FileSystemRegistrar"
    one = make_jar(
        tmp_path / "a.jar",
        {
            "META-INF/MANIFEST.MF": "x",
            "META-INF/A.SF": "x",
            "a/A.class": "1",
            "both": "of a",
            service: "x.Local",
        },
    )
    other = make_jar(
        tmp_path / "b.jar",
        {
            "module-info.class": "x",
            "both": "of b",
            service: "x.Hadoop\norg.apache.beam.sdk.extensions.gcp.storage.GcsFileSystemRegistrar",
        },
    )
    install.merge([one, other], tmp_path / "out.jar")
    with zipfile.ZipFile(tmp_path / "out.jar") as jar:
        assert sorted(jar.namelist()) == sorted(
            ["META-INF/MANIFEST.MF", "a/A.class", "both", service]
        )
        assert jar.read("both") == b"of a"
        assert jar.read(service).decode().split() == ["x.Local", "x.Hadoop"]


def test_a_jar_that_differs_from_its_sum_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_jar(tmp_path / "a.jar", {"a": "1"})
    sums = tmp_path / "sums"
    sums.write_text(f"{'0' * 64}  a.jar\n")
    monkeypatch.setattr(install, "SUMS", sums)
    with pytest.raises(InputError, match=r"a\.jar: its SHA-256"):
        install.check(tmp_path)
    sums.write_text(f"{'0' * 64}  b.jar\n")
    with pytest.raises(InputError, match=r"b\.jar: missing"):
        install.check(tmp_path)


class Provision(beam_provision_api_pb2_grpc.ProvisionServiceServicer):
    def GetProvisionInfo(self, request: object, context: grpc.ServicerContext) -> object:  # noqa: N802
        self.worker = dict(context.invocation_metadata()).get("worker_id")
        info = beam_provision_api_pb2.ProvisionInfo(
            control_endpoint=endpoints_pb2.ApiServiceDescriptor(url="localhost:1"),
            runner_capabilities=["beam:protocol:one:v1", "beam:protocol:two:v1"],
        )
        json_format.ParseDict({"beam:option:job_name:v1": "비빔"}, info.pipeline_options)
        return beam_provision_api_pb2.GetProvisionInfoResponse(info=info)


def test_the_launcher_asks_the_runner_for_options_and_endpoints() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    provision = Provision()
    beam_provision_api_pb2_grpc.add_ProvisionServiceServicer_to_server(provision, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        found = settings("7-1", f"127.0.0.1:{port}", "", "localhost:2")
    finally:
        server.stop(None)
    assert provision.worker == "7-1"
    assert json.loads(found["PIPELINE_OPTIONS"]) == {"beam:option:job_name:v1": "비빔"}
    assert "localhost:1" in found["CONTROL_API_SERVICE_DESCRIPTOR"]
    assert "localhost:2" in found["LOGGING_API_SERVICE_DESCRIPTOR"]
    assert found["RUNNER_CAPABILITIES"] == "beam:protocol:one:v1 beam:protocol:two:v1"


def test_a_worker_ends_when_its_executor_is_killed() -> None:
    child = (
        "import time; from pipelines.runners.spark.harness import end_with_parent; end_with_parent(); "
        "print('on', flush=True); time.sleep(600)"
    )
    parent = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    executor = subprocess.Popen(
        [sys.executable, "-c", parent, child], stdout=subprocess.PIPE, text=True
    )
    assert executor.stdout is not None
    worker = psutil.Process(int(executor.stdout.readline()))
    executor.send_signal(signal.SIGKILL)
    executor.wait()
    gone, _ = psutil.wait_procs([worker], timeout=60)
    assert gone


def test_executors_of_one_application_under_one_daemon_are_a_group() -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    one, two, other, none = (
        subprocess.Popen([*sleep, *words])
        for words in (
            ["--app-id", "app-1/x", "--executor-id", "0"],
            ["--executor-id", "1", "--app-id", "app-1/x"],
            ["--app-id", "app-2"],
            [],
        )
    )
    # In a container each executor has another parent process.
    launch = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    apart = subprocess.Popen([sys.executable, "-c", launch, *sleep, "--app-id", "app-1/x"])
    try:
        while not (children := psutil.Process(apart.pid).children()):
            time.sleep(0.02)
        while executor_group(children[0].pid) == "":  # the child has not yet become the command
            time.sleep(0.02)
        assert executor_group(one.pid) == executor_group(two.pid) != ""
        assert "/" not in executor_group(one.pid)
        groups = {executor_group(pid) for pid in (one.pid, other.pid, children[0].pid)}
        assert len(groups) == 3
        assert executor_group(none.pid) == ""
    finally:
        for process in (*children, one, two, other, none, apart):
            process.kill()


def test_a_submitted_jar_holds_the_job_server_and_the_job(folder: Path, tmp_path: Path) -> None:
    make_jar(folder / install.JAR, {"a/A.class": "1"})
    config = load(Path("mixtures/demo.yaml"), ["mixture.seed=3"])
    job = job_of(config, Path("/shared/out"), ("ingest",), 4, ["--spark_master_url=yarn"])
    write_job(job, tmp_path / "job.jar")
    with zipfile.ZipFile(tmp_path / "job.jar") as jar:
        assert jar.namelist() == ["a/A.class", ENTRY]
        written = json.loads(jar.read(ENTRY))
    assert Config.model_validate(written["config"]) == config
    assert (written["out"], written["stages"], written["workers"]) == ("/shared/out", ["ingest"], 4)
    assert written["folder"] == os.getcwd()


def test_spark_submit_decides_the_cores_of_an_executor(folder: Path) -> None:
    given = {"spark.master": "yarn", "spark.executor.cores": "3"}
    own = [f"--spark_job_server_jar={folder / install.JAR}"]
    options, properties = spark_driver.settings(given.get, 0, own)
    found = portable([o for o in options if o.startswith("--sdk")])
    assert found.sdk_worker_parallelism == "3"
    assert "spark.executor.cores" not in properties
    assert properties["spark.default.parallelism"]
    options, properties = spark_driver.settings({"spark.master": "yarn"}.get, 0, own)
    assert properties["spark.executor.cores"] == "1"


def test_an_array_half_written_by_a_killed_worker_is_not_an_array(tmp_path: Path) -> None:
    writer = (
        "import sys, time, pathlib, numpy as np\n"
        "from pipelines.engine import exchange\n"
        "def save(file, array):\n"
        "    file.write(b'half'); file.flush(); print('on', flush=True); time.sleep(600)\n"
        "exchange.np.save = save\n"
        "exchange.save_array(pathlib.Path(sys.argv[1]) / 'part-00001.npy', np.arange(3))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", writer, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "on\n"
    save_array(tmp_path / "part-00001.npy", np.arange(5))  # the second try, meanwhile
    process.kill()
    process.wait()
    assert [path.name for path in tmp_path.glob("part-*.npy")] == ["part-00001.npy"]
    assert np.load(tmp_path / "part-00001.npy").tolist() == [0, 1, 2, 3, 4]
