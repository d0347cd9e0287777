"""Benchmark files are read before anything runs: an empty one is an error, never silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.stages.catalog import check_inputs
from schemas.config import Config
from schemas.errors import InputError


def config(path: Path) -> Config:
    return Config.model_validate(
        {
            "name": "n",
            "sources": {"s": {"component": "ko", "path": "a.jsonl"}},
            "decontaminate": {"against": [str(path)]},
            "mixture": {"weights": {"ko": 1}},
        }
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it holds no items with a text"),
        (b'{"text": ""}\n', "it holds no item with a text"),
        (b'{"question": "x"}\n', "line 1: text not found; fields: question"),
        (b"PK\x03\x04\xff", "line 1 is not UTF-8"),
    ],
)
def test_a_file_without_items_stops_a_run_before_it_starts(
    tmp_path: Path, content: bytes, message: str
):
    path = tmp_path / "items.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"decontaminate\.against: .*items\.jsonl: {message}"):
        check_inputs(config(path), ["dedup"])


def test_a_file_with_an_item_passes(tmp_path: Path):
    path = tmp_path / "items.jsonl"
    path.write_text('{"text": "a question"}\n', "utf-8")
    check_inputs(config(path), ["dedup"])
