"""Bytes of a file, decompressed in bounded pieces; faults are reported with a byte offset.

`parts` reads past damage and reports each gap; `chunks` stops at the first one, for formats that
cannot resume.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import replace

from filters.text.charset.unicode import LOOKED_AT, unicode_codec
from pipelines.storage.files import open_input
from schemas.charsets import codec_named
from schemas.packing import Gap, unpack

_MARKED = {"utf-16": ("utf-16-le", "utf-16-be"), "utf-32": ("utf-32-le", "utf-32-be")}
"""Codecs that skip a byte-order mark, which a stream resumed after a gap has not: (LE, BE)."""
_WIDTHS = {"utf-16-le": 2, "utf-16-be": 2, "utf-32-le": 4, "utf-32-be": 4}


class StreamFault(Exception):
    """The stream is truncated or damaged.

    `position`: the decompressed bytes before that; `lost_bytes`: those from there on that are not
    delivered, estimated.
    """

    def __init__(self, reason: str, position: int, detail: str, lost_bytes: int = 0) -> None:
        super().__init__(detail)
        self.reason = reason
        self.position = position
        self.detail = detail
        self.lost_bytes = lost_bytes


def parts(path: str) -> Iterator[bytes | Gap]:
    """Yield the decompressed bytes of `path` in pieces of at most some MiB, and its gaps.

    Between two gaps there are bytes, so that positions of gaps differ. gzip, zstd, bzip2, xz and
    lz4 are found by their first bytes. Raises StreamFault (`unreadable`) where the file cannot be
    read.
    """
    position = 0
    gap: Gap | None = None
    try:
        with open_input(path) as file:
            for piece in unpack(file.read, path):
                if isinstance(piece, Gap):
                    gap = _joined(gap, piece) if gap else piece
                    continue
                if gap:
                    yield gap
                    gap = None
                position += len(piece)
                yield piece
    except OSError as error:
        raise StreamFault("unreadable", position, error.strerror or str(error)) from None
    if gap:
        yield gap


def _joined(one: Gap, other: Gap) -> Gap:
    """Return the gap of two faults between which nothing could be read."""
    packed, lost = one.packed_bytes + other.packed_bytes, one.lost_bytes + other.lost_bytes
    return replace(one, packed_bytes=packed, lost_bytes=lost)


def chunks(path: str) -> Iterator[bytes]:
    """Yield the decompressed bytes of `path` up to its end or its first gap (see `parts`).

    Raises StreamFault (`unreadable`, `truncated_stream`, `corrupt_stream`) after the bytes before
    the fault; its `lost_bytes` count all that follow, which are decompressed to be counted.
    """
    gap: Gap | None = None
    lost = 0
    for piece in parts(path):
        if isinstance(piece, Gap):
            gap = gap or piece
            lost += piece.lost_bytes
        elif gap:
            lost += len(piece)
        else:
            yield piece
    if gap:
        raise StreamFault(gap.reason, gap.position, gap.detail, lost)


def head(path: str, count: int) -> bytes:
    """Return the first `count` decompressed bytes of `path`: fewer at its end or its first gap.

    Raises StreamFault (`unreadable`).
    """
    found = b""
    for piece in parts(path):
        if isinstance(piece, Gap):
            break
        found += piece[: count - len(found)]
        if len(found) >= count:
            break
    return found


def text_parts(path: str, encoding: str | None = None) -> Iterator[bytes | Gap]:
    """Yield what `parts` does, UTF-16 and UTF-32 converted to UTF-8 without a byte-order mark.

    Positions and lost bytes of gaps then count converted bytes. `encoding` is that of the source.
    """
    codec = unicode_codec(head(path, LOOKED_AT)) or codec_named(encoding)
    if codec in _MARKED:
        codec = _MARKED[codec][head(path, 4)[:2] in (b"\xfe\xff", b"\0\0")]
    if codec in _WIDTHS:
        return _converted(parts(path), codec)
    return parts(path)


def _converted(pieces: Iterator[bytes | Gap], codec: str) -> Iterator[bytes | Gap]:
    decoder = codecs.getincrementaldecoder(codec)("replace")
    taken = given = 0
    resumed = False
    for piece in pieces:
        if isinstance(piece, Gap):
            if rest := decoder.decode(b"", final=True).encode():
                given += len(rest)
                yield rest
            lost = piece.lost_bytes * given // taken if taken else piece.lost_bytes
            yield replace(piece, position=given, lost_bytes=lost)
            decoder.reset()
            resumed = True
            continue
        text = decoder.decode(piece[_misaligned(piece, codec) :] if resumed else piece)
        resumed = False
        data = (text if taken else text.removeprefix("\ufeff")).encode()
        taken += len(piece)
        given += len(data)
        if data:
            yield data
    if rest := decoder.decode(b"", final=True).encode():
        yield rest


def _misaligned(piece: bytes, codec: str) -> int:
    """Return how many bytes precede the first whole character after a gap.

    That alignment is taken in which most line ends, quotes and spaces stand.
    """
    width = _WIDTHS[codec]

    def marks(skipped: int) -> int:
        text = piece[skipped : skipped + LOOKED_AT].decode(codec, "replace")
        return sum(text.count(char) for char in '\n" ')

    return max(range(width), key=lambda skipped: (marks(skipped), -skipped))
