"""Everyone who reads JSON Lines reads all frames of a zstd file, and says where one is cut off."""

from __future__ import annotations

import json
from collections.abc import Callable, Sized
from pathlib import Path
from typing import Any

import pytest
import zstandard

from filters.dedup.items import read_items
from filters.fit.labelled import read_texts
from pipelines.dedup.eval_sets import local_rows
from pipelines.tokenize.standalone import drawn, file_texts
from schemas.errors import InputError
from trainer.evaluate import read_questions
from trainer.finetune.samples import read_samples

READERS: dict[str, Callable[[Path], Sized]] = {
    "read_samples": lambda path: read_samples(path, "classification"),
    "read_questions": lambda path: list(read_questions(path)),
    "read_texts": lambda path: list(read_texts(path)),
    "read_items": lambda path: read_items(str(path)),
    "local_rows": lambda path: list(local_rows(path)),
    "file_texts": lambda path: list(file_texts(str(path))),
}


def frames(rows: list[dict[str, Any]]) -> bytes:
    """Return the rows as JSON Lines in a zstd frame for every ten."""
    return b"".join(
        zstandard.compress("".join(json.dumps(r) + "\n" for r in rows[at : at + 10]).encode())
        for at in range(0, len(rows), 10)
    )


@pytest.mark.parametrize("reader", READERS)
def test_rows_of_every_frame_are_read(tmp_path: Path, reader: str):
    path = tmp_path / "rows.jsonl.zst"
    data = frames([{"text": f"row {n}", "label": n % 2} for n in range(30)])
    path.write_bytes(data)
    assert len(READERS[reader](path)) == 30
    path.write_bytes(data[:-5])
    with pytest.raises(InputError, match=r"rows\.jsonl\.zst: cannot be unpacked.*, in line"):
        READERS[reader](path)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("content", [b"", b"\n \n", zstandard.compress(b"")])
def test_a_file_without_a_record_is_an_error_that_names_it(
    tmp_path: Path, reader: str, content: bytes
):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"rows\.jsonl: it holds no "):
        READERS[reader](path)


@pytest.mark.parametrize("reader", [name for name in READERS if name != "local_rows"])
def test_a_record_without_text_names_line_and_fields(tmp_path: Path, reader: str):
    path = tmp_path / "rows.jsonl"
    path.write_text('\n{"content": "a", "doc": {"title": "b"}, "label": 1}\n', "utf-8")
    with pytest.raises(InputError, match=r"rows\.jsonl: line 2.*fields: content, doc\.title"):
        READERS[reader](path)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("line", ["[1]", '"text"', '{"text": "a"', "NaN"])
def test_a_line_that_is_not_an_object_is_named(tmp_path: Path, reader: str, line: str):
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"text": "a", "label": 1, "x": NaN}}\n{line}\n', "utf-8")
    with pytest.raises(InputError, match=r"rows\.jsonl: line 2: .*write one object per line"):
        READERS[reader](path)


def test_a_file_without_text_to_train_on_is_named(tmp_path: Path):
    for name, content in (("a.txt", " \n\n "), ("a.jsonl", '{"text": " "}\n')):
        (tmp_path / name).write_text(content, "utf-8")
        with pytest.raises(InputError, match=f"{name}: it holds no text to train on"):
            drawn(str(tmp_path / name), 100, 0)
