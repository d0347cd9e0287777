"""Annotation shards: only missing rows are computed, stored rows stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from apache_beam.internal import pickler
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.annotate import AnnotateShard, fill_rows
from pipelines.engine.context import Context
from pipelines.stages.base import Stage
from pipelines.storage.shards import ShardTask, write_shard
from schemas.config import Config
from schemas.documents import DOCUMENT

SCHEMA = pa.schema([("value", pa.int64()), ("note", pa.string())])


def batch(values: list[int | None]) -> pa.RecordBatch:
    notes = [None if v is None else f"n{v}" for v in values]
    return pa.RecordBatch.from_arrays(
        [pa.array(values, pa.int64()), pa.array(notes, pa.string())], schema=SCHEMA
    )


def test_rows_that_were_not_selected_are_null():
    selected = np.array([True, False, True])
    filled = fill_rows(SCHEMA, 3, selected, batch([1, 3]), None)
    assert filled.column("value").to_pylist() == [1, None, 3]
    assert filled.column("note").to_pylist() == ["n1", None, "n3"]


def test_stored_values_stay_where_nothing_is_computed():
    selected = np.array([False, True, False])
    filled = fill_rows(SCHEMA, 3, selected, batch([2]), batch([1, None, None]))
    assert filled.column("value").to_pylist() == [1, 2, None]


def test_nothing_selected_gives_what_was_there():
    none = np.zeros(2, dtype=bool)
    assert fill_rows(SCHEMA, 2, none, None, batch([5, None])).equals(batch([5, None]))
    assert fill_rows(SCHEMA, 2, none, None, None).column("value").null_count == 2


@given(st.lists(st.tuples(st.booleans(), st.one_of(st.none(), st.integers(0, 99))), max_size=20))
def test_each_row_is_computed_stored_or_null(rows: list[tuple[bool, int | None]]):
    selected = np.array([s for s, _ in rows], dtype=bool)
    stored = batch([v for _, v in rows])
    computed = batch([1000 + i for i, (s, _) in enumerate(rows) if s])
    filled = fill_rows(SCHEMA, len(rows), selected, computed, stored)
    expected = [1000 + i if s else v for i, (s, v) in enumerate(rows)]
    assert filled.column("value").to_pylist() == expected


def test_an_annotator_is_made_once_in_a_process_whatever_copies_of_the_step_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"id": b"0123456789abcdef", "text": "가나다라", "source": "s", "component": "korean"}
    row |= {"url": None, "license": "", "timestamp": None, "meta": None}
    row |= {"origin": "o", "raw_bytes": 12}
    batch = pa.RecordBatch.from_pylist([row], schema=DOCUMENT)
    shard = write_shard(tmp_path / "documents" / "a.parquet", DOCUMENT, [batch], key="k")
    sources = {"s": {"path": "a", "component": "korean"}}
    mixture = {"tokens": 1, "weights": {"korean": 1.0}}
    config = Config.model_validate({"name": "n", "sources": sources, "mixture": mixture})
    made = []
    real = Stage.make

    def make(stage: Stage, config: Config) -> object:
        made.append(stage.name)
        return real(stage, config)

    monkeypatch.setattr(Stage, "make", make)
    pickled = pickler.dumps(AnnotateShard(Context(tmp_path, config, "identify")))
    for key in ("one", "two", "three"):  # new keys: nothing stored holds
        copy = pickler.loads(pickled)
        task = ShardTask("a.parquet", shard.sha256, 1, key)
        assert list(copy.process(task)) == ["a.parquet"]
        del copy
    assert made == ["identify"]
