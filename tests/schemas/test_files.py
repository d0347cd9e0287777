"""One reader of JSON Lines, whatever packs them; one way in which files are written."""

from __future__ import annotations

import gzip
import io
import json
import re
from pathlib import Path

import pytest
import zstandard

from schemas.errors import InputError
from schemas.files import TEMPORARY, atomic_path, read_lines, read_whole

ROWS = [json.dumps({"text": f"바다 {n}\u2028하늘\u0085"}, ensure_ascii=False) for n in range(40)]
HALVES = ["".join(row + "\n" for row in part).encode() for part in (ROWS[:20], ROWS[20:])]
SKIPPED = b"\x5a\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"none"
PACKED = {
    "plain": b"".join(HALVES),
    "two gzip members": b"".join(map(gzip.compress, HALVES)),
    "a gzip member and zeros": gzip.compress(b"".join(HALVES)) + bytes(512),
    "two zstd frames": b"".join(map(zstandard.compress, HALVES)),
    "zstd frames and one without data": SKIPPED + b"".join(map(zstandard.compress, HALVES)),
}


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.zst", "rows.jsonl.gz"])
def test_every_line_is_read_whatever_packs_it_and_whatever_it_is_called(
    tmp_path: Path, kind: str, name: str
):
    path = tmp_path / name
    path.write_bytes(PACKED[kind])
    assert list(read_lines(path, "rows")) == list(enumerate(ROWS, 1))
    assert list(read_lines(io.BytesIO(PACKED[kind]), "rows", "s3://b/k")) == [*enumerate(ROWS, 1)]
    assert read_whole(path, "rows") == PACKED["plain"]


@pytest.mark.parametrize("kind", ["two gzip members", "two zstd frames"])
def test_a_stream_that_is_cut_off_names_file_line_and_byte(tmp_path: Path, kind: str):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(PACKED[kind][:-9])
    lines = read_lines(path, "chats")
    assert [next(lines)[0] for _ in range(20)] == list(range(1, 21))
    with pytest.raises(InputError) as caught:
        list(lines)
    message = str(caught.value)
    assert message.startswith(f"{path}: cannot be unpacked: the ")
    assert "ends before its" in message
    assert " unpacked bytes, in line " in message
    assert "get the whole file of chats" in message


def test_a_cut_between_two_frames_is_found_where_the_second_begins(tmp_path: Path):
    path = tmp_path / "rows.zst"
    path.write_bytes(zstandard.compress(HALVES[0]) + zstandard.compress(HALVES[1])[:6])
    with pytest.raises(InputError, match=f"after {len(HALVES[0]):,} unpacked bytes, in line 21"):
        list(read_lines(path, "rows"))


def test_blank_lines_count_and_what_is_not_utf_8_is_named(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"one\r\n\n \nfour\nf\xffve")
    lines = read_lines(path, "rows")
    assert [next(lines), next(lines)] == [(1, "one\r"), (4, "four")]
    with pytest.raises(InputError, match=r"rows\.jsonl: line 5 is not UTF-8 \(its byte 2\)"):
        next(lines)


def test_a_file_that_is_not_there_or_not_a_file_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"none: cannot be read \(No such file.*a file of chats"):
        list(read_lines(tmp_path / "none", "chats"))
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory"):
        read_whole(tmp_path, "chats")


def test_a_line_longer_than_a_piece_stays_one(tmp_path: Path):
    path = tmp_path / "long"
    path.write_bytes(b"x" * 3_000_000 + b"\ny")
    assert [len(line) for _, line in read_lines(path, "rows")] == [3_000_000, 1]


def test_a_file_that_is_written_is_whole_or_as_it_was(tmp_path: Path):
    path = tmp_path / "folder" / "file"
    with atomic_path(path) as temporary:
        temporary.write_text("old")
        assert not path.exists()
        assert temporary.name.startswith(TEMPORARY)
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [each.name for each in path.parent.iterdir()] == ["file"]


def test_no_other_module_unpacks_or_syncs():
    root = Path(__file__).parents[2]
    own = {
        path.relative_to(root).as_posix()
        for package in ("schemas", "filters", "mixtures", "pipelines", "trainer", "audit")
        for path in (root / package).rglob("*.py")
        if re.search(r"fsync|import (gzip|zlib|bz2|lzma|zstandard|lz4)", path.read_text("utf-8"))
    }
    # a zip's members are unpacked one by one
    assert own == {
        "schemas/files.py",
        "pipelines/ingest/readers/zips.py",
        *(
            f"schemas/packing/{name}.py"
            for name in ("bodies", "bzip2", "gzip", "lz4", "xz", "zstd")
        ),
    }
