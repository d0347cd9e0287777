"""Whole files as documents: plain text, HTML pages, source trees and archives of them."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any

from filters.text.charset import decode_page
from filters.text.html import main_text
from pipelines.ingest.readers.base import (
    File,
    FileStats,
    Item,
    Items,
    ReadStats,
    Record,
    Reject,
    Split,
    excerpt,
)
from pipelines.ingest.readers.lines import sampled
from pipelines.ingest.readers.streams import StreamFault, chunks
from pipelines.storage.files import open_input
from schemas.config import Ingest, Source

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")
BINARY_WINDOW = 8192


def is_archive(name: str) -> bool:
    return name.endswith(ARCHIVES)


def read_whole(split: Split, source: Source, ingest: Ingest, stats: ReadStats) -> Items:
    """Yield a document or a reject for each file (or archive member) of the split."""
    for file in split.files:
        own = FileStats(file.relative)
        stats.files.append(own)
        members = _archive(file, source) if is_archive(file.path) else _single(file, ingest)
        for member in members:
            if isinstance(member, Reject):
                own.records += 1
                own.raw_bytes += member.raw_bytes
                yield member
                continue
            position, name, data = member
            own.records += 1
            own.raw_bytes += len(data)
            if split.below is not None and not sampled(split, file, position):
                stats.structural_bytes += len(data)
                continue
            yield _document(file, position, name, data, split.format, ingest)
        own.file_records, own.file_bytes = own.records, own.raw_bytes


Member = tuple[str, str, bytes]


def _single(file: File, ingest: Ingest) -> Iterator[Member | Reject]:
    pieces: list[bytes] = []
    size = 0
    try:
        for chunk in chunks(file.path):
            size += len(chunk)
            if size <= ingest.max_document_bytes:
                pieces.append(chunk)
            else:
                pieces.clear()
    except StreamFault as fault:
        detail = f"at byte {fault.position}: {fault.detail}"
        shown = excerpt(b"".join(pieces))
        yield Reject(file.relative, f"byte {fault.position}", size, fault.reason, detail, shown)
        return
    if size > ingest.max_document_bytes:
        detail = f"{size} bytes; the most is {ingest.max_document_bytes}"
        yield Reject(file.relative, "0", size, "too_long", detail)
    elif size == 0:
        # An empty file is usual in a source tree (`__init__.py`): told, but no fault there.
        fault_here = not file.relative.endswith(".py")
        yield Reject(file.relative, "0", 0, "empty_file", "no bytes", fault=fault_here)
    else:
        yield "0", file.relative, b"".join(pieces)


def _archive(file: File, source: Source) -> Iterator[Member | Reject]:
    try:
        with open_input(file.path) as raw:
            if file.path.endswith(".zip"):
                with zipfile.ZipFile(raw) as archive:
                    for info in archive.infolist():
                        if not info.is_dir() and wanted(info.filename, source.include):
                            yield info.filename, info.filename, archive.read(info)
            else:
                with tarfile.open(fileobj=raw, mode="r|*") as tar:
                    for entry in tar:
                        handle = tar.extractfile(entry) if entry.isfile() else None
                        if handle is not None and wanted(entry.name, source.include):
                            yield entry.name, entry.name, handle.read()
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile) as error:
        yield Reject(file.relative, "end", 0, "truncated_stream", str(error))


def wanted(name: str, include: list[str]) -> bool:
    """Return whether a file of a tree is taken: not hidden, and of an included kind."""
    parts = name.split("/")
    if any(part.startswith(".") or part == "__pycache__" for part in parts if part):
        return False
    return not include or any(fnmatch(parts[-1], pattern) for pattern in include)


def _document(file: File, position: str, name: str, data: bytes, kind: str, ingest: Ingest) -> Item:
    def reject(reason: str, detail: str, fault: bool = True) -> Reject:
        return Reject(file.relative, position, len(data), reason, detail, excerpt(data), fault)

    if len(data) > ingest.max_document_bytes:
        return reject("too_long", f"{len(data)} bytes; the most is {ingest.max_document_bytes}")
    meta: dict[str, Any] = {"path": name}
    if kind == "html":
        html, charset = decode_page(data)
        text = main_text(html)
        if not text:
            return reject("no_main_text", f"{len(data)} bytes of {charset}", fault=False)
        return Record(file.relative, position, len(data), text, meta={**meta, "charset": charset})
    if b"\0" in data[:BINARY_WINDOW]:
        return reject("binary", "holds NUL bytes", fault=False)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return reject("invalid_utf8", f"at byte {error.start}: {error.reason}")
    if not text.strip():
        return reject("no_text", "nothing but white space", fault=False)
    return Record(file.relative, position, len(data), text, meta=meta)
