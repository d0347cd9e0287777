"""Pages as servers send them: types, encodings and archives of other kinds."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pytest
import zstandard

from pipelines.ingest.readers.base import Reject
from schemas.config import Ingest
from tests.support.reading import read, rejects, texts
from tests.support.web import html, http, pages, record


def one(tmp_path: Path, *records: bytes, limits: Ingest | None = None):
    path = tmp_path / "a.warc"
    path.write_bytes(b"".join(records))
    return read(path, limits)[0]


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def brotli(data: bytes) -> bytes:
    return pytest.importorskip("brotli").compress(data)


CODINGS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    "Deflate": raw_deflate,
    "br": brotli,
    "zstd": zstandard.compress,
    "identity": lambda data: data,
    "gzip, br": lambda data: brotli(gzip.compress(data)),
}


@pytest.mark.parametrize("coding", CODINGS)
def test_content_encodings_are_undone(tmp_path: Path, coding: str):
    body = CODINGS[coding](html(4))
    items = one(tmp_path, record(http(body, "text/html", f"Content-Encoding: {coding}")))
    assert texts(items)[0].startswith("4번째")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_body_that_was_decoded_before_it_was_stored_is_kept(tmp_path: Path, coding: str):
    if coding == "br":
        pytest.importorskip("brotli")
    items = one(tmp_path, record(http(html(4), "text/html", f"Content-Encoding: {coding}")))
    assert texts(items)[0].startswith("4번째")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_body_that_cannot_be_decoded_is_a_fault(tmp_path: Path, coding: str):
    body = CODINGS[coding](html(4))
    bad = body[: len(body) // 2]
    items = one(tmp_path, record(http(bad, "text/html", f"Content-Encoding: {coding}")), *pages(2))
    assert rejects(items) == [("undecodable_body", "0")]
    assert len(texts(items)) == 2


def test_a_body_in_an_unknown_encoding_is_a_fault_that_names_it(tmp_path: Path):
    items = one(tmp_path, record(http(b"\1\2\3", "text/html", "Content-Encoding: sdch")))
    (reject,) = items
    assert isinstance(reject, Reject)
    assert (reject.reason, reject.fault) == ("undecodable_body", True)
    assert "'sdch'" in reject.detail


def test_a_body_that_the_crawler_cut_and_marked_is_kept_as_far_as_it_goes(tmp_path: Path):
    body = gzip.compress(html(4))
    block = http(body[:-12], "text/html", "Content-Encoding: gzip")
    items = one(tmp_path, record(block, "WARC-Truncated: length"))
    assert texts(items)[0].startswith("4번째")


@pytest.mark.parametrize("joined", [False, True])
def test_chunks_are_joined_unless_they_were_before(tmp_path: Path, joined: bool):
    page = html(4)
    chunks = b"".join(
        f"{len(page[at : at + 100]):x};ext=1\r\n".encode() + page[at : at + 100] + b"\r\n"
        for at in range(0, len(page), 100)
    )
    body = page if joined else chunks + b"0\r\n\r\n"
    items = one(tmp_path, record(http(body, "text/html", "Transfer-Encoding: chunked")))
    assert texts(items)[0].startswith("4번째")


def test_damaged_chunks_are_a_fault(tmp_path: Path):
    body = b"5\r\n<html\r\n5\r\n>oops and more"
    items = one(tmp_path, record(http(body, "text/html", "Transfer-Encoding: chunked")))
    assert rejects(items) == [("undecodable_body", "0")]


@pytest.mark.parametrize(
    "content_type",
    [
        '"text/html"',
        "Text/HTML;Charset=UTF-8",
        "text/html ;",
        "TEXT/html, text/html",
        None,
        "",
        "?",
    ],
)
def test_types_are_read_as_browsers_read_them(tmp_path: Path, content_type: str | None):
    items = one(tmp_path, record(http(html(4), content_type)))
    assert texts(items)[0].startswith("4번째")


def test_without_a_type_the_identified_one_counts_and_then_the_body(tmp_path: Path):
    identified = "WARC-Identified-Payload-Type: text/html"
    png = b"\x89PNG\r\n\x1a\n" + bytes(50)
    items = one(
        tmp_path,
        record(http(html(0), None), identified),
        record(http("그냥 글입니다. 여러 줄\n".encode() * 5, None)),
        record(http(png, None)),
        record(http(b"%PDF-1.4 and more", None)),
        record(http(png, "text/html")),
        record(http(html(5), "Image/PNG")),
    )
    assert [text[:3] for text in texts(items)] == ["0번째", "그냥 "]
    assert rejects(items) == [("not_html", str(n)) for n in (2, 3, 4, 5)]
    assert not any(item.fault for item in items if isinstance(item, Reject))


@pytest.mark.parametrize("length", ["whole", "cut"])
def test_a_small_body_that_unpacks_to_a_huge_one_is_too_long(tmp_path: Path, length: str):
    packed = gzip.compress(b"<p>" + bytes(80_000_000))
    block = http(packed, "text/html", "Content-Encoding: gzip")
    limits = Ingest(max_document_bytes=1_000_000)
    items = one(tmp_path, record(block), *pages(1), limits=limits)
    assert rejects(items) == [("too_long", "0")]
    assert len(texts(items)) == 1


def arc(*blocks: bytes, version: int = 1) -> bytes:
    head = f"{version} 0 test\nURL IP-address Archive-date Content-type Archive-length\n".encode()
    data = f"filedesc://a.arc 0.0.0.0 20080101000000 text/plain {len(head)}\n".encode() + head
    for number, block in enumerate(blocks):
        more = "200 - - 0 a.arc " if version == 2 else ""
        line = f"http://a.example/{number} 1.2.3.4 20080203040506 text/html {more}{len(block)}"
        data += b"\n" + line.encode() + b"\n" + block
    return data + b"\n"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("packed", [False, True])
def test_arc_files_are_read(tmp_path: Path, version: int, packed: bool):
    data = arc(*(http(html(number)) for number in range(3)), version=version)
    path = tmp_path / "a.arc"
    path.write_bytes(gzip.compress(data) if packed else data)
    items, _ = read(path, format="warc")
    assert [text[:3] for text in texts(items)] == ["0번째", "1번째", "2번째"]
    assert (items[0].url, items[0].timestamp) == ("http://a.example/0", "2008-02-03T04:05:06Z")


def test_a_damaged_record_of_an_arc_file_costs_itself(tmp_path: Path):
    data = arc(*(http(html(number)) for number in range(3)))
    path = tmp_path / "a.arc"
    path.write_bytes(data.replace(b"</article>", b"", 1))
    items, _ = read(path, format="warc")
    assert [text[:3] for text in texts(items)] == ["1번째", "2번째"]
    assert rejects(items) == [("malformed_record", "1")]


def test_a_file_without_pages_is_named_and_is_not_a_fault(tmp_path: Path):
    metadata = record(b"GET / HTTP/1.1", kind="request")
    path = tmp_path / "a.warc"
    path.write_bytes(record(b"a: b", kind="warcinfo") + metadata * 2)
    items, _ = read(path, format="warc")
    (reject,) = items
    assert isinstance(reject, Reject)
    assert (reject.reason, reject.position, reject.fault) == ("no_pages", "end", False)
    assert "3 records" in reject.detail


def test_an_extracted_text_is_read_as_text(tmp_path: Path):
    text = "첫 줄입니다.\n둘째 줄입니다."
    wet = record(text.encode(), kind="conversion").replace(
        b"application/http; msgtype=response", b"text/plain"
    )
    assert texts(one(tmp_path, wet)) == [text]
