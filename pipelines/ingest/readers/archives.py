"""Members of tar and zip archives, in bounded memory, with unique names.

A member over the limit is never unpacked. What cannot be unpacked is a fault of that member; what
is not a file (a link, a device) is named. Names are those of a folder's files: `./a` is `a`, NFC,
bytes that are not UTF-8 and controls escaped; where a name comes twice, the second member is `a#2`.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import BinaryIO

from pipelines.ingest.readers import tars, zips
from pipelines.ingest.readers.magic import is_tar
from pipelines.ingest.readers.streams import StreamFault, parts
from pipelines.ingest.readers.tars import BLOCK, Entry
from pipelines.ingest.readers.walk import shown
from pipelines.storage.files import open_input
from schemas import packing
from schemas.packing import CHUNK

LONGEST_NAME = 1024
"""Characters of a name; of a longer one the end is replaced by a hash."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def members(path: str, wanted: Callable[[str], bool], limit: int) -> Iterator[Entry]:
    """Yield the files of an archive whose names are `wanted`, in its order, and its faults.

    Members of more than `limit` bytes come without data; with a `limit` of -1 all do. Raises
    StreamFault where the archive cannot be opened.
    """
    taken: dict[int, int] = {}
    try:
        with open_input(path) as raw:
            head = raw.read(BLOCK)
            plain = is_tar(head)
            packed = plain or packing.kind_of(head)
            as_zip = not packed and (head[:2] == b"PK" or _is_zip(raw))
            raw.seek(0)
            if as_zip:
                found = zips.entries(raw, limit)
            elif plain:  # whatever it is called
                found = tars.entries(iter(lambda: raw.read(CHUNK), b""), limit)
            else:
                found = tars.entries(parts(path), limit)
            for entry in found:
                name = entry.name if entry.place else normal_name(entry.name)
                named = replace(entry, name=_unique(name, taken))
                if entry.place or wanted(name):
                    yield named
    except OSError as error:
        raise StreamFault("unreadable", 0, error.strerror or str(error)) from None


def _is_zip(raw: BinaryIO) -> bool:
    """Return whether a file that does not start as a zip is one: a program before it, or damage."""
    if zipfile.is_zipfile(raw):
        return True
    raw.seek(0)
    start = raw.read(CHUNK)
    local = zips.find_header(io.BytesIO(start), 0)
    member = start.find(b"ustar")
    return local is not None and not 0 <= member < local


def normal_name(name: str) -> str:
    """Return a member's name as that of a file below a folder."""
    slashed = name if "/" in name else name.replace("\\", "/")
    name = shown(posixpath.normpath(slashed).lstrip("/")) or "."
    name = _CONTROLS.sub(lambda match: f"\\x{ord(match[0]):02x}", name)
    if len(name) <= LONGEST_NAME:
        return name
    mark = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
    return f"{name[: LONGEST_NAME - 9]}#{mark}"


def _unique(name: str, taken: dict[int, int]) -> str:
    """Return `name`, or `name#2`, `name#3` … where it is taken; only hashes of names are kept."""
    number = taken[hash(name)] = taken.get(hash(name), 0) + 1
    if number == 1:
        return name
    while hash(f"{name}#{number}") in taken:
        number = taken[hash(name)] = number + 1
    taken[hash(f"{name}#{number}")] = 1
    return f"{name}#{number}"
