"""Parquet: types that Python has no value for, encodings, damage; other tables are named."""

from __future__ import annotations

import datetime
import decimal
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

from tests.oracles.readers.cases_streams import put
from tests.oracles.readers.pack import jsonl, parquet
from tests.oracles.readers.prose import paragraphs
from tests.oracles.readers.rig import Outcome, Right

TEXTS = paragraphs(10, first=200)
TEN = range(10)


def column(values: list[object], kind: pa.DataType) -> pa.Array:
    return pa.array(values, kind)


def times_of_96_bits(folder: Path) -> Right:
    far = column([n * 86_400_000_000_000 for n in TEN], pa.timestamp("ns"))
    data = parquet(
        {"text": TEXTS, "timestamp": far, "t": far}, use_deprecated_int96_timestamps=True
    )
    return Right(put(folder, "a.parquet", data), TEXTS)


def times_of_96_bits_beyond_the_range(folder: Path) -> Right:
    """An int96 of the year 1 or 9999 wraps where it becomes nanoseconds."""
    odd = column([-62_135_596_800_000_000 + n for n in TEN], pa.timestamp("us"))
    sink = io.BytesIO()
    table = pa.table({"text": TEXTS, "timestamp": odd.cast(pa.timestamp("s"), safe=False)})
    pq.write_table(table, sink, use_deprecated_int96_timestamps=True)
    return Right(put(folder, "a.parquet", sink.getvalue()), TEXTS)


def zones_of_every_spelling(folder: Path) -> Right:
    columns = {"text": TEXTS}
    for number, zone in enumerate(
        ("Asia/Seoul", "+09:00", "UTC", "-23:59", "Mars/Olympus", "GMT+9")
    ):
        columns[f"t{number}"] = column(list(TEN), pa.timestamp("us", tz=zone))
    columns["timestamp"] = columns["t0"]
    return Right(put(folder, "a.parquet", parquet(columns)), TEXTS)


def decimals_durations_maps(folder: Path) -> Right:
    table = {
        "text": TEXTS,
        "price": column([decimal.Decimal("12.50")] * 10, pa.decimal128(10, 2)),
        "large": column([decimal.Decimal(10**60)] * 10, pa.decimal256(70, 1)),
        "took": column([2**62] * 10, pa.duration("s")),
        "clock": column([86_399_999_999_999] * 10, pa.time64("ns")),
        "pairs": column([[("a", 1), ("b", None)]] * 10, pa.map_(pa.string(), pa.int64())),
        "rows": column([[{"x": b"\xff", "y": None}]] * 10,
                       pa.list_(pa.struct([("x", pa.binary()), ("y", pa.date64())]))),
        "key": column([b"\0" * 16] * 10, pa.binary(16)),
        "none": pa.nulls(10),
        "half": column([1.5] * 10, pa.float16()),
    }  # fmt: skip
    return Right(put(folder, "a.parquet", parquet(table)), TEXTS)


def not_a_number_in_columns(folder: Path) -> Right:
    odd = [float("nan"), float("inf"), -float("inf"), None, 1.0] * 2
    table = {"text": TEXTS, "score": odd, "scores": [[n] for n in odd]}
    return Right(put(folder, "a.parquet", parquet(table)), TEXTS)


def text_in_a_dictionary(folder: Path) -> Right:
    table = {
        "text": pa.array(TEXTS * 3).dictionary_encode(),
        "lang": pa.array(["ko"] * 30).dictionary_encode(),
    }
    return Right(put(folder, "a.parquet", parquet(table, rows=7)), TEXTS * 3)


def text_as_large_string(folder: Path) -> Right:
    table = {
        "text": column(TEXTS, pa.large_string()),
        "tags": column([["a"]] * 10, pa.large_list(pa.string())),
    }
    return Right(put(folder, "a.parquet", parquet(table)), TEXTS)


def text_as_string_view(folder: Path) -> Right:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": pa.array(TEXTS).cast(pa.string_view())}), sink)
    return Right(put(folder, "a.parquet", sink.getvalue()), TEXTS)


def binary_text_with_a_bad_byte(folder: Path) -> Right:
    raw = [text.encode() for text in TEXTS]
    raw[4] = raw[4] + b"\xb0"
    table = {"text": column(raw, pa.binary())}

    def check(got: Outcome) -> str | None:
        bad = sum(doc["text"].count("\ufffd") for doc in got.docs)
        return (
            None
            if bad == 1 and len(got.docs) == 10
            else f"{len(got.docs)} documents, {bad} signs of damage"
        )

    return Right(put(folder, "a.parquet", parquet(table)), holds=TEXTS, check=check)


def strings_that_are_not_utf8(folder: Path) -> Right:
    """Writers in Java and Rust do not check strings."""
    sound = pa.array([text.encode() for text in TEXTS], pa.binary())
    broken = pa.array([b"\xb0\xa1 caf\xe9"] * 10, pa.binary())
    table = {"text": sound.view(pa.string()), "author": broken.view(pa.string())}
    return Right(put(folder, "a.parquet", parquet(table)), TEXTS)


def codecs_of_each_kind(folder: Path) -> Right:
    (folder / "in").mkdir()
    wanted = []
    for number, codec in enumerate(("none", "snappy", "gzip", "brotli", "lz4", "zstd")):
        texts = paragraphs(5, first=300 + 10 * number)
        wanted += texts
        put(folder, f"in/{codec}.parquet", parquet({"text": texts}, compression=codec))
    return Right("in", wanted)


def columns_encoded_by_differences(folder: Path) -> Right:
    data = parquet({"text": TEXTS, "n": list(TEN)}, use_dictionary=False, data_page_version="2.0",
                   column_encoding={"text": "DELTA_BYTE_ARRAY", "n": "DELTA_BINARY_PACKED"})  # fmt: skip
    return Right(put(folder, "a.parquet", data), TEXTS)


def one_damaged_row_group_of_five(folder: Path) -> Right:
    texts = paragraphs(50, first=400)
    data = bytearray(parquet({"text": texts}, rows=10, compression="zstd", use_dictionary=False))
    group = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(2).column(0)
    start = group.data_page_offset
    data[start : start + group.total_compressed_size] = bytes(group.total_compressed_size)
    wanted = texts[:20] + texts[30:]
    return Right(put(folder, "a.parquet", bytes(data)), wanted, faults=(1, 10))


def a_damaged_column_that_is_not_the_text(folder: Path) -> Right:
    texts = paragraphs(20, first=460)
    table = {"text": texts, "vector": [[float(n)] * 50 for n in range(20)]}
    data = bytearray(parquet(table, compression="zstd", use_dictionary=False))
    group = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(1)
    start = group.data_page_offset
    data[start : start + group.total_compressed_size] = bytes(group.total_compressed_size)
    return Right(put(folder, "a.parquet", bytes(data)), texts, faults=(0, 1))


def rows_without_text(folder: Path) -> Right:
    texts = [*TEXTS[:5], None, "", "   ", *TEXTS[5:]]
    right = Right(put(folder, "a.parquet", parquet({"text": texts})), TEXTS, faults=(0, 3),
                  check=lambda got: None if len(got.rejects) == 3 else f"{len(got.rejects)} rejects")  # fmt: skip
    return right


def a_table_of_no_rows_beside_another(folder: Path) -> Right:
    (folder / "in").mkdir()
    put(folder, "in/a.parquet", parquet({"text": pa.array([], pa.string())}))
    put(folder, "in/b.parquet", parquet({"text": TEXTS}))
    return Right("in", TEXTS, faults=(0, 1))


def tables_of_other_columns_in_one_folder(folder: Path) -> Right:
    (folder / "in").mkdir()
    put(folder, "in/a.parquet", parquet({"text": TEXTS[:5], "url": ["http://a.example/"] * 5}))
    put(
        folder,
        "in/b.parquet",
        parquet({"n": list(range(5)), "text": TEXTS[5:], "url": list(range(5))}),
    )
    put(folder, "in/c.parquet", parquet({"content": ["kein Text"] * 5}))
    return Right("in", TEXTS, faults=(1, 5))


def the_columns_are_named_where_the_text_is_missing(folder: Path) -> Right:
    name = put(folder, "a.parquet", parquet({"Text": TEXTS, "title": TEXTS, "url": TEXTS}))
    return Right(
        name, code=2, docs=0, faults=(0, 10), words=["Text", "title", "url", "sources.s.text"]
    )


def the_fields_are_named_where_the_text_is_missing(folder: Path) -> Right:
    rows = [f'{{"content": "{text}", "headline": "t", "url": "u"}}\n' for text in TEXTS]
    name = put(folder, "a.jsonl", "".join(rows).encode())
    return Right(
        name, code=2, docs=0, faults=(0, 10), words=["content", "headline", "url", "sources.s.text"]
    )


def parquet_without_ending(folder: Path) -> Right:
    return Right(put(folder, "part-r-00000", parquet({"text": TEXTS})), TEXTS)


def parquet_called_jsonl(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl", parquet({"text": TEXTS})), TEXTS)


def encrypted_parquet(folder: Path) -> Right:
    (folder / "in").mkdir()
    put(folder, "in/a.parquet", b"PARE" + bytes(range(200)) + b"\x64\0\0\0PARE")
    put(folder, "in/b.parquet", parquet({"text": TEXTS}))
    return Right("in", TEXTS, faults=1)


def a_column_twice(folder: Path) -> Right:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array(TEXTS), pa.array(list(TEN)), pa.array(list(TEN))],
                                        names=["text", "n", "n"]), sink)  # fmt: skip
    return Right(put(folder, "a.parquet", sink.getvalue()), TEXTS)


def dates_before_the_first_year(folder: Path) -> Right:
    dates = column([-800_000 - n for n in TEN], pa.int32()).cast(pa.date32())
    return Right(
        put(folder, "a.parquet", parquet({"text": TEXTS, "timestamp": dates, "born": dates})), TEXTS
    )


def feather_and_arrow_streams_are_read_or_named(folder: Path) -> Right:
    (folder / "in").mkdir()
    table = pa.table({"text": TEXTS})
    feather.write_feather(table, str(folder / "in/a.arrow"), compression="uncompressed")
    put(folder, "in/b.jsonl", jsonl(["홀로 선 글입니다. 다른 글은 표에 있습니다."]))

    def check(got: Outcome) -> str | None:
        named = (
            any("a.arrow" in reject["origin"] for reject in got.faults) or "a.arrow" in got.output
        )
        return (
            None
            if len(got.docs) == 11 or (named and len(got.docs) == 1)
            else "a.arrow went without a word"
        )

    return Right("in", faults=(0, 1), check=check)


def a_time_as_python_writes_it(folder: Path) -> Right:
    when = [datetime.datetime(2024, 5, n + 1, tzinfo=datetime.UTC) for n in TEN]
    name = put(folder, "a.parquet", parquet({"text": TEXTS, "timestamp": when}))

    def check(got: Outcome) -> str | None:
        odd = [doc["timestamp"] for doc in got.docs if "2024-05-" not in str(doc["timestamp"])]
        return f"times were lost: {odd[:2]}" if odd else None

    return Right(name, TEXTS, check=check)


CASES = [
    times_of_96_bits,
    times_of_96_bits_beyond_the_range,
    zones_of_every_spelling,
    decimals_durations_maps,
    not_a_number_in_columns,
    text_in_a_dictionary,
    text_as_large_string,
    text_as_string_view,
    binary_text_with_a_bad_byte,
    strings_that_are_not_utf8,
    codecs_of_each_kind,
    columns_encoded_by_differences,
    one_damaged_row_group_of_five,
    a_damaged_column_that_is_not_the_text,
    rows_without_text,
    a_table_of_no_rows_beside_another,
    tables_of_other_columns_in_one_folder,
    the_columns_are_named_where_the_text_is_missing,
    the_fields_are_named_where_the_text_is_missing,
    parquet_without_ending,
    parquet_called_jsonl,
    encrypted_parquet,
    a_column_twice,
    dates_before_the_first_year,
    feather_and_arrow_streams_are_read_or_named,
    a_time_as_python_writes_it,
]
