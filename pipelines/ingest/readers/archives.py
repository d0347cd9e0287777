"""Members of tar and zip archives, in bounded memory: a member over the limit is never unpacked."""

from __future__ import annotations

import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from pipelines.ingest.readers.streams import StreamFault, chunks
from pipelines.storage.files import open_input

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".zip")
MAX_HEADER = 1 << 20
"""Bytes of a tar member's extended header; it holds a name and a few attributes."""
_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_BAD_HEADERS = (
    tarfile.InvalidHeaderError,  # type: ignore[attr-defined]
    tarfile.TruncatedHeaderError,  # type: ignore[attr-defined]
)


@dataclass(frozen=True)
class Member:
    """A file in an archive. `data` is None where it has more bytes than the limit, or a `fault`."""

    name: str
    size: int
    data: bytes | None = None
    fault: str = ""
    """Why this member alone cannot be unpacked."""


def is_archive(name: str) -> bool:
    """Return whether a file of this name is read as an archive."""
    return name.endswith(ARCHIVES)


def members(path: str, wanted: Callable[[str], bool], limit: int) -> Iterator[Member]:
    """Yield the files of an archive whose names are `wanted`, in its order.

    Members of more than `limit` bytes come without data; with a `limit` of -1 all do. Raises
    StreamFault after the members before it where the archive is cut off or damaged; its position
    is that of the next member, counted from 0.
    """
    count = 0
    try:
        for member in (_zip if path.endswith(".zip") else _tar)(path, wanted, limit):
            yield member
            count += 1
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, StreamFault) as error:
        raise StreamFault("truncated_stream", count, str(error)) from None


def _zip(path: str, wanted: Callable[[str], bool], limit: int) -> Iterator[Member]:
    with open_input(path) as raw, zipfile.ZipFile(raw) as archive:
        for info in archive.infolist():
            if info.is_dir() or not wanted(info.filename):
                continue
            if info.file_size > limit:
                yield Member(info.filename, info.file_size)
                continue
            try:
                yield Member(info.filename, info.file_size, archive.read(info))
            except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
                # RuntimeError: encrypted, or compressed by a method that zipfile lacks.
                yield Member(info.filename, 0, fault=str(error))


def _tar(path: str, wanted: Callable[[str], bool], limit: int) -> Iterator[Member]:
    # gzip is recognised by tarfile itself; zstd is not.
    raw = _Stream(chunks(path)) if path.endswith(".zst") else open_input(path)
    with raw, tarfile.open(fileobj=raw, mode="r|*", tarinfo=_CheckedInfo) as archive:
        while (entry := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # else it keeps all of them
            if not entry.isfile() or not wanted(entry.name):
                continue
            if entry.size > limit:
                yield Member(entry.name, entry.size)
            elif (handle := archive.extractfile(entry)) is not None:
                yield Member(entry.name, entry.size, handle.read())


class _CheckedInfo(tarfile.TarInfo):
    """A member's header, bounded and complete.

    tarfile reads an extended header into memory, whatever size it claims, and takes a damaged or
    truncated one for the end of the archive.
    """

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except _BAD_HEADERS as error:
            raise tarfile.ReadError(f"a member's header: {error}") from None

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.type in _HEADERS and self.size > MAX_HEADER:
            raise tarfile.ReadError(f"a member's header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


class _Stream(io.RawIOBase):
    """Pieces of bytes as a file that can only be read onwards."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, fewer only at the end."""
        taken = [self._rest]
        count = len(self._rest)
        while (size < 0 or count < size) and (piece := next(self._pieces, b"")):
            taken.append(piece)
            count += len(piece)
        data = b"".join(taken)
        size = count if size < 0 else size
        self._rest = data[size:]
        return data[:size]
