"""Readers: nothing is lost, whatever the input; every reject has its position."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from filters.text.charset.unicode import unicode_codec
from pipelines.ingest.readers import READERS, lines, read_split
from pipelines.ingest.readers.base import File, ReadStats, Record, Reject, Split
from pipelines.ingest.readers.plan import plan_splits
from schemas.config import Format, Ingest, Source
from schemas.errors import InputError
from schemas.packing import kind_of
from tests.support import ROOT
from tests.support.reading import read, rejects, texts


def jsonl(*values: object) -> bytes:
    return b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)


GOOD = jsonl(*({"text": f"문서 {n}", "url": "u", "id": n} for n in range(50)))


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_every_compression_gives_the_same_documents(tmp_path: Path, ending: str):
    data = {"": GOOD, ".gz": gzip.compress(GOOD), ".zst": zstandard.compress(GOOD)}[ending]
    path = tmp_path / f"a.jsonl{ending}"
    path.write_bytes(data)
    items, stats = read(path)
    assert texts(items) == [f"문서 {n}" for n in range(50)]
    assert stats.files[0].raw_bytes == stats.files[0].file_bytes == len(GOOD)
    first = items[0]
    assert isinstance(first, Record)
    assert (first.position, first.url, first.meta) == ("1", "u", {"id": 0})


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_truncated_stream_keeps_what_came_before_the_cut(tmp_path: Path, ending: str):
    many = jsonl(*({"text": f"문서 {n} {n * 7919 % 10007}"} for n in range(30_000)))
    data = gzip.compress(many) if ending == ".gz" else zstandard.compress(many)
    path = tmp_path / f"a.jsonl{ending}"
    path.write_bytes(data[: len(data) * 2 // 3])
    items, _ = read(path)
    ((reason, position),) = rejects(items)
    assert reason == "truncated_stream"
    assert position.startswith("byte ")
    assert len(texts(items)) > 500
    assert texts(items) == [f"문서 {n} {n * 7919 % 10007}" for n in range(len(texts(items)))]


def test_bad_lines_are_rejected_by_number_and_the_rest_is_read(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        jsonl({"text": "one"})
        + b'{"text": "broken\n'
        + b'{"text": "caf\xe9"}\n'
        + b"\n"
        + jsonl({"title": "no text"}, {"text": 5}, {"text": "  "}, ["text"])
        + b'{"text": "last"}'
    )
    items, stats = read(path)
    one, damaged, last = texts(items)
    assert (one, damaged[:3], len(damaged), last) == ("one", "caf", 4, "last")
    assert rejects(items) == [
        ("malformed_json", "2"),
        ("no_text", "5"),
        ("no_text", "6"),
        ("no_text", "7"),
        ("malformed_json", "8"),
    ]
    assert stats.structural_bytes == 1, "the blank line"
    owned = sum(item.raw_bytes for item in items) + stats.structural_bytes
    assert owned == path.stat().st_size


def test_a_damaged_byte_costs_its_character_and_not_the_document(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD.replace("문서 7".encode(), b"\xeb\xac\xb8\xff 7", 1))
    items, _ = read(path)
    assert texts(items)[7] == "문\ufffd 7"
    assert len(texts(items)) == 50


def test_an_excerpt_shows_no_digits_and_no_address(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "kim@naver.com 010-1234-5678\n')
    items, _ = read(path)
    (reject,) = items
    assert isinstance(reject, Reject)
    assert "kim" not in reject.excerpt
    assert not any(ch.isdigit() for ch in reject.excerpt)


def test_a_line_of_200_mb_is_rejected_in_bounded_memory(tmp_path: Path):
    path = tmp_path / "a.jsonl.zst"
    compressor = zstandard.ZstdCompressor(level=1)
    with path.open("wb") as raw, compressor.stream_writer(raw) as writer:
        writer.write(jsonl({"text": "before"}) + b'{"text": "')
        for _ in range(200):
            writer.write(b"x" * 1_000_000)
        writer.write(b'"}\n' + jsonl({"text": "after"}))
    script = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "from tests.support.reading import read, rejects, texts\n"
        "items, stats = read(Path(sys.argv[1]))\n"
        "status = Path('/proc/self/status').read_text()\n"
        "peak = status.split('VmHWM:')[1].split()[0]\n"
        "print(texts(items), rejects(items), peak)"
    )
    folder = str(ROOT)
    done = subprocess.run(
        [sys.executable, "-c", script, str(path), folder],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("['before', 'after'] [('too_long', '2')]")
    peak = int(done.stdout.split()[-1]) * 1024
    assert peak < 400e6, f"{peak / 1e6:.0f} MB"


def test_an_empty_file_and_an_unreadable_one_are_rejects(tmp_path: Path):
    (tmp_path / "a.jsonl").write_bytes(b"")
    (tmp_path / "b.jsonl.gz").write_bytes(b"\x1f\x8bthis is not gzip")
    (tmp_path / "c.jsonl").write_bytes(GOOD)
    items, _ = read(Path(str(tmp_path) + "/*.jsonl*"))
    assert rejects(items) == [("empty_file", "0"), ("corrupt_stream", "byte 0")]
    assert len(texts(items)) == 50


def test_a_missing_path_is_reported_with_its_source(tmp_path: Path):
    with pytest.raises(InputError, match=r"sources\.s\.path: .*no such file"):
        read(tmp_path / "none.jsonl")


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")), max_size=40),
    last=st.booleans(),
    count=st.integers(1, 7),
)
def test_splits_partition_a_file_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: list[bytes], last: bool, count: int
):
    monkeypatch.setattr(lines, "BLOCK", 64)
    path = tmp_path / "f.jsonl"
    data = b"\n".join(content) + (b"\n" if last else b"")
    assume(kind_of(data) is None and unicode_codec(data) is None)
    path.write_bytes(data)
    held = path.stat()
    file = File(str(path), "f.jsonl", held.st_size, str(held.st_mtime_ns))
    source, limits = Source(component="ko", path=str(path)), Ingest()

    def of(index: int, splits: int) -> tuple[list[tuple[str, str, int]], ReadStats]:
        stats = ReadStats()
        split = Split("n", "s", "jsonl", (file,), index, splits)
        items = list(read_split(split, source, limits, stats))
        kinds = [i.text if isinstance(i, Record) else i.reason for i in items]
        return [(i.position, k, i.raw_bytes) for i, k in zip(items, kinds, strict=True)], stats

    whole, whole_stats = of(0, 1)
    parts = [of(index, count) for index in range(count)]
    together = [item for items, _ in parts for item in items]
    assert sorted(together) == sorted(whole)
    for _, stats in parts:
        assert stats.files[0].file_bytes == path.stat().st_size
        assert stats.files[0].file_records == whole_stats.files[0].records
    assert sum(s.files[0].raw_bytes for _, s in parts) == path.stat().st_size
    assert sum(s.files[0].records for _, s in parts) == whole_stats.files[0].records


def test_a_limit_takes_exactly_that_many_and_always_the_same(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD)
    one, _ = read(path, limit=7)
    again, stats = read(path, limit=7)
    assert len(texts(one)) == 7
    assert texts(one) == texts(again)
    kept = sum(item.raw_bytes for item in again)
    assert kept + stats.structural_bytes == len(GOOD)


def test_moving_the_data_changes_neither_ids_nor_keys(tmp_path: Path):
    fingerprints = []
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "a.jsonl"
        path.write_bytes(GOOD)
        import os

        os.utime(path, (1, 1))
        source = Source(component="ko", path=str(path))
        fingerprints.append([s.fingerprint for s in plan_splits("s", source, Ingest())])
    assert fingerprints[0] == fingerprints[1]


def test_parquet_rows_are_documents(tmp_path: Path):
    path = tmp_path / "a.parquet"
    table = pa.table({"text": ["하나", None, "셋"], "url": ["u1", "u2", None], "n": [1, 2, 3]})
    pq.write_table(table, path, row_group_size=2)
    items, stats = read(path)
    assert texts(items) == ["하나", "셋"]
    assert rejects(items) == [("no_text", "1")]
    first = items[0]
    assert isinstance(first, Record)
    assert first.url == "u1"
    assert first.meta == {"n": 1}
    assert stats.files[0].raw_bytes == stats.files[0].file_bytes


def test_a_parquet_file_without_the_column_names_those_it_has(tmp_path: Path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"body": ["x"]}), path)
    items, _ = read(path)
    (reject,) = items
    assert isinstance(reject, Reject)
    assert reject.detail == "text not found; fields: body: set sources.s.text"


def test_a_source_tree_takes_what_is_included_and_passes_over_the_rest(tmp_path: Path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "pkg/a.py").write_text("x = 1\n")
    (tmp_path / "pkg/b.bin").write_bytes(b"\0\1")
    (tmp_path / ".git/c.py").write_text("hidden")
    items, _ = read(tmp_path, format="tree", include=["*.py"])
    assert texts(items) == ["x = 1\n"]
    both, _ = read(tmp_path, format="tree")
    assert rejects(both) == [("hidden_file", "0"), ("binary", "0")]


def test_formats_of_the_config_are_those_of_the_readers():
    assert set(get_args(Format)) - {"auto"} == set(READERS)


def test_every_ending_belongs_to_one_reader():
    endings = [ending for reader in READERS.values() for ending in reader.endings]
    assert len(endings) == len(set(endings))


@pytest.mark.parametrize("name", [name for name in READERS if READERS[name].divisible])
def test_a_limit_over_a_damaged_file_leaves_the_fault_to_reading(tmp_path: Path, name: str):
    path = tmp_path / f"a{READERS[name].endings[0]}"
    path.write_bytes(b"\x1f\x8bthis is none of them")
    items, _ = read(path, limit=3)
    assert items and all(isinstance(item, Reject) for item in items)


KOREAN = (
    "한국어 문서입니다. 이 글은 여러 문장으로 이루어져 있고, 본문을 뽑는 도구를 시험합니다. " * 5
)


def page(body: str, codec: str, meta: str | None) -> bytes:
    tag = f'<meta charset="{meta}">' if meta else ""
    html = f"<html><head>{tag}<title>t</title></head><body><article><p>{body}</p></article></body></html>"
    return html.encode(codec)


def warc(path: Path, *pages: tuple[bytes, str], status: str = "200 OK") -> None:
    with path.open("wb") as raw:
        writer = WARCWriter(raw, gzip=path.suffix == ".gz")
        writer.write_record(writer.create_warcinfo_record("w", {"software": "test"}))
        for number, (body, kind) in enumerate(pages):
            headers = StatusAndHeaders(status, [("Content-Type", kind)], protocol="HTTP/1.1")
            writer.write_record(
                writer.create_warc_record(
                    f"http://a.example/{number}", "response", io.BytesIO(body), http_headers=headers
                )
            )


@pytest.mark.parametrize("codec", ["utf-8", "cp949"])
@pytest.mark.parametrize("meta", [None, "euc-kr", "utf-8", "iso-8859-1"])
@pytest.mark.parametrize(
    "header", ["text/html", "text/html; charset=EUC-KR", "text/html; charset=utf-8"]
)
def test_korean_pages_come_out_right_whatever_their_labels_say(
    tmp_path: Path, codec: str, meta: str | None, header: str
):
    path = tmp_path / "w.warc.gz"
    warc(path, (page(KOREAN, codec, meta), header))
    items, _ = read(path)
    (text,) = texts(items)
    assert KOREAN.strip() in text.replace("\n", " ")


def test_a_truncated_warc_record_is_rejected_and_those_before_it_are_kept(tmp_path: Path):
    path = tmp_path / "w.warc"
    warc(path, *((page(KOREAN, "utf-8", None), "text/html") for _ in range(3)))
    path.write_bytes(path.read_bytes()[:-400])
    items, _ = read(path)
    assert len(texts(items)) == 2
    assert [reason for reason, _ in rejects(items)] == ["truncated_record"]


def test_a_truncated_warc_gz_is_rejected_and_the_records_before_are_kept(tmp_path: Path):
    path = tmp_path / "w.warc.gz"
    warc(path, *((page(KOREAN + str(n), "utf-8", None), "text/html") for n in range(3)))
    path.write_bytes(path.read_bytes()[:-60])
    items, _ = read(path)
    assert len(texts(items)) == 2
    assert len(rejects(items)) == 1
    assert rejects(items)[0][0] in ("truncated_record", "truncated_stream")


def test_a_record_that_is_not_a_page_is_a_reject_but_not_a_fault(tmp_path: Path):
    path = tmp_path / "w.warc.gz"
    warc(path, (b"\x89PNG", "image/png"))
    missing = tmp_path / "x.warc.gz"
    warc(missing, (page(KOREAN, "utf-8", None), "text/html"), status="404 Not Found")
    for each, reason in ((path, "not_html"), (missing, "http_status")):
        (item,) = read(each)[0]
        assert isinstance(item, Reject)
        assert (item.reason, item.fault) == (reason, False)


def test_a_page_with_an_unknown_label_does_not_end_its_archive(tmp_path: Path):
    path = tmp_path / "w.warc.gz"
    labels = ["euc-kr", "euc-kr", "undefined", "hex", "rot13", "idna", "euc-kr"]
    warc(path, *((page(KOREAN, "cp949", name), f"text/html; charset={name}") for name in labels))
    items, _ = read(path)
    assert len(texts(items)) == len(labels)
    assert all(KOREAN.strip() in text.replace("\n", " ") for text in texts(items))


def test_an_error_of_one_page_rejects_that_page_alone(tmp_path: Path, monkeypatch):
    calls = iter(range(9))

    def fails_once(html: str) -> str:
        if next(calls) == 1:
            raise ValueError("bad page")
        return html

    monkeypatch.setattr("pipelines.ingest.readers.warc.main_text", fails_once)
    path = tmp_path / "w.warc"
    warc(path, *((page(KOREAN, "utf-8", None), "text/html") for _ in range(3)))
    items, _ = read(path)
    assert len(texts(items)) == 2
    assert rejects(items) == [("unreadable_page", "2")]
