"""Damaged archives of pages: one bad record costs that record, and its bytes are counted."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
import zstandard

from pipelines.ingest.readers import read_split, warc
from pipelines.ingest.readers.base import File, Item, ReadStats, Record, Reject, Split
from schemas.config import Ingest, Source
from tests.support.reading import read, rejects, texts
from tests.support.web import html, http, members, pages, record

INFO = record(b"software: test\r\n", kind="warcinfo")
PAGES = pages(30)
EACH_KIND = pytest.mark.parametrize("kind", ["members", "one member", "frames", "plain"])


def stored(kind: str, records: list[bytes]) -> bytes:
    if kind == "members":
        return b"".join(members(records))
    if kind == "frames":
        return b"".join(map(zstandard.compress, records))
    return gzip.compress(b"".join(records)) if kind == "one member" else b"".join(records)


def numbers(items: list[Item]) -> list[int]:
    return [int(text.split("번째")[0]) for text in texts(items)]


def faults(items: list[Item]) -> list[Reject]:
    return [item for item in items if isinstance(item, Reject) and item.fault]


@EACH_KIND
def test_every_packing_gives_the_same_pages_at_the_same_positions(tmp_path: Path, kind: str):
    path = tmp_path / "a.warc"
    path.write_bytes(stored(kind, [INFO, *PAGES]))
    items, _ = read(path)
    assert numbers(items) == list(range(30))
    assert [item.position for item in items] == [str(n) for n in range(1, 31)]


def test_a_damaged_member_costs_its_record_alone(tmp_path: Path):
    parts = members([INFO, *PAGES])
    parts[15] = parts[15][:40] + bytes(40) + parts[15][80:]
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(parts))
    items, _ = read(path)
    assert numbers(items) == [n for n in range(30) if n != 14]
    (fault,) = faults(items)
    assert (fault.reason, fault.position) == ("corrupt_stream", "15")
    assert fault.raw_bytes + fault.lost_bytes == pytest.approx(len(PAGES[14]), rel=0.5)


def test_a_checksum_that_differs_rejects_the_record_of_that_member(tmp_path: Path):
    parts = members(PAGES)
    parts[7] = parts[7][:-5] + bytes([parts[7][-5] ^ 1]) + parts[7][-4:]
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(parts))
    items, _ = read(path)
    assert numbers(items) == [n for n in range(30) if n != 7]
    assert [(fault.reason, fault.position) for fault in faults(items)] == [("corrupt_stream", "7")]


def test_a_checksum_of_many_records_is_a_fault_beside_them(tmp_path: Path):
    data = gzip.compress(b"".join(PAGES))
    path = tmp_path / "a.warc.gz"
    path.write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
    items, _ = read(path)
    assert numbers(items) == list(range(30))
    assert [fault.reason for fault in faults(items)] == ["corrupt_stream"]


@EACH_KIND
@pytest.mark.parametrize("length", ["abc", "", "-5", "10", "999999", str(10**15), "9" * 30])
def test_a_wrong_length_costs_one_record(tmp_path: Path, kind: str, length: str):
    records = [*PAGES]
    records[12] = record(http(html(12)), length=length, number=12)
    path = tmp_path / "a.warc"
    path.write_bytes(stored(kind, records))
    items, _ = read(path)
    assert numbers(items) == [n for n in range(30) if n != 12]
    (fault,) = faults(items)
    assert (fault.reason, fault.position) == ("malformed_record", "12")
    assert f"{length}" in fault.detail
    assert fault.lost_bytes == 0


def test_a_length_that_reaches_into_the_next_record_costs_one(tmp_path: Path):
    records = [*PAGES]
    records[12] = record(http(html(12)), length=str(len(http(html(12))) + 90), number=12)
    path = tmp_path / "a.warc"
    path.write_bytes(b"".join(records))
    items, _ = read(path)
    assert numbers(items) == [n for n in range(30) if n != 12]
    assert [fault.position for fault in faults(items)] == ["12"]


@EACH_KIND
@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_a_cut_archive_gives_the_records_before_the_cut(tmp_path: Path, kind: str, share: float):
    data = stored(kind, PAGES)
    path = tmp_path / "a.warc"
    path.write_bytes(data[: int(len(data) * share)])
    items, _ = read(path)
    assert numbers(items) == list(range(len(texts(items))))
    if kind in ("members", "plain"):  # of others the bytes of a record are not its share
        assert len(texts(items)) >= int(30 * share) - 1
    (fault,) = faults(items)
    assert fault.reason in ("truncated_stream", "truncated_record")
    assert fault.lost_bytes > 0 or kind == "plain"


def test_bytes_between_records_are_one_fault(tmp_path: Path):
    path = tmp_path / "a.warc"
    path.write_bytes(b"".join(PAGES[:3]) + b"<html>lost</html>\r\n\r\n" + b"".join(PAGES[3:]))
    items, _ = read(path)
    assert numbers(items) == list(range(30))
    (fault,) = faults(items)
    assert (fault.reason, fault.position, fault.raw_bytes) == ("malformed_record", "3", 21)


def test_a_file_without_any_record_is_unreadable(tmp_path: Path):
    path = tmp_path / "a.warc"
    path.write_bytes(b"WARC/1.0 but not quite\r\n" * 9)
    items, _ = read(path, format="warc")
    assert rejects(items) == [("unreadable", "0")]
    path.write_bytes(b"")
    items, _ = read(path, format="warc")
    assert rejects(items) == [("empty_file", "0")]


def damaged(rng: random.Random) -> bytes:
    """Return an archive with some bytes flipped, cut, added and gone."""
    data = bytearray(stored(rng.choice(["members", "one member", "frames", "plain"]), PAGES))
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data))
        what = rng.randrange(4)
        if what == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            del data[at : at + rng.choice([1, 300])]
        elif what == 2:
            data[at:at] = rng.randbytes(rng.choice([1, 300]))
        else:
            del data[max(at, len(data) // 2) :]
    return bytes(data)


@pytest.mark.parametrize("seed", range(25))
def test_splits_share_a_damaged_archive_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
):
    monkeypatch.setattr(warc, "main_text", lambda page: page)
    rng = random.Random(seed)
    path = tmp_path / "a.warc"
    path.write_bytes(damaged(rng))
    file = File(str(path), "a.warc", path.stat().st_size, str(path.stat().st_mtime_ns))
    source, limits = Source(component="ko", path=str(path)), Ingest()

    def part(index: int, count: int) -> tuple[list[tuple[str, str, int]], ReadStats]:
        stats = ReadStats()
        items = list(
            read_split(Split("n", "s", "warc", (file,), index, count), source, limits, stats)
        )
        return [
            (i.position, i.text if isinstance(i, Record) else i.reason, i.raw_bytes) for i in items
        ], stats

    whole, stats = part(0, 1)
    count = rng.randint(2, 5)
    parts = [part(index, count) for index in range(count)]
    assert sorted(whole) == sorted(item for items, _ in parts for item in items)
    assert len({position for position, _, _ in whole}) == len(whole)
    own = stats.files[0]
    assert sum(raw for _, _, raw in whole) + stats.structural_bytes == own.file_bytes
    assert sum(each.files[0].raw_bytes for _, each in parts) == own.file_bytes
    assert {each.files[0].file_records for _, each in parts} == {own.file_records}


def test_a_page_whose_type_is_damaged_is_read_and_other_records_of_no_type_are_faults(
    tmp_path: Path,
):
    parts = [INFO, *PAGES[:3]]
    parts[2] = parts[2].replace(b"WARC-Type: response", b"WARC-Type: resp\xff\xfense")
    parts.append(record("글이다.".encode(), kind="convershon"))
    path = tmp_path / "a.warc"
    path.write_bytes(b"".join(parts))
    items, _ = read(path)
    assert numbers(items) == [0, 1, 2]
    assert rejects(items) == [("malformed_record", "4")]
