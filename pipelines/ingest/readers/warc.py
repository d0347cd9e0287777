"""WARC and WET: pages to main text, with the charset detected and the extractor applied.

Extraction is slow, so splits share a file by blocks of records; every split walks the whole
file, which costs decompression only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from filters.text.charset import decode_page
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
from pipelines.storage.files import open_input
from schemas.config import Ingest, Source

BLOCK_RECORDS = 8
"""Records that go to one split together."""
SPLIT_BYTES = 2_000_000
"""Compressed bytes per split."""
PAGES = ("response", "conversion", "resource")
"""Types of the records that are documents."""
HTML_TYPES = ("text/html", "application/xhtml+xml")


def read_warc(split: Split, source: Source, ingest: Ingest, stats: ReadStats) -> Items:
    """Yield the pages and rejects of a WARC split."""
    for file in split.files:
        yield from _read_file(split, file, ingest, stats)


def _read_file(split: Split, file: File, ingest: Ingest, stats: ReadStats) -> Items:
    import zlib

    from warcio.archiveiterator import ArchiveIterator
    from warcio.exceptions import ArchiveLoadFailed

    own = FileStats(file.relative)
    stats.files.append(own)
    ordinal = -1
    offset = 0
    try:
        with open_input(file.path) as raw:
            archive = ArchiveIterator(raw)
            for record in archive:
                ordinal += 1
                offset = int(archive.offset)
                length = int(record.rec_headers.get_header("Content-Length") or 0)
                own.file_records += 1
                own.file_bytes += length
                if ordinal // BLOCK_RECORDS % split.count != split.index:
                    continue
                own.records += 1
                own.raw_bytes += length
                where = str(ordinal)
                if record.rec_type not in PAGES or (
                    split.below is not None and not sampled(split, file, where)
                ):
                    stats.structural_bytes += length
                    continue
                yield _page(file, where, record, length, ingest)
    except OSError as error:
        if split.index == 0:
            yield Reject(file.relative, "0", 0, "unreadable", error.strerror or str(error))
    except (ArchiveLoadFailed, EOFError, zlib.error, ValueError) as error:
        if split.index == (ordinal + 1) // BLOCK_RECORDS % split.count:
            reason = "unreadable" if ordinal < 0 else "truncated_stream"
            detail = f"after record {ordinal} at byte {offset}: {error}"
            yield Reject(file.relative, str(ordinal + 1), 0, reason, detail)
    else:
        if ordinal < 0 and split.index == 0:
            yield Reject(file.relative, "0", 0, "empty_file", "the file has no records")


def _page(file: File, where: str, record: Any, length: int, ingest: Ingest) -> Item:
    """Turn one WARC record into a document or a reject."""
    headers = record.http_headers
    url = record.rec_headers.get_header("WARC-Target-URI")
    content_type = (headers.get_header("Content-Type") if headers else None) or (
        record.rec_headers.get_header("Content-Type") or ""
    )

    def reject(reason: str, detail: str, fault: bool, shown: bytes = b"") -> Reject:
        return Reject(file.relative, where, length, reason, detail, excerpt(shown), fault)

    if length > ingest.max_document_bytes:
        return reject("too_long", too_long(length, ingest), True)
    status = headers.get_statuscode() if headers else None
    if status and not status.startswith("2"):
        return reject("http_status", f"status {status}", False)
    plain = record.rec_type == "conversion" or content_type.startswith("text/plain")
    if not plain and not content_type.lower().startswith(HTML_TYPES):
        return reject("not_html", f"content type {content_type[:80]!r}", False)
    body = record.content_stream().read()
    left = record.raw_stream.limit if hasattr(record.raw_stream, "limit") else 0
    if left:
        detail = f"{left} of {length} bytes are missing"
        return reject("truncated_record", detail, True, body)
    try:
        html, charset = decode_page(body, content_type)
        text = html.strip() if plain else main_text(html)
    except (ValueError, LookupError) as error:  # of this page: the archive is intact
        return reject("unreadable_page", str(error), True, body)
    if not text:
        return reject("no_main_text", f"{len(body)} bytes of {charset}", False)
    meta = {"charset": charset} if not plain else None
    date = record.rec_headers.get_header("WARC-Date")
    return Record(file.relative, where, length, text, url=url, timestamp=date, meta=meta)


def page_positions(file: File, source: Source) -> Iterator[str]:
    """Yield the ordinal of every page of a file, up to a fault."""
    import zlib

    from warcio.archiveiterator import ArchiveIterator
    from warcio.exceptions import ArchiveLoadFailed

    try:
        with open_input(file.path) as raw:
            for ordinal, record in enumerate(ArchiveIterator(raw)):
                if record.rec_type in PAGES:
                    yield str(ordinal)
    except (ArchiveLoadFailed, EOFError, OSError, ValueError, zlib.error):
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
