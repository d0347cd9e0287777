"""JSONL: one record per line; of N splits each takes every N-th block of a file.

A line belongs to the block in which it starts. A split reads its files from the start, in
bounded memory, and counts the lines of other splits, so positions are line numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
from pipelines.ingest.readers.fields import document_columns, take
from pipelines.ingest.readers.streams import StreamFault, chunks
from schemas.config import Ingest, Source
from schemas.json_lines import kind_of, not_found, parse

BLOCK = 4 << 20
"""Bytes (decompressed) that go to one split together."""
POSITIONS_LINE = 64 << 20
"""Bytes of a line up to which a blank one is recognised when positions are counted."""
NEWLINE = b"\n"


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

    At most `limit` bytes of a line are kept in memory. A StreamFault is raised after the lines
    before it; the unfinished last line is then yielded with `cut`.
    """
    number, start, length, position = 1, 0, 0, 0
    pieces: list[bytes] = []
    fault: StreamFault | None = None

    def owns(offset: int) -> bool:
        return offset // BLOCK % count == index

    def line(cut: bool = False) -> Line:
        data = b"".join(pieces) if length <= limit else None
        stats.records += 1
        stats.raw_bytes += length
        return Line(number, start, length, data, cut)

    try:
        for chunk in chunks(path):
            here = 0
            while here < len(chunk):
                if not length and not owns(position + here):
                    skipped, here = _skip(chunk, here, position)
                    if skipped:
                        number, start = number + skipped, position + here
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
    except StreamFault as error:
        fault = error
    stats.file_bytes = position
    stats.file_records = number - (0 if length else 1)
    if length and owns(start):
        yield line(cut=fault is not None)
    if fault is not None:
        raise fault


def _skip(chunk: bytes, here: int, position: int) -> tuple[int, int]:
    """Return how many whole lines from `here` on end in its block, and where the next starts.

    `position`: that of the chunk in the file.
    """
    boundary = min(len(chunk), ((position + here) // BLOCK + 1) * BLOCK - position)
    last = chunk.rfind(NEWLINE, here, boundary)
    return (0, here) if last < 0 else (chunk.count(NEWLINE, here, last + 1), last + 1)


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
                continue  # the fault that follows reports it
            if line.data is not None and not line.data.strip():
                stats.structural_bytes += line.length
                continue
            if split.below is not None and not sampled(split, file, str(line.number)):
                stats.structural_bytes += line.length
                continue
            yield parse_line(file.relative, line, source, ingest, split.source)
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


def parse_line(
    relative: str, line: Line, source: Source, ingest: Ingest, name: str = "NAME"
) -> Item:
    """Turn one line into a document or a reject. `name`: the source's, for messages."""
    where = str(line.number)

    def reject(reason: str, detail: str, shown: bytes = b"") -> Reject:
        return Reject(relative, where, line.length, reason, detail, excerpt(shown))

    if line.data is None:
        return reject("too_long", f"from byte {line.offset}: {too_long(line.length, ingest)}")
    try:
        value = parse(line.data)
    except UnicodeDecodeError as bad:
        at = line.offset + bad.start
        return reject("invalid_utf8", f"at byte {at}: {bad.reason}", line.data)
    except ValueError as error:
        return reject("malformed_json", f"line {line.number}: {error}", line.data)
    if not isinstance(value, dict):
        return reject("malformed_json", f"{kind_of(value)}, not an object", line.data)
    found, text = take(value, source.text)
    if not found:
        detail = f"{not_found(source.text, value)}: set sources.{name}.text"
        return reject("no_text", detail, line.data)
    if not isinstance(text, str):
        detail = f"field {source.text!r} is {kind_of(text)}, not a string"
        return reject("no_text", detail, line.data)
    if not text.strip():
        return reject("no_text", f"field {source.text!r} is empty", line.data)
    return Record(relative, where, line.length, text, **document_columns(value))


def line_positions(file: File, source: Source) -> Iterator[str]:
    """Yield the number of every line that is not blank, up to a fault of the stream."""
    try:
        for line in owned_lines(file.path, 0, 1, POSITIONS_LINE, FileStats(file.relative)):
            if line.data is None or line.data.strip():
                yield str(line.number)
    except StreamFault:
        return  # reading reports it


JSONL = Reader(
    name="jsonl",
    endings=(".jsonl", ".ndjson", ".json"),
    read=read_jsonl,
    positions=line_positions,
    divisible=True,
)
