"""Whatever the other columns hold, a row with a text is a document and `meta` is valid JSON."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.ingest.readers.base import Record
from pipelines.ingest.readers.fields import document_columns, meta_json
from pipelines.ingest.run import Collector
from pipelines.storage.arrow_values import values
from schemas.config import Source
from tests.pipelines.ingest.test_fields import SPLIT
from tests.support.random_arrow import random_array
from tests.support.reading import read, rejects, texts

SEEDS = range(120)
NAMES = ["url", "license", "timestamp", "meta", "left_out", "a", "a.b", "한", "image"]


def strict(text: str) -> Any:
    """Parse standard JSON only."""

    def refuse(name: str) -> Any:
        raise AssertionError(name)

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_array_becomes_as_many_values_that_are_json(seed: int):
    rng = random.Random(seed)
    array = random_array(rng, rows=5, depth=2, stored=False)
    cut = array.slice(rng.randrange(3), 2)
    for each in (array, cut):
        found = values(each)
        assert len(found) == len(each)
        for value in found:
            text, left = meta_json({"x": value})
            parsed = strict(text or "{}")
            assert parsed.get("left_out", []) == left
    assert len(values(array)) == 5


@pytest.mark.parametrize("seed", SEEDS)
def test_every_row_of_a_random_table_that_has_a_text_is_a_document(tmp_path: Path, seed: int):
    rng = random.Random(seed)
    rows = 7
    columns = {
        name: random_array(rng, rows, 2, stored=True)
        for name in rng.sample(NAMES, rng.randint(1, 4))
    }
    path = tmp_path / "a.parquet"
    wanted = [f"{n}번째 글" for n in range(rows)]
    table = pa.table({**columns, "text": wanted})
    pq.write_table(table, path, row_group_size=rng.choice([3, 7]))
    items, stats = read(path)
    assert (texts(items), rejects(items)) == (wanted, [])
    collector = Collector(SPLIT, Source(component="ko", path="a"), ())
    for item in items:
        assert isinstance(item, Record)
        row = collector.row(item)
        assert row is not None
        assert row["meta"] is None or isinstance(strict(row["meta"]), dict)
        pa.array([row["url"], row["license"], row["timestamp"]], pa.string())
    assert stats.files[0].raw_bytes == stats.files[0].file_bytes


ORDINARY = {
    "n": [1, None, 3],
    "x": [0.5, float("nan"), None],
    "ok": [True, False, None],
    "title": ["제목", None, "c"],
    "tags": [["a", "b"], [], None],
    "user": [{"id": 1, "name": None}, None, {"id": 2, "name": "b"}],
    "day": pa.array([0, 20_000, None], pa.date32()),
    "at": pa.array([0, 10**15, None], pa.timestamp("us")),
    "zoned": pa.array([0, 10**12, None], pa.timestamp("ms", "Asia/Seoul")),
    "price": pa.array([1, 2, None], pa.int64()).cast(pa.decimal128(30, 2)),
    "took": pa.array([1, 90_000, None], pa.duration("ms")),
    "kind": pa.array(["a", "b", None]).dictionary_encode(),
    "map": pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int64())),
    "url": ["u", None, "v"],
    "timestamp": pa.array([0, 10**15, None], pa.timestamp("us")),
    "meta": [{"m": 1}, None, {"m": None}],
}


def test_ordinary_values_are_as_pyarrow_and_orjson_write_them(tmp_path: Path):
    """The content of `meta` stays what `to_pylist` gives, written by orjson."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a", "b", "c"], **ORDINARY}), path)
    items, _ = read(path)
    for item, expected in zip(items, pq.read_table(path).to_pylist(), strict=True):
        assert isinstance(item, Record)
        del expected["text"]
        at = expected["timestamp"]
        assert item.timestamp == (str(at) if at is not None else None)
        meta = document_columns(expected)["meta"]
        written = orjson.dumps(meta, default=str).decode() if meta else None
        assert meta_json(item.meta, item.left_out) == (written, [])
