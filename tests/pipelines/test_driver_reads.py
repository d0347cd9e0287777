"""A stage starts only on what its config asks for: what it reads is checked by its key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from bibim.cli.app import app
from pipelines.driver import Run
from pipelines.engine.keys import stage_key
from pipelines.engine.progress import LogReporter
from pipelines.engine.resume import documents_digest
from pipelines.runners.runner import Runner
from pipelines.stages.catalog import active_stages
from pipelines.storage.files import write_manifest
from schemas.config import Config
from schemas.manifest import Manifest, read_manifest

LATE = ("tokenize", "mix")


def config(folder: Path, changes: dict[str, Any] | None = None) -> Config:
    """Return a config of one file, which is written where it is not there.

    `changes`: dotted key → value.
    """
    file = folder / "ko.jsonl"
    if not file.exists():
        rows = [json.dumps({"text": f"바다와 하늘 {n}번"}, ensure_ascii=False) for n in range(5)]
        file.write_text("\n".join(rows) + "\n", "utf-8")
    given: dict[str, Any] = {
        "name": "small",
        "sources": {"a": {"component": "ko", "path": str(file)}},
        "mixture": {"tokens": 1000, "weights": {"ko": 1}},
    }
    for key, value in (changes or {}).items():
        *sections, last = key.split(".")
        section = given
        for name in sections:
            section = section.setdefault(name, {})
        section[last] = value
    return Config.model_validate(given)


@pytest.fixture
def done(tmp_path: Path) -> Path:
    """Return the folder of a run whose every stage is done, by its manifests."""
    out, given = tmp_path / "out", config(tmp_path)
    execute(given, out, "ingest")
    documents = read_manifest(out / "documents")
    assert documents is not None
    for stage in active_stages(given)[1:]:
        key = stage_key(stage, given, documents_digest(documents))
        write_manifest(out / stage.folder, Manifest(stage=stage.name, key=key, shards=[]))
    return out


def execute(given: Config, out: Path, *stages: str) -> list[str]:
    """Run `stages`; return those that had work to do."""
    job = Run(given, out, Runner("local", 1), LogReporter())
    job.execute(stages)
    return [result.stage for result in job.results if result.ran]


def command(given: Config, out: Path, *stages: str) -> tuple[int, str]:
    """Run `stages` from the command line; return exit code and output."""
    file = out.parent / "given.yaml"
    file.write_text(yaml.safe_dump(given.model_dump(mode="json")), "utf-8")
    arguments = ["run", str(file), "--out", str(out), "--stages", ",".join(stages)]
    ended = CliRunner().invoke(app, arguments)
    return ended.exit_code, " ".join(ended.output.split())


@pytest.mark.parametrize(
    ("stages", "changes", "named"),
    [
        (LATE, {"pii.disable": ["EMAIL_ADDRESS"]}, "redact"),
        (LATE, {"dedup.threshold": 0.9}, "dedup"),
        (("mix",), {"mixture.strategy": "temperature"}, "tokenize"),
        (LATE, {"sources.a.limit": 3}, "ingest"),
        (LATE, {"sources.a.license": "cc0-1.0"}, "ingest"),
        (LATE, {"ingest.shard_bytes": 1_000_000}, "ingest"),
    ],
)
def test_a_stage_is_refused_where_what_it_reads_was_made_for_another_config(
    done: Path, stages: tuple[str, ...], changes: dict[str, Any], named: str
):
    before = (done / "config.yaml").read_bytes()
    code, output = command(config(done.parent, changes), done, *stages)
    assert code == 2, output
    assert f"add {named} to --stages" in output
    assert named != "ingest" or next(iter(changes)) in output
    assert (done / "config.yaml").read_bytes() == before, "a refused run changes nothing"


@pytest.mark.parametrize(
    "changes", [{}, {"ingest.max_reject_share": 0.5}, {"guards.source_loss": 0.9}]
)
def test_a_stage_starts_where_nothing_that_it_reads_has_changed(
    done: Path, changes: dict[str, Any]
):
    assert execute(config(done.parent, changes), done, *LATE) == []


def test_documents_whose_settings_are_not_known_are_refused(done: Path):
    (done / "config.yaml").write_text("name: small\nsources: {a: {nonsense: 1}}\n", "utf-8")
    code, output = command(config(done.parent), done, *LATE)
    assert code == 2
    assert "add ingest to --stages" in output
