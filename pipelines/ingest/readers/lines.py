"""JSONL: one record per line; of N splits each takes every N-th block of a file.

A line belongs to the block in which it starts. A split reads its files from the start, in
bounded memory, and counts the lines of other splits, so positions are line numbers.

Damage: what is decompressed before and after a gap counts as one line, torn by the gap, to the next
line end. So numbers count the lines that are there, not those that are lost; they are unique and
the same for any number of splits. A gap is a reject at `byte N`, N decompressed bytes into the
file, with the half lines beside it. A half that is a whole record, as where the gap begins or ends
at a line end, becomes a document: at the line's number, the second of two at `NUMBER.2`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from filters.text.charset import decode_text
from filters.text.charset.stateful import decode_stateful, stateful_codec
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
from pipelines.ingest.readers.streams import StreamFault, head, text_parts
from schemas.charsets import codec_named
from schemas.config import Ingest, Source
from schemas.json_lines import kind_of, not_found, parse
from schemas.packing import Gap

BLOCK = 4 << 20
"""Bytes (decompressed) that go to one split together."""
POSITIONS_LINE = 64 << 20
"""Bytes of a line up to which a blank one is recognised when positions are counted."""
SNIFFED = 64 << 10
"""Bytes of a file that show its charset where a line is not UTF-8."""
NEWLINE = b"\n"
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Line:
    """An owned line. `data` is None when it is longer than the limit; `length` counts `\\n`."""

    number: int
    offset: int
    length: int
    data: bytes | None
    gaps: tuple[Gap, ...] = ()
    """Gaps that tear it; of a length of 0 where the file ends with one."""

    def halves(self) -> tuple[bytes, bytes]:
        """Return what is before its first gap and what is after its last."""
        data = self.data or b""
        first, last = self.gaps[0].position, self.gaps[-1].position
        return data[: first - self.offset], data[last - self.offset :]


def owned_lines(
    path: str, index: int, count: int, limit: int, stats: FileStats, encoding: str | None = None
) -> Iterator[Line]:
    """Yield the lines of `path` that split `index` of `count` owns; fill `stats`.

    At most `limit` bytes of a line are kept in memory. UTF-16 and UTF-32 become UTF-8. Raises
    StreamFault where nothing of the file can be read.
    """
    number, start, length, position = 1, 0, 0, 0
    pieces: list[bytes] = []
    gaps: list[Gap] = []

    def owns(offset: int) -> bool:
        return offset // BLOCK % count == index

    def line() -> Line:
        data = b"".join(pieces) if length <= limit else None
        stats.records += length > 0
        stats.raw_bytes += length
        return Line(number, start, length, data, tuple(gaps))

    try:
        for chunk in text_parts(path, encoding):
            if isinstance(chunk, Gap):
                gaps.append(chunk)
                continue
            here = 0
            while here < len(chunk):
                if not length and not owns(position + here):
                    skipped, here = _skip(chunk, here, position)
                    if skipped:
                        number, start = number + skipped, position + here
                        gaps.clear()
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
                    gaps.clear()
            position += len(chunk)
    except StreamFault as fault:
        if not position:
            raise
        gaps.append(Gap(position, fault.reason, fault.detail, 0, position))
    stats.file_bytes = position
    stats.file_records = number - (0 if length else 1)
    if (length or gaps) and owns(start):
        yield line()


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
    charset = _Charset(file.path, source.encoding)
    limit = ingest.max_document_bytes
    torn = False
    try:
        for line in owned_lines(
            file.path, split.index, split.count, limit, own, encoding=source.encoding
        ):
            wanted = split.below is None or sampled(split, file, str(line.number))

            def item(line: Line) -> Item:
                return _item(file, line, charset, source, ingest, split.source)

            if line.gaps:
                torn = True
                yield from torn_line(file, line, item if wanted else None)
            elif not wanted or (line.data is not None and not line.data.strip()):
                stats.structural_bytes += line.length
            else:
                yield item(line)
    except StreamFault as fault:
        if split.index == 0:
            yield Reject(file.relative, "0", 0, fault.reason, fault.detail)
        return
    if own.file_bytes == 0 and split.index == 0 and not torn:
        yield Reject(file.relative, "0", 0, "empty_file", "the file has no bytes")


def torn_line(file: File, line: Line, item: Callable[[Line], Item] | None = None) -> Iterator[Item]:
    """Yield a reject for each gap of a line, and the records that are whole beside them.

    `item` makes an item of a line; without it the line has no records. The items' raw bytes are
    those of the line.
    """
    left = line.length
    if item is not None and line.data is not None:
        for whole, made in _whole_parts(line, item):
            found = made
            if isinstance(found, Record):
                if whole.offset > line.offset and left < line.length:
                    found = replace(found, position=f"{line.number}.2")
                left -= found.raw_bytes
                yield found
    shown = excerpt(line.data or b"")
    for gap in line.gaps:
        detail = (
            f"at byte {gap.position} of the decompressed stream, in line {line.number}: "
            f"{gap.detail}; about {gap.lost_bytes:,} bytes are lost"
        )
        where = f"byte {gap.position}"
        yield Reject(
            file.relative, where, left, gap.reason, detail, shown, lost_bytes=gap.lost_bytes
        )
        left, shown = 0, ""


def _whole_parts(line: Line, item: Callable[[Line], Item]) -> Iterator[tuple[Line, Item]]:
    """Yield the parts of a torn line that may be records, with the item of each."""
    if all(gap.lost_bytes == 0 for gap in line.gaps):
        whole = replace(line, gaps=())
        found = item(whole)
        if isinstance(found, Record):
            yield whole, found
            return
    before, after = line.halves()
    behind = line.offset + line.length - len(after)
    parts = (
        replace(line, length=len(before), data=before, gaps=()),
        replace(line, offset=behind, length=len(after), data=after, gaps=()),
    )
    for part in parts:
        if part.data and part.data.strip():
            yield part, item(part)


class _Charset:
    """The charset of a file of lines: that of the config, else UTF-8, else what its start shows."""

    def __init__(self, path: str, encoding: str | None) -> None:
        self._path = path
        given = codec_named(encoding)
        self._given = None if given in _UNICODE else given
        self._shown: str | None = None
        self._switches: str | None = None

    def to_utf8(self, data: bytes, invalid: bool) -> bytes:
        """Return a line in UTF-8; `invalid`: whether it is known not to be."""
        if (b"\x1b" in data or b"\x0e" in data) and (codec := self._stateful()):
            text = decode_stateful(data, codec)
            return data if text is None else text.encode()
        if self._given:
            return decode_text(data, self._given)[0].encode()
        if not invalid:
            return data
        if self._shown is None:
            self._shown = _shown(head(self._path, SNIFFED))
        if self._shown == "utf-8":
            return data.decode("utf-8", "replace").encode()
        try:
            return data.decode(self._shown).encode()
        except UnicodeDecodeError:
            return decode_text(data)[0].encode()

    def _stateful(self) -> str:
        """Return the charset of escape sequences that the file announces, often only at its start.

        Each of its lines begins in ASCII. Empty where it is in another charset.
        """
        if self._switches is None:
            start = head(self._path, SNIFFED)
            self._switches = stateful_codec(start) or ""
        return self._switches


def _shown(start: bytes) -> str:
    """Return the charset that the first lines of a file show."""
    lines = start[: start.rfind(NEWLINE) + 1 or None].split(NEWLINE)
    beyond = [line for line in lines if not line.isascii()]
    invalid = [line for line in beyond if not _is_utf8(line)]
    if 2 * len(invalid) <= len(beyond):
        return "utf-8"
    return decode_text(NEWLINE.join(invalid))[1]


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


_UNICODE = frozenset({"utf-8", "utf-8-sig", "utf-16", "utf-32"}) | frozenset(
    f"utf-{width}-{order}" for width in (16, 32) for order in ("le", "be")
)


def _item(
    file: File, line: Line, charset: _Charset, source: Source, ingest: Ingest, name: str
) -> Item:
    """Return the document or reject of a line in any charset. Its raw bytes are those read."""
    if line.data is None:
        return parse_line(file.relative, line, source, ingest, name)
    data = charset.to_utf8(line.data.removeprefix(BOM), invalid=False)
    item = parse_line(file.relative, replace(line, data=data), source, ingest, name)
    if isinstance(item, Reject) and item.reason == "invalid_utf8":
        data = charset.to_utf8(data, invalid=True)
        item = parse_line(file.relative, replace(line, data=data), source, ingest, name)
    return item


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
    """Yield the number of every line that is not blank."""
    try:
        own = FileStats(file.relative)
        for line in owned_lines(file.path, 0, 1, POSITIONS_LINE, own, encoding=source.encoding):
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
