"""What a file is, where it is found, and what is left of a damaged one."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import shutil
import tarfile
import zlib
from pathlib import Path

import pyarrow.parquet as pq
import zstandard

from tests.given.expect import (
    all_of,
    by_source,
    case,
    message,
    pages,
    paragraphs_of,
    right,
    sources,
    texts_of,
)
from tests.oracles.readers.pack import gz, http, jsonl, record, zip_file
from tests.oracles.readers.prose import page, paragraphs
from tests.oracles.readers.rig import Outcome, Right, plain

KNOWN_SCHEME = r"\b(s3|gs|hdfs|hf|file)(://|:|\b)"
THREE = paragraphs(3, first=21)


def column(path: Path) -> list[str]:
    return pq.read_table(path, columns=["text"]).column("text").to_pylist()


def members(path: Path) -> list[str]:
    with tarfile.open(path) as archive:
        return [
            file.read().decode()
            for info in archive
            if (file := archive.extractfile(info)) is not None
        ]


@case("06-jsonl-uppercase-ending")
def endings_in_capitals(folder: Path) -> Right:
    lines = texts_of((folder / "CORPUS.JSONL").read_bytes())
    parts = paragraphs_of((folder / "PAGE.HTML").read_text("utf-8"))

    def no_tags(got: Outcome) -> str | None:
        tags = [text[:60] for text in by_source(got).get("h", []) if "<" in text]
        return f"the page has tags: {tags}" if tags else None

    checks = sources({"j": lines, "p": column(folder / "T.PARQUET")}), pages({"PAGE.HTML": parts})
    return right(docs=41, check=all_of(*checks, no_tags))


@case("09-wrong-compression-ending")
def endings_of_another_compression(folder: Path) -> Right:
    packed = (folder / "zst.jsonl.zstd").read_bytes()
    expected = {
        "a": (folder / "plain.jsonl.gz").read_bytes(),
        "b": gzip.decompress((folder / "gz.jsonl").read_bytes()),
        "c": zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)).read(),
        "d": gzip.decompress((folder / "gz.jsonl.gzip").read_bytes()),
    }
    return right(docs=20, check=sources({name: texts_of(data) for name, data in expected.items()}))


@case("54-remote-schemes/https")
def a_scheme_of_the_web(folder: Path) -> Right:
    return right(code=2, words=["https"], check=message(KNOWN_SCHEME, but="no such file"))


@case("54-remote-schemes/s3a")
def a_scheme_of_hadoop(folder: Path) -> Right:
    return right(code=2, words=["s3a"], check=message(KNOWN_SCHEME, but="no such file"))


@case("54-remote-schemes/file")
def a_file_by_its_address(folder: Path) -> Right:
    (folder / "a.jsonl").write_bytes(jsonl(THREE))
    config = folder / "file.yaml"
    config.write_text(config.read_text("utf-8").replace("/data/", f"{folder}/"), "utf-8")
    return right(THREE)


@case("54-remote-schemes/tilde")
def the_home_folder(folder: Path) -> Right:
    (folder / "home").mkdir()
    (folder / "home/a.jsonl").write_bytes(jsonl(THREE))
    return right(THREE)


@case("15-tar-damaged-header")
def one_damaged_header_of_six(folder: Path) -> Right:
    """The other five are read, or the fault says how many are lost."""
    data = (folder / "a.tar").read_bytes()
    texts = [data[at + 512 : at + 512 + 560].decode() for at in range(0, 6 * 1536, 1536)]
    five, two = [sorted(plain(texts[n]) for n in kept) for kept in ((0, 1, 3, 4, 5), (0, 1))]

    def of(source: str, got: Outcome) -> str | None:
        found = by_source(got).get(source, [])
        faults = [one["detail"] or "" for one in got.faults if one["source"] == source]
        lost = [
            int(n)
            for detail in faults
            for n in re.findall(
                r"(\d+) (?:\w+ )?(?:members|files|entries|records|documents)", detail
            )
        ]
        if (found == five and len(faults) == 1) or (found == two and any(n >= 4 for n in lost)):
            return None
        return f"{source}: {len(found)} documents, faults {faults}"

    return right(
        faults=(2, 12), check=all_of(lambda got: of("tar", got), lambda got: of("tgz", got))
    )


@case("37-warc-damaged-member")
def one_damaged_member_of_300(folder: Path) -> Right:
    texts = [paragraphs(3, first=3 * n) for n in range(300)]
    packed = [
        gz(record(http(page(parts).encode()), f"http://site.example/{n}"))
        for n, parts in enumerate(texts)
    ]
    broken = bytearray(packed[150])
    broken[200:400] = bytes((37 * n + 11) % 256 for n in range(200))
    packed[150] = bytes(broken)
    (folder / "a.warc.gz").write_bytes(b"".join(packed))
    sound = [parts[1] for n, parts in enumerate(texts) if n != 150]
    return right(docs=299, holds=sound, faults=1)


@case("38-warc-single-member-gz")
def six_pages_in_one_member(folder: Path) -> Right:
    content = gzip.decompress((folder / "a.warc.gz").read_bytes()).decode()
    return right(docs=6, holds=paragraphs_of(content))


@case("68-gzip-trailing-newline")
def bytes_behind_and_between_members(folder: Path) -> Right:
    first = gzip.decompress((folder / "a.jsonl.gz").read_bytes().removesuffix(b"\n"))
    data, content = (folder / "b.jsonl.gz").read_bytes(), b""
    while data:
        unpacker = zlib.decompressobj(31)
        content += unpacker.decompress(data)
        data = unpacker.unused_data.lstrip(b"\0")
    expected = {"a": texts_of(first), "b": texts_of(content)}
    assert [len(texts) for texts in expected.values()] == [120, 240]
    return right(docs=360, check=sources(expected))


@case("16-tar-appended-member/tar")
def a_name_twice_in_a_tar(folder: Path) -> Right:
    return old_and_new(members(folder / "a.tar"))


@case("16-tar-appended-member/zip")
def a_name_twice_in_a_zip(folder: Path) -> Right:
    texts = members(folder / "a.tar")
    twice = zip_file([(b"proj/a.py", text.encode()) for text in texts])
    (folder / "a.zip").write_bytes(twice)
    return old_and_new(texts)


def old_and_new(texts: list[str]) -> Right:
    """Return: two documents (whose ids differ, as always), or the last only."""
    old, new = (plain(text) for text in texts)

    def check(got: Outcome) -> str | None:
        return None if got.texts in (sorted([old, new]), [new]) else f"got {got.texts}"

    return right(others=None, check=check)


@case("18-archive-limit")
def five_of_forty_members(folder: Path) -> Right:
    texts = {plain(text) for text in members(folder / "a.tar.gz")}

    def check(got: Outcome) -> str | None:
        return None if texts.issuperset(got.texts) else f"got {got.texts}"

    return right(docs=5, check=check)


@case("21-links/dangling")
def a_link_to_nothing(folder: Path) -> Right:
    (folder / "in").mkdir()
    (folder / "in/a.jsonl").write_bytes(jsonl(THREE))
    (folder / "in/gone.jsonl").symlink_to("nowhere.jsonl")
    return right(THREE, faults=(0, 1), code=(0, 1), others=None)


@case("21-links/linked")
def a_link_to_a_folder(folder: Path) -> Right:
    more = paragraphs(3, first=31)
    for name, texts in (("in", THREE), ("elsewhere", more)):
        (folder / name).mkdir()
        (folder / name / "a.jsonl").write_bytes(jsonl(texts))
    (folder / "in/more").symlink_to(folder / "elsewhere")
    return right([*THREE, *more])


@case("21-links/loop")
def a_folder_that_links_to_itself(folder: Path) -> Right:
    (folder / "in").mkdir()
    (folder / "in/a.jsonl").write_bytes(jsonl(THREE))
    (folder / "in/self").symlink_to(".")
    return right(THREE, others=None)


@case("22-brackets-in-path")
def brackets_that_are_not_a_pattern(folder: Path) -> Right:
    (folder / "말뭉치 [2차]").mkdir()
    shutil.move(folder / "a.jsonl", folder / "말뭉치 [2차]/a b.jsonl")
    return right(texts_of((folder / "말뭉치 [2차]/a b.jsonl").read_bytes()))


@case("55-notebooks-and-tree")
def a_repository_with_a_notebook(folder: Path) -> Right:
    """Empty files are not faults, and the notebook is its cells."""
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n" * 300).decode()
    output = {"output_type": "display_data", "data": {"image/png": picture}, "metadata": {}}
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# 실습\n", "이 절에서는 표를 읽는다."]},
        {"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": [output],
         "source": ["import csv\n", "rows = list(csv.reader(open('a.csv')))\n"]},
    ]  # fmt: skip
    code = "def f(x):\n    return x + 1\n" * 3
    files = {
        "src/a.py": code,
        "src/__init__.py": "",
        "src/empty.js": "",
        "README.md": "# 안내\n\n설명이다.\n",
        "LICENSE": "A licence\n\nWhoever has this file may read it.\n",
        "package.json": '{\n  "name": "x",\n  "dependencies": {\n    "left-pad": "1.0.0"\n  }\n}\n',
        "index.html": '<!doctype html>\n<html><body><div id="app"></div></body>\n</html>\n',
        "win.bat": "@echo off\r\ndir\r\n",
        "lesson.ipynb": json.dumps(
            {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1
        ),
    }
    for name, text in files.items():
        (folder / "repo" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "repo" / name).write_bytes(text.encode())

    def one_program(got: Outcome) -> str | None:
        found = got.texts.count(plain(code))
        return None if found == 1 else f"{found} documents are src/a.py"

    return right(
        holds=["이 절에서는 표를 읽는다.", "rows = list(csv.reader(open('a.csv')))"],
        lacks=[picture[:40], '"cell_type"', "display_data"],
        others=None,
        check=one_program,
    )


@case("71-limit-on-unreadable-file/plain")
def an_unreadable_file_beside_a_good_one(folder: Path) -> Right:
    return right(column(folder / "p/b.parquet"), faults=1)


@case("71-limit-on-unreadable-file/limit")
def an_unreadable_file_and_a_limit(folder: Path) -> Right:
    texts = {plain(text) for text in column(folder / "p/b.parquet")}

    def check(got: Outcome) -> str | None:
        return None if texts.issuperset(got.texts) else "a text that the file does not hold"

    return right(docs=20, faults=1, check=check)
