"""lz4: frames one after another, read block by block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from schemas.packing import frames
from schemas.packing.frames import Cut, Damage, Decoder, Gap, Skipped
from schemas.packing.window import Window

MAGIC = b"\x04\x22\x4d\x18"
_START = re.compile(rb"\x04\x22\x4d\x18|[\x50-\x5f]\x2a\x4d\x18")
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
_SIZES = {4: 64 << 10, 5: 256 << 10, 6: 1 << 20, 7: 4 << 20}
_STORED = 1 << 31


class _Frame:
    def __init__(self, window: Window, at: int) -> None:
        import lz4.frame

        head = window.read(at, 19)
        if len(head) < 7:
            raise Cut
        flags = head[4]
        self._block = _SIZES.get(head[5] >> 4 & 7, 0)
        if flags >> 6 != 1 or flags & 2 or not self._block or head[5] & 0x8F:
            raise Damage("not a frame's header", at)
        sized = flags >> 3 & 1
        self._length = 7 + 8 * sized + 4 * (flags & 1)
        self._checks = 4 * (flags >> 4 & 1)
        self._checksum = 4 * (flags >> 2 & 1)
        self.size = int.from_bytes(head[6:14], "little") if sized else None
        self.at = at
        self._window = window
        # Without the bound some of a block is held back.
        unpack = partial(lz4.frame.LZ4FrameDecompressor().decompress, max_length=self._block)
        self._decoder = Decoder(unpack, (RuntimeError, EOFError), "code: ")

    def pieces(self) -> Iterator[bytes]:
        yield from self._feed(self._length)
        while True:
            head = self._window.read(self.at, 4)
            if len(head) < 4:
                raise Cut
            size = int.from_bytes(head, "little")
            if not size:
                break
            size &= _STORED - 1
            if size > self._block:
                raise Damage("not a block", self.at)
            yield from self._feed(4 + size + self._checks)
        yield from self._feed(4 + self._checksum, last=True)

    def _feed(self, count: int, last: bool = False) -> Iterator[bytes]:
        return frames.feed(self, self._window, count, self._decoder, last)


class _Lz4:
    name, unit, ratio, alone = "lz4", "frame", 2.5, True

    def skip(self, window: Window, at: int) -> int:
        return frames.skip_padding(window, at) if at else at

    def open(self, window: Window, at: int) -> _Frame | Skipped:
        head = window.read(at, 4)
        if _SKIPPABLE.match(head):
            return Skipped(window, at)
        frames.expect(head, MAGIC, at, "an lz4 frame")
        return _Frame(window, at)

    def find(self, window: Window, at: int) -> int | None:
        return frames.find_frame(window, at, self, _START)


def unpack(window: Window) -> Iterator[bytes | Gap]:
    """Yield the unpacked pieces of an lz4 stream, and its gaps."""
    return frames.unpack(window, _Lz4())
