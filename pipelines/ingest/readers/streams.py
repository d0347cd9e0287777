"""Bytes of a file, decompressed in bounded pieces; faults are reported with a byte offset.

`parts` reads past damage and reports each gap; `chunks` stops at the first one, for formats that
cannot resume.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.storage.files import open_input
from schemas.packing import Gap, unpack


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

    gzip, zstd, bzip2, xz and lz4 are found by their first bytes. Raises StreamFault (`unreadable`)
    where the file cannot be read.
    """
    position = 0
    try:
        with open_input(path) as file:
            for piece in unpack(file.read, path):
                if not isinstance(piece, Gap):
                    position += len(piece)
                yield piece
    except OSError as error:
        raise StreamFault("unreadable", position, error.strerror or str(error)) from None


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
