"""xz: streams of blocks, read chunk by chunk, each block with a decoder of its own.

A block's header has a checksum, so that reading resumes at a block as well as at a stream.
"""

from __future__ import annotations

import lzma
import re
import zlib
from collections.abc import Iterator

from schemas.packing import frames
from schemas.packing.frames import Cut, Damage, Frame, Gap
from schemas.packing.window import CHUNK, KEEP, Window

MAGIC = b"\xfd7zXZ\x00"
_START = re.compile(rb"\xfd7zXZ\x00|\x21\x01")
"""A stream, or the filter that every block names at the end of its header."""
_HEADER = 12
"""Bytes of a stream's header, and of its footer."""
_LONGEST = 64
"""Bytes of a block's header before that filter, at the most."""
_CHECKS = (0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64)
"""Bytes of a block's checksum, by its kind."""
_STEP = 512
"""Unpacked bytes per call: an error takes those of its call."""


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return (a number of variable length at `at`, the offset behind it)."""
    value = 0
    for shift in range(0, 63, 7):
        if at >= len(data):
            raise Cut
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if not byte & 0x80:
            break
    return value, at


def _checked(data: bytes) -> bool:
    """Return whether the last four bytes are the checksum of the others."""
    return zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little")


class _Passed:
    """A stream's header, or its index and footer, which hold no data."""

    size: int | None = None

    def __init__(self, at: int) -> None:
        self.at = at

    def pieces(self) -> Iterator[bytes]:
        return iter(())


class _Block:
    def __init__(self, window: Window, at: int, stream: bytes) -> None:
        self._window = window
        self.at = self._start = at
        self._stream = stream
        head = window.read(at, 1)
        self._length = (head[0] + 1) * 4
        header = window.read(at, self._length)
        if len(header) < self._length:
            raise Cut
        if not _checked(header):
            raise Damage("not a block", at)
        self.size: int | None = None
        place = 2
        if header[1] & 0x40:
            _, place = _number(header, place)
        if header[1] & 0x80:
            self.size, place = _number(header, place)

    def pieces(self) -> Iterator[bytes]:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        decoder.decompress(self._stream)
        yield from self._feed(decoder, self._length)
        while control := self._window.read(self.at, 1):
            head = self._window.read(self.at, 6)
            if control[0] == 0:
                break
            if 2 < control[0] < 0x80:
                raise Damage("not a chunk", self.at)
            packed = control[0] >= 0x80
            place = 3 if packed else 1
            count = int.from_bytes(head[place : place + 2], "big") + 1
            holds = int.from_bytes(head[1:3], "big") + 1
            if packed:
                holds += (control[0] & 0x1F) << 16
            count += place + 2 + (control[0] >= 0xC0)
            yield from self._feed(decoder, count, holds=holds)
        if not control:
            raise Cut
        rest = 1 + -(self.at + 1 - self._start) % 4
        yield from self._feed(decoder, rest)
        yield from self._feed(decoder, _CHECKS[self._stream[7] & 15], last=True)

    def _feed(
        self, decoder: lzma.LZMADecompressor, count: int, last: bool = False, holds: int = 0
    ) -> Iterator[bytes]:
        data = rest = self._window.read(self.at, count)
        pieces: list[bytes] = []
        fault: lzma.LZMAError | None = None
        try:
            while out := decoder.decompress(rest, _STEP):
                pieces.append(out)
                rest = b""
        except lzma.LZMAError as error:
            fault = error
        if fault is None:
            self.at += len(data)
        elif holds:
            pieces += self._salvaged(data, sum(map(len, pieces)))
            # About as much of the chunk was read as came of it.
            self.at += len(data) * sum(map(len, pieces)) // holds
        given = b"".join(pieces)
        if given:
            yield given
        if fault is not None:
            detail = "a block's checksum differs" if last else str(fault).lower()
            raise Damage(detail, self.at + (count if last else 0), whole=last)
        if len(data) < count:
            raise Cut

    def _salvaged(self, data: bytes, given: int) -> list[bytes]:
        """Return what a damaged chunk gives before its fault, but for the first `given` bytes.

        The block is decoded again, as far as it can still be read.
        """
        if self._start < self._window.base:
            return []
        decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        decoder.decompress(self._stream)
        at, pieces = self._start, []
        try:
            while at < self.at:
                rest = self._window.read(at, min(CHUNK, self.at - at))
                at += len(rest)
                while decoder.decompress(rest, CHUNK):
                    rest = b""
            rest = data
            while out := decoder.decompress(rest, 1 if given <= 0 else min(given, _STEP)):
                rest = b""
                given -= len(out)
                if given < 0:
                    pieces.append(out)
        except lzma.LZMAError:
            pass
        return pieces


class _Xz:
    name, unit, ratio, alone = "xz", "block", 6.0, False

    def __init__(self) -> None:
        # Of a stream whose header is damaged: CRC64, as the tool writes by default.
        self._stream = MAGIC + b"\0\4" + zlib.crc32(b"\0\4").to_bytes(4, "little")
        self._inside = False

    def skip(self, window: Window, at: int) -> int:
        return at if self._inside or not at else frames.skip_padding(window, at)

    def open(self, window: Window, at: int) -> Frame:
        if not self._inside or window.read(at, 6) == MAGIC:
            return self._open_stream(window, at)
        if window.read(at, 1) == b"\0":
            return self._open_index(window, at)
        return _Block(window, at, self._stream)

    def _open_stream(self, window: Window, at: int) -> Frame:
        head = window.read(at, _HEADER)
        if len(head) < _HEADER and MAGIC.startswith(head[:6]):
            raise Cut
        if not head.startswith(MAGIC) or not _checked(head[6:]):
            raise Damage("not a stream's header", at)
        self._stream, self._inside = head, True
        return _Passed(at + _HEADER)

    def _open_index(self, window: Window, at: int) -> Frame:
        self._inside = False
        count, place = 0, 1
        data = window.read(at, KEEP)
        count, place = _number(data, place)
        for _ in range(2 * count):
            _, place = _number(data, place)
        place += -place % 4 + 4
        if len(data) < place + _HEADER:
            raise Cut
        if not _checked(data[:place]):
            raise Damage("an index's checksum differs", at + place + _HEADER, whole=True)
        return _Passed(at + place + _HEADER)

    def find(self, window: Window, at: int) -> int | None:
        place = at
        while (found := window.find(_START, place, len(MAGIC))) is not None:
            place = found + 1
            if window.read(found, 6) == MAGIC:
                if _checked(window.read(found + 6, 6)):
                    self._inside = False
                    return found
                continue
            for start in range(found - 2, max(at, window.base, found - _LONGEST) - 1, -1):
                length = (window.read(start, 1)[0] + 1) * 4
                if start + length <= found or length < 8:
                    continue
                header = window.read(start, length)
                if len(header) == length and _checked(header):
                    self._inside = True
                    return start
        return None


def unpack(window: Window) -> Iterator[bytes | Gap]:
    """Yield the unpacked pieces of an xz stream, and its gaps."""
    return frames.unpack(window, _Xz())
