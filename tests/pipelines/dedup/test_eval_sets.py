"""Benchmarks as they are published become items that decontamination finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from typer.testing import CliRunner

from bibim.cli.app import app
from filters.dedup.contamination import build_index, contamination
from filters.dedup.items import read_items
from pipelines.dedup.eval_sets import BENCHMARKS, BY_NAME, items, read_benchmark
from schemas.errors import InputError

QUESTION = "다음 중 조선 시대에 훈민정음을 만들어 반포한 임금의 이름으로 알맞은 것은?"
REPORTED = """kmmlu haerae kobigbench mmlu bbh agieval hellaswag winogrande piqa arc csqa nq triviaqa
    click factscore-ko gsm8k math humaneval k-humaneval mbpp mt-bench ko-mt-bench truthfulqa bold
    xnli realtoxicityprompts kold bbq kobbq"""


def row(fields: tuple[str, ...]) -> dict[str, Any]:
    """Return a row that has `fields`, nested where a field's name is."""
    out: dict[str, Any] = {"id": 7}
    for field in fields:
        *outer, last = field.split(".")
        inside = out
        for key in outer:
            inside = inside.setdefault(key, {})
        inside[last] = [f"{field} one", f"{field} two"] if "choices" in field else f"{field} text"
    return out


@pytest.mark.parametrize("name", REPORTED.split())
def test_each_benchmark_of_the_report_has_a_loader(name: str):
    benchmark = BY_NAME[name]
    assert benchmark.places or benchmark.note
    (item,) = items(benchmark, [row(benchmark.fields)])
    assert item["id"] == f"{name}-7"
    for field in benchmark.fields:
        assert field in item["text"]


def test_names_are_unique():
    assert len(BY_NAME) == len(BENCHMARKS)


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.zst", "json", "csv", "parquet"])
def test_a_file_as_published_is_read_and_its_items_are_found(tmp_path: Path, kind: str):
    rows = [{"question": QUESTION, "A": "세종", "B": "태조", "C": "성종", "D": "정조", "answer": 1}]
    path = tmp_path / f"test.{kind}"
    lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows)
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif kind == "csv":
        path.write_text(",".join(rows[0]) + "\n" + ",".join(map(str, rows[0].values())), "utf-8")
    elif kind == "json":
        path.write_text(json.dumps(rows), "utf-8")
    elif kind == "jsonl.zst":
        path.write_bytes(zstandard.compress(lines.encode()))
    else:
        path.write_text(lines, "utf-8")
    out = tmp_path / "items.jsonl"
    done = CliRunner().invoke(app, ["benchmarks", "fetch", f"kmmlu={path}", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "1 items" in done.output
    index = build_index(read_items(str(out)), 13)
    text = pa.array([f"시험 문제 모음.\n{QUESTION} 세종 태조 성종 정조"], pa.large_string())
    assert contamination(text, index)[2] == ["kmmlu-0"]


def test_what_is_wrong_is_named_with_the_remedy(tmp_path: Path):
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text('{"text": "x"}\n', "utf-8")
    with pytest.raises(InputError, match="gsm8k: question not found; fields: text"):
        read_benchmark(f"gsm8k={wrong}")
    with pytest.raises(InputError, match="benchmarks list"):
        read_benchmark("gsm9k")
    with pytest.raises(InputError, match="kold=FILE"):
        read_benchmark("kold")
    with pytest.raises(InputError, match="no such file"):
        read_benchmark(f"gsm8k={tmp_path / 'none.jsonl'}")
    wrong.write_text("{", "utf-8")
    with pytest.raises(InputError, match="line 1: not JSON"):
        read_benchmark(f"gsm8k={wrong}")


def test_the_list_names_every_benchmark():
    done = CliRunner().invoke(app, ["benchmarks", "list"])
    assert done.exit_code == 0, done.output
    assert all(benchmark.name in done.output for benchmark in BENCHMARKS)
