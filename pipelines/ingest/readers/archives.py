"""Members of tar and zip archives, in bounded memory, with unique names.

A member over the limit is never unpacked. What cannot be unpacked is a fault of that member; what
is not a file (a link, a device) is named. Names are those of a folder's files: `./a` is `a`, NFC,
bytes that are not UTF-8 escaped; where a name comes twice, the second member is `a#2`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipelines.ingest.readers import tars, zips
from pipelines.ingest.readers.streams import StreamFault, chunks
from pipelines.ingest.readers.tars import Entry
from pipelines.ingest.readers.walk import shown
from pipelines.storage.files import open_input

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".zip")


@dataclass(frozen=True)
class Member:
    """A file in an archive. `data` is None where it has more bytes than the limit, or a `fault`."""

    name: str
    size: int
    data: bytes | None = None
    fault: str = ""
    """Why this member alone cannot be unpacked, or where the archive is damaged."""
    reason: str = "corrupt_stream"
    special: str = ""
    """What a member is that is not a file: a link, a device."""
    lost: int = 0
    """Bytes that damage cost, about."""


def members(path: str, wanted: Callable[[str], bool], limit: int) -> Iterator[Member]:
    """Yield the files of an archive whose names are `wanted`, in its order, and its faults.

    Members of more than `limit` bytes come without data; with a `limit` of -1 all do. Raises
    StreamFault where the archive cannot be opened.
    """
    taken: dict[int, int] = {}
    with open_input(path) as raw:
        packed_as_zip = raw.read(4)[:2] == b"PK"
    try:
        if packed_as_zip:
            with open_input(path) as raw:
                yield from _named(zips.entries(raw, limit), wanted, taken)
        else:
            yield from _named(tars.entries(chunks(path), limit), wanted, taken)
    except OSError as error:
        raise StreamFault("unreadable", 0, error.strerror or str(error)) from None


def _named(
    entries: Iterator[Entry], wanted: Callable[[str], bool], taken: dict[int, int]
) -> Iterator[Member]:
    for entry in entries:
        name = normal_name(entry.name)
        if entry.reason != "corrupt_stream" or entry.fault or wanted(name):
            yield Member(
                _unique(name, taken), entry.size, entry.data, entry.fault, entry.reason,
                entry.special, entry.lost,
            )  # fmt: skip


def normal_name(name: str) -> str:
    """Return a member's name as that of a file below a folder."""
    slashed = name if "/" in name else name.replace("\\", "/")
    return shown(posixpath.normpath(slashed).lstrip("/")) or "."


def _unique(name: str, taken: dict[int, int]) -> str:
    """Return `name`, or `name#2`, `name#3` … where it is taken; only hashes are kept of names."""
    result = name
    number = taken.get(hash(name), 0) + 1
    taken[hash(name)] = number
    while number > 1:
        result = f"{name}#{number}"
        if hash(result) not in taken:
            taken[hash(result)] = 1
            break
        number += 1
        taken[hash(name)] = number
    return result
