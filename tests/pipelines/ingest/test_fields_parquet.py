"""Parquet: the text of any type that holds text; other columns never cost a row; damage is local."""

from __future__ import annotations

import datetime
import json
import struct
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.ingest.readers import read_split
from pipelines.ingest.readers.base import Item, ReadStats, Record, Reject
from pipelines.ingest.readers.fields import meta_json
from pipelines.ingest.readers.plan import plan_splits
from pipelines.storage.arrow_values import values
from schemas.config import Ingest, Source
from schemas.json_lines import UNREAD
from tests.support.reading import read, rejects, texts

TEXTS = [f"{n}번째 글" for n in range(5)]


def write(path: Path, columns: dict[str, Any], **settings: Any) -> Path:
    pq.write_table(pa.table(columns), path, **settings)
    return path


def metas(items: list[Item]) -> list[dict[str, Any]]:
    records = [item for item in items if isinstance(item, Record)]
    return [json.loads(meta_json(one.meta, one.left_out)[0] or "{}") for one in records]


def ints(values: list[int], kind: pa.DataType) -> pa.Array:
    return pa.array(values, pa.int32() if kind.bit_width == 32 else pa.int64()).view(kind)


@pytest.mark.parametrize(
    ("column", "first"),
    [
        (ints([9_000_000] * 5, pa.date32()), "26611-03-02"),
        (ints([4_000_000_000_000_000_000] * 5, pa.timestamp("us")), "128724-12-15T07:06:40"),
        (ints([0] * 5, pa.timestamp("us", "KST")), "1970-01-01T00:00:00+00:00"),
        (ints([0] * 5, pa.timestamp("us", "Asia/Seoul")), "1970-01-01T09:00:00+09:00"),
        (ints([1000] * 5, pa.timestamp("ns")), "1970-01-01T00:00:00.000001"),
        (ints([1] * 5, pa.timestamp("ns")), "1970-01-01T00:00:00.000000001"),
        (ints([1] * 5, pa.time64("ns")), "00:00:00.000000001"),
        (ints([2**62] * 5, pa.duration("s")), f"{2**62} s"),
        (pa.array([datetime.timedelta(hours=1)] * 5), "1:00:00"),
        (pa.array([Decimal("1.50")] * 5), "1.50"),
        (pa.array([float("nan")] * 5), None),
        (pa.array([float("inf")] * 5), None),
        (pa.array([1.5] * 5, pa.float16()), 1.5),
        (pa.array([2**64 - 1] * 5, pa.uint64()), 2**64 - 1),
        (pa.array([b"a\xff"] * 5).view(pa.string()), "a\ufffd"),
        (pa.array(["a"] * 5).dictionary_encode(), "a"),
        (pa.array(["a"] * 5, pa.string_view()), "a"),
        (pa.array([[("k", 1)]] * 5, pa.map_(pa.string(), pa.int64())), [["k", 1]]),
        (pa.array([[1, None]] * 5), [1, None]),
        (pa.array([[{"a": 1}]] * 5), [{"a": 1}]),
        (
            pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"\0" * 16] * 5, pa.binary(16))),
            "0" * 8 + "-0000-0000-0000-" + "0" * 12,
        ),
    ],
)
def test_a_column_that_python_has_no_values_for_costs_no_row(
    tmp_path: Path, column: pa.Array, first: Any
):
    items, _ = read(write(tmp_path / "a.parquet", {"text": TEXTS, "x": column, "y": [1] * 5}))
    assert texts(items) == TEXTS
    assert metas(items)[0].get("x") == first
    assert metas(items)[0]["y"] == 1


def test_far_years_of_int96_stay_far(tmp_path: Path):
    column = np.array(["0001-01-01", "9999-12-31"], "datetime64[us]")
    columns = {"text": TEXTS[:2], "at": pa.array(column)}
    path = write(tmp_path / "a.parquet", columns, use_deprecated_int96_timestamps=True)
    items, _ = read(path)
    assert [meta["at"] for meta in metas(items)] == ["0001-01-01T00:00:00", "9999-12-31T00:00:00"]


def test_values_do_not_depend_on_whether_pandas_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    column = ints([1, 1000, 2**60, 5, 6], pa.timestamp("ns", "UTC"))
    path = write(tmp_path / "a.parquet", {"text": TEXTS, "x": column, "timestamp": column})
    found = read(path)[0]
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert read(path)[0] == found
    first = found[1]
    assert isinstance(first, Record)
    assert first.timestamp == "1970-01-01 00:00:00.000001+00:00"


def test_bytes_are_neither_read_nor_kept(tmp_path: Path):
    images = [{"bytes": b"\0" * 10_000, "path": None}, {"bytes": b"\1", "path": "p"}]
    columns = {
        "text": TEXTS[:2],
        "image": images,
        "raw": [b"\0", b"\1"],
        "frames": [[{"bytes": b"\0", "n": 1}], []],
        "parts": pa.array([[("k", b"\0")], None], pa.map_(pa.string(), pa.binary())),
        "empty": pa.array([None, None], pa.binary()),
    }
    items, stats = read(write(tmp_path / "a.parquet", columns))
    assert texts(items) == TEXTS[:2]
    left = ["image.bytes", "raw", "frames.bytes", "parts.key", "parts.value"]
    assert metas(items) == [
        {"image": {"path": None}, "frames": [{"n": 1}], "left_out": left},
        {"image": {"path": "p"}, "frames": [], "left_out": left},
    ]
    assert stats.files[0].raw_bytes == stats.files[0].file_bytes


def test_the_known_columns_may_be_stored_as_bytes(tmp_path: Path):
    columns = {"text": TEXTS[:1], "url": [b"u"], "license": [b"\xff"], "meta": [{"a": 1}]}
    (item,), _ = read(write(tmp_path / "a.parquet", columns))
    assert isinstance(item, Record)
    assert (item.url, item.license, item.meta, item.left_out) == ("u", "\ufffd", {"a": 1}, ())


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.binary_view(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int32(), pa.large_binary()),
    ],
)
def test_text_of_every_type_is_read(tmp_path: Path, kind: pa.DataType):
    column = pa.array([text.encode() for text in TEXTS], pa.binary())
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type).dictionary_encode()
    column = column.cast(kind)
    path = write(tmp_path / "a.parquet", {"text": column, "n": [1] * 5})
    items, stats = read(path)
    assert texts(items) == TEXTS
    assert stats.files[0].raw_bytes == stats.files[0].file_bytes
    assert items[0].raw_bytes == len(TEXTS[0].encode())


@pytest.mark.parametrize("kind", [pa.string(), pa.binary()])
def test_a_text_that_is_not_utf8_is_read_by_the_sources_encoding(tmp_path: Path, kind: pa.DataType):
    column = pa.array([text.encode("cp949") for text in TEXTS]).view(kind)
    path = write(tmp_path / "a.parquet", {"text": column})
    assert texts(read(path, encoding="cp949")[0]) == TEXTS


def test_one_bad_byte_of_a_text_becomes_a_replacement_character(tmp_path: Path):
    data = "글입니다. ".encode() * 20
    column = pa.array([data[:6] + b"\xff" + data[6:], data[:30], b"\xff\xfe\xfd"])
    items, _ = read(write(tmp_path / "a.parquet", {"text": column}))
    assert [text.count("\ufffd") for text in texts(items)] == [1, 1]
    assert rejects(items) == [("invalid_utf8", "2")]


def test_the_field_of_a_struct_is_the_text_and_a_column_of_that_name_comes_first(tmp_path: Path):
    docs = [{"body": text, "n": 1} for text in TEXTS]
    path = write(tmp_path / "a.parquet", {"doc": docs, "url": ["u"] * 5})
    items, _ = read(path, text="doc.body")
    assert texts(items) == TEXTS
    assert metas(items)[0] == {"doc": {"n": 1}}
    both = {"doc": docs, "doc.body": ["밖"] * 5, "doc.body.x": [1] * 5}
    items, _ = read(write(tmp_path / "b.parquet", both), text="doc.body")
    assert texts(items) == ["밖"] * 5
    assert metas(items)[0] == {"doc": docs[0], "doc.body.x": 1}
    column = pa.array([None, {"body": "글"}, {"body": None}])
    items, _ = read(write(tmp_path / "c.parquet", {"doc": column}), text="doc.body")
    assert (texts(items), rejects(items)) == (["글"], [("no_text", "0"), ("no_text", "2")])


@pytest.mark.parametrize(
    ("column", "detail"),
    [
        ([["글"]], "column 'text' is of type list<element: string>, not text"),
        ([{"a": "글"}], "column 'text' is of type struct<a: string>, not text"),
        ([1], "column 'text' is of type int64, not text"),
    ],
)
def test_a_text_of_another_type_is_named_with_its_type(tmp_path: Path, column: Any, detail: str):
    path = write(tmp_path / "a.parquet", {"text": column, "body": ["글"]})
    (item,), _ = read(path)
    assert isinstance(item, Reject)
    assert item.detail == f"{detail}: set sources.s.text"
    assert item.lost_bytes > 0
    assert [i.position for i in read(path, limit=3)[0]] == ["0"], "a limit changes nothing"


def test_a_missing_column_names_those_that_are_there(tmp_path: Path):
    path = write(tmp_path / "a.parquet", {"content": ["글"], "doc": [{"title": "x"}]})
    (item,), _ = read(path)
    assert isinstance(item, Reject)
    assert item.detail == "text not found; fields: content, doc.title: set sources.s.text"


def test_rows_without_text_are_rejected_one_by_one(tmp_path: Path):
    path = write(tmp_path / "a.parquet", {"text": ["글", None, " ", ""]})
    items, _ = read(path)
    assert texts(items) == ["글"]
    assert [(i.position, i.detail) for i in items if isinstance(i, Reject)] == [
        ("1", "column 'text' is null"),
        ("2", "column 'text' is empty"),
        ("3", "column 'text' is empty"),
    ]


def damage(path: Path, column: int, group: int) -> None:
    """Overwrite the pages of a column of a row group."""
    chunk = pq.read_metadata(path).row_group(group).column(column)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(data)


def grouped(path: Path) -> Path:
    columns = {"text": [f"{n}번째 글 {n * 7919}" for n in range(400)], "n": list(range(400))}
    return write(path, columns, row_group_size=100)


@pytest.mark.parametrize("splits", [1, 3])
def test_damage_to_the_text_costs_its_row_group_alone(tmp_path: Path, splits: int):
    path = grouped(tmp_path / "a.parquet")
    damage(path, 0, 1)
    source = Source(component="ko", path=str(path))
    size = path.stat().st_size
    limits = Ingest(shard_bytes=size // splits + 1)
    found: list[Item] = []
    raw = records = 0
    for split in plan_splits("s", source, limits):
        stats = ReadStats()
        items = list(read_split(split, source, limits, stats))
        (file,) = stats.files
        assert sum(item.raw_bytes for item in items) + stats.structural_bytes == file.raw_bytes
        assert (file.file_records, file.file_bytes) == (400, file.file_bytes)
        raw, records = raw + file.raw_bytes, records + file.records
        found += items
    assert records == 400, "the rows that damage cost were there"
    assert raw == file.file_bytes
    kept = sorted(int(item.position) for item in found if isinstance(item, Record))
    assert kept == [*range(100), *range(200, 400)]
    (reject,) = [item for item in found if isinstance(item, Reject)]
    assert (reject.reason, reject.position) == ("corrupt_stream", "100")
    assert reject.detail.startswith("rows 100 to 199: ")
    assert reject.lost_bytes == pq.read_metadata(path).row_group(1).total_byte_size
    for item in found:
        if isinstance(item, Record):
            assert item.meta == {"n": int(item.position)}


def test_damage_to_another_column_costs_that_column_alone(tmp_path: Path):
    path = grouped(tmp_path / "a.parquet")
    damage(path, 1, 2)
    items, _ = read(path)
    assert (len(texts(items)), rejects(items)) == (400, [])
    metas_ = metas(items)
    assert metas_[199] == {"n": 199}
    assert metas_[200] == {"left_out": ["n"]}
    assert metas_[300] == {"n": 300}


def test_a_file_without_its_footer_is_lost_whole_and_the_others_are_read(tmp_path: Path):
    whole, cut = grouped(tmp_path / "b.parquet"), tmp_path / "a.parquet"
    cut.write_bytes(whole.read_bytes()[:-30])
    for limit in (None, 20):
        items, _ = read(tmp_path, limit=limit)
        (reject,) = [item for item in items if isinstance(item, Reject)]
        assert (reject.file, reject.reason) == ("a.parquet", "unreadable")
        assert reject.lost_bytes == cut.stat().st_size
        assert len(texts(items)) == (limit or 400)


def test_an_empty_file_and_one_without_rows(tmp_path: Path):
    (tmp_path / "a.parquet").write_bytes(b"")
    write(tmp_path / "b.parquet", {"text": pa.array([], pa.string())})
    write(tmp_path / "c.parquet", {"other": pa.array([], pa.string())})
    items, _ = read(tmp_path)
    assert rejects(items) == [("empty_file", "0")]


def test_an_encrypted_file_is_named(tmp_path: Path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PARE" + b"\0" * 40 + struct.pack("<I", 30) + b"PARE")
    (item,), _ = read(path)
    assert isinstance(item, Reject)
    assert (item.reason, item.lost_bytes) == ("encrypted", path.stat().st_size)
    assert "decrypt it first" in item.detail


def test_a_limit_takes_the_same_rows_of_every_type(tmp_path: Path):
    columns = {"text": TEXTS, "view": pa.array(TEXTS, pa.string_view()), "n": list(range(5))}
    path = write(tmp_path / "a.parquet", columns)
    items, stats = read(path, limit=3)
    assert len(texts(items)) == 3
    assert [meta["n"] for meta in metas(items)] == [int(item.position) for item in items]
    assert read(path, limit=3)[0] == items
    total = sum(item.raw_bytes for item in items) + stats.structural_bytes
    assert total == stats.files[0].raw_bytes


def test_an_index_beyond_its_dictionary_costs_its_row_alone():
    words = pa.array(["a"])
    numbers = pa.array([0, 7, None], pa.int32())
    column = pa.DictionaryArray.from_arrays(numbers, words, safe=False)
    assert values(column) == ["a", UNREAD, None]
