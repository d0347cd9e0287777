"""Folders: what is of no format is counted and named, links are followed once, nothing hangs."""

from __future__ import annotations

import os
import socket
import unicodedata
from pathlib import Path

import pytest

from pipelines.ingest.readers import read_split
from pipelines.ingest.readers.base import Item, ReadStats, Record, Reject
from pipelines.ingest.readers.plan import plan_splits
from schemas.config import Ingest, Source
from schemas.errors import InputError
from tests.support.contents import (
    CARD,
    DOCX,
    HWP,
    JPEG,
    KOREAN,
    LINES,
    PAGE,
    PDF,
    PNG,
    POINTER,
    notebook,
    parquet,
)
from tests.support.reading import read, texts


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def faults(items: list[Item]) -> dict[str, str]:
    return {i.file: i.reason for i in items if isinstance(i, Reject) and i.fault}


def passed(items: list[Item]) -> dict[str, str]:
    return {i.file: i.reason for i in items if isinstance(i, Reject) and not i.fault}


def names(items: list[Item]) -> list[str]:
    return [i.file for i in items if isinstance(i, Record)]


def test_pages_of_a_folder_are_read_and_its_pictures_are_faults_with_names(tmp_path: Path):
    write(tmp_path, {"a.html": PAGE, "b": PAGE, "img/c.jpg": JPEG, "d.html": JPEG, "e.txt": b"x"})
    items, _ = read(tmp_path, format="html")
    assert names(items) == ["a.html", "b"]
    assert faults(items) == {
        "img/c.jpg": "unknown_format",
        "d.html": "unknown_format",
        "e.txt": "other_format",
    }
    details = [item.detail for item in items if isinstance(item, Reject)]
    assert all("sources.s.include" in detail for detail in details)
    assert sum("a JPEG image" in detail for detail in details) == 2


def test_documents_that_no_reader_takes_are_faults(tmp_path: Path):
    files = {"a.txt": KOREAN.encode(), "b.hwp": HWP, "c.docx": DOCX, "d.pdf": PDF, "e": POINTER}
    items, _ = read(write(tmp_path, files))
    assert names(items) == ["a.txt"]
    assert set(faults(items)) == {"b.hwp", "c.docx", "d.pdf", "e"}
    assert "git lfs pull" in next(i.detail for i in items if i.file == "e")


def test_helper_files_of_spark_and_the_hub_are_passed_over_by_name(tmp_path: Path):
    helpers = [
        "_SUCCESS", "_committed_123", "_started_123", "x.crc", "dataset_infos.json", "README.md",
        "_delta_log/0.json", "_temporary/0/part", ".part-0.crc", ".gitattributes", ".git/config",
    ]  # fmt: skip
    files = {name: CARD if name == "README.md" else b"{}" for name in helpers}
    items, _ = read(write(tmp_path, {**files, "part-0.jsonl": LINES, "p.parquet": parquet("글")}))
    assert len(texts(items)) == 4
    assert faults(items) == {}
    assert passed(items) == {
        name: "hidden_file" if name.startswith(".") else "helper_file"
        for name in ("_delta_log", "_temporary", ".git", *helpers)
        if "/" not in name
    }


def test_a_readme_with_front_matter_is_a_card_beside_records_only(tmp_path: Path):
    items, _ = read(write(tmp_path, {"README.md": b"---\ntitle: x\n---\nText.\n"}))
    assert names(items) == ["README.md"]
    items, _ = read(write(tmp_path, {"a.jsonl": LINES}))
    assert passed(items) == {"README.md": "helper_file"}


def test_a_repository_is_read_file_by_file(tmp_path: Path):
    files = {
        "src/a.py": b"x = 1\n" * 50,
        "src/__init__.py": b"",
        "src/empty.js": b"",
        "package.json": b'{"name": "x"}',
        "tsconfig.json": b'{\n "a": 1\n}\n',
        "pom.xml": b"<?xml version='1.0'?><project/>",
        "index.html": b"<html><p>raw</p></html>",
        "data.csv": b"a,b\n",
        "logo.png": PNG,
        "fixture.jsonl": b'{"a": 1}\n{"a": 2}\n',
        "lesson.ipynb": notebook(("markdown", "# Title"), ("code", "x = 1")),
        "spec.pdf": PDF,
    }
    write(tmp_path, files)
    for options in ({"component": "code"}, {"component": "code", "format": "tree"}):
        stats, items = ReadStats(), []
        source = Source(path=str(tmp_path), **options)  # type: ignore[arg-type]  # of Source
        for split in plan_splits("s", source, Ingest()):
            items += read_split(split, source, Ingest(), stats)
        read_as = {i.file: i.text for i in items if isinstance(i, Record)}
        assert read_as["index.html"] == "<html><p>raw</p></html>"
        assert read_as["lesson.ipynb"] == "# Title\n\nx = 1"
        assert read_as["fixture.jsonl"] == '{"a": 1}\n{"a": 2}\n'
        assert len(read_as) == 8
        assert faults(items) == {"spec.pdf": "unknown_format"}
        assert passed(items) == {
            "src/__init__.py": "empty_file",
            "src/empty.js": "empty_file",
            "logo.png": "binary",
        }


def test_a_script_beside_records_does_not_make_them_a_source_tree(tmp_path: Path):
    items, _ = read(write(tmp_path, {"load.py": b"x = 1\n", "train.jsonl": LINES * 9}))
    assert len(texts(items)) == 28
    code, _ = read(tmp_path, include=["*.jsonl"])
    assert len(texts(code)) == 27


def test_scripts_of_saved_pages_leave_them_pages(tmp_path: Path):
    items, _ = read(write(tmp_path, {"a.html": PAGE, "a_files/x.js": b"var x = 1;\n" * 500}))
    (page,) = [i for i in items if isinstance(i, Record) and i.file == "a.html"]
    assert "<" not in page.text


def test_text_without_a_reader_is_a_fault_that_names_how_it_can_be_read(tmp_path: Path):
    files = {"a.txt": b"text\n", "b.json": b'[\n{"text": "a"}\n]\n', "c.csv": b"a,b\n1,2\n"}
    items, _ = read(write(tmp_path, files))
    assert faults(items) == {"b.json": "unknown_format", "c.csv": "unknown_format"}
    assert "jq -c" in next(i.detail for i in items if i.file == "b.json")
    raw, _ = read(tmp_path, format="tree")
    assert len(texts(raw)) == 3


def test_include_chooses_files_and_never_how_they_are_read(tmp_path: Path):
    write(tmp_path, {"A.JSONL": LINES, "b.html": PAGE, "sub/c.html": PAGE})
    items, _ = read(tmp_path, include=["*.html"])
    assert all("<" not in text for text in texts(items))
    assert names(items) == ["b.html", "sub/c.html"]
    assert names(read(tmp_path, include=["sub/*"])[0]) == ["sub/c.html"]
    assert len(texts(read(tmp_path, include=["*.jsonl"])[0])) == 3
    with pytest.raises(InputError, match=r"sources\.s\.include: none of the 3 files"):
        read(tmp_path, include=["*.md"])


def test_links_are_followed_once_and_those_to_nothing_are_named(tmp_path: Path):
    data = write(tmp_path / "data", {"a.jsonl": LINES, "sub/b.jsonl": LINES})
    write(tmp_path / "other", {"c.jsonl": LINES})
    (data / "dangling.jsonl").symlink_to("gone.jsonl")
    (data / "itself.jsonl").symlink_to("itself.jsonl")
    (data / "again.jsonl").symlink_to("a.jsonl")
    (data / "linked").symlink_to(tmp_path / "other")
    (data / "linked2").symlink_to(tmp_path / "other")
    (data / "sub/self").symlink_to(".")
    (data / "up").symlink_to(tmp_path)
    (tmp_path / "other/back").symlink_to(data)
    for path in (data, Path(f"{data}/**/*.jsonl")):
        items, _ = read(path)
        assert len(texts(items)) == 9
        assert faults(items) == dict.fromkeys(("dangling.jsonl", "itself.jsonl"), "dangling_link")
        again = {name for name, reason in passed(items).items() if reason == "repeated_link"}
        assert again == {"again.jsonl", "linked2", "sub/self", "up", "linked/back"}


def test_pipes_sockets_and_devices_are_named_and_never_opened(tmp_path: Path):
    write(tmp_path, {"a.txt": b"text\n"})
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "zero.txt").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(str(tmp_path / "s"))
        items, _ = read(tmp_path)
    assert names(items) == ["a.txt"]
    assert passed(items) == dict.fromkeys(("pipe.txt", "zero.txt", "s"), "not_a_file")
    with pytest.raises(InputError, match=r"sources\.s\.path: .*pipe\.txt: a pipe"):
        read(tmp_path / "pipe.txt")


def test_what_may_not_be_read_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path, {"a.txt": b"text\n", "b.txt": b"text\n", "closed/c.txt": b"text\n"})
    allowed, listing = os.access, os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return listing(path)

    monkeypatch.setattr(os, "access", lambda p, mode: "b.txt" not in p and allowed(p, mode))
    monkeypatch.setattr(os, "scandir", scandir)
    items, _ = read(tmp_path)
    assert names(items) == ["a.txt"]
    assert faults(items) == {"b.txt": "unreadable", "closed": "unreadable"}


def test_names_are_normalised_escaped_and_distinct(tmp_path: Path):
    composed = "가나.txt"
    decomposed = unicodedata.normalize("NFD", composed)
    write(tmp_path, {composed: b"one\n", decomposed: b"two\n"})
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xb0\xa1.txt")).write_bytes(b"three\n")
    items, _ = read(tmp_path)
    assert sorted(texts(items)) == ["one\n", "three\n", "two\n"]
    assert sorted(names(items)) == ["\\xb0\\xa1.txt", composed, f"{composed}#2"]


@pytest.mark.parametrize("name", [b"\xb0\xa1.parquet", b"\xb0\xa1.jsonl"])
def test_a_name_that_is_not_utf_8_does_not_keep_records_from_being_read(
    tmp_path: Path, name: bytes
):
    data = parquet("글") if name.endswith(b"t") else LINES
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(data)
    items, _ = read(tmp_path)
    assert len(texts(items)) == len(items) > 0


def test_a_file_that_vanishes_or_grows_after_the_plan_is_a_fault(tmp_path: Path):
    write(tmp_path, {"a.txt": b"one\n", "b.txt": b"two\n", "c.txt": b"three\n"})
    source = Source(component="ko", path=str(tmp_path))
    (split,) = plan_splits("s", source, Ingest())
    (tmp_path / "a.txt").unlink()
    with (tmp_path / "b.txt").open("ab") as file:
        file.write(b"more\n")
    items = list(read_split(split, source, Ingest(), ReadStats()))
    assert names(items) == ["c.txt"]
    assert faults(items) == {"a.txt": "unreadable", "b.txt": "changed_file"}
    assert "run again" in items[1].detail


def test_the_same_folder_makes_the_same_shards(tmp_path: Path):
    files = {f"{n}.{kind}": data for n in range(20) for kind, data in
             (("txt", b"text %d\n" % n), ("html", PAGE), ("jsonl", LINES))}  # fmt: skip
    write(tmp_path, files)
    source = Source(component="ko", path=str(tmp_path))
    splits = plan_splits("s", source, Ingest())
    assert splits == plan_splits("s", source, Ingest())
    assert len(splits) == 22, "a split per file of lines, one of texts, one of pages"


def test_a_limit_counts_records_whatever_is_passed_over(tmp_path: Path):
    write(tmp_path, {"a.jsonl": LINES, "b.txt": b"text\n", "c.pdf": PDF, "d.parquet": b"PAR1cut"})
    items, _ = read(tmp_path, limit=2)
    assert len(texts(items)) == 2
    assert set(faults(items)) == {"c.pdf", "d.parquet"}


def test_a_folder_of_nothing_that_is_read_counts_what_is_there(tmp_path: Path):
    write(tmp_path, {"a.jpg": JPEG, "b.jpg": JPEG, "c.pdf": PDF})
    assert len(faults(read(tmp_path)[0])) == 3
    with pytest.raises(InputError, match=r"no file of it is read: 2 × a JPEG image, 1 × a PDF"):
        read(tmp_path / "*")
