"""Streams of frames: what gzip, zstd and lz4 have in common.

A frame is read until it ends or a fault; after a fault reading resumes at the next frame.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from schemas.packing.window import CHUNK, Window

TRUNCATED, CORRUPT = "truncated_stream", "corrupt_stream"
"""Reasons of a gap: the stream ends too early; bytes of it are wrong."""
PADDING = b"\0\n\r\t "
"""What may follow a frame: a tape's zeros, a shell's line end."""

PRIOR = 512
"""Packed bytes that are assumed to have unpacked at the usual ratio before the first."""


@dataclass(frozen=True)
class Gap:
    """A fault of a packed stream, and what it cost."""

    position: int
    """Unpacked bytes before it."""
    reason: str
    """TRUNCATED or CORRUPT."""
    detail: str
    packed_bytes: int
    """Packed bytes that gave nothing."""
    lost_bytes: int
    """Unpacked bytes that are lost, estimated; 0 where all came but a checksum differs.

    From the size that the frame states, else from the packed bytes at the ratio so far. A stream
    that is cut off states nothing: as many count as lost as were read.
    """
    since: int = 0
    """Unpacked bytes before the damaged member, frame or block."""


class Damage(Exception):
    """A frame cannot be read on. `at`: the offset of the fault; `whole`: all its bytes came."""

    def __init__(self, detail: str, at: int, whole: bool = False) -> None:
        super().__init__(detail)
        self.at = at
        self.whole = whole


class Cut(Exception):
    """The stream ends inside a frame."""


class Frame(Protocol):
    """A frame that is being read. `at`: the offset behind what was read of it so far."""

    at: int
    size: int | None
    """Unpacked bytes that it states to hold."""

    def pieces(self) -> Iterator[bytes]:
        """Yield its unpacked bytes. Raises Damage and Cut after all that can be had."""
        ...


@dataclass(frozen=True)
class Decoder:
    """A package's decoder of one frame: what it raises, and what precedes the cause it names."""

    unpack: Callable[[bytes], bytes]
    faults: tuple[type[Exception], ...]
    before_cause: str


def feed(
    frame: Frame, window: Window, count: int, decoder: Decoder, last: bool = False
) -> Iterator[bytes]:
    """Yield what the next `count` packed bytes of a frame unpack to, and move its `at` behind them.

    `last`: they are the frame's checksum, so all its data came before. Raises Damage and Cut.
    """
    data = window.read(frame.at, count)
    try:
        out = decoder.unpack(data)
    except decoder.faults as error:
        end = frame.at + (count if last else 0)
        detail = str(error).rpartition(decoder.before_cause)[2]
        raise Damage(detail, end, whole=last) from None
    frame.at += len(data)
    if out:
        yield out
    if len(data) < count:
        raise Cut


def expect(head: bytes, magic: bytes, at: int, what: str) -> None:
    """Raise Damage where `head`, at offset `at`, does not begin with `magic`; Cut where it ends."""
    if not head.startswith(magic):
        if magic.startswith(head):
            raise Cut
        raise Damage(f"not {what}", at)


class Format(Protocol):
    """A packed format made of frames."""

    name: str
    unit: str
    ratio: float
    """Unpacked bytes per packed byte, where nothing shows it."""
    alone: bool
    """Whether a first frame that states its size usually is the whole stream."""

    def skip(self, window: Window, at: int) -> int:
        """Return the offset of the next frame, behind padding; that of the end if none is left."""
        ...

    def open(self, window: Window, at: int) -> Frame:
        """Return the frame that starts at offset `at`. Raises Damage, Cut."""
        ...

    def find(self, window: Window, at: int) -> int | None:
        """Return the offset of the first readable frame from offset `at` on, or None."""
        ...


class Tally:
    """Packed and unpacked bytes so far, from which losses are estimated."""

    def __init__(self, ratio: float) -> None:
        self.unpacked = 0
        self.packed = 0
        self._ratio = ratio

    @property
    def ratio(self) -> float:
        """Unpacked bytes per packed byte so far; near the usual one where little was read."""
        return (self.unpacked + self._ratio * PRIOR) / (self.packed + PRIOR)

    def cut(
        self, detail: str, packed: int, got: int = 0, missing: int = 0, sure: bool = False
    ) -> Gap:
        """Return the gap of a stream that ends inside a unit that gave `got` bytes.

        `missing`: unpacked bytes that are known to be missing; `sure`: and no others. Unless that
        is so, nothing shows how much the stream held: as much is assumed as was read.
        """
        lost = missing if sure else max(missing, self.unpacked, int(packed * self.ratio), 1)
        return Gap(self.unpacked, TRUNCATED, detail, packed, lost, self.unpacked - got)

    def damage(self, detail: str, packed: int, got: int = 0, size: int | None = None) -> Gap:
        """Return the gap of a unit of which `packed` bytes gave `got` bytes before a fault."""
        whole = int(packed * self.ratio)
        if size is not None and size >= got and whole < 1.5 * size:
            whole = size  # else the gap holds other units too
        lost = max(1, whole - got)
        return Gap(self.unpacked, CORRUPT, detail, packed, lost, self.unpacked - got)


def unpack(window: Window, form: Format) -> Iterator[bytes | Gap]:
    """Yield the unpacked pieces of a stream of frames, and its gaps."""
    tally = Tally(form.ratio)
    at = 0
    while window.read(at := form.skip(window, at), 1):
        start, packed, got, size = at, tally.packed, 0, None
        frame: Frame | None = None
        try:
            frame = form.open(window, at)
            size = frame.size
            for piece in frame.pieces():
                got += len(piece)
                tally.unpacked += len(piece)
                tally.packed = packed + frame.at - start
                yield piece
            at = frame.at
            tally.packed = packed + at - start
        except Cut:
            tally.packed = packed + (frame.at - start if frame else 0)
            at = window.end
            resumed = form.find(window, start + 1)
            if resumed is None:
                detail = f"the {form.name} stream ends before its {form.unit} does"
                missing = max(0, size - got) if size is not None else 0
                sure = form.alone and not start and size is not None
                yield tally.cut(detail, at - start, got, missing, sure)
                return
            detail = f"{form.name}: a {form.unit} without an end, from byte {start} of the file on"
            at = resumed
            yield tally.damage(detail, at - start, got, size)
        except Damage as damage:
            detail = f"{form.name}: {damage}, at byte {damage.at} of the file"
            if damage.whole:
                at = damage.at
                detail += f"; any of the {got:,} bytes before may be wrong"
                yield Gap(tally.unpacked, CORRUPT, detail, 0, 0, tally.unpacked - got)
                continue
            tally.packed = packed + damage.at - start
            resumed = form.find(window, start + 1)
            at = window.end if resumed is None else resumed
            yield tally.damage(detail, at - start, got, size)


def skip_padding(window: Window, at: int) -> int:
    """Return the offset of the first byte from `at` on that is not PADDING."""
    count = 64
    while data := window.read(at, count):
        rest = data.lstrip(PADDING)
        at += len(data) - len(rest)
        if rest:
            break
        count = CHUNK
    return at


class Skipped:
    """A skippable frame of zstd and lz4: its data belongs to the tool that wrote it."""

    size: int | None = None

    def __init__(self, window: Window, at: int) -> None:
        self._window = window
        self.at = at

    def pieces(self) -> Iterator[bytes]:
        """Yield nothing. Raises Cut."""
        left = 8 + self.length
        while left:
            data = self._window.read(self.at, min(left, CHUNK))
            if not data:
                raise Cut
            self.at += len(data)
            left -= len(data)
        yield from ()

    @property
    def length(self) -> int:
        """Bytes of its data."""
        return int.from_bytes(self._window.read(self.at + 4, 4), "little")


def find_frame(window: Window, at: int, form: Format, magic: re.Pattern[bytes]) -> int | None:
    """Return the offset of the first frame from `at` on whose first block can be read, or None."""
    while (found := window.find(magic, at, 4)) is not None:
        at = found + 1
        try:
            frame = form.open(window, found)
            if not isinstance(frame, Skipped):
                next(frame.pieces(), None)
                return found
            end = found + 8 + frame.length
            after = window.read(end, 4) if frame.length < CHUNK else b"none"
            if not after or magic.match(after):
                return found
        except Damage:
            continue
        except Cut:
            return found
    return None
