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
from pipelines.tokenize.standalone import file_texts
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
