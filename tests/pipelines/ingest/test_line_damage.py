"""Damaged files of lines: all whole lines are read, and what is missing is a reject."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from pipelines.ingest.readers import lines, read_split
from pipelines.ingest.readers.base import File, Item, ReadStats, Record, Reject, Split
from schemas.config import Ingest, Source
from tests.support.damage import DATA, LINES, PACKINGS, Packed, without, zeroed
from tests.support.reading import read, rejects, texts

TEXTS = [json.loads(line)["text"] for line in LINES]
MEMBERS = [
    gzip.compress("".join(LINES[at : at + 100]).encode()) for at in range(0, len(LINES), 100)
]


def faults(items: list[Item]) -> list[Reject]:
    return [item for item in items if isinstance(item, Reject)]


@pytest.mark.parametrize("packed", PACKINGS, ids=lambda packed: packed.name)
@pytest.mark.parametrize("damage", [without, zeroed])
def test_no_text_is_mangled_silently_and_the_gap_is_counted(tmp_path: Path, packed: Packed, damage):
    path = tmp_path / "a.jsonl"
    path.write_bytes(damage(packed.data, 0.5))
    items, stats = read(path)
    wrong = set(texts(items)) - set(TEXTS)
    assert faults(items)
    if packed.name != "lz4":  # whose blocks refer to a block that unpacks to other bytes
        assert len(wrong) <= 12, "only those within the damaged bytes"
    assert sum(item.raw_bytes for item in items) + stats.structural_bytes == (
        stats.files[0].file_bytes
    )
    lost = sum(item.lost_bytes for item in faults(items))
    missing = len(DATA) - stats.files[0].file_bytes
    assert lost == pytest.approx(missing, rel=0.2, abs=20_000)


def test_a_gap_between_whole_lines_costs_no_line_beside_it(tmp_path: Path):
    parts = [*MEMBERS[:3]]
    parts[1] = parts[1][:10] + bytes(len(parts[1]) - 10)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(parts))
    items, _ = read(path)
    assert texts(items) == TEXTS[:100] + TEXTS[200:300]
    (fault,) = faults(items)
    assert fault.position == f"byte {len(''.join(LINES[:100]).encode())}"
    assert fault.raw_bytes == 0
    assert fault.lost_bytes == pytest.approx(len("".join(LINES[100:200]).encode()), rel=0.2)
    assert [item.position for item in items if isinstance(item, Record)][99:102] == (
        ["100", "101", "102"]
    )


def test_a_checksum_in_the_middle_of_a_line_costs_no_line(tmp_path: Path):
    data = "".join(LINES[:10]).encode()
    first = gzip.compress(data[:333])
    path = tmp_path / "a.jsonl"
    path.write_bytes(first[:-5] + bytes([first[-5] ^ 1]) + first[-4:] + gzip.compress(data[333:]))
    items, _ = read(path)
    assert texts(items) == TEXTS[:10]
    assert rejects(items) == [("corrupt_stream", "byte 333")]


def test_both_halves_of_a_torn_line_are_one_reject_with_its_bytes(tmp_path: Path):
    data = "".join(LINES[:10]).encode()
    bad = gzip.compress(b"\n".join([b"lost"] * 50))
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        gzip.compress(data[:333]) + bad[:12] + bytes(9) + bad[21:] + gzip.compress(data[400:])
    )
    items, stats = read(path)
    (fault,) = faults(items)
    assert texts(items) == [text for n, text in enumerate(TEXTS[:10]) if n not in torn(data)]
    assert fault.raw_bytes == stats.files[0].file_bytes - sum(
        item.raw_bytes for item in items if isinstance(item, Record)
    )


def torn(data: bytes) -> range:
    """Return the lines from the one that holds byte 333 to the one that holds byte 400."""
    return range(data[:333].count(b"\n"), data[:400].count(b"\n") + 1)


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("packed", [False, True])
def test_unicode_files_are_converted_as_they_stream(tmp_path: Path, codec: str, packed: bool):
    data = "".join(LINES[:3000]).encode(codec)
    path = tmp_path / "a.jsonl"
    path.write_bytes(gzip.compress(data) if packed else data)
    items, stats = read(path)
    assert texts(items) == TEXTS[:3000]
    assert stats.files[0].file_bytes == len("".join(LINES[:3000]).encode()) + 3 * (
        codec == "utf-8-sig"
    )


def test_utf_16_is_aligned_again_behind_a_gap(tmp_path: Path):
    data = "".join(LINES[:900]).encode("utf-16-le")
    step = len(data) // 9 | 1
    parts = [gzip.compress(data[at : at + step]) for at in range(0, len(data), step)]
    parts[4] = parts[4][:20] + bytes(len(parts[4]) - 20)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(parts))
    items, _ = read(path)
    assert set(texts(items)) <= set(TEXTS)
    assert len(texts(items)) > 780
    assert len(faults(items)) == 1


def test_lines_of_a_named_charset_are_read(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes("".join(LINES[:50]).encode("cp949"))
    assert texts(read(path, encoding="cp949")[0]) == TEXTS[:50]
    assert texts(read(path)[0]) == TEXTS[:50]


def test_a_damaged_byte_costs_one_character_in_utf_16_and_utf_8(tmp_path: Path):
    for codec, bad in (("utf-8", b"\xff"), ("utf-16-le", b"\x00\xdc")):
        data = bytearray("".join(LINES[:50]).encode(codec))
        at = data.index(TEXTS[20].encode(codec)) + len("20 ".encode(codec))
        data[at : at + len(bad)] = bad
        path = tmp_path / "a.jsonl"
        path.write_bytes(bytes(data))
        got = texts(read(path)[0])
        assert len(got) == 50
        assert got[:20] + got[21:] == TEXTS[:20] + TEXTS[21:50]
        assert got[20].count("\ufffd") in (1, 2, 3)


@pytest.mark.parametrize("seed", range(30))
def test_splits_share_a_damaged_file_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
):
    monkeypatch.setattr(lines, "BLOCK", 4096)
    rng = random.Random(seed)
    parts = [*MEMBERS[:12]] if seed % 3 else [gzip.compress("".join(LINES[:1200]).encode())]
    data = bytearray(b"".join(parts))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) - 400)
        data[at : at + rng.choice([1, 300])] = rng.randbytes(rng.choice([0, 1, 300]))
    path = tmp_path / "a.jsonl"
    path.write_bytes(bytes(data))
    file = File(str(path), "a.jsonl", path.stat().st_size, str(path.stat().st_mtime_ns))
    source, limits = Source(component="ko", path=str(path)), Ingest()

    def part(index: int, count: int) -> tuple[list[tuple[str, str, int]], ReadStats]:
        stats = ReadStats()
        split = Split("n", "s", "jsonl", (file,), index, count)
        items = list(read_split(split, source, limits, stats))
        kinds = [i.text if isinstance(i, Record) else i.reason for i in items]
        return [(i.position, k, i.raw_bytes) for i, k in zip(items, kinds, strict=True)], stats

    whole, stats = part(0, 1)
    count = rng.randint(2, 6)
    shared = [part(index, count) for index in range(count)]
    assert sorted(whole) == sorted(item for items, _ in shared for item in items)
    assert len({position for position, _, _ in whole}) == len(whole)
    assert sum(raw for _, _, raw in whole) + stats.structural_bytes == stats.files[0].file_bytes
    assert {each.files[0].file_records for _, each in shared} == {stats.files[0].file_records}


@pytest.mark.parametrize("codec", ["iso2022_kr", "iso2022_jp", "iso2022_jp_2"])
@pytest.mark.parametrize("keyed", [False, True])
def test_lines_of_a_charset_that_switches_are_read(tmp_path: Path, codec: str, keyed: bool):
    wanted = (
        ["글 하나입니다.", "둘째 글과 셋째 글"]
        if codec.endswith("kr")
        else ["日本語の文", "二つ目の文章"]
    )
    lines_of = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in wanted)
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines_of.encode(codec))
    assert texts(read(path, **({"encoding": codec} if keyed else {}))[0]) == wanted


def test_a_line_behind_a_member_with_a_wrong_checksum_is_read(tmp_path: Path):
    first, second = (gzip.compress("".join(LINES[at : at + 9]).encode()[:-4]) for at in (0, 9))
    path = tmp_path / "a.jsonl"
    path.write_bytes(first[:-8] + bytes(4) + first[-4:] + second)
    assert texts(read(path)[0]) == TEXTS[:8] + TEXTS[9:17]
