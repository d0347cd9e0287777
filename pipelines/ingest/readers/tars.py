"""Members of a tar archive as it streams: damaged headers are skipped, sizes are never believed.

`tarfile` parses each member by itself, from its own headers and data. What is around it is done
here: it ends an archive at the first damaged header, and does not compare checksums of a stream.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

from pipelines.ingest.readers.magic import valid_header
from schemas.packing import Gap

BLOCK = 512
RECORD = 20 * BLOCK
"""To a multiple of this tar pads an archive: zeros before another header are damage, or its end."""
WINDOW = 1 << 16
LAST = 8 << 10
"""Bytes of a member in which a header is looked for where none follows: some may be missing."""
_SHARE = 0.8
"""Share of an archive that is members' data, where nothing shows it."""
MAX_HEADER = 1 << 20
"""Bytes of a member's extended header; it holds a name and a few attributes."""
_EXTENDED = b"xgLKX"
_SIZE = re.compile(rb"(?:^|\n)\d+ size=(\d+)\n")
_SPECIAL = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}


_BAD = (ValueError, OverflowError, IndexError, KeyError, OSError, EOFError, RecursionError)
"""What `tarfile` raises for damaged headers."""


@dataclass(frozen=True)
class Entry:
    """A member, or a place where the archive is damaged (`fault`)."""

    name: str
    size: int = 0
    data: bytes | None = None
    special: str = ""
    """What a member is that is not a file."""
    fault: str = ""
    reason: str = "corrupt_stream"
    lost: int = 0
    """Bytes of members that the damage cost, about."""
    place: bool = False
    """Whether `name` is where the archive is damaged, not a member's."""


class _Stream:
    """Pieces of bytes, taken in other sizes. It ends at a gap, until `resume`."""

    def __init__(self, pieces: Iterator[bytes | Gap]) -> None:
        self._pieces = pieces
        self._piece = b""
        self._at = 0
        self.offset = 0
        self.members = 0
        """Bytes of the members so far, …"""
        self.spanned = 0
        """… and of the archive up to the last of them, less what was skipped."""
        self.last = b""
        """The last bytes of the last member, with its padding, where they directly precede."""
        self.gap: Gap | None = None
        self.cut: Entry | None = None
        """The member that the gap cuts; its size: what came of it."""

    def held(self, size: int) -> int:
        """Return how many of `size` bytes are members' data, not headers and padding, about."""
        share = self.members / self.spanned if self.members else _SHARE
        return max(1, int(size * share)) if size else 0

    def resume(self) -> Gap | None:
        """Return the gap at which the stream has ended, and read behind it from now on."""
        gap, self.gap, self.last = self.gap, None, b""
        return gap

    def put_back(self, data: bytes) -> None:
        """Have `data`, the last that was taken, come again."""
        self._piece = data + self._piece[self._at :]
        self._at = 0
        self.offset -= len(data)

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer at the end."""
        taken = []
        while size > 0 and (piece := self._some(size)):
            taken.append(piece)
            size -= len(piece)
        return b"".join(taken)

    def skip(self, size: int) -> int:
        """Pass over `size` bytes and return how many there were."""
        left = size
        while left > 0 and (piece := self._some(left)):
            left -= len(piece)
        return size - left

    def _some(self, size: int) -> bytes:
        if self._at >= len(self._piece):
            self._piece, self._at = b"", 0
            while not self._piece and not self.gap:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                if isinstance(piece, Gap):
                    self.gap = piece
                else:
                    self._piece = piece
        piece = self._piece[self._at : self._at + size]
        self._at += len(piece)
        self.offset += len(piece)
        return piece


def entries(pieces: Iterator[bytes | Gap], limit: int) -> Iterator[Entry]:
    """Yield the members of a tar archive in its order, and an entry per damaged place.

    A member of more than `limit` bytes comes without its data. After a damaged header, or a gap of
    what packs the archive, the next whole header is looked for. Another archive may follow the end
    of one, as `cat` leaves them.
    """
    stream = _Stream(pieces)
    ended = False
    while True:
        ended = yield from _run(stream, limit, ended)
        gap = stream.resume()
        if gap is None:
            if not ended:
                detail = f"the archive ends without its end mark, after {stream.offset} bytes"
                yield Entry("end", fault=detail, reason="truncated_stream", place=True)
            return
        yield _unread(stream, gap)
        ended = not _align(stream)


def _run(stream: _Stream, limit: int, ended: bool) -> Generator[Entry, None, bool]:
    """Yield members up to the end or a gap; return whether an end mark was there, or a fault."""
    shared, extended = b"", b""
    zeros = 2 * ended
    while len(block := stream.take(BLOCK)) == BLOCK:
        if not any(block):
            zeros += 1
            continue
        start = stream.offset - BLOCK
        if not valid_header(block):
            stream.put_back((b"" if zeros else stream.last) + block)
            found = _align(stream)
            if zeros < 2 or found:
                yield _gap(stream, start - BLOCK * (zeros == 1), stream.offset)
            if not found:
                return True
            extended, zeros = b"", 0
            continue
        if zeros > 1 and start % RECORD:
            yield _gap(stream, start - BLOCK * zeros, start)
        zeros, stream.last = 0, b""
        size = _size(block)
        if size is None or (block[156:157] in _EXTENDED and size > MAX_HEADER):
            claimed = _padded(size or 0)
            fault = f"a member's header of {size} bytes"
            yield Entry(f"byte {start}", fault=fault, place=True)
            if stream.skip(claimed) < claimed and not stream.gap:
                return True
        elif block[156:157] == b"g":
            shared = block + stream.take(_padded(size))
        elif block[156:157] in _EXTENDED:
            more = block + stream.take(_padded(size))
            extended = extended + more if len(extended) < MAX_HEADER else more
        else:
            entry = _member(stream, shared + extended + block, limit)
            extended = b""
            if entry is not None and entry.reason == "truncated_stream" and stream.gap:
                stream.cut = entry  # the gap that follows reports it
            elif entry is not None:
                yield entry
                if entry.reason == "truncated_stream":
                    return True
    if block and not stream.gap and zeros < 2:
        detail = f"the archive ends within a header, after {stream.offset} bytes"
        yield Entry("end", fault=detail, reason="truncated_stream", place=True)
        return True
    return zeros > 0


def _unread(stream: _Stream, gap: Gap) -> Entry:
    """Return the entry of a gap, with the member that it cuts."""
    cut, stream.cut = stream.cut, None
    detail = f"after byte {stream.offset}{f', in {cut.name}' if cut else ''}: {gap.detail}"
    lost = stream.held(gap.lost_bytes) + (cut.size if cut else 0)
    where = f"byte {stream.offset}"
    return Entry(where, fault=detail, reason=gap.reason, lost=lost, place=True)


def _align(stream: _Stream) -> bool:
    """Pass all up to the next whole header, at any byte; return whether there is one."""
    window = stream.take(WINDOW)
    while len(window) >= BLOCK:
        at = window.find(b"ustar", 257)
        while at >= 0 and not valid_header(window[at - 257 : at - 257 + BLOCK]):
            at = window.find(b"ustar", at + 1)
        if at >= 0:
            stream.put_back(window[at - 257 :])
            return True
        more = stream.take(WINDOW)
        if not more:
            break
        window = window[-(BLOCK - 1) :] + more
    return False


def _gap(stream: _Stream, start: int, end: int) -> Entry:
    lost = stream.held(end - start) if end > start else 0
    detail = (
        f"bytes are missing before byte {end}, where a header stands in the data of a member"
        if end <= start
        else f"no whole header at byte {start}; {end - start} bytes up to the next one "
        "were skipped, a member or more"
    )
    return Entry(f"byte {start}", fault=detail, lost=lost, place=True)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _size(block: bytes) -> int | None:
    """Return the size that a header names, None where it is not a number of bytes."""
    try:
        size = tarfile.nti(block[124:136])  # type: ignore[attr-defined]
    except tarfile.HeaderError:
        return None
    return int(size) if size >= 0 else None


def _member(stream: _Stream, headers: bytes, limit: int) -> Entry | None:
    """Return the member whose headers were read, None for a folder; its data is passed."""
    block = headers[-BLOCK:]
    stored = _size(block) or 0
    if sized := _SIZE.findall(headers[:-BLOCK]):
        stored = int(sized[-1])
    if block[156:157] == tarfile.GNUTYPE_SPARSE:
        headers += _sparse_blocks(stream, block)
    plain = block[156:157] in b"0\0" and b"GNU.sparse" not in headers
    has_data = block[156:157] not in b"123456"
    if has_data and not block[156:157].strip(b"\0") and block[:100].rstrip(b"\0").endswith(b"/"):
        has_data = False  # a folder, as the oldest archives have them
    left = _padded(stored) if has_data else 0
    data = stream.take(left if stored <= limit else 0 if plain else min(left, 1 << 16))
    left -= len(data)
    stream.last = b"" if left else data[-LAST:]
    cut = len(data) < stored and left > 0 and stored <= limit
    left -= 0 if cut else stream.skip(left)
    missing = max(0, left - (_padded(stored) - stored)) if has_data else 0
    entry = _parsed(headers, data, stored, limit, missing)
    if entry is not None and missing and not stream.gap:
        # Nothing shows how much followed: as much is assumed as was read.
        return replace(entry, lost=max(entry.lost, stream.members))
    if entry is not None:
        stream.members += entry.size
        stream.spanned += len(headers) + _padded(stored)
    return entry


def _sparse_blocks(stream: _Stream, block: bytes) -> bytes:
    """Return the blocks with more places of a sparse member, which follow its header."""
    more = b""
    extends = block[482]
    while extends and len(more) < MAX_HEADER and len(block := stream.take(BLOCK)) == BLOCK:
        more += block
        extends = block[504]
    return more


def _parsed(headers: bytes, data: bytes, stored: int, limit: int, missing: int) -> Entry | None:
    """Return the member of its headers and data; `missing`: bytes of it that the archive lacks."""
    own = headers[-BLOCK:][:100].split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
    try:
        with tarfile.TarFile(fileobj=io.BytesIO(headers + data)) as archive:
            entry = archive.next()
            if entry is None or entry.isdir():
                return None
            name = entry.name
            if not entry.isfile():
                kind = entry.type.decode("latin-1")
                special = _SPECIAL.get(entry.type, f"a member of the type {kind!r}")
                target = f" to {entry.linkname}" if entry.linkname else ""
                return Entry(name, special=special + target)
            if missing:
                detail = f"the archive ends {missing} bytes before this member's end"
                return Entry(
                    name, stored - missing, fault=detail, reason="truncated_stream", lost=stored
                )
            if max(entry.size, stored) > limit:
                return Entry(name, max(entry.size, 0))
            if entry.sparse is None:
                return Entry(name, stored, data[:stored])
            handle = archive.extractfile(entry)
            return Entry(name, entry.size, handle.read() if handle else b"")
    except (tarfile.TarError, *_BAD) as error:
        return Entry(own, fault=f"a member's header: {error}", lost=stored)
