"""Whole files as documents: plain text, HTML pages, source trees and archives of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from filters.text.charset import decode_page, decode_text
from filters.text.html import main_text
from pipelines.ingest.readers.archives import members
from pipelines.ingest.readers.base import (
    File,
    FileStats,
    Item,
    Items,
    Passed,
    Reader,
    ReadStats,
    Record,
    Reject,
    Split,
    excerpt,
    sampled,
    too_long,
)
from pipelines.ingest.readers.choice import HTML as PAGES
from pipelines.ingest.readers.choice import TREE as FILES
from pipelines.ingest.readers.choice import choose_member
from pipelines.ingest.readers.kinds import HEAD, TEXTUAL, Kind, kind_of, look
from pipelines.ingest.readers.notebooks import cells_text
from pipelines.ingest.readers.streams import StreamFault, chunks
from pipelines.ingest.readers.tars import Entry
from pipelines.ingest.readers.walk import is_included, is_passed
from schemas.config import Ingest, Source


def read_whole(split: Split, source: Source, ingest: Ingest, stats: ReadStats) -> Items:
    """Yield a document or a reject per file, or per member of an archive, of the split."""
    for file in split.files:
        own = FileStats(file.relative)
        stats.files.append(own)
        read = _archive if is_archive(file, source) else _single
        for item in read(file, split, source, ingest):
            own.records += 1
            own.raw_bytes += item.raw_bytes
            if isinstance(item, Record) and not sampled(split, file, item.position):
                stats.structural_bytes += item.raw_bytes
                continue
            yield item
        own.file_records, own.file_bytes = own.records, own.raw_bytes


def is_archive(file: File, source: Source) -> bool:
    """Return whether a file is read member by member."""
    return look(file.path, file.size, file.stamp, source.encoding).kind.form == "archive"


def _single(file: File, split: Split, source: Source, ingest: Ingest) -> Iterator[Item]:
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
        yield Reject(
            file.relative, f"byte {fault.position}", size, fault.reason, detail, shown,
            lost_bytes=fault.lost_bytes,
        )  # fmt: skip
        return
    data = b"".join(pieces)
    kind = kind_of(data[:HEAD], file.path, source.encoding)
    if size > ingest.max_document_bytes:
        yield Reject(file.relative, "0", size, "too_long", too_long(size, ingest))
    elif size == 0:
        # An empty file is usual in a source tree (`__init__.py`): a reject, but not a fault.
        fault_here = split.format != FILES and kind.form != "code"
        yield Reject(file.relative, "0", 0, "empty_file", "no bytes", fault=fault_here)
    elif kind.form not in TEXTUAL:
        shown = excerpt(data)
        yield Reject(file.relative, "0", size, "unknown_format", f"{kind.name}: not text", shown)
    else:
        yield _document(file, "0", Entry(file.relative, size, data), kind, split.format, source)


def _archive(file: File, split: Split, source: Source, ingest: Ingest) -> Iterator[Item]:
    passed: Counter[str] = Counter()
    try:
        for member in members(file.path, _wanted(source, passed), ingest.max_document_bytes):
            yield _member(file, member, split, source, ingest)
    except StreamFault as fault:
        yield Reject(
            file.relative, "end", 0, fault.reason, fault.detail, lost_bytes=fault.lost_bytes
        )
    for reason, count in sorted(passed.items()):
        detail = f"{count:,} members that are not read, by their names"
        yield Reject(file.relative, reason, 0, reason, detail, fault=False)


def _member(file: File, member: Entry, split: Split, source: Source, ingest: Ingest) -> Item:
    def reject(reason: str, detail: str, fault: bool = True, raw_bytes: int = 0) -> Reject:
        lost = member.lost if member.fault else 0
        return Reject(
            file.relative, member.name, raw_bytes, reason, detail, excerpt(member.data or b""),
            fault, lost,
        )  # fmt: skip

    if member.fault:
        return reject(member.reason, member.fault)
    if member.special:
        return reject("not_a_file", f"{member.special}: only files are read", fault=False)
    if member.data is None:
        return reject("too_long", too_long(member.size, ingest), raw_bytes=member.size)
    kind = kind_of(member.data[:HEAD], member.name, source.encoding)
    if not member.data:
        return reject("empty_file", "no bytes", fault=False)
    how = choose_member(kind, source, split.source)
    if isinstance(how, Passed):
        return reject(how.reason, how.detail, how.fault, member.size)
    return _document(file, member.name, member, kind, how, source)


def _wanted(source: Source, passed: Counter[str]) -> Callable[[str], bool]:
    """Return whether a member's name is read; `passed` counts those that are not, by reason."""

    def wanted(name: str) -> bool:
        if reason := is_passed(name):
            passed[reason] += 1
        return not reason and is_included(name, source.include)

    return wanted


def member_positions(file: File, source: Source) -> Iterator[str]:
    """Yield the name of every member of an archive; "0" for any other file."""
    if not is_archive(file, source):
        yield "0"
        return
    try:
        for member in members(file.path, _wanted(source, Counter()), limit=-1):
            if not (member.fault or member.special):
                yield member.name
    except StreamFault:
        return  # reading reports it


def _document(
    file: File, position: str, member: Entry, kind: Kind, how: str, source: Source
) -> Item:
    """Return the document of a file's bytes: a page's main text, a notebook's cells, a text."""
    data = member.data or b""

    def reject(reason: str, detail: str, fault: bool = True) -> Reject:
        return Reject(file.relative, position, len(data), reason, detail, excerpt(data), fault)

    meta: dict[str, Any] = {"path": member.name}
    if how == PAGES:
        try:
            html, charset = decode_page(data, None, source.encoding)
            text = main_text(html)
        except (ValueError, LookupError) as error:
            return reject("unreadable_page", str(error))
        if not text:
            return reject("no_main_text", f"{len(data)} bytes of {charset}", fault=False)
        own = {**meta, "charset": charset}
        return Record(file.relative, position, len(data), text, meta=own, page=True)
    try:
        if kind.form == "notebook":
            text = cells_text(data)
        else:
            text, charset = decode_text(data, source.encoding)
            meta |= {} if charset.startswith("utf-8") else {"charset": charset}
    except (UnicodeError, LookupError) as error:
        return reject("invalid_utf8", f"{error}; set its charset in `encoding` of the source")
    except (ValueError, RecursionError) as error:
        return reject("malformed_notebook", f"a notebook that cannot be read: {error}")
    if not text.strip():
        return reject("no_text", "nothing but white space", fault=False)
    return Record(file.relative, position, len(data), text, meta=meta)


TEXT = Reader(
    name="text", endings=(".txt", ".md", ".text"), read=read_whole, positions=member_positions
)
HTML = Reader(
    name="html",
    endings=(".html", ".htm", ".xhtml"),
    read=read_whole,
    positions=member_positions,
    slow=True,
)
TREE = Reader(
    name="tree",
    endings=(".tar", ".tgz", ".zip"),
    read=read_whole,
    positions=member_positions,
)
