"""Files: JSON Lines read from any packing, and files that are written whole or not at all.

Reading: `unpacked` gives the bytes of a plain or packed file (`schemas.packing`), `read_lines` its
lines. What a file is packed with is seen from its first bytes, never from its name; every member,
frame and stream of it counts. A source is a path (anything with `open("rb")`, so a store's paths
too) or a binary stream.

Writing: `atomic_path` is the one place where a file is written under a temporary name, synced and
renamed.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from schemas.errors import InputError
from schemas.packing import TRUNCATED, Gap, unpack

TEMPORARY = ".tmp-"
"""How the names of files begin that are not yet whole."""


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on leaving, sync it and rename it to `path`.

    The folder is made where it is missing, and synced after the rename, so that the name outlives
    a power cut too. If the block raises, the temporary file is removed and `path` is as it was.
    Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{TEMPORARY}{path.name}-{uuid.uuid4().hex}"
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Sync a folder's entries, where the file system knows that (FUSE and Windows do not)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read_lines(
    source: Path | BinaryIO, of: str, name: str | None = None
) -> Iterator[tuple[int, str]]:
    """Yield the lines of a UTF-8 text file, packed or plain, with their numbers from 1.

    Only a line feed ends a line: JSON's strings may hold every other separator of Unicode. Blank
    lines are left out and counted. `of`: what the file should hold; `name`: what messages call a
    stream. Raises InputError, naming the line, where the file cannot be read or unpacked, ends
    inside its packing, or is not UTF-8.
    """
    name = name or str(source)
    number = 0
    try:
        for number, line in enumerate(_split(unpacked(source)), 1):
            if line.strip():
                yield number, line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name}: line {number} is not UTF-8 (its byte {error.start + 1}); "
            "write the file in UTF-8"
        ) from None
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable(name, of, error, f"line {number + 1}") from None


def read_whole(source: Path | BinaryIO, of: str, name: str | None = None) -> bytes:
    """Return the unpacked bytes of a file. Raises InputError as `read_lines` does."""
    try:
        return b"".join(unpacked(source))
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable(name or str(source), of, error, "") from None


def _unreadable(name: str, of: str, error: Exception, line: str) -> InputError:
    """Return the error of a file that cannot be read or unpacked; `line`: where it stopped."""
    if isinstance(error, OSError):
        return InputError(
            f"{name}: cannot be read ({error.strerror or error}); name a file of {of}"
        )
    place = f", in {line}" if line else ""
    return InputError(f"{name}: cannot be unpacked: {error}{place}; get the whole file of {of}")


def unpacked(source: Path | BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of a plain or packed file in pieces of about 1 MiB.

    All bytes before a fault come first. Raises OSError; EOFError where a packed stream is cut off,
    ValueError where it is damaged, both with the place in unpacked bytes.
    """
    with contextlib.ExitStack() as stack:
        file: BinaryIO = (
            stack.enter_context(source.open("rb")) if isinstance(source, Path) else source
        )
        for piece in unpack(file.read):
            if isinstance(piece, Gap):
                kind = EOFError if piece.reason == TRUNCATED else ValueError
                raise kind(f"{piece.detail}, after {piece.position:,} unpacked bytes")
            yield piece


def _split(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of `pieces` without their line feeds; the last one may be empty."""
    begun: list[bytes] = []
    for piece in pieces:
        first, *others = piece.split(b"\n")
        begun.append(first)
        if others:
            yield b"".join(begun)
            yield from others[:-1]
            begun = [others[-1]]
    yield b"".join(begun)
