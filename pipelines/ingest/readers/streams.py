"""Bytes of a file, decompressed in bounded pieces; a cut or a fault is told by its position."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from pipelines.storage.files import open_input

CHUNK = 1 << 20
ZSTD_INPUT = 1024
"""zstd gives back all that an input piece holds: a run-length block makes 128 KiB of 4 bytes."""


class StreamFault(Exception):
    """The stream ends or breaks. `position` counts decompressed bytes before it."""

    def __init__(self, reason: str, position: int, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.position = position
        self.detail = detail


def chunks(path: str) -> Iterator[bytes]:
    """Yield the decompressed bytes of `path` (.gz, .zst or plain) in pieces of about 1 MiB.

    All bytes before a fault are yielded first. Raises StreamFault (`unreadable`,
    `truncated_stream`, `corrupt_stream`).
    """
    position = 0
    try:
        with open_input(path) as file:
            raw = iter(lambda: file.read(CHUNK), b"")
            if path.endswith(".gz"):
                pieces = _gzip(raw)
            elif path.endswith(".zst"):
                pieces = _zstd(raw)
            else:
                pieces = raw
            for piece in pieces:
                if piece:
                    position += len(piece)
                    yield piece
    except OSError as error:
        raise StreamFault("unreadable", position, error.strerror or str(error)) from None
    except EOFError as error:
        raise StreamFault("truncated_stream", position, str(error)) from None
    except ValueError as error:
        reason = "corrupt_stream" if position else "unreadable"
        raise StreamFault(reason, position, str(error)) from None


def _gzip(raw: Iterator[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(wbits=31)
    fresh = True
    for data in raw:
        rest = data
        while rest:
            try:
                out = member.decompress(rest, CHUNK)
            except zlib.error as error:
                raise ValueError(f"not gzip: {error}") from None
            fresh = False
            yield out
            if member.eof:
                rest = member.unused_data
                member = zlib.decompressobj(wbits=31)
                fresh = True
                if not rest.strip(b"\0"):  # padding after the last member
                    rest = b""
            else:
                rest = member.unconsumed_tail
    if not fresh:
        yield member.flush()
        raise EOFError("the gzip stream ends before its end mark")


def _zstd(raw: Iterator[bytes]) -> Iterator[bytes]:
    import zstandard

    frame = zstandard.ZstdDecompressor().decompressobj()
    fresh = True
    for data in raw:
        for start in range(0, len(data), ZSTD_INPUT):
            rest = data[start : start + ZSTD_INPUT]
            while rest:
                try:
                    out = frame.decompress(rest)
                except zstandard.ZstdError as error:
                    raise ValueError(f"not zstd: {error}") from None
                fresh = False
                yield out
                rest = b""
                if frame.eof:
                    rest = frame.unused_data
                    frame = zstandard.ZstdDecompressor().decompressobj()
                    fresh = True
    if not fresh:
        raise EOFError("the zstd stream ends before its frame does")
