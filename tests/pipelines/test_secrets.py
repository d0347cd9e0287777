"""A run that pseudonymises: no file of it holds the key, and every audit works without it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from bibim.cli.app import app
from bibim.spark_submit import job_of
from pipelines.driver import Run
from pipelines.engine.progress import LogReporter
from pipelines.runners.runner import Runner
from pipelines.stages.catalog import COMMANDS
from schemas.config import Config
from schemas.errors import InputError
from schemas.load import load_config, parse_config
from schemas.manifest import read_manifest
from tests.pipelines.dedup.test_dedup import story

KEY = "a-secret-that-nobody-may-read"


def recipe(folder: Path, key: str) -> str:
    """Write a small source of documents with personal data; return a recipe."""
    held = "그는 user{0}@example.org 또는 010-1234-{0:04d} 번으로, 서버 8.8.{0}.4 에서 답했다."
    rows = [{"text": f"{story(n)}\n{held.format(n)}\n{story(n + 100)}"} for n in range(60)]
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "a.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return (
        "name: small\n"
        f"sources: {{a: {{component: ko, path: '{folder / 'a.jsonl'}'}}}}\n"
        f"pii: {{action: pseudonymise, key: '{key}'}}\n"
        "tokenizer: {vocab_size: 600, morphemes: false}\n"
        "mixture: {tokens: 5000, shards: 2, weights: {ko: 1}}\n"
    )


def run(text: str, out: Path) -> dict[str, int]:
    """Run all stages; return how many shards each stage ran."""
    job = Run(parse_config(text, "small.yaml"), out, Runner("local", 1), LogReporter())
    job.execute(COMMANDS)
    return {result.stage: result.ran for result in job.results}


def bibim(*arguments: object) -> str:
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert done.exit_code == 0, (arguments, done.output, done.exception)
    return done.output


@pytest.mark.parametrize("key", ["${PII_KEY}", KEY])
def test_no_file_of_a_run_holds_the_key_and_every_reader_does_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
):
    monkeypatch.setenv("PII_KEY", KEY)
    out = tmp_path / "out"
    run(recipe(tmp_path, key), out)
    monkeypatch.delenv("PII_KEY")
    shard = pq.read_table(out / "documents/a-00000.parquet", columns=["id"])
    bibim("card", out)
    shown = [
        bibim("audit", out),
        bibim("audit", out, "--check"),
        bibim("audit", out, "--against", out),
        bibim("audit", out, "--html", out / "report.html"),
        bibim("explain", out, shard.column("id")[0].as_py().hex()),
        bibim("what-if", out, "--rule", "ko.words>=5"),
    ]
    holding = [
        path.name for path in out.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()
    ]
    assert holding == []
    assert KEY not in "".join(shown)
    assert (out / "run.json").exists()
    with pytest.raises(InputError, match=r"config\.yaml: line \d+: pii\.key: .*PII_KEY"):
        load_config(out / "config.yaml")


def test_another_key_makes_other_tokens_and_the_same_key_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "out"
    keys = []
    for value in (KEY, KEY, "another"):
        monkeypatch.setenv("PII_KEY", value)
        ran = run(recipe(tmp_path, "${PII_KEY}"), out)
        manifest = read_manifest(out / "annotations/tokenize")
        assert manifest is not None
        keys.append((manifest.key, ran["redact"], ran["tokenize"]))
    first, second, third = keys
    assert first[0] == second[0] != third[0]
    assert second[1:] == (0, 0)
    assert third[1:] == (0, 1)
    assert run(recipe(tmp_path, "another"), out)["tokenize"] == 0, "however the key is given"
    config = Config.model_validate(parse_config(recipe(tmp_path, KEY), "c").model_dump(mode="json"))
    with pytest.raises(InputError, match="only the key's fingerprint is known"):
        Run(config, tmp_path / "none", Runner("local", 1), LogReporter()).execute(COMMANDS)


def test_a_job_for_another_machine_holds_a_reference_or_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PII_KEY", KEY)
    config = parse_config(recipe(tmp_path, "${PII_KEY}"), "c.yaml")
    job = job_of(config, tmp_path, COMMANDS, 1, ())
    assert KEY not in str(job)
    assert Config.model_validate(job.config) == config
    with pytest.raises(InputError, match=r"pii\.key: a jar must not contain secrets"):
        job_of(parse_config(recipe(tmp_path, KEY), "c.yaml"), tmp_path, COMMANDS, 1, ())
