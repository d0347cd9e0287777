"""Files: JSON Lines read from any packing, and files that are written whole or not at all.

Reading: `unpacked` gives the bytes of a plain, gzip or zstd file, `read_lines` its lines. What a
file is packed with is seen from its first bytes, never from its name; every member of a gzip file
and every frame of a zstd file counts. A source is a path (anything with `open("rb")`, so a store's
paths too) or a binary stream.

Writing: `atomic_path` is the one place where a file is written under a temporary name, synced and
renamed.
"""

from __future__ import annotations

import contextlib
import os
import uuid
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from schemas.errors import InputError

TEMPORARY = ".tmp-"
"""How the names of files begin that are not yet whole."""
CHUNK = 1 << 20
ZSTD_INPUT = 1024
"""zstd gives back all that an input piece holds: a run-length block makes 128 KiB of 4 bytes."""
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
SKIPPABLE_MAGIC = b"\x2a\x4d\x18"
"""What stands behind the first byte (0x50 to 0x5f) of a zstd frame that holds no data."""


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
    """Yield the bytes of a plain, gzip or zstd file in pieces of about 1 MiB.

    All bytes before a fault come first. Raises OSError; EOFError where a packed stream is cut off,
    ValueError where it is damaged, both with the place in unpacked bytes.
    """
    position = 0
    with contextlib.ExitStack() as stack:
        file: BinaryIO = (
            stack.enter_context(source.open("rb")) if isinstance(source, Path) else source
        )
        head = _head(file)
        raw = _chain(head, file)
        if head.startswith(GZIP_MAGIC):
            pieces = gunzip(raw)
        elif head.startswith(ZSTD_MAGIC) or _skippable(head):
            pieces = unzstd(raw)
        else:
            pieces = raw
        try:
            for piece in pieces:
                position += len(piece)
                yield piece
        except (EOFError, ValueError) as error:
            raise type(error)(f"{error}, after {position:,} unpacked bytes") from None


def _head(file: BinaryIO) -> bytes:
    """Return the first four bytes of a stream, or all that it has; a raw one may give fewer."""
    head = b""
    while len(head) < len(ZSTD_MAGIC) and (more := file.read(CHUNK)):
        head += more
    return head


def _skippable(head: bytes) -> bool:
    return head[1:4] == SKIPPABLE_MAGIC and head[0] & 0xF0 == 0x50


def _chain(head: bytes, file: BinaryIO) -> Iterator[bytes]:
    if head:
        yield head
    yield from iter(lambda: file.read(CHUNK), b"")


def gunzip(raw: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the unpacked pieces of a gzip stream, member by member; zeros may follow the last.

    Raises EOFError where it is cut off, ValueError where it is not gzip.
    """
    member = zlib.decompressobj(wbits=31)
    fresh, members = True, 0
    for data in raw:
        rest = data
        while rest:
            if fresh and members:
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
            try:
                out = member.decompress(rest, CHUNK)
            except zlib.error as error:
                raise ValueError(f"not gzip: {error}") from None
            fresh = False
            if out:
                yield out
            if member.eof:
                rest = member.unused_data
                member = zlib.decompressobj(wbits=31)
                fresh, members = True, members + 1
            else:
                rest = member.unconsumed_tail
    if not fresh:
        if out := member.flush():
            yield out
        raise EOFError("the gzip stream ends before its end mark")


def unzstd(raw: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the unpacked pieces of a zstd stream, frame by frame.

    Raises EOFError where it is cut off, ValueError where it is not zstd.
    """
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
                if out:
                    yield out
                rest = b""
                if frame.eof:
                    rest = frame.unused_data
                    frame = zstandard.ZstdDecompressor().decompressobj()
                    fresh = True
    if not fresh:
        raise EOFError("the zstd stream ends before its frame does")


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
