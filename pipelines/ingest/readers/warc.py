"""WARC, WET and ARC: pages to main text, with the charset detected and the extractor applied.

Extraction is slow, so splits share a file by blocks of records; every split walks the whole
file, which costs decompression only. A position is the ordinal of a record, broken ones included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from filters.text.charset import decode_page
from filters.text.charset.unicode import unicode_codec
from filters.text.html import main_text
from pipelines.ingest.readers.base import (
    File,
    FileStats,
    Item,
    Items,
    Reader,
    ReadStats,
    Record,
    Reject,
    Split,
    excerpt,
    sampled,
    too_long,
)
from pipelines.ingest.readers.records import Broken, Entry, entries, parse_fields
from pipelines.ingest.readers.streams import StreamFault
from schemas.config import Ingest, Source
from schemas.packing.bodies import TooLong, dechunked, decoded

BLOCK_RECORDS = 8
"""Records that go to one split together."""
SPLIT_BYTES = 2_000_000
"""Compressed bytes per split."""
PAGES = ("response", "conversion", "resource")
"""Types of the records that are documents."""
OTHERS = (
    "warcinfo", "request", "metadata", "revisit", "continuation", "filedesc",
)  # fmt: skip
"""Types of the records that hold no document. Any other is unknown, or a damaged name."""
HTML_TYPES = frozenset({"text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml"})
UNKNOWN_TYPES = frozenset({"", "unknown", "unknown/unknown", "application/octet-stream", "no-type"})
"""Content types that say nothing: the body decides."""
SNIFFED = 1024
"""Bytes of a body that show what it is."""
POSITIONS_BLOCK = 64 << 20
"""Bytes of a record up to which it is checked when positions are counted."""
_MARKUP = re.compile(
    rb"(?:<!--.*?-->|<\?xml[^>]*>|\s)*<(?:!doctype\s+html|html|head|body|title|meta|script|div|p|h1|"
    rb"table|a|br|span|article|main|section|center|font|link|style)[\s/>]",
    re.IGNORECASE | re.DOTALL,
)
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
_HEADER_END = re.compile(rb"\n\r?\n|\r\r")


def read_warc(split: Split, source: Source, ingest: Ingest, stats: ReadStats) -> Items:
    """Yield the pages and rejects of a WARC split."""
    for file in split.files:
        yield from _read_file(split, file, ingest, stats)


def _read_file(split: Split, file: File, ingest: Ingest, stats: ReadStats) -> Items:
    own = FileStats(file.relative)
    stats.files.append(own)
    pages = 0

    def owned(ordinal: int) -> bool:
        return ordinal // BLOCK_RECORDS % split.count == split.index

    try:
        for entry in entries(file.path, ingest.max_document_bytes, owned):
            own.file_records += 1
            own.file_bytes += entry.length
            pages += isinstance(entry, Broken) or _is_page(entry)
            if not owned(entry.ordinal):
                continue
            own.records += 1
            own.raw_bytes += entry.length
            if isinstance(entry, Broken):
                yield _broken(file, entry)
            elif not sampled(split, file, str(entry.ordinal)) or entry.kind in OTHERS:
                stats.structural_bytes += entry.length
            elif not _is_page(entry):
                yield _of_unknown_type(file, entry)
            else:
                yield _page(file, entry, ingest)
    except StreamFault as fault:
        if split.index == 0:
            yield Reject(file.relative, "0", 0, fault.reason, fault.detail)
        return
    if split.index == 0 and not pages:
        yield _without_pages(file, own.file_records)


def _is_page(entry: Entry) -> bool:
    """Return whether a record is a document: by its type, or by its block where that is unknown."""
    if entry.kind in PAGES:
        return True
    return entry.kind not in OTHERS and (entry.block or b"")[:5].upper() == b"HTTP/"


def _of_unknown_type(file: File, entry: Entry) -> Reject:
    detail = f"its WARC-Type is {entry.kind[:40]!r}, which is not known"
    shown = excerpt((entry.block or b"")[:SNIFFED])
    return Reject(
        file.relative, str(entry.ordinal), entry.length, "malformed_record", detail, shown
    )


def _broken(file: File, entry: Broken) -> Reject:
    detail = entry.detail
    if entry.lost_bytes:
        detail += f"; about {entry.lost_bytes:,} bytes are lost"
    return Reject(
        file.relative,
        str(entry.ordinal),
        entry.length,
        entry.reason,
        detail,
        excerpt(entry.shown),
        lost_bytes=entry.lost_bytes,
    )


def _without_pages(file: File, records: int) -> Reject:
    """Return the reject of a file in which no record is a page, as in WAT files."""
    if not records:
        return Reject(file.relative, "0", 0, "empty_file", "the file has no records")
    detail = f"none of its {records} records is a page; WAT files and requests hold no text"
    return Reject(file.relative, "end", 0, "no_pages", detail, fault=False)


@dataclass(frozen=True)
class _Message:
    """A page's body and what its headers claim; the fields are lower case, without quotes."""

    body: bytes
    content_type: str
    """Media type and charset as the server sent them."""
    media_type: str
    """Lower case, without parameters; empty where none is known."""
    status: str = ""
    content_encoding: str = ""
    chunked: bool = False


def _message(entry: Entry) -> _Message:
    """Return the HTTP message of a record, or its block as a body."""
    block = entry.block or b""
    stated = entry.headers.get("content-type", "")
    identified = entry.headers.get("warc-identified-payload-type", "")
    if block[:5].upper() != b"HTTP/":
        sent = "" if stated.lower().startswith("application/http") else stated
        return _Message(block, sent or identified, _media_type(sent) or _media_type(identified))
    head, found, body = block.partition(b"\r\n\r\n")
    if (end := _HEADER_END.search(head)) or not found:
        head, body = (block[: end.start()], block[end.end() :]) if end else (block, b"")
    status, *lines = head.decode("latin-1").splitlines()
    fields = parse_fields(lines)
    sent = fields.get("content-type", "")
    return _Message(
        body,
        sent or identified,
        _media_type(sent) or _media_type(identified),
        [*status.split(), "", ""][1],
        fields.get("content-encoding", ""),
        "chunked" in fields.get("transfer-encoding", "").lower(),
    )


def _media_type(content_type: str) -> str:
    kind = content_type.partition(";")[0].partition(",")[0].strip(" \t\"'").lower()
    return kind if _TYPE.fullmatch(kind) and kind not in UNKNOWN_TYPES else ""


def _page(file: File, entry: Entry, ingest: Ingest) -> Item:
    """Turn one record into a document or a reject."""
    where, length = str(entry.ordinal), entry.length

    def reject(reason: str, detail: str, fault: bool, shown: bytes = b"") -> Reject:
        return Reject(file.relative, where, length, reason, detail, excerpt(shown), fault)

    if entry.block is None:
        return reject("too_long", too_long(length, ingest), True)
    try:
        message = _message(entry)
        if message.status and not message.status.startswith("2"):
            return reject("http_status", f"status {message.status[:40]}", False)
        if message.media_type and not _is_read(entry, message):
            return reject("not_html", f"content type {message.content_type[:80]!r}", False)
        body = _body(entry, message, ingest)
        plain = _is_plain(entry, message, body)
        if plain is None:
            shown = f"content type {message.content_type[:80]!r}, and the body is neither HTML nor"
            return reject("not_html", f"{shown} plain text", False)
    except TooLong as error:
        return reject("too_long", f"{error}; the maximum is {ingest.max_document_bytes}", True)
    except ImportError as error:
        return reject("undecodable_body", f"{error}; install the package", True)
    except ValueError as error:
        return reject("undecodable_body", str(error), True, message.body)
    try:
        page, charset = decode_page(body, message.content_type)
        text = page.strip() if plain else main_text(page)
    except Exception as error:  # of this page, whatever its bytes are: the archive is intact
        detail = str(error) or type(error).__name__
        return reject("unreadable_page", detail, True, body)
    if not text:
        return reject("no_main_text", f"{len(body)} bytes of {charset}", False)
    return Record(
        file.relative,
        where,
        length,
        text,
        url=entry.headers.get("warc-target-uri", "").strip("<>") or None,
        timestamp=entry.headers.get("warc-date"),
        meta=None if plain else {"charset": charset},
        page=not plain,
    )


def _is_read(entry: Entry, message: _Message) -> bool:
    """Return whether a body of the record's media type may be a document."""
    known = HTML_TYPES | {"text/plain", "text/xml", "application/xml"}
    return entry.kind == "conversion" or message.media_type in known


def _is_plain(entry: Entry, message: _Message, body: bytes) -> bool | None:
    """Return whether the body is plain text, False for HTML, None for neither."""
    start = body[:SNIFFED]
    if b"\0" in start and unicode_codec(start) is None:
        return None
    if entry.kind == "conversion" or message.media_type == "text/plain":
        return True
    if message.media_type in HTML_TYPES:
        return False
    if codec := unicode_codec(start):
        start = start.decode(codec, "ignore").encode()
    if _MARKUP.match(start):
        return False
    if message.media_type or re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", start):
        return None
    start = start.lstrip()
    return None if start.startswith((b"{", b"[", b"%PDF")) else not start.startswith(b"<")


def _body(entry: Entry, message: _Message, ingest: Ingest) -> bytes:
    """Return the body without its transfer and content encodings. Raises ValueError, TooLong."""
    body = dechunked(message.body) if message.chunked else message.body
    partial = bool(entry.headers.get("warc-truncated"))
    return decoded(body, message.content_encoding, ingest.max_document_bytes, partial)


def page_positions(file: File, source: Source) -> Iterator[str]:
    """Yield the ordinal of every page of a file."""
    try:
        for entry in entries(file.path, limit=POSITIONS_BLOCK):
            if isinstance(entry, Entry) and _is_page(entry):
                yield str(entry.ordinal)
    except StreamFault:
        return  # reading reports it


WARC = Reader(
    name="warc",
    endings=(".warc.gz", ".warc", ".wet.gz", ".wet", ".warc.wet.gz"),
    read=read_warc,
    positions=page_positions,
    divisible=True,
    split_bytes=SPLIT_BYTES,
    slow=True,
)
