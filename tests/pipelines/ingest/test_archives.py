"""Archives: members are read in bounded memory, and a damaged archive loses nothing silently."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from pipelines.ingest.readers.base import Record, Reject
from schemas.config import Ingest
from tests.support.reading import read, rejects, texts


def archive(path: Path, files: dict[str, bytes]) -> Path:
    """Write a zip, tar, tar.gz or tar.zst of `files`."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
            for name, data in files.items():
                made.writestr(name, data)
        return path
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz" if path.suffix == ".gz" else "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    data = raw.getvalue()
    path.write_bytes(zstandard.compress(data) if path.suffix == ".zst" else data)
    return path


ARCHIVED = ["a.zip", "a.tar", "a.tar.gz", "a.tar.zst"]


@pytest.mark.parametrize("name", ARCHIVED)
def test_a_limit_counts_the_members_of_an_archive(tmp_path: Path, name: str):
    path = archive(tmp_path / name, {f"f{n}.py": b"x = %d\n" % n for n in range(30)})
    items, stats = read(path, limit=7)
    assert len(items) == len(texts(items)) == 7
    assert stats.files[0].records == 30


@pytest.mark.parametrize("name", ARCHIVED)
def test_a_member_over_the_limit_is_not_unpacked(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    path = archive(tmp_path / name, {"a.py": b"x = 1\n", "b.py": b"y" * 5000, "c.py": b"z = 1\n"})
    monkeypatch.setattr(zipfile.ZipFile, "read", bounded(zipfile.ZipFile.read))
    items, _ = read(path, Ingest(max_document_bytes=1000))
    assert texts(items) == ["x = 1\n", "z = 1\n"]
    assert rejects(items) == [("too_long", "b.py")]
    assert items[1].raw_bytes == 5000


def bounded(read_member: Callable[..., bytes]) -> Callable[..., bytes]:
    """Return zipfile's `read` that fails for a member of more than 1000 bytes."""

    def checked(self: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
        assert info.file_size <= 1000
        return read_member(self, info)

    return checked


def test_a_damaged_member_of_a_zip_is_rejected_and_the_others_are_read(tmp_path: Path):
    path = archive(tmp_path / "a.zip", {"a.py": b"x = 1\n" * 50, "b.py": b"y = 1\n"})
    data = bytearray(path.read_bytes())
    start = data.index(b"a.py") + len("a.py")
    data[start : start + 4] = b"\xff" * 4
    path.write_bytes(data)
    items, _ = read(path)
    assert texts(items) == ["y = 1\n"]
    assert rejects(items) == [("corrupt_stream", "a.py")]


@pytest.mark.parametrize("name", ARCHIVED)
def test_a_truncated_archive_is_one_reject(tmp_path: Path, name: str):
    path = archive(tmp_path / name, {f"f{n}.py": b"x = %d\n" % n for n in range(30)})
    path.write_bytes(path.read_bytes()[:-60] if name != "a.tar" else path.read_bytes()[:2100])
    items, _ = read(path)
    assert [reason for reason, _ in rejects(items)] == ["truncated_stream"]


def test_a_damaged_header_in_a_tar_costs_its_member_alone(tmp_path: Path):
    path = archive(tmp_path / "a.tar", {f"f{n}.py": b"x = %d\n" % n for n in range(5)})
    data = bytearray(path.read_bytes())
    data[data.index(b"f2.py")] ^= 1
    path.write_bytes(data)
    items, _ = read(path)
    assert texts(items) == ["x = 0\n", "x = 1\n", "x = 3\n", "x = 4\n"]
    assert rejects(items) == [("corrupt_stream", "byte 2048")]


def test_a_tar_header_of_a_gigabyte_is_refused(tmp_path: Path):
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    path = tmp_path / "a.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 1024)
    items, _ = read(path)
    (reject,) = items
    assert isinstance(reject, Reject)
    assert "1073741824 bytes" in reject.detail


def test_an_archive_of_sources_is_read_without_unpacking(tmp_path: Path):
    path = tmp_path / "src.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, data in (("a/x.py", b"x = 1\n"), ("a/y.txt", b"text\n")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    items, _ = read(path, include=["*.py"])
    assert texts(items) == ["x = 1\n"]
    assert isinstance(items[0], Record)
    assert items[0].position == "a/x.py"
