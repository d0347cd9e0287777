"""Packed streams: gzip, zstd, bzip2, xz and lz4, found by their first bytes, read past damage.

`unpack` yields the bytes of a stream in pieces, and a `Gap` where damage cost some: it resumes at
the next member, frame, block or stream that can be read. Memory is bounded whatever a stream
claims to hold; zstd and xz need as much as the window that the writer chose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from schemas.packing import bzip2, gzip, lz4, xz, zstd
from schemas.packing.frames import CORRUPT, TRUNCATED, Gap
from schemas.packing.window import CHUNK, Window

__all__ = ["CHUNK", "CORRUPT", "TRUNCATED", "Gap", "kind_of", "unpack"]

HEAD = 16
"""Bytes that `kind_of` needs."""
_TEXTLESS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
"""Byte-order marks of UTF-16 and UTF-32: texts with zero bytes."""
_SNIFFED = 1024
_KINDS: dict[str, tuple[re.Pattern[bytes], Callable[[Window], Iterator[bytes | Gap]]]] = {
    "gzip": (re.compile(rb"\x1f\x8b"), gzip.unpack),
    "zstd": (re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), zstd.unpack),
    "bzip2": (re.compile(rb"BZh[1-9](?:\x31\x41\x59\x26|\x17\x72\x45\x38|\Z)"), bzip2.unpack),
    "xz": (re.compile(rb"\xfd7zXZ\x00"), xz.unpack),
    "lz4": (re.compile(rb"\x04\x22\x4d\x18"), lz4.unpack),
}
_ENDINGS = {".gz": "gzip", ".tgz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".xz": "xz"}
_ENDINGS |= {".lz4": "lz4", ".gzip": "gzip", ".zstd": "zstd", ".tbz2": "bzip2", ".txz": "xz"}


def kind_of(head: bytes) -> str | None:
    """Return what packs a stream that starts with `head` (HEAD bytes or all), or None."""
    return next((kind for kind, (magic, _) in _KINDS.items() if magic.match(head)), None)


def unpack(read: Callable[[int], bytes], name: str = "") -> Iterator[bytes | Gap]:
    """Yield the unpacked bytes of a stream in pieces of at most some MiB, and its gaps.

    `read(count)` returns up to `count` bytes, none only at the end. `name` serves a file whose
    first bytes are damaged: binary data in a file called `.gz` is searched for gzip members.
    Raises what `read` raises.
    """
    window = Window(read)
    head = window.read(0, _SNIFFED)
    kind = kind_of(head)
    textless = _TEXTLESS.search(head) and not head.startswith(_MARKS)
    if kind is None and textless and head.count(0) * 4 < len(head):
        kind = next((k for end, k in _ENDINGS.items() if name.lower().endswith(end)), None)
    if kind is not None:
        yield from _KINDS[kind][1](window)
        return
    at = 0
    while data := window.read(at, CHUNK):
        yield data
        at += len(data)
