"""What a run refuses before it writes anything, and its notes on sources without documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from bibim.cli.app import app
from pipelines.driver import Run
from pipelines.engine.progress import LogReporter
from pipelines.runners.runner import Runner
from pipelines.stages.catalog import COMMANDS
from schemas.config import Config
from schemas.errors import InputError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "ko.jsonl"
    rows = [json.dumps({"text": f"바다와 하늘 {n}번 이야기"}, ensure_ascii=False) for n in range(5)]
    file.write_text("\n".join(rows) + "\n", "utf-8")
    return file


def config(file: Path, **changes: Any) -> Config:
    given = {
        "name": "small",
        "sources": {"a": {"component": "ko", "path": str(file)}},
        "mixture": {"tokens": 1000, "weights": {"ko": 1}},
        **changes,
    }
    return Config.model_validate(given)


def run(given: Config, out: Path, *stages: str) -> list[str]:
    """Run `stages`; return the notes."""
    notes: list[str] = []

    class Noted(LogReporter):
        def note(self, text: str) -> None:
            notes.append(text)

    Run(given, out, Runner("local", 1), Noted()).execute(stages)
    return notes


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


def test_the_folder_of_another_run_is_left_as_it_is(source: Path, tmp_path: Path):
    out = tmp_path / "out"
    run(config(source), out, "ingest")
    before = contents(out)
    other = config(source, name="other", sources={"b": {"component": "ko", "path": str(source)}})
    with pytest.raises(InputError, match=r"the run 'small' is here.*name another --out"):
        run(other, out, "ingest")
    with pytest.raises(InputError, match=r"sources\.a\.path"):
        run(config(tmp_path / "gone.jsonl"), out, "ingest")
    assert contents(out) == before
    run(config(source, name="renamed"), out, "ingest")  # the same sources: the same run


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decontaminate": {"against": ["zz.jsonl"]}}, r"decontaminate\.against\[0\]: zz\.jsonl"),
        ({"tokenizer": {"path": "zz.model"}}, r"tokenizer\.path: zz\.model"),
        ({"dedup": {"against": ["zz"]}}, r"dedup\.against\[0\]: zz/"),
        ({"toxicity": {"model": "zz.npz"}}, r"zz\.npz"),
        ({"quality": {"model": "zz.npz"}}, r"zz\.npz"),
        (
            {
                "mixture": {
                    "tokens": 9,
                    "weights": {"ko": 1},
                    "upsample": [{"when": "nope>=1", "factor": 2}],
                }
            },
            r"mixture\.upsample\[0\]\.when: no stage adds a column 'nope'",
        ),
    ],
)
def test_a_file_that_is_not_there_stops_plan_and_run_before_any_work(
    source: Path, tmp_path: Path, changes: dict[str, Any], message: str
):
    given = config(source, **changes)
    with pytest.raises(InputError, match=message):
        run(given, tmp_path / "out", *COMMANDS)
    assert not (tmp_path / "out").exists()
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(given.model_dump(mode="json", exclude_defaults=True)), "utf-8")
    done = CliRunner().invoke(app, ["plan", str(file)])
    assert done.exit_code == 2


def test_a_stage_without_those_before_it_names_them(source: Path, tmp_path: Path):
    for stage in ("measure", "mix"):
        with pytest.raises(InputError, match="reads what identify writes, which is not done here"):
            run(config(source), tmp_path / "out", "ingest", stage)


def test_a_source_of_which_no_document_came_is_named(source: Path, tmp_path: Path):
    picture = tmp_path / "tree" / "a.md"
    picture.parent.mkdir()
    picture.write_bytes(b"\0\0\0")
    pair = {
        "a": {"component": "ko", "path": str(source)},
        "b": {"component": "ko", "path": str(picture.parent), "format": "tree"},
    }
    notes = run(config(source, sources=pair), tmp_path / "two", "ingest")
    assert any(n.startswith("source b: no documents in") and "binary 1" in n for n in notes)
    with pytest.raises(InputError, match=r"source b: no document[^~]*No documents were ingested"):
        run(config(source, sources={"b": pair["b"]}), tmp_path / "one", "ingest")


@pytest.mark.parametrize("name", ["two.jsonl.bz2", "two.jsonl.xz", "two.csv", "scan.PDF"])
def test_a_file_is_read_as_what_it_holds(tmp_path: Path, name: str):
    file = tmp_path / name
    file.write_text('{"text": "하나"}\n{"text": "둘"}\n', "utf-8")
    run(config(file), tmp_path / "out", "ingest")


@pytest.mark.parametrize(
    ("data", "kind"), [(b"%PDF-1.7\n%\xe2\xe3\n", "a PDF document"), (b"a,b\n1,2\n", "a table")]
)
def test_a_file_that_no_reader_reads_is_refused_with_its_kind(
    tmp_path: Path, data: bytes, kind: str
):
    file = tmp_path / "two.csv"
    file.write_bytes(data)
    with pytest.raises(InputError, match=rf"sources\.a\.path: .*two\.csv: {kind}.*no reader"):
        run(config(file), tmp_path / "out", "ingest")


@pytest.mark.parametrize(
    "command", [["run", "CONFIG", "--out", "FILE"], ["plan", "CONFIG", "--out", "FILE"]]
)
def test_a_file_in_place_of_a_folder_gives_an_error_without_a_traceback(
    source: Path, tmp_path: Path, command: list[str]
):
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config(source).model_dump(mode="json")), "utf-8")
    named = {"CONFIG": str(file), "FILE": str(source)}
    done = CliRunner().invoke(app, [named.get(part, part) for part in command])
    assert done.exit_code == 2, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
