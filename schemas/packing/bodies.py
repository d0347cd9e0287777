"""Bodies of HTTP messages, unpacked by their `Content-Encoding` up to a bounded size."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator

from schemas.packing import Gap, kind_of, unpack

STEP = 256 << 10
_CHUNK = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_SAME = frozenset({"", "identity", "none", "utf-8", "binary", "8bit"})
_MAGIC = {"gzip": "gzip", "x-gzip": "gzip", "zstd": "zstd"}


class TooLong(ValueError):
    """A body has more bytes than the limit."""


def dechunked(body: bytes) -> bytes:
    """Return a body of `Transfer-Encoding: chunked` without its chunks' sizes.

    A body that starts with no size was joined before it was stored; it is returned as it is.
    Raises ValueError where a later chunk is damaged or cut off.
    """
    pieces: list[bytes] = []
    at = 0
    while match := _CHUNK.match(body, at):
        size, at = int(match[1], 16), match.end()
        if not size:
            return b"".join(pieces)
        if at + size > len(body):
            if not pieces:
                return body
            raise ValueError(f"a chunk of {size} bytes ends after {len(body) - at}")
        pieces.append(body[at : at + size])
        at += size
        at += 2 if body[at : at + 2] == b"\r\n" else body[at : at + 1] == b"\n"
    if pieces and at < len(body):
        raise ValueError(f"no size of a chunk at byte {at} of the body")
    return b"".join(pieces) if pieces else body


def decoded(body: bytes, codings: str, limit: int, partial: bool = False) -> bytes:
    """Return a body without the codings of its `Content-Encoding`, the last one undone first.

    gzip, deflate, br and zstd. A body that is stored without a coding that its header still names
    is returned as it is. `partial`: take what comes before a fault. Raises TooLong above `limit`
    bytes, ValueError for a body that cannot be decoded and for codings that nobody knows.
    """
    for coding in reversed([name.strip().strip("\"'").lower() for name in codings.split(",")]):
        if coding in _SAME:
            continue
        if coding in _MAGIC:
            if kind_of(body) == _MAGIC[coding]:
                body = _bounded(_unpacked(body, partial), limit)
        elif coding == "deflate":
            body = _bounded(_inflated(body, partial), limit)
        elif coding == "br":
            body = _bounded(_brotli(body, partial), limit)
        else:
            raise ValueError(f"the content encoding {coding[:40]!r} is not known")
    return body


def _bounded(pieces: Iterable[bytes], limit: int) -> bytes:
    kept: list[bytes] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise TooLong(f"more than {limit} bytes when decoded")
        kept.append(piece)
    return b"".join(kept)


def _reader(body: bytes) -> Iterator[bytes]:
    for at in range(0, len(body), STEP):
        yield body[at : at + STEP]


def _unpacked(body: bytes, partial: bool) -> Iterator[bytes]:
    feed = _reader(body)
    for piece in unpack(lambda _: next(feed, b"")):
        if isinstance(piece, Gap):
            if partial or (piece.position and piece.lost_bytes == 0):
                return
            raise ValueError(piece.detail)
        yield piece


def _inflated(body: bytes, partial: bool) -> Iterator[bytes]:
    zipped = len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
    if not zipped and _is_text(body):
        yield body
        return
    stream = zlib.decompressobj(wbits=15 if zipped else -15)
    rest = body
    try:
        while rest and not stream.eof:
            yield stream.decompress(rest, STEP)
            rest = stream.unconsumed_tail
    except zlib.error as error:
        if not partial:
            raise ValueError(f"deflate: {error}") from None
    if not stream.eof and not partial:
        raise ValueError("deflate: the body ends before its end mark")


def _brotli(body: bytes, partial: bool) -> Iterator[bytes]:
    import brotli

    stream = brotli.Decompressor()
    rest, given = body, False
    try:
        while not stream.is_finished():
            out = stream.process(rest, output_buffer_limit=STEP)
            rest, given = b"", given or bool(out)
            if out:
                yield out
            elif stream.can_accept_more_data():
                break
    except brotli.error:
        if not given and _is_text(body):
            yield body
            return
        if not partial:
            raise ValueError("br: the body is damaged") from None
    if not stream.is_finished() and not partial:
        raise ValueError("br: the body ends before its end mark")


def _is_text(body: bytes) -> bool:
    """Return whether a body is not packed at all: it starts as markup or as readable text."""
    start = body[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"<") or (
        bool(start) and not re.search(rb"[\x00-\x08\x0e-\x1f]", start)
    )
