"""Bytes of a file, decompressed in bounded pieces; faults are reported with a byte offset."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.storage.files import open_input
from schemas.files import CHUNK, gunzip, unzstd


class StreamFault(Exception):
    """The stream is truncated or damaged. `position`: the decompressed bytes before that."""

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
                pieces = gunzip(raw)
            elif path.endswith(".zst"):
                pieces = unzstd(raw)
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
