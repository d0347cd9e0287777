"""`bibim plan --scale`: costs from finished runs, and what they predict."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bibim.cli.app import app
from pipelines.dedup.connect import IN_PROCESS
from pipelines.driver import Run
from pipelines.engine.progress import LogReporter
from pipelines.forecast import Measured, Spent, costs, forecast, measured, target_bytes
from pipelines.runners.runner import Runner
from schemas.config import Config
from schemas.errors import InputError
from tests.support import ROOT

DEMO = ROOT / "mixtures/demo"
STAGES = ("ingest", "measure", "mix")


def finished(size: int, seconds: float, **changes: object) -> Measured:
    run = Measured(
        out=Path("out"),
        text_bytes=size,
        documents=size // 1000,
        kept=size // 2000,
        duplicates=size // 10_000,
        tokens=size // 4,
        bytes=size // 2,
        shards=1,
        workers=1,
        stages={name: Spent(seconds, 400_000_000) for name in STAGES},
    )
    return replace(run, **changes)  # type: ignore[arg-type]


@pytest.fixture
def config() -> Config:
    return Config.model_validate(
        {
            "name": "small",
            "sources": {"ko": {"component": "ko", "path": str(DEMO / "ko.jsonl"), "limit": 40}},
            "ingest": {"max_reject_share": 0.05},
            "tokenizer": {"vocab_size": 2000, "morphemes": False, "sample": 50_000},
            "mixture": {"tokens": 5_000, "weights": {"ko": 1}, "shards": 2},
        }
    )


def test_two_runs_separate_the_start_from_the_byte():
    found = costs([finished(10_000_000, 30.0), finished(2_000_000, 14.0)])
    assert found["measure"].slope == pytest.approx(2e-6)
    assert found["measure"].fixed == pytest.approx(10.0)
    assert found["measure"](40_000_000) == pytest.approx(90.0)


def test_one_run_counts_its_start_as_bytes():
    found = costs([finished(10_000_000, 30.0)])
    assert (found["mix"].fixed, found["mix"].slope) == (0, pytest.approx(3e-6))


def test_a_start_is_paid_by_each_process():
    two = [finished(2_000_000, 24.0, workers=2), finished(10_000_000, 40.0, workers=2)]
    assert costs(two)["measure"].fixed == pytest.approx(10.0)


def test_a_stage_that_grows_faster_than_its_bytes_has_no_negative_start():
    found = costs([finished(2_000_000, 1.0), finished(10_000_000, 30.0)])
    assert (found["mix"].fixed, found["mix"].slope) == (0, pytest.approx(3e-6))


def test_a_scale_is_of_tokens_or_of_bytes():
    runs = [finished(10_000_000, 30.0)]
    assert target_bytes("4TB", runs) == 4_000_000_000_000
    assert target_bytes("1T", runs) == 4_000_000_000_000
    assert target_bytes("2B", runs) == 8_000_000_000  # two billion tokens
    for wrong in ("", "much", "-1T", "0"):
        with pytest.raises(InputError, match="write 1T"):
            target_bytes(wrong, runs)


def test_more_workers_take_less_time_and_more_starts(config: Config):
    runs = [finished(2_000_000, 14.0), finished(10_000_000, 30.0)]
    one, ten = (forecast(config, runs, 10**12, workers) for workers in (1, 10))
    assert sum(ten.wall_seconds.values()) < sum(one.wall_seconds.values()) / 4
    assert ten.wall_seconds["measure"] == pytest.approx(one.wall_seconds["measure"] / 10, rel=0.01)
    extra = ten.cpu_seconds["measure"] - one.cpu_seconds["measure"]
    assert extra == pytest.approx(9 * 10.0)
    assert one.shards == 62_500
    # Tokens of two bytes in files of 5 GB at most: so many shards are at work, ten at once.
    assert one.mixture_shards == 100


def test_the_largest_bottleneck_is_named_with_its_limit(config: Config):
    runs = [finished(10_000_000, 30.0)]
    plan = forecast(config, runs, 10**13, 100)
    assert plan.bottlenecks[0].name.startswith("mix:")
    assert plan.bottlenecks[0].count == 5 * 10**9
    assert [piece.bytes for piece in plan.bottlenecks] == sorted(
        (piece.bytes for piece in plan.bottlenecks), reverse=True
    )
    (components,) = (piece for piece in plan.bottlenecks if "components" in piece.name)
    assert plan.bottlenecks[0].bytes > components.bytes
    assert components.count == IN_PROCESS and "star operations" in components.limit


def test_a_finished_run_shows_what_its_stages_took(config: Config, tmp_path: Path):
    out = tmp_path / "run"
    Run(config, out, Runner(), LogReporter()).execute()
    found = measured(out, config)
    assert 0 < found.kept <= found.documents == 40
    assert found.text_bytes > 1000 and found.tokens > 4_000
    assert all(
        spent.cpu_seconds > 0 and spent.peak_rss_bytes > 0 for spent in found.stages.values()
    )

    recipe = out / "config.yaml"
    command = ["plan", str(recipe), "--scale", "1T", "--measured", str(out), "--workers", "8"]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, shown.output
    for part in ("core-hours", "shuffled", "per worker process", "largest bottleneck: mix"):
        assert part in shown.output

    Run(config, out, Runner(), LogReporter()).execute()  # nothing to do: costs stay known
    assert measured(out, config).stages == found.stages

    less = config.model_copy(update={"rules": {"all": {"chars": ">=150"}}})
    Run(less, out, Runner(), LogReporter()).execute()  # nothing to encode: documents stay known
    manifest = json.loads((out / "mixture/manifest.json").read_text("utf-8"))
    assert 0 < measured(out, config).kept < found.kept, manifest

    record = json.loads((out / "run.json").read_text("utf-8"))
    for run in record["runs"]:
        for entry in run["steps"]:
            del entry["cpu_seconds"]
    (out / "run.json").write_text(json.dumps(record), "utf-8")
    with pytest.raises(InputError, match=r"run\.json: no costs of ingest, identify.*older runs"):
        measured(out, config)


def test_a_folder_without_a_run_is_named(config: Config, tmp_path: Path):
    with pytest.raises(InputError, match="no finished run"):
        measured(tmp_path, config)
