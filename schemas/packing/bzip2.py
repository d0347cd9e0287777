"""bzip2: streams of blocks, each decoded by itself; blocks start at any bit."""

from __future__ import annotations

import bz2
import re
from collections.abc import Generator, Iterator

from schemas.packing.frames import CORRUPT, Gap, Tally, skip_padding
from schemas.packing.window import CHUNK, Window

_BLOCK, _END = 0x314159265359, 0x177245385090
"""48 bits before a block, and before a stream's checksum."""
_LONGEST = 2 << 20
"""Packed bytes of a block at the most; 900 KB hardly ever grow."""
_FIRST = 16 << 10
"""Bytes in which the next block is looked for first: small files in a row have small ones."""
_RATIO = 5.0
_HEADER = re.compile(rb"BZh[1-9]")


def _patterns(magic: int) -> list[tuple[int, bytes, int]]:
    """Return (bits before it in its first byte, whole bytes inside it, its value) per alignment."""
    found = []
    for shift in range(8):
        spread = (magic << (8 - shift) % 8).to_bytes(7 if shift else 6, "big")
        found.append((shift, spread[1:6] if shift else spread, magic))
    return found


_PATTERNS = _patterns(_BLOCK) + _patterns(_END)


class _Bits:
    """Bits of a stream, counted from its first."""

    def __init__(self, window: Window) -> None:
        self._window = window

    def read(self, at: int, stop: int) -> int:
        """Return bits `at` to `stop` as a number; missing ones are 0."""
        first, last = at // 8, -(-stop // 8)
        data = self._window.read(first, last - first).ljust(last - first, b"\0")
        value = int.from_bytes(data, "big") >> (last * 8 - stop)
        return value & ((1 << (stop - at)) - 1)

    def find(self, at: int, longest: int | None = None) -> tuple[int, int] | None:
        """Return (bit, magic) of the first block or end from bit `at` on, in `longest` bytes."""
        start, left = at // 8, longest
        count = _FIRST
        while True:
            if left is not None:
                count = min(count, left)
            data = self._window.read(start, count + 8)
            hits = [hit for each in _PATTERNS if (hit := self._hit(data, start, at, each))]
            if hits:
                return min(hits)
            if len(data) < count + 8 or left == count:
                return None
            start += count
            left = None if left is None else left - count
            count = min(2 * count, CHUNK)

    def _hit(
        self, data: bytes, start: int, at: int, pattern: tuple[int, bytes, int]
    ) -> tuple[int, int] | None:
        shift, inside, magic = pattern
        place = data.find(inside)
        while place >= 0:
            bit = (start + place - (shift > 0)) * 8 + shift
            if bit >= at and self.read(bit, bit + 48) == magic:
                return bit, magic
            place = data.find(inside, place + 1)
        return None


def unpack(window: Window) -> Iterator[bytes | Gap]:
    """Yield the unpacked pieces of a bzip2 stream, and its gaps, block by block."""
    bits, tally = _Bits(window), Tally(_RATIO)
    here = bits.find(0)
    if here is None:
        size = _size(window, 0)
        yield tally.cut("the bzip2 stream ends before its first block", size)
        return
    if here[0] > 32:
        yield tally.damage("bzip2: no block at the start of the file", here[0] // 8)
    combined: int | None = 0
    while True:
        at, magic = here
        if magic == _END:
            stated = bits.read(at + 48, at + 80)
            after = -(-(at + 80) // 8)
            if window.read(after - 1, 1) and combined is not None and stated != combined:
                yield Gap(tally.unpacked, CORRUPT, _place("a stream's checksum differs", at), 0, 0)
            combined = 0
            after = skip_padding(window, after)
            head = window.read(after, 4)
            if not head:
                return
            following = bits.find(after * 8)
            if following is None or not _HEADER.match(head):
                size = (_size(window, after) if following is None else following[0] // 8) - after
                yield tally.damage(_place("not a bzip2 stream", after * 8), size)
            if following is None:
                return
            here = following
            continue
        following = bits.find(at + 48, _LONGEST)
        stop = following[0] if following else None
        whole = yield from _block(bits, tally, at, stop)
        if whole is None or combined is None:
            combined = None
        else:
            combined = ((combined << 1 | combined >> 31) & 0xFFFFFFFF) ^ whole
        if following is None:
            following = bits.find(at + 48)
            stop = following[0] if following else 8 * _size(window, at // 8)
            packed = (stop - at) // 8
            if following is None:
                yield tally.cut("the bzip2 stream ends before its end mark", packed)
                return
            yield tally.damage(_place("a block without an end", at), packed)
        here = following


def _place(detail: str, bit: int) -> str:
    return f"bzip2: {detail}, at byte {bit // 8} of the file"


def _size(window: Window, at: int) -> int:
    """Return the size of the stream, which is read to its end."""
    at = max(at, window.base)
    while data := window.read(at, CHUNK):
        at += len(data)
    return at


def _block(
    bits: _Bits, tally: Tally, at: int, stop: int | None
) -> Generator[bytes | Gap, None, int | None]:
    """Yield the pieces of the block from bit `at` to `stop`, or its gap; nothing if it has no end.

    Returns its checksum, None where it is damaged.
    """
    end = stop if stop is not None else (at // 8 + _LONGEST) * 8
    count = end - at
    check = bits.read(at + 48, at + 80)
    value = bits.read(at, end)
    if stop is not None:
        value, count = value << 80 | _END << 32 | check, count + 80
    fill = -count % 8
    data = b"BZh9" + (value << fill).to_bytes((count + fill) // 8, "big")
    decoder = bz2.BZ2Decompressor()
    pieces: list[bytes] = []
    fault = ""
    try:
        while not decoder.eof:
            out = decoder.decompress(data, CHUNK)
            data = b""
            if out:
                pieces.append(out)
            elif decoder.needs_input:
                fault = "a block ends too early"
                break
    except (OSError, EOFError) as error:
        fault = str(error).lower()
    if stop is not None:
        if fault:
            yield tally.damage(_place(fault, at), (stop - at) // 8)
            return None
        tally.packed += (stop - at) // 8
    for piece in pieces:
        tally.unpacked += len(piece)
        yield piece
    return check if pieces else None
