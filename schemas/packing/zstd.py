"""zstd: frames one after another, read block by block; a first skippable one may be a dictionary.

Blocks state their size, so what a call unpacks is bounded (128 KiB), and a fault costs nothing
that precedes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from schemas.packing import frames
from schemas.packing.frames import Cut, Damage, Decoder, Gap, Skipped
from schemas.packing.window import Window

MAGIC = b"\x28\xb5\x2f\xfd"
_START = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
_DICTIONARY = 0x5D
"""First byte of the skippable frame that holds the dictionary of a zstd WARC."""
MAX_WINDOW = 1 << 31
"""Bytes of the longest window (`zstd --long=31`); memory is used as far as it is filled."""
MAX_BLOCK = 128 << 10
_RAW, _RUN, _RESERVED = 0, 1, 3


class _Header:
    """A frame's header. `length`: its bytes; `size`: the unpacked bytes that it states."""

    def __init__(self, window: Window, at: int) -> None:
        data = window.read(at, 18)
        if len(data) < 6:
            raise Cut
        kind = data[4]
        single = kind >> 5 & 1
        if kind & 0x08:
            raise Damage("a reserved bit is set", at)
        start = 5 + (not single) + (0, 1, 2, 4)[kind & 3]
        width = (1 if single else 0, 2, 4, 8)[kind >> 6]
        self.length = start + width
        if len(data) < self.length:
            raise Cut
        stated = int.from_bytes(data[start : self.length], "little")
        self.size = stated + 256 * (width == 2) if width else None
        self.checked = kind >> 2 & 1


class _Frame:
    def __init__(self, window: Window, at: int, decoder: Decoder) -> None:
        self._window = window
        self._header = _Header(window, at)
        self._decoder = decoder
        self.at = at
        self.size = self._header.size

    def pieces(self) -> Iterator[bytes]:
        yield from self._feed(self._header.length)
        last = False
        while not last:
            head = self._window.read(self.at, 3)
            if len(head) < 3:
                raise Cut
            value = int.from_bytes(head, "little")
            last, kind, size = bool(value & 1), value >> 1 & 3, value >> 3
            if kind == _RESERVED or size > MAX_BLOCK:
                raise Damage("not a block", self.at)
            yield from self._feed(3 + (1 if kind == _RUN else size))
        if self._header.checked:
            yield from self._feed(4, last=True)

    def _feed(self, count: int, last: bool = False) -> Iterator[bytes]:
        return frames.feed(self, self._window, count, self._decoder, last)


class _Zstd:
    name, unit, ratio, alone = "zstd", "frame", 6.0, True

    def __init__(self) -> None:
        import zstandard

        self._faults = (zstandard.ZstdError,)
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)

    def skip(self, window: Window, at: int) -> int:
        return frames.skip_padding(window, at) if at else at

    def open(self, window: Window, at: int) -> _Frame | Skipped:
        head = window.read(at, 8)
        if _SKIPPABLE.match(head):
            if at == 0 and head[0] == _DICTIONARY:
                self._take_dictionary(window.read(8, int.from_bytes(head[4:], "little")))
            return Skipped(window, at)
        frames.expect(head, MAGIC, at, "a zstd frame")
        unpack = self._decompressor.decompressobj().decompress
        return _Frame(window, at, Decoder(unpack, self._faults, "error: "))

    def _take_dictionary(self, data: bytes) -> None:
        import zstandard

        if data.startswith(MAGIC):
            unpacked = zstandard.ZstdDecompressor().decompressobj()
            try:
                data = b"".join(
                    unpacked.decompress(data[n : n + 1024]) for n in range(0, len(data), 1024)
                )
            except zstandard.ZstdError:
                return  # the frames that need it are reported
        self._faults = (zstandard.ZstdError,)
        self._decompressor = zstandard.ZstdDecompressor(
            dict_data=zstandard.ZstdCompressionDict(data), max_window_size=MAX_WINDOW
        )

    def find(self, window: Window, at: int) -> int | None:
        return frames.find_frame(window, at, self, _START)


def unpack(window: Window) -> Iterator[bytes | Gap]:
    """Yield the unpacked pieces of a zstd stream, and its gaps."""
    return frames.unpack(window, _Zstd())
