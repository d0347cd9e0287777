"""Kinds of files: bytes say what a file is, whatever it is called."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import tempfile
import wave
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.ingest.readers.base import Reject
from pipelines.ingest.readers.kinds import kind_of
from schemas.errors import InputError
from tests.support.contents import (
    CARD,
    DOCX,
    EPUB,
    HWP,
    HWPX,
    JPEG,
    KOREAN,
    LINES,
    PAGE,
    PDF,
    PNG,
    POINTER,
    WARC,
    notebook,
    parquet,
    tarred,
    zipped,
)
from tests.support.reading import read, rejects, texts

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".lz4": lambda data: pa.compress(data, codec="lz4", asbytes=True),
}


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("name", ["a", "a.jsonl", "A.JSONL.GZ", "a.zstd", "a.txt", "a.parquet"])
def test_lines_of_json_are_read_whatever_packs_and_names_them(
    tmp_path: Path, packing: str, name: str
):
    path = tmp_path / name
    path.write_bytes(PACKERS[packing](LINES))
    items, _ = read(path)
    assert len(texts(items)) == len(items) == 3


@pytest.mark.parametrize("name", ["a.parquet", "T.PARQUET", "a.jsonl", "a.txt", "a"])
def test_a_parquet_file_is_known_by_its_magic(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes(parquet("하나", "둘"))
    assert texts(read(path)[0]) == ["하나", "둘"]


@pytest.mark.parametrize("name", ["PAGE.HTML", "page", "page.txt", "page.html.gz"])
def test_a_page_is_known_by_its_start(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes(PAGE)
    (text,) = texts(read(path)[0])
    assert "<" not in text
    assert KOREAN.strip() in text


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG, "a PNG image"),
        (JPEG, "a JPEG image"),
        (PDF, "a PDF document"),
        (HWP, "a HWP document"),
        (DOCX, "a Word document (.docx)"),
        (HWPX, "a HWPX document"),
        (EPUB, "an EPUB book"),
        (zipped({"a.txt": b"a"}), "a zip archive"),
        (tarred({"a.txt": b"a"}), "a tar archive"),
        (POINTER, "a Git LFS pointer, not the file itself"),
        (CARD, "a dataset card of the Hub"),
        (WARC, "a WARC file"),
        (b"SQLite format 3\0" + bytes(84), "an SQLite database"),
        (b"\x7fELF\2\1\1" + bytes(60), "an executable"),
        (b"\x93NUMPY\1\0v\0{'descr': '<f8'}", "a NumPy array"),
        (b"\x80\4\x95\x0b\0\0\0\0\0\0\0}\x94.", "a pickle"),
        (b"ARROW1\0\0" + bytes(50), "an Arrow file"),
        (b"Obj\1\4\x16avro.schema" + bytes(20), "an Avro file"),
        (b"ORC\n\0\1\2\0\0\0\0", "an ORC file"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive"),
        (b"Rar!\x1a\7\1\0", "a rar archive"),
        (b"wOF2\0\1\0\0", "a font"),
        (b"RIFF\x24\0\0\0WAVEfmt " + bytes(20), "a WAVE file"),
        (b"RIFF\x24\0\0\0WEBPVP8 " + bytes(20), "a WebP image"),
        (b"\0\0\0\x20ftypisom" + bytes(20), "an MP4 video"),
        (b"<?xml version='1.0'?>\n<TEI/>", "an XML file"),
        (b"<?xml version='1.0'?>\n<!DOCTYPE html><html/>", "a page (HTML)"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG image"),
        (b'{"a": 1}\n{"a": 2}\n', "JSON lines"),
        (b'{"a": "cut \n{"a": 2}\n{"a": 3}\n', "JSON lines"),
        (b'{"a": 1}', "a JSON object on one line"),
        (b'[\n{"a": 1},\n{"a": 2}\n]\n', "a JSON array"),
        (b'{\n  "a": 1\n}\n', "a JSON object over several lines"),
        (notebook(("code", "x = 1\n")), "a notebook"),
        (random.Random(1).randbytes(4096), "binary content"),
        ("\ufeff글\n".encode("utf-16-le"), "plain text"),
        ("글이 둘이다. a b\n".encode("cp949"), "plain text"),
        (b"ORCA is a whale.\n", "plain text"),
        (b"MZ is what an .exe begins with.\n", "plain text"),
        (b"[note] a text\n", "plain text"),
        (b"\x1b[31mERROR\x1b[0m a log\n\x0c\n", "plain text"),
    ],
)
def test_bytes_say_what_a_file_is(data: bytes, kind: str):
    name = "README.md" if data is CARD else "a"
    assert kind_of(data, name).name == kind


def test_a_wave_file_of_the_standard_library_is_known(tmp_path: Path):
    with wave.open(str(tmp_path / "a"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"ab" * 100)
    assert kind_of((tmp_path / "a").read_bytes(), "a.txt").name == "a WAVE file"


@pytest.mark.parametrize(
    ("name", "data", "form"),
    [
        ("a.py", b"x = 1\n", "code"),
        ("a.PY.gz", b"x = 1\n", "code"),
        ("Makefile", b"all:\n", "code"),
        ("run", b"#!/bin/sh\necho\n", "code"),
        ("a.html", b"<p>no head</p>", "html"),
        ("a.md", b"# Title <b>x</b>\n", "text"),
        ("a.jsonl", b"damaged\n", "jsonl"),
        ("a.csv", b"a,b\n1,2\n", "data"),
        ("a.vue", b"<!DOCTYPE html>\n", "code"),
        ("a.txt", PAGE, "html"),
        ("a.png", b"only text\n", "text"),
    ],
)
def test_an_ending_chooses_among_kinds_of_text_only(name: str, data: bytes, form: str):
    assert kind_of(data, name).form == form


@pytest.mark.parametrize("name", ["a.pdf", "a.txt", "a.jsonl"])
@pytest.mark.parametrize("form", ["auto", "text", "jsonl", "html", "parquet", "tree"])
def test_a_file_that_no_reader_takes_stops_with_its_kind_and_the_key(
    tmp_path: Path, name: str, form: str
):
    (tmp_path / name).write_bytes(PDF)
    with pytest.raises(InputError, match=rf"sources\.s\.path: .*{name}: a PDF document.*convert"):
        read(tmp_path / name, format=form)


@pytest.mark.parametrize("packing", PACKERS)
def test_a_tar_is_read_whatever_packs_and_names_it(tmp_path: Path, packing: str):
    for number, name in enumerate(["a.tar", "a", "a.zip", "a.tar.gz"]):
        path = tmp_path / str(number) / name
        path.parent.mkdir()
        path.write_bytes(PACKERS[packing](tarred({"p/a.txt": KOREAN.encode()})))
        assert texts(read(path)[0]) == [KOREAN]


CONTENTS = {
    "lines": LINES,
    "page": PAGE,
    "parquet": parquet("행 하나", "행 둘"),
    "prose": KOREAN.encode(),
    "wide": ("\ufeff" + KOREAN).encode("utf-16"),
    "jpeg": JPEG,
    "pdf": PDF,
    "pointer": POINTER,
    "archive": zipped({"p/a.txt": KOREAN.encode()}),
}
EXPECTED = {"lines": 3, "page": 1, "parquet": 2, "prose": 1, "wide": 1, "archive": 1}


@settings(deadline=None, max_examples=60)
@given(
    chosen=st.lists(
        st.tuples(
            st.sampled_from(sorted(CONTENTS)),
            st.sampled_from(
                ["", ".dat", ".parquet", ".PDF", ".jpg", ".zip", ".tar", ".gz", ".zst"]
            ),
            st.sampled_from(sorted(PACKERS)),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_what_is_read_of_a_folder_depends_on_contents_only(chosen: list[tuple[str, str, str]]):
    with tempfile.TemporaryDirectory() as folder:
        for number, (content, ending, packing) in enumerate(chosen):
            packable = content not in ("parquet", "jpeg", "pdf", "archive")
            data = PACKERS[packing](CONTENTS[content]) if packable else CONTENTS[content]
            (Path(folder) / f"f{number}{ending}").write_bytes(data)
        documents = sum(EXPECTED.get(content, 0) for content, _, _ in chosen)
        faults = sum(content not in EXPECTED for content, _, _ in chosen)
        items, _ = read(Path(folder))
        assert len(texts(items)) == documents
        assert [reason for reason, _ in rejects(items)] == ["unknown_format"] * faults


def test_a_page_of_many_comments_is_known_at_once():
    comments = b"<!-- licence -->\n" * 3000
    assert kind_of(comments + PAGE, "a").form == "html"
    assert kind_of(comments + b"plain", "a").form == "text"
    assert kind_of(b"<!-- no end " * 5000, "a.html").form == "html"


@pytest.mark.parametrize("name", ["a.tar", "a.zip", "a.tar.gz", "a.parquet", "a.warc.gz"])
def test_an_empty_file_whose_name_claims_records_is_a_fault(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"")
    (item,) = read(tmp_path / name)[0]
    assert isinstance(item, Reject)
    assert item.fault


@pytest.mark.parametrize("name", ["xab", "part-00001", "a.jl", "c.txt", "h.log"])
@pytest.mark.parametrize("first", [b'es": 1}', b"}", b"null", b"INFO start", b"# head"])
def test_lines_of_json_behind_another_first_line_are_lines(name: str, first: bytes):
    data = b"\n".join([first, *(b'{"text": "%d"}' % n for n in range(6)), b""])
    assert kind_of(data, name).form == "jsonl"


@pytest.mark.parametrize("name", ["view.php", "a.asp", "b.JSP", "c.aspx"])
def test_a_saved_page_is_a_page_and_a_script_is_code(name: str):
    page = b"<!DOCTYPE html><html><body><p>text</p></body></html>"
    assert kind_of(page, name).form == "html"
    assert kind_of(b"<html><?php echo 1; ?><% x %></html>", name).form == "code"


@pytest.mark.parametrize(
    "text",
    [
        "GIF89a was a format",
        "OggS marks pages",
        "PAR1은 네 글자",
        "WARC/1.0으로 시작",
        "HWP Document File 이라는 글",
    ],
)
def test_prose_that_begins_as_a_format_does_is_prose(text: str):
    assert kind_of(text.encode() * 20, "a.txt").form == "text"


def test_a_saved_page_in_mime_and_a_message_in_base64_are_named():
    head = b"From: <saved>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related;\r\n\tboundary=x\r\n\r\n"
    assert kind_of(head + b"=EC=84", "a.mht").name == "a saved page (MHTML)"
    mail = b"From: a\nSubject: b\nMIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\n7ZWc\n"
    assert kind_of(mail, "a.eml").name == "an e-mail message"
    assert kind_of(b"Note: one\nTo do: two\nMIME is a standard\n", "a.txt").form == "text"
