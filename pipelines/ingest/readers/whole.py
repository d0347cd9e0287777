"""Whole files as documents: plain text, HTML pages, source trees and archives of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from typing import Any

from filters.text.charset import decode_page
from filters.text.html import main_text
from pipelines.ingest.readers.archives import ARCHIVES, Member, is_archive, members
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
from pipelines.ingest.readers.streams import StreamFault, chunks
from schemas.config import Ingest, Source

BINARY_WINDOW = 8192
"""Bytes at the start of a file in which a NUL byte makes it binary."""


def read_whole(split: Split, source: Source, ingest: Ingest, stats: ReadStats) -> Items:
    """Yield a document or a reject per file, or per member of an archive, of the split."""
    for file in split.files:
        own = FileStats(file.relative)
        stats.files.append(own)
        parts = _archive(file, source, ingest) if is_archive(file.path) else _single(file, ingest)
        for part in parts:
            if isinstance(part, Reject):
                own.records += 1
                own.raw_bytes += part.raw_bytes
                yield part
                continue
            position = part.name if is_archive(file.path) else "0"
            own.records += 1
            own.raw_bytes += part.size
            if not sampled(split, file, position):
                stats.structural_bytes += part.size
                continue
            yield _document(file, position, part, split.format, ingest)
        own.file_records, own.file_bytes = own.records, own.raw_bytes


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
        yield Reject(file.relative, "0", size, "too_long", too_long(size, ingest))
    elif size == 0:
        # An empty file is usual in a source tree (`__init__.py`): a reject, but not a fault.
        fault_here = not file.relative.endswith(".py")
        yield Reject(file.relative, "0", 0, "empty_file", "no bytes", fault=fault_here)
    else:
        yield Member(file.relative, size, b"".join(pieces))


def _archive(file: File, source: Source, ingest: Ingest) -> Iterator[Member | Reject]:
    try:
        for member in members(file.path, _included(source), ingest.max_document_bytes):
            if member.fault:
                yield Reject(file.relative, member.name, 0, "corrupt_stream", member.fault)
            else:
                yield member
    except StreamFault as fault:
        yield Reject(file.relative, "end", 0, fault.reason, fault.detail)


def _included(source: Source) -> Callable[[str], bool]:
    return lambda name: wanted(name, source.include)


def member_positions(file: File, source: Source) -> Iterator[str]:
    """Yield the name of every member of an archive, up to a fault; "0" for any other file."""
    if not is_archive(file.path):
        yield "0"
        return
    try:
        for member in members(file.path, _included(source), limit=-1):
            yield member.name
    except StreamFault:
        return  # reading reports it


def wanted(name: str, include: list[str]) -> bool:
    """Return whether a file of a tree is read: not hidden, and matched by `include`, if any."""
    parts = name.split("/")
    if any(part.startswith(".") or part == "__pycache__" for part in parts if part):
        return False
    return not include or any(fnmatch(parts[-1], pattern) for pattern in include)


def _document(file: File, position: str, member: Member, kind: str, ingest: Ingest) -> Item:
    data = member.data

    def reject(reason: str, detail: str, fault: bool = True) -> Reject:
        shown = excerpt(data or b"")
        return Reject(file.relative, position, member.size, reason, detail, shown, fault)

    if data is None:
        return reject("too_long", too_long(member.size, ingest))
    meta: dict[str, Any] = {"path": member.name}
    if kind == "html":
        try:
            html, charset = decode_page(data)
            text = main_text(html)
        except (ValueError, LookupError) as error:
            return reject("unreadable_page", str(error))
        if not text:
            return reject("no_main_text", f"{len(data)} bytes of {charset}", fault=False)
        return Record(file.relative, position, len(data), text, meta={**meta, "charset": charset})
    if b"\0" in data[:BINARY_WINDOW]:
        return reject("binary", "contains NUL bytes", fault=False)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return reject("invalid_utf8", f"at byte {error.start}: {error.reason}")
    if not text.strip():
        return reject("no_text", "nothing but white space", fault=False)
    return Record(file.relative, position, len(data), text, meta=meta)


TEXT = Reader(name="text", endings=(".txt", ".md", ".text"), read=read_whole)
HTML = Reader(name="html", endings=(".html", ".htm", ".xhtml"), read=read_whole, slow=True)
TREE = Reader(name="tree", endings=ARCHIVES, read=read_whole, positions=member_positions)
