"""Records of WARC and ARC files, found again after damage.

A record is read by its Content-Length. Where what follows shows the length to be wrong, or bytes
are lost, the record is broken and reading resumes at the next start of one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from pipelines.ingest.readers.streams import StreamFault, parts
from schemas.packing import Gap

MAX_HEADER = 1 << 20
"""Bytes of a record's header at the most."""
_PEEKED = 64
"""Bytes behind a record that show whether another starts there."""
_START = re.compile(
    rb"WARC/[01]\.\d{1,2}\r?\n(?=[A-Za-z-]{1,64}[ \t]*:)"
    rb"|(?:(?<=\n)|\A)[a-z][a-z0-9+.-]{1,15}://\S{1,4000} [0-9a-fA-F.:]{1,45} \d{12,14} "
    rb"\S{1,200}(?: \S{1,400}){0,5} \d{1,15}\r?\n"
)
"""The start of a record of a WARC file, or the line that is the header of an ARC record."""
_LONGEST_START = 8192
_END_OF_HEADER = re.compile(rb"\n\r?\n")
_DIVIDING = re.compile(
    rb"^(content-length|warc-type)[ \t]*:([^\r\n]*)", re.IGNORECASE | re.MULTILINE
)
_BREAKS = b"\r\n"
_STEP = 1 << 20
"""Bytes that are searched at once."""
_SHOWN = 512
"""Bytes of a broken record that its excerpt is made of."""


@dataclass(frozen=True)
class Entry:
    """A record. `length`: the bytes of its block; `block` is None where they exceed the limit."""

    ordinal: int
    kind: str
    """WARC-Type, lower case; `response` for the pages of an ARC file, `filedesc` for its head."""
    headers: dict[str, str]
    """By lower-case name."""
    length: int
    block: bytes | None = field(repr=False)


@dataclass(frozen=True)
class Broken:
    """Bytes of a file that do not make a whole record. `length`: those that are there."""

    ordinal: int
    length: int
    reason: str
    detail: str
    lost_bytes: int = 0
    shown: bytes = field(default=b"", repr=False)


class _Segments:
    """Bytes up to the next gap, or to the end, with the place reached."""

    def __init__(self, pieces: Iterator[bytes | Gap]) -> None:
        self._pieces = pieces
        self._data = b""
        self._at = 0
        self._ended = False
        self.position = 0
        """Decompressed bytes of the file before the place reached."""
        self.gap: Gap | None = None
        """The gap in which the bytes end that are read so far."""

    def need(self, count: int) -> int:
        """Read until `count` bytes are there; return how many are, fewer only before a gap."""
        have = len(self._data) - self._at
        if have >= count or self._ended or self.gap:
            return have
        kept = [self._data[self._at :]]
        ahead = count + min(count, _STEP * 8)  # so that what is kept is not copied each time
        while have < ahead and not self._ended:
            piece = next(self._pieces, None)
            if piece is None:
                self._ended = True
            elif isinstance(piece, Gap):
                self.gap = piece
                break
            else:
                kept.append(piece)
                have += len(piece)
        self._data, self._at = b"".join(kept), 0
        return have

    def peek(self, count: int, after: int = 0) -> bytes:
        """Return up to `count` bytes, `after` the place reached."""
        self.need(after + count)
        return self._data[self._at + after : self._at + after + count]

    def take(self, count: int) -> bytes:
        """Return up to `count` bytes and pass them."""
        data = self.peek(count)
        self.skip(len(data))
        return data

    def skip(self, count: int) -> None:
        """Pass `count` bytes that are there."""
        self._at += count
        self.position += count

    def header_size(self) -> int:
        """Return the bytes of the header at the place reached, with the empty line; 0: no end."""
        have = 4096
        while True:
            there = min(self.need(have), MAX_HEADER)
            end = self._data.find(b"\r\n\r\n", self._at, self._at + there)
            match = _END_OF_HEADER.search(
                self._data, self._at, end if end >= 0 else self._at + there
            )
            if match:
                return match.end() - self._at
            if end >= 0:
                return end + 4 - self._at
            if there < have:
                return 0
            have *= 8

    def find_start(self, within: int) -> int | None:
        """Return how many bytes precede the first start of a record in `within` bytes, or None."""
        there = self.need(within + _LONGEST_START)
        match = _START.search(self._data, self._at, self._at + there)
        before = match.start() - self._at if match else within
        return before if before < within else None

    def skip_breaks(self) -> None:
        """Pass line ends."""
        while data := self.peek(_PEEKED):
            rest = data.lstrip(_BREAKS)
            self.skip(len(data) - len(rest))
            if rest:
                return

    def skip_to_start(self, most: int | None = None) -> tuple[int, bool]:
        """Pass bytes (at most `most`) up to a record's start; return (their number, whether)."""
        passed = 0
        while True:
            step = _STEP if most is None else min(_STEP, most - passed)
            start = self.find_start(step)
            there = min(step, self.need(step)) if start is None else start
            self.skip(there)
            passed += there
            if start is not None:
                return passed, True
            if there < step or passed == most:
                return passed, False

    def cross(self) -> Gap | None:
        """Pass the gap, once all bytes before it are passed; return it."""
        gap, self.gap = self.gap, None
        return gap


def entries(
    path: str, limit: int, wanted: Callable[[int], bool] = lambda ordinal: True
) -> Iterator[Entry | Broken]:
    """Yield the records of a file, whole and broken, with ordinals from 0.

    Blocks of more than `limit` bytes are passed over; of records that are not `wanted` only kind
    and length are read. Raises StreamFault where the file cannot be
    read at all.
    """
    stream = _Segments(parts(path))
    ordinal = 0
    try:
        while stream.need(1) or stream.gap:
            stream.skip_breaks()
            if stream.need(1) or stream.gap:
                yield _next(stream, ordinal, limit, wanted(ordinal))
                ordinal += 1
    except StreamFault as fault:
        if not stream.position:
            raise
        yield Broken(ordinal, 0, fault.reason, _at(stream, fault.detail), stream.position)


def _at(stream: _Segments, detail: str) -> str:
    return f"at byte {stream.position} of the decompressed stream: {detail}"


def _next(stream: _Segments, ordinal: int, limit: int, whole: bool) -> Entry | Broken:
    """Return the record at the place reached."""
    place = stream.position
    start = stream.peek(_LONGEST_START)
    if not start:  # the gap's own reason takes the place of this one
        return _resumed(stream, ordinal, "truncated_record", "behind a record")
    if not _START.match(start):
        cut = len(start) < _LONGEST_START and start.startswith(b"WARC/"[: len(start)])
        reason = "truncated_record" if cut else "malformed_record"
        return _resumed(stream, ordinal, reason, "no record starts here")
    headers = _warc_headers(stream, whole) if start.startswith(b"WARC/") else _arc_headers(stream)
    if headers is None:
        return _resumed(stream, ordinal, "truncated_record", "a record's header has no end")
    kind, stated = headers.get("warc-type", "").lower(), headers.get("content-length", "")
    if not (stated.isascii() and stated.isdigit() and len(stated) < 19):
        detail = f"Content-Length is {stated[:40]!r}, not a number of bytes"
        passed = stream.position - place  # a damaged header may reach over the block
        return _resumed(stream, ordinal, "malformed_record", detail, passed=passed)
    length = int(stated)
    if length > limit:
        return _passed_over(stream, Entry(ordinal, kind, headers, length, None), limit)
    if fault := _fault(stream, length):
        size, reason, detail, lost = fault
        return _resumed(stream, ordinal, reason, detail, stream.take(size), lost)
    block = stream.take(length)
    stream.skip_breaks()
    gap = stream.gap
    if gap and not gap.lost_bytes and gap.since >= place and not stream.need(1):
        stream.cross()  # the member of this record alone, so its bytes are the damaged ones
        return Broken(ordinal, length, gap.reason, _at(stream, gap.detail), 0, block[:_SHOWN])
    return Entry(ordinal, kind, headers, length, block)


def _warc_headers(stream: _Segments, whole: bool) -> dict[str, str] | None:
    """Pass the header of a WARC record and return its fields; None, passing a line, if cut off.

    Unless `whole`, only those by which the file is divided into records.
    """
    size = stream.header_size()
    header = stream.peek(size)
    if not size or (header.find(b"WARC/", 1) > 0 and _START.search(header, 1)):
        stream.skip(1)
        return None
    stream.skip(size)
    fields = {} if not whole else parse_fields(header.decode("utf-8", "replace").split("\n")[1:])
    for name, value in reversed(_DIVIDING.findall(header)):
        fields[name.decode().lower()] = value.decode("latin-1").strip()
    return fields


def parse_fields(lines: Iterable[str]) -> dict[str, str]:
    """Return the fields of a header by their lower-case names; of several the first."""
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if line[:1] in (" ", "\t"):
            fields[name] = f"{fields.get(name, '')} {line.strip()}"
            continue
        name, _, value = line.partition(":")
        name = name.strip().lower()
        fields.setdefault(name, value.strip())
    return fields


def _arc_headers(stream: _Segments) -> dict[str, str]:
    """Pass the line that is the header of an ARC record; return it as a WARC record's fields."""
    line = stream.take(stream.peek(_LONGEST_START).index(b"\n") + 1)
    url, _, date, kind, *_, length = line.decode("utf-8", "replace").split()
    day, time = date[:8], date[8:].ljust(6, "0")
    page = url.startswith(("http://", "https://"))
    return {
        "warc-type": "response" if page else "warcinfo",
        "warc-target-uri": url,
        "warc-date": f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}Z",
        "warc-identified-payload-type": kind,
        "content-type": "application/http",
        "content-length": length,
    }


def _fault(stream: _Segments, length: int) -> tuple[int, str, str, int] | None:
    """Return why the block of `length` bytes is not whole, or None.

    (bytes of it that are there, reason, detail, bytes lost).
    """
    there = min(length, stream.need(length + _PEEKED))
    if there == length:
        behind = stream.peek(_PEEKED, after=length)
        rest = behind.lstrip(_BREAKS)
        if not rest or behind.startswith((b"\r\n\r\n", b"\n\n")):
            return None
        if _START.match(stream.peek(_LONGEST_START, after=length + len(behind) - len(rest))):
            return None
    inner = stream.find_start(there)
    if inner is not None:
        detail = f"Content-Length is {length}, but another record starts after {inner}"
        return inner, "malformed_record", detail, 0
    if there == length:
        detail = f"Content-Length is {length}, but no record starts behind that"
        return there, "malformed_record", detail, 0
    if stream.gap:
        return there, stream.gap.reason, stream.gap.detail, 0
    missing = length - there
    return there, "truncated_record", f"{missing} of {length} bytes are missing", missing


def _passed_over(stream: _Segments, entry: Entry, limit: int) -> Entry | Broken:
    """Return a record whose block is longer than the limit, or what is there of it."""
    passed, inner = stream.skip_to_start(entry.length)
    reason, lost = "truncated_record", 0
    if inner:
        reason = "malformed_record"
        detail = f"Content-Length is {entry.length}, but another record starts after {passed}"
    elif passed == entry.length:
        return entry
    elif stream.gap:
        reason, detail = stream.gap.reason, stream.gap.detail
    else:
        detail = f"{entry.length - passed} of {entry.length} bytes are missing"
        lost = min(entry.length - passed, limit)
    return _resumed(stream, entry.ordinal, reason, detail, b"", lost, passed)


def _resumed(
    stream: _Segments,
    ordinal: int,
    reason: str,
    detail: str,
    block: bytes = b"",
    lost: int = 0,
    passed: int = 0,
) -> Broken:
    """Pass all up to the next record, gaps too; return it as one broken record."""
    place = _at(stream, detail)
    passed += len(block)
    shown = block[:_SHOWN]
    gap = None
    while True:
        count, found = stream.skip_to_start()
        passed += count
        if found:
            break
        if (crossed := stream.cross()) is None:
            break
        gap = crossed
        lost += gap.lost_bytes
        reason = gap.reason if reason == "truncated_record" else reason
        if gap.reason not in place and gap.detail not in place:
            place += f"; {gap.detail}"
    if not ordinal and not found and not gap and passed == stream.position:
        reason, place = "unreadable", "no WARC or ARC record is in the file"
    return Broken(ordinal, passed, reason, place, lost, shown)
