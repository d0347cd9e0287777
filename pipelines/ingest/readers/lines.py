"""JSONL: one record a line, each split taking every so-many-th block of a file.

A line belongs to the block in which it starts. A split reads its files from the start, in
bounded memory, and counts the lines it leaves to others, so positions are line numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
from pipelines.ingest.readers.streams import StreamFault, chunks
from schemas.config import Ingest, Source
from schemas.documents import document_id

BLOCK = 4 << 20
NEWLINE = b"\n"
STANDARD = frozenset({"url", "license", "timestamp", "meta"})


@dataclass(frozen=True)
class Line:
    """An owned line. `data` is None when it is longer than the limit; `length` counts `\\n`."""

    number: int
    offset: int
    length: int
    data: bytes | None
    cut: bool = False


def owned_lines(path: str, index: int, count: int, limit: int, stats: FileStats) -> Iterator[Line]:
    """Yield the lines of `path` that split `index` of `count` owns; fill `stats`.

    No more than `limit` bytes of a line are held. A StreamFault is raised after the lines
    before it; the unfinished last line is then yielded with `cut`.
    """
    number, start, length = 1, 0, 0
    pieces: list[bytes] = []
    position = 0

    def owns(offset: int) -> bool:
        return offset // BLOCK % count == index

    def line(cut: bool = False) -> Line:
        data = b"".join(pieces) if length <= limit else None
        stats.records += 1
        stats.raw_bytes += length
        return Line(number, start, length, data, cut)

    fault: StreamFault | None = None
    stream = chunks(path)
    while True:
        try:
            chunk = next(stream)
        except StopIteration:
            break
        except StreamFault as error:
            fault = error
            break
        here = 0
        while here < len(chunk):
            if not length and not owns(position + here):
                # Skip to the first line that starts in an owned block, counting as we go.
                boundary = min(len(chunk), ((position + here) // BLOCK + 1) * BLOCK - position)
                last = chunk.rfind(NEWLINE, here, boundary)
                if last >= 0:
                    number += chunk.count(NEWLINE, here, last + 1)
                    here = last + 1
                    start = position + here
                    if here >= boundary or owns(start):
                        continue
            end = chunk.find(NEWLINE, here)
            stop = len(chunk) if end < 0 else end + 1
            if owns(start) and length + stop - here <= limit + 1:
                pieces.append(chunk[here:stop])
            else:
                pieces.clear()
            length += stop - here
            here = stop
            if end >= 0:
                if owns(start):
                    yield line()
                number, start, length = number + 1, position + here, 0
                pieces.clear()
        position += len(chunk)
    stats.file_bytes = position
    stats.file_records = number - (0 if length else 1)
    if length and owns(start):
        yield line(cut=fault is not None)
    if fault is not None:
        raise fault


def read_jsonl(split: Split, source: Source, ingest: Ingest, stats: ReadStats) -> Items:
    """Yield the documents and rejects of a JSONL split."""
    for file in split.files:
        yield from _read_file(split, file, source, ingest, stats)


def _read_file(split: Split, file: File, source: Source, ingest: Ingest, stats: ReadStats) -> Items:
    own = FileStats(file.relative)
    stats.files.append(own)
    last_owned_end = 0
    try:
        for line in owned_lines(
            file.path, split.index, split.count, ingest.max_document_bytes, own
        ):
            last_owned_end = line.offset + line.length
            if line.cut:
                continue  # told by the fault that follows
            if line.data is not None and not line.data.strip():
                stats.structural_bytes += line.length
                continue
            if split.below is not None and not sampled(split, file, str(line.number)):
                stats.structural_bytes += line.length
                continue
            yield parse_line(file.relative, line, source, ingest)
    except StreamFault as fault:
        cut = own.file_bytes == last_owned_end and own.records > 0
        if split.index == 0 and fault.position == 0:
            yield Reject(file.relative, "0", 0, fault.reason, fault.detail)
        elif cut or (split.index == fault.position // BLOCK % split.count):
            yield _cut(file, fault, own, stats)
        return
    if own.file_bytes == 0 and split.index == 0:
        yield Reject(file.relative, "0", 0, "empty_file", "the file has no bytes")


def _cut(file: File, fault: StreamFault, own: FileStats, stats: ReadStats) -> Reject:
    detail = f"at byte {fault.position} of the decompressed stream: {fault.detail}"
    return Reject(file.relative, f"byte {fault.position}", 0, fault.reason, detail)


def sampled(split: Split, file: File, position: str) -> bool:
    """Return whether the document at `position` is within the source's limit."""
    rank = int.from_bytes(document_id(split.source, f"{file.relative}:{position}")[:8], "big")
    return split.below is None or rank < split.below


def parse_line(relative: str, line: Line, source: Source, ingest: Ingest) -> Item:
    """Turn one line into a document or a reject."""
    import orjson

    where = str(line.number)

    def reject(reason: str, detail: str, shown: bytes = b"") -> Reject:
        return Reject(relative, where, line.length, reason, detail, excerpt(shown))

    if line.data is None:
        detail = (
            f"{line.length} bytes from byte {line.offset}; the most is {ingest.max_document_bytes}"
        )
        return reject("too_long", detail)
    try:
        value = orjson.loads(line.data)
    except orjson.JSONDecodeError as error:
        try:
            line.data.decode("utf-8")
        except UnicodeDecodeError as bad:
            at = line.offset + bad.start
            return reject("invalid_utf8", f"at byte {at}: {bad.reason}", line.data)
        return reject("malformed_json", f"line {line.number}: {error}", line.data)
    if not isinstance(value, dict):
        return reject("malformed_json", f"a {type(value).__name__}, not an object", line.data)
    text = value.pop(source.text, None)
    if not isinstance(text, str) or not text.strip():
        detail = f"field {source.text!r} is {'missing or empty' if not text else 'no string'}"
        return reject("no_text", detail, line.data)
    return Record(relative, where, line.length, text, **_columns(value))


def _columns(value: dict[str, Any]) -> dict[str, Any]:
    """Return the document columns of a record; what is left goes into `meta`."""
    columns: dict[str, Any] = {
        name: str(value.pop(name)) if value.get(name) is not None else None
        for name in ("url", "license", "timestamp")
    }
    inner = value.pop("meta", None)
    meta = {k: v for k, v in value.items() if v is not None and k not in STANDARD}
    if isinstance(inner, dict):
        meta.update(inner)
    elif inner is not None:
        meta["meta"] = inner
    return {**columns, "meta": meta or None}
