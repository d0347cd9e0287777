"""Bad input: the run continues and reports every fault; too many faults stop it with a message."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
import zstandard

from tests.support.commandline import bibim


def lines(count: int, start: int = 0) -> bytes:
    rows = (
        {"text": f"{n}번째 글입니다. 내용이 조금 있습니다."} for n in range(start, start + count)
    )
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe over a folder with one file of every fault, and one that is sound."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "good.jsonl").write_bytes(lines(1000))
    (data / "cut.jsonl.gz").write_bytes(gzip.compress(lines(9000, 2000))[:-4000])
    frames = b"".join(zstandard.compress(lines(500, 20_000 + 500 * n)) for n in range(4))
    (data / "cut.jsonl.zst").write_bytes(frames[:-200])
    (data / "bad.jsonl").write_bytes(
        b'{"text": "broken\n' + b'{"text": "\xff\xfe"}\n' + b'{"title": "none"}\n'
    )
    (data / "long.jsonl").write_bytes(b'{"text": "' + b"x" * 3_000_000 + b'"}\n')
    (data / "empty.jsonl").write_bytes(b"")
    (data / "broken.jsonl.gz").write_bytes(b"not gzip at all")
    (data / "folder.jsonl").mkdir()
    path = tmp_path / "recipe.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "name": "bad",
                "sources": {"bad": {"component": "ko", "path": f"{data}/*.jsonl*"}},
                "ingest": {"max_document_bytes": "1MB", "max_reject_share": 0.9},
                "mixture": {"weights": {"ko": 1}},
            }
        ),
        "utf-8",
    )
    return path


def test_the_run_continues_and_reports_every_fault_with_its_position(recipe: Path, tmp_path: Path):
    out = tmp_path / "out"
    done = bibim("run", recipe, "--out", out, "--stages", "ingest,identify,measure")
    assert done.returncode == 0, done.stderr
    rejects = [
        row
        for path in (out / "rejects").glob("*.parquet")
        for row in pq.read_table(path).to_pylist()
    ]
    found = {(row["origin"].split(":")[0], row["reason"]) for row in rejects}
    assert found == {
        ("cut.jsonl.gz", "truncated_stream"),
        ("cut.jsonl.zst", "truncated_stream"),
        ("bad.jsonl", "malformed_json"),
        ("bad.jsonl", "no_text"),
        ("long.jsonl", "too_long"),
        ("empty.jsonl", "empty_file"),
        ("broken.jsonl.gz", "malformed_json"),
    }
    assert all(row["origin"].split(":")[1] for row in rejects)
    documents = [
        origin
        for path in (out / "documents").glob("*.parquet")
        for origin in pq.read_table(path, columns=["origin"]).column(0).to_pylist()
    ]
    assert sum(origin.startswith("good.jsonl:") for origin in documents) == 1000
    assert sum(origin.startswith("cut.jsonl.zst:") for origin in documents) >= 1500
    assert sum(origin.startswith("cut.jsonl.gz:") for origin in documents) > 3000
    assert "source bad: 2 damaged files, about " in " ".join(done.stderr.split())
    checked = bibim("audit", "check", out)
    assert checked.returncode == 0, checked.stdout
    assert "2 damaged files, about " in checked.stdout


def test_too_many_rejects_stop_the_run_and_say_which_source_and_why(recipe: Path, tmp_path: Path):
    done = bibim(
        "run", recipe, "--out", tmp_path / "out", "--set", "ingest.max_reject_share=0.0001"
    )
    assert done.returncode == 1
    message = done.stderr
    assert "source bad:" in message
    assert "max_reject_share" in message
    assert "truncated_stream 2" in message.replace("\n", " ")
    assert "2 damaged files, about " in message
    assert "Traceback" not in message
