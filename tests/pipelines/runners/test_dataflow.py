"""Dataflow: options, the jobs of a whole run against golden files, image and template."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, WorkerOptions

from pipelines.dedup.connect import connect
from pipelines.driver import Run
from pipelines.engine.annotate import run_annotate
from pipelines.engine.context import Context
from pipelines.engine.progress import LogReporter
from pipelines.inference.score import run_score
from pipelines.ingest.readers.plan import plan_splits
from pipelines.ingest.run import IngestTask, run_ingest
from pipelines.runners import runner as runners
from pipelines.runners.dataflow import flex
from pipelines.runners.dataflow.options import ONE_PROCESS, dataflow_options
from pipelines.runners.runner import Runner, distribute
from pipelines.storage.shards import ShardTask
from pipelines.storage.store import as_path
from schemas.config import Config
from schemas.errors import InputError, RunFault
from tests.support import ROOT
from tests.support.graphs import (
    GOLDEN,
    OPTIONS,
    Recorder,
    dry_run,
    golden,
    graph,
    grouped_keys,
)

DEMO = ROOT / "mixtures/demo"
OUT = as_path("gs://bucket/run")
ON_GPU = {"device": "cuda", "embedder": "some/model", "model": "head.npz"}
JOBS = (
    "ingest",
    "identify",
    "measure",
    "sign",
    "dedup-bucket",
    "dedup-shingle",
    "dedup-verify",
    "dedup-stars",
    "dedup-lines",
    "dedup-label",
    "redact",
    "screen",
    "score",
    "semantic-sample",
    "semantic-compare",
    "semantic-label",
    "tokenize-sample",
    "tokenize-train",
    "tokenize",
    "mix",
)


def config(data: Path, **sections: Any) -> Config:
    return Config.model_validate(
        {
            "name": "small",
            "sources": {
                "ko": {"component": "ko", "path": str(data / "ko.jsonl"), "limit": 60},
                "en": {"component": "en", "path": str(data / "en.jsonl"), "limit": 60},
            },
            "ingest": {"max_reject_share": 0.05},
            "rules": {"ko": {"words": ">=20"}, "en": {"words": ">=20"}},
            "dedup": {"lines": {"enabled": True}, "semantic": {"enabled": True}},
            "tokenizer": {"vocab_size": 2000, "morphemes": False, "sample": 100_000},
            "mixture": {"tokens": 20_000, "weights": {"ko": 0.5, "en": 0.5}, "shards": 2},
            **sections,
        }
    )


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Label → Pipeline message of every job of a run, each built for Dataflow, then run here."""
    out = tmp_path_factory.mktemp("run")
    recorder = Recorder(real=Runner())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connect, "__defaults__", (0,))  # clusters go the way of large runs
        Run(config(DEMO), out, recorder, LogReporter()).execute()
    yield recorder.jobs


@pytest.fixture(scope="module")
def score_job(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Return a function that builds the job of `score` with a GPU; keys of `quality` go in."""

    def build(**quality: Any) -> Any:
        settings = config(DEMO, quality={**ON_GPU, **quality})
        recorder = Recorder()
        run_score(recorder, Context(OUT, settings, "score"), tasks(2))
        return recorder.jobs["score"]

    return build


def tasks(count: int) -> list[ShardTask]:
    return [ShardTask(f"ko-{at:05d}.parquet", "0" * 64, 1000, "1" * 64) for at in range(count)]


def test_the_jobs_of_a_run_are_those_that_have_golden_files(jobs: dict[str, Any]):
    assert set(jobs) == set(JOBS)
    assert {path.stem for path in GOLDEN.glob("*.json")} == {*JOBS, "score-gpu", "ingest-listed"}


@pytest.mark.parametrize("label", JOBS)
def test_a_job_has_the_steps_environments_hints_and_coders_of_its_golden_file(
    jobs: dict[str, Any], label: str
):
    found = graph(jobs[label])
    assert found == golden(label, found)


def test_score_asks_for_a_gpu_in_the_step_that_infers_alone(score_job: Callable[..., Any]):
    found = graph(score_job())
    assert found == golden("score-gpu", found)
    assert found["hints"]
    assert all("infer" in step for step in found["hints"])
    for asked in found["hints"].values():
        assert asked["accelerator"].startswith("type:nvidia-tesla-t4;count:1")


@pytest.mark.parametrize("label", JOBS)
def test_keys_of_a_job_are_not_pickled(jobs: dict[str, Any], label: str):
    keys = grouped_keys(jobs[label])
    assert keys  # `distribute` groups in every job
    assert {step: key for step, key in keys.items() if "pickle" in key} == {}


def test_a_changed_hint_is_another_graph(score_job: Callable[..., Any]):
    asked = "type:nvidia-l4;count:1;install-nvidia-driver"
    found = graph(score_job(accelerator=asked))
    kept = json.loads((GOLDEN / "score-gpu.json").read_text("utf-8"))
    assert {part for part in kept if kept[part] != found[part]} == {"hints", "environments"}
    assert {hints["accelerator"] for hints in found["hints"].values()} == {asked}


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ("step", {"steps", "coders"}),
        ("coder", {"coders"}),
        ("hint", {"hints", "environments"}),
        (None, set()),
    ],
)
def test_a_changed_job_differs_from_its_golden_file(change: str | None, parts: set[str]):
    """`identify` with a step more, with keys of another type, with a hint."""

    def run(label: str, build: Callable[[beam.Pipeline], None]) -> Any:
        def changed(pipeline: beam.Pipeline) -> None:
            build(pipeline)
            labels = pipeline.applied_labels
            assert "identify: distribute" in labels
            if change == "step":
                pipeline | "one" >> beam.Create([1], reshuffle=False)

        return dry_run(label, changed)

    class Changed(Runner):
        def run(self, label: str, build: Callable[[beam.Pipeline], None]) -> None:
            found.update(graph(run(label, build)))

    found: dict[str, Any] = {}
    context = Context(OUT, config(DEMO), "identify")
    with pytest.MonkeyPatch.context() as patch:
        if change == "coder":  # as if somebody numbered tasks by names
            patch.setattr(
                runners,
                "enumerate",
                lambda e, start: [(str(i), x) for i, x in enumerate(e, start)],
                raising=False,
            )
        if change == "hint":
            real = beam.ParDo
            patch.setattr(beam, "ParDo", lambda fn: real(fn).with_resource_hints(min_ram="8GB"))
        run_annotate(Changed(), context, tasks(2))
    kept = json.loads((GOLDEN / "identify.json").read_text("utf-8"))
    assert {part for part in kept if kept[part] != found[part]} == parts


@pytest.mark.parametrize("stage", ["ingest", "measure", "score"])
def test_the_job_of_100_000_files_is_below_a_megabyte(stage: str, tmp_path: Path):
    context = Context(OUT, config(DEMO), stage)
    kept: list[Any] = []

    class Listing(Runner):
        def run(self, label: str, build: Callable[[beam.Pipeline], None]) -> None:
            kept.append(dry_run(label, build, lists=tmp_path))

    if stage == "ingest":
        (split,) = plan_splits("ko", context.config.sources["ko"], context.config.ingest)
        many = [IngestTask(f"ko-{at:06d}.parquet", "1" * 64, split) for at in range(100_000)]
        run_ingest(Listing(), context, many)
        found = graph(kept[0])
        assert found == golden("ingest-listed", found)
    elif stage == "measure":
        run_annotate(Listing(), context, tasks(100_000))
    else:
        run_score(Listing(), context, tasks(100_000))
    assert kept[0].ByteSize() < 1_000_000
    assert not [key for key in grouped_keys(kept[0]).values() if "pickle" in key]
    (written,) = tmp_path.glob("*.pickle")
    assert written.stat().st_size > 1_000_000  # that is where the names are


def test_tasks_of_a_list_arrive_as_those_of_a_job_do(tmp_path: Path):
    many = [f"{at:04d}" for at in range(runners.LISTED + 1)]
    seen = tmp_path / "seen"
    seen.mkdir()

    def build(pipeline: beam.Pipeline) -> None:
        distribute(pipeline, "few", many) | beam.Map(lambda name: (seen / name).touch())

    Runner(out=tmp_path).run("few", build)
    assert sorted(path.name for path in seen.iterdir()) == many
    (written,) = (tmp_path / runners.LISTS).iterdir()
    written.write_bytes(written.read_bytes()[:-1] + b"x")
    with pytest.raises(RunFault, match=r"\.pickle: changed since this run wrote it"):
        list(runners._read_list((str(written), "0" * 64)))


def test_every_missing_option_is_named_at_once():
    with pytest.raises(InputError) as error:
        dataflow_options([], 0, Path("out/run"))
    for part in ("--project=", "--region=", "--sdk_container_image=", "--out out/run", "gs://"):
        assert part in str(error.value)
    with pytest.raises(InputError, match="--temp_location=/tmp: name a gs:// folder"):
        dataflow_options([*OPTIONS, "--temp_location=/tmp"], 0, OUT)


def test_what_is_given_overrides_the_defaults():
    before = PipelineOptions(dataflow_options(OPTIONS, 7, OUT))
    assert before.get_all_options()["temp_location"] == "gs://bucket/run/.dataflow"
    assert before.view_as(WorkerOptions).max_num_workers == 7
    given = (
        "--worker_machine_type=c3-highmem-8",
        "--disk_size_gb=20",
        "--number_of_worker_harness_threads=2",
        "--max_num_workers=3",
        "--temp_location=gs://other/tmp",
        "--sdk_location=default",
    )
    after = PipelineOptions(dataflow_options([*OPTIONS, *given], 7, OUT)).get_all_options()
    for option in given:
        name, value = option[2:].split("=")
        assert str(after[{"worker_machine_type": "machine_type"}.get(name, name)]) == value


def test_a_dry_run_of_the_command_line_builds_the_first_job_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    context = Context(OUT, config(DEMO), "measure")
    runner = Runner("dataflow", 0, OPTIONS, out=OUT)
    with pytest.raises(RunFault, match=r"measure: --dry_run: its job of [\d,]+ bytes was built"):
        run_annotate(runner, context, tasks(3))


def test_a_machine_with_a_gpu_has_one_process(score_job: Callable[..., Any]):
    seen: list[Runner] = []

    class Seeing(Runner):
        def run(self, label: str, build: Callable[[beam.Pipeline], None]) -> None:
            seen.append(self)

    runner = Seeing("dataflow", 0, OPTIONS, out=OUT)
    for quality in ({"device": "cuda"}, {**ON_GPU, "device": "auto"}, ON_GPU):
        settings = config(DEMO, quality=quality)
        run_score(runner, Context(OUT, settings, "score"), tasks(1))
    assert [ONE_PROCESS in runner.options for runner in seen] == [False, False, True]


def test_the_driver_of_a_template_does_a_whole_run_and_returns(tmp_path: Path):
    """On this machine: FnApiRunner in Dataflow's place, the local engine in the driver's."""
    recipe = tmp_path / "small.yaml"
    recipe.write_text(config(DEMO).model_dump_json(), "utf-8")
    out = tmp_path / "out"
    local = ["--stages=ingest", "--workers=1", "--engine=local", "--runner=FnApiRunner"]
    flex.main([f"--config={recipe}", f"--out={out}", *local])
    assert (out / "documents/_manifest.json").exists()


def test_the_driver_tells_the_end_of_a_failed_run():
    with pytest.raises(RunFault, match=r"exit code 2\n(.*\n)*.*no such file"):
        list(flex.Drive().process(["run", "absent.yaml", "--out", "x"]))


def test_a_template_hands_its_own_project_region_and_image_on():
    given = ["--project=p-1", "--region=r-1", "--sdk_container_image=i:1"]
    called = flex.arguments(
        replaced(config="gs://b/c.yaml", out="gs://b/o", beam_options="--disk_size_gb=20"),
        PipelineOptions(given),
    )
    assert called[called.index("--") + 1 :] == [*given, "--disk_size_gb=20"]
    assert called[:4] == ["run", "gs://b/c.yaml", "--out", "gs://b/o"]


def replaced(**given: str) -> Any:
    defaults = {"stages": "", "workers": 0, "engine": "dataflow", "beam_options": ""}
    return type("Parameters", (), {**defaults, **given})()


def test_the_templates_parameters_are_the_drivers():
    spec = json.loads((ROOT / "deploy/flex-template.json").read_text("utf-8"))
    assert spec["sdkInfo"] == {"language": "PYTHON"}
    parameters = {one["name"]: one for one in spec["metadata"]["parameters"]}
    known = re.findall(r"--(\w+)", flex.parser().format_usage())
    assert set(known) - {"engine"} == set(parameters)
    out = re.compile("|".join(parameters["out"]["regexes"]))
    assert out.fullmatch("gs://bucket/run") and not out.fullmatch("/data/run")
    assert {name for name, one in parameters.items() if not one.get("isOptional")} == {
        "config",
        "out",
    }


def dockerfile() -> list[tuple[str, str]]:
    """Return (instruction, rest) of each instruction, lines joined, comments left out."""
    text = (ROOT / "deploy/Dockerfile").read_text("utf-8")
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def test_the_image_is_beams_of_the_version_that_is_installed_and_no_root_runs_it():
    """Read, not built: no container engine takes part in the tests."""
    found = dockerfile()
    assert {name for name, _ in found} <= {
        "ARG", "COPY", "ENTRYPOINT", "ENV", "FROM", "RUN", "USER", "WORKDIR",
    }  # fmt: skip
    arguments = dict(rest.split("=", 1) for name, rest in found if name == "ARG")
    assert arguments["BEAM"] == beam.__version__
    assert arguments["PYTHON"] == "3.11"
    base = [rest for name, rest in found if name == "FROM"][-1]
    assert base == "apache/beam_python${PYTHON}_sdk:${BEAM}"
    assert not [rest for _, rest in found if ":latest" in rest]
    assert [rest for name, rest in found if name == "USER"][-1] == "${RUN_AS}"
    assert arguments["RUN_AS"] not in ("root", "0")
    assert ("ENTRYPOINT", '["/opt/apache/beam/boot"]') in found
    commands = " ".join(rest for name, rest in found if name == "RUN")
    assert "--require-hashes" in commands and "pipelines.runners.precompile" in commands
    assert "filters/models/lid.176.ftz" in commands
