"""Crawls: encodings of bodies, kinds of records, odd headers, ARC; pages that were lost."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa

from tests.oracles.readers.cases_streams import put
from tests.oracles.readers.pack import chunked, gz, http, many, record, zlib_body, zst
from tests.oracles.readers.prose import page, paragraphs
from tests.oracles.readers.rig import Outcome, Right

HTML = "Content-Type: text/html; charset=utf-8"


def marks(count: int) -> list[str]:
    """Return a first sentence per page, by which it is recognised."""
    return [f"{n + 500}번째 글입니다." for n in range(count)]


def pages(count: int) -> list[bytes]:
    return [
        page(
            paragraphs(4, first=(n + 500) * 1, sentences=6)[:1] + paragraphs(3, first=9000 + 3 * n)
        ).encode()
        for n in range(count)
    ]


def crawl(folder: Path, bodies: list[bytes], name: str = "a.warc") -> str:
    records = [record(body, f"http://site.example/{n}") for n, body in enumerate(bodies)]
    return put(folder, name, b"".join(records))


def bodies_packed_by_gzip_and_deflate(folder: Path) -> Right:
    one, two, three, four = pages(4)
    bodies = [
        http(gz(one), f"{HTML}\nContent-Encoding: gzip"),
        http(zlib_body(two, raw=False), f"{HTML}\nContent-Encoding: deflate"),
        http(zlib_body(three, raw=True), f"{HTML}\nContent-Encoding: deflate"),
        http(gz(four), f"{HTML}\nContent-Encoding: x-gzip"),
    ]
    return Right(crawl(folder, bodies), docs=4, holds=marks(4))


def bodies_packed_by_brotli_and_zstd(folder: Path) -> Right:
    one, two = pages(2)
    brotli = pa.Codec("brotli").compress(one, asbytes=True)
    bodies = [
        http(brotli, f"{HTML}\nContent-Encoding: br"),
        http(zst(two), f"{HTML}\nContent-Encoding: zstd"),
    ]
    return Right(crawl(folder, bodies), docs=2, holds=marks(2))


def bodies_in_chunks(folder: Path) -> Right:
    one, two, three = pages(3)
    bodies = [
        http(chunked(one), f"{HTML}\nTransfer-Encoding: chunked"),
        http(chunked(gz(two)), f"{HTML}\nContent-Encoding: gzip\nTransfer-Encoding: chunked"),
        http(three, f"{HTML}\nTransfer-Encoding: chunked"),  # the crawler took the chunks apart
    ]
    return Right(crawl(folder, bodies), docs=3, holds=marks(3))


def bodies_that_the_crawler_unpacked(folder: Path) -> Right:
    one, two, three = pages(3)
    bodies = [
        http(one, f"{HTML}\nContent-Encoding: gzip"),
        http(two, f"{HTML}\nContent-Encoding: br"),
        http(three, f"{HTML}\nContent-Encoding: identity"),
    ]
    return Right(crawl(folder, bodies), docs=3, holds=marks(3))


def bodies_that_cannot_be_unpacked(folder: Path) -> Right:
    one, two, three = pages(3)
    broken = gz(two)[:10] + bytes(200)
    bodies = [
        http(one, HTML),
        http(broken, f"{HTML}\nContent-Encoding: gzip"),
        http(b"\xff\xfe\xfd" * 90, f"{HTML}\nContent-Encoding: secret"),
        http(three, HTML),
    ]
    return Right(crawl(folder, bodies), docs=2, holds=[marks(3)[0], marks(3)[2]], faults=2)


def records_of_every_kind(folder: Path) -> Right:
    one, two, three = pages(3)
    plain = "\n".join(paragraphs(3, first=700)).encode()
    data = b"".join([
        record(b"software: x\r\n", kind="warcinfo", content="application/warc-fields"),
        record(b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n", kind="request",
               content="application/http; msgtype=request"),
        record(http(one, HTML), "http://site.example/0"),
        record(b"fetchTimeMs: 12\r\n", kind="metadata", content="application/warc-fields"),
        record(http(b"", "", "304 Not Modified"), kind="revisit"),
        record(two, "http://site.example/1", kind="resource", content="text/html"),
        record(b"dns", "dns:site.example", content="text/dns"),
        record(plain, "http://site.example/2", kind="conversion", content="text/plain"),
        record(http(three, HTML), "http://site.example/3"),
    ])  # fmt: skip
    return Right(
        put(folder, "a.warc", data), docs=4, holds=[*marks(3), paragraphs(1, first=700)[0]]
    )


def warc_of_version_1_1(folder: Path) -> Right:
    data = b"".join(record(http(body, HTML), f"http://site.example/{n}", version="1.1")
                    for n, body in enumerate(pages(3)))  # fmt: skip
    data = data.replace(b"T00:00:00Z", b"T00:00:00.123456789Z")
    return Right(
        put(folder, "a.warc.gz", many(re.split(rb"(?=WARC/1\.1)", data)[1:], ".gz")),
        docs=3,
        holds=marks(3),
    )


def names_of_headers_in_other_cases(folder: Path) -> Right:
    bodies = [
        http(body, f"CONTENT-TYPE: TEXT/HTML; CHARSET=UTF-8\ncontent-LENGTH: {len(body)}")
        for body in pages(3)
    ]
    data = b"".join(record(body, f"http://site.example/{n}") for n, body in enumerate(bodies))
    for name in (
        b"WARC-Type",
        b"WARC-Target-URI",
        b"WARC-Date",
        b"Content-Length",
        b"WARC-Record-ID",
    ):
        data = data.replace(name + b": ", name.lower() + b": ")
    return Right(put(folder, "a.warc", data), docs=3, holds=marks(3))


def headers_over_two_lines(folder: Path) -> Right:
    one, two = pages(2)
    first = http(one, "Content-Type: text/html;\n charset=utf-8\nX-Long: a\n\tb")
    records = [
        record(first, "http://site.example/0", more="X-Note: first\r\n second line\r\n"),
        record(http(two, HTML), "http://site.example/1"),
    ]
    return Right(put(folder, "a.warc", b"".join(records)), docs=2, holds=marks(2))


def one_line_between_records(folder: Path) -> Right:
    data = b"".join(
        record(http(b, HTML), f"http://site.example/{n}")[:-2] for n, b in enumerate(pages(3))
    )
    return Right(put(folder, "a.warc", data), docs=3, holds=marks(3), faults=(0, 3))


def three_lines_between_records(folder: Path) -> Right:
    data = b"".join(
        record(http(b, HTML), f"http://site.example/{n}") + b"\r\n" for n, b in enumerate(pages(3))
    )
    return Right(put(folder, "a.warc", data), docs=3, holds=marks(3))


def a_length_that_is_too_large(folder: Path) -> Right:
    one, two, three, four = (http(body, HTML) for body in pages(4))
    data = record(one) + record(two, length=len(two) + 60) + record(three) + record(four)
    good = [marks(4)[0], marks(4)[3]]
    return Right(put(folder, "a.warc", data), holds=good, faults=(0, 3),
                 check=lambda got: None if len(got.docs) >= 3 else f"{len(got.docs)} documents of 4")  # fmt: skip


def a_length_that_is_too_small(folder: Path) -> Right:
    one, two, three, four = (http(body, HTML) for body in pages(4))
    data = record(one) + record(two, length=len(two) - 60) + record(three) + record(four)
    return Right(put(folder, "a.warc", data), holds=[marks(4)[0], *marks(4)[2:]], faults=(0, 2))


def a_length_that_is_not_a_number(folder: Path) -> Right:
    one, two, three = (http(body, HTML) for body in pages(3))
    second = re.sub(rb"(?m)^Content-Length: \d+", b"Content-Length: viel", record(two))
    data = record(one) + second + record(three)
    return Right(put(folder, "a.warc", data), holds=[marks(3)[0], marks(3)[2]], faults=(0, 2))


def status_lines_of_newer_versions(folder: Path) -> Right:
    bodies = [
        http(body, HTML).replace(b"HTTP/1.1 200 OK", line)
        for body, line in zip(
            pages(3), (b"HTTP/2 200", b"HTTP/1.0 200", b"HTTP/3 200 "), strict=True
        )
    ]
    return Right(crawl(folder, bodies), docs=3, holds=marks(3))


def headers_that_end_in_newlines_alone(folder: Path) -> Right:
    bodies = []
    for body in pages(2):
        bodies.append(b"HTTP/1.1 200 OK\nContent-Type: text/html; charset=utf-8\n\n" + body)
    return Right(crawl(folder, bodies), docs=2, holds=marks(2))


def headers_in_cp949(folder: Path) -> Right:
    bodies = [
        b"HTTP/1.1 200 OK\r\nX-Title: "
        + "가나다".encode("cp949")
        + b"\r\n"
        + HTML.encode()
        + b"\r\n\r\n"
        + body
        for body in pages(2)
    ]
    return Right(crawl(folder, bodies), docs=2, holds=marks(2))


def labels_of_charsets_that_are_none(folder: Path) -> Right:
    labels = [
        "undefined",
        "hex",
        "utf-16",
        "none",
        "base64",
        "rot13",
        "idna",
        "UTF-8;",
        "'utf-8'",
        "unicode_escape",
        "zip",
        "",
    ]
    bodies = []
    for label, body in zip(labels, pages(12), strict=True):
        half = len(bodies) % 2
        labelled = (
            body.replace(b'charset="utf-8"', f'charset="{label}"'.encode())
            if half
            else body.replace(b'<meta charset="utf-8">', b"")
        )
        bodies.append(
            http(
                labelled,
                "Content-Type: text/html" if half else f"Content-Type: text/html; charset={label}",
            )
        )
    return Right(crawl(folder, bodies), docs=12, holds=marks(12))


def xhtml_and_types_of_other_names(folder: Path) -> Right:
    kinds = [
        "application/xhtml+xml",
        "application/xhtml+xml; charset=utf-8",
        "TEXT/HTML",
        "text/html,text/html",
        "text / html",
        "application/vnd.wap.xhtml+xml",
    ]
    bodies = [
        http(body, f"Content-Type: {kind}") for kind, body in zip(kinds, pages(6), strict=True)
    ]
    return Right(crawl(folder, bodies), docs=6, holds=marks(6))


def types_that_are_not_pages(folder: Path) -> Right:
    jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(range(256)) * 8
    bodies = [
        http(pages(1)[0], HTML),
        http(jpeg, "Content-Type: image/jpeg"),
        http(b'{"a": 1}', "Content-Type: application/json"),
        http(b"%PDF-1.7\n" + bytes(range(256)), "Content-Type: application/pdf"),
        http(jpeg, HTML),
        http(b"", "Location: /x", "302 Found"),
    ]
    return Right(crawl(folder, bodies), docs=1, holds=marks(1), faults=(0, 1))


def a_body_that_the_crawler_cut(folder: Path) -> Right:
    one, two = pages(2)
    cut = http(one[: len(one) * 2 // 3], HTML)
    data = record(cut, more="WARC-Truncated: length\r\n") + record(
        http(two, HTML), "http://site.example/1"
    )
    return Right(put(folder, "a.warc", data), docs=2, holds=marks(2))


def arc_of_version_1(folder: Path) -> Right:
    info = b"1 0 InternetArchive\nURL IP-address Archive-date Content-type Archive-length\n"
    out = b"filedesc://a.arc 0.0.0.0 20240501000000 text/plain %d\n%s\n" % (len(info), info)
    for number, body in enumerate(pages(3)):
        block = http(body, HTML)
        out += b"http://site.example/%d 1.2.3.4 20240501000000 text/html %d\n%s\n" % (
            number,
            len(block),
            block,
        )
    return Right(put(folder, "a.arc", out), docs=3, holds=marks(3))


def warc_called_gz_and_page_called_warc(folder: Path) -> Right:
    (folder / "in").mkdir()
    records = [
        record(http(body, HTML), f"http://site.example/{n}") for n, body in enumerate(pages(4))
    ]
    put(folder, "in/crawl-01.gz", many(records[:2], ".gz"))
    put(folder, "in/crawl-02.zst", many(records[2:], ".zst"))
    return Right("in", docs=4, holds=marks(4))


def zero_bytes_between_members(folder: Path) -> Right:
    packed = [
        gz(record(http(body, HTML), f"http://site.example/{n}")) for n, body in enumerate(pages(5))
    ]
    data = bytes(512).join(packed)
    return Right(put(folder, "a.warc.gz", data), docs=5, holds=marks(5), faults=(0, 4))


def a_half_member_between_two(folder: Path) -> Right:
    """A crawler was restarted: a cut member, and whole ones after it."""
    packed = [
        gz(record(http(body, HTML), f"http://site.example/{n}")) for n, body in enumerate(pages(6))
    ]
    data = b"".join(packed[:2]) + packed[2][: len(packed[2]) // 2] + b"".join(packed[3:])
    good = [mark for n, mark in enumerate(marks(6)) if n != 2]

    def check(got: Outcome) -> str | None:
        places = {doc["origin"] for doc in got.docs}
        return None if len(places) == len(got.docs) else "two documents have one origin"

    return Right(put(folder, "a.warc.gz", data), holds=good, faults=1, check=check)


CASES = [
    bodies_packed_by_gzip_and_deflate,
    bodies_packed_by_brotli_and_zstd,
    bodies_in_chunks,
    bodies_that_the_crawler_unpacked,
    bodies_that_cannot_be_unpacked,
    records_of_every_kind,
    warc_of_version_1_1,
    names_of_headers_in_other_cases,
    headers_over_two_lines,
    one_line_between_records,
    three_lines_between_records,
    a_length_that_is_too_large,
    a_length_that_is_too_small,
    a_length_that_is_not_a_number,
    status_lines_of_newer_versions,
    headers_that_end_in_newlines_alone,
    headers_in_cp949,
    labels_of_charsets_that_are_none,
    xhtml_and_types_of_other_names,
    types_that_are_not_pages,
    a_body_that_the_crawler_cut,
    arc_of_version_1,
    warc_called_gz_and_page_called_warc,
    zero_bytes_between_members,
    a_half_member_between_two,
]
