"""Members of a zip archive: by its central directory, or header by header where that is damaged."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from pipelines.ingest.readers.tars import Entry

CHUNK = 1 << 16
LONGEST_END = 22 + 0xFFFF
"""Bytes of the record that ends an archive, with its comment."""
ENCRYPTED, HAS_DESCRIPTOR, UTF_8 = 1, 8, 0x800
"""Flags of a member."""
_LOCAL = struct.Struct("<4xHHHHHIIIHH")
"""A local header: version, flags, method, time, date, CRC, packed, unpacked, name, extra."""
_METHODS = {0: "stored", 8: "deflate", 12: "bzip2", 14: "lzma"}
_NAMES_OF_METHODS = {1: "shrink", 6: "implode", 9: "deflate64", 93: "zstd", 95: "xz", 98: "ppmd"}
_BAD = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError,
    ValueError, struct.error, OverflowError,
)  # fmt: skip


def entries(raw: BinaryIO, limit: int) -> Iterator[Entry]:
    """Yield the members of a zip archive, with a fault in place of what cannot be unpacked.

    A member of more than `limit` bytes comes without its data. `raw` can be sought in.
    """
    try:
        archive = zipfile.ZipFile(raw)
        infos = archive.infolist()
        if len(infos) != (stated := _stated(raw, len(infos))):
            raise zipfile.BadZipFile(f"{len(infos)} of {stated} members in it")
    except _BAD as error:
        raw.seek(0)
        read, cut = 0, False
        for entry in _walked(raw, limit):
            read += entry.size
            cut = entry.reason == "truncated_stream"
            yield entry
        detail = f"the central directory cannot be read ({error}); members were found one by one"
        lost = read if cut else 0  # nothing shows how much followed: as much as was read
        yield Entry("end", fault=detail, reason="truncated_stream", lost=lost, place=True)
        return
    with archive:
        for info in infos:
            if info.is_dir():
                continue
            name = _decoded(info.orig_filename, info.flag_bits, info.extra)
            if stat.S_ISLNK(info.external_attr >> 16):
                yield Entry(name, special="a link")
            elif info.flag_bits & ENCRYPTED:
                fault = "encrypted; unpack it with its password"
                yield Entry(name, fault=fault, lost=info.file_size, reason="encrypted")
            elif info.compress_type not in _METHODS:
                method = _NAMES_OF_METHODS.get(info.compress_type, str(info.compress_type))
                fault = f"packed by the method {method}, which is not read; pack it again"
                yield Entry(name, fault=fault, lost=info.file_size)
            elif info.file_size > limit:
                yield Entry(name, info.file_size)
            else:
                yield _unpacked(archive, info, name, limit)


def _stated(raw: BinaryIO, found: int) -> int:
    """Return the number of members that the end of an archive states; `found` if it cannot."""
    size = raw.seek(0, io.SEEK_END)
    raw.seek(max(0, size - LONGEST_END))
    tail = raw.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or at + 12 > len(tail):
        return found
    (stated,) = struct.unpack_from("<H", tail, at + 10)
    return found if stated == 0xFFFF else int(stated)


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, limit: int) -> Entry:
    try:
        with archive.open(info) as handle:
            data = handle.read(limit + 1)
    except Exception as error:  # of this member: a codec of zipfile may raise anything
        return Entry(name, fault=f"{type(error).__name__}: {error}", lost=info.file_size)
    return Entry(name, len(data), data if len(data) <= limit else None)


def _decoded(name: str, flags: int, extra: bytes) -> str:
    """Return a member's name: UTF-8, CP949 as Korean programs write it, else CP437."""
    if flags & UTF_8:
        return name
    try:
        raw = name.encode("cp437")
    except UnicodeEncodeError:
        return name
    return name_of(raw, extra)


def name_of(raw: bytes, extra: bytes = b"") -> str:
    """Return the name of a member without the flag of UTF-8."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        field = extra[at + 4 : at + 4 + size]
        if kind == 0x7075 and field[:1] == b"\1" and field[1:5] == _crc(raw):
            return field[5:].decode("utf-8", "replace")
        at += 4 + size
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        korean = raw.decode("cp949")
    except UnicodeDecodeError:
        return raw.decode("cp437")
    beyond = [char for char in korean if char > "\x7f"]
    hangul = sum("가" <= char <= "힣" for char in beyond)
    return korean if hangul * 2 >= len(beyond) else raw.decode("cp437")


def _crc(raw: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(raw))


def _walked(raw: BinaryIO, limit: int) -> Iterator[Entry]:
    """Yield the members of an archive by their local headers, up to its directory or its end."""
    file = io.BufferedReader(raw, CHUNK) if isinstance(raw, io.RawIOBase) else raw
    position = _find(file, 0)
    while position is not None:
        file.seek(position)
        head = file.read(_LOCAL.size)
        if len(head) < _LOCAL.size:
            return
        _, flags, method, _, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack(head)
        raw_name, extra = file.read(name_length), file.read(extra_length)
        name = raw_name.decode("utf-8", "replace") if flags & UTF_8 else name_of(raw_name, extra)
        start = file.tell()
        if name.endswith("/"):
            position = _find(file, start)
            continue
        if flags & ENCRYPTED or method not in (0, 8):
            what = "encrypted" if flags & ENCRYPTED else f"packed by the method {method}"
            yield Entry(name, fault=what, lost=size)
            position = _find(file, start + (0 if flags & HAS_DESCRIPTOR else packed))
            continue
        if flags & HAS_DESCRIPTOR:
            packed, size, crc = 0, 0, 0
        if method == 0 and not packed and flags & HAS_DESCRIPTOR:
            following = _find(file, start)
            packed = (following or file.seek(0, io.SEEK_END)) - start
        entry, after = _inflated(file, start, method, packed, crc, limit, name)
        yield entry
        position = _find(file, after)


def _inflated(
    file: BinaryIO, start: int, method: int, packed: int, crc: int, limit: int, name: str
) -> tuple[Entry, int]:
    """Return a member that starts at `start`, and where what follows may begin.

    `packed` 0: its length is not known before it is unpacked; `crc` 0: nor its checksum.
    """
    file.seek(start)
    inflate = zlib.decompressobj(-15)
    pieces: list[bytes] = []
    size = found = read = 0
    ended = method == 0
    while not packed or read < packed:
        piece = file.read(min(CHUNK, packed - read) if packed else CHUNK)
        if not piece:
            break
        read += len(piece)
        rest = piece
        while rest:
            try:
                out = inflate.decompress(rest, CHUNK) if method else rest
            except zlib.error as error:
                return Entry(name, fault=str(error), lost=max(size, packed)), start + 4
            rest = inflate.unconsumed_tail if method and not inflate.eof else b""
            size += len(out)
            found = zlib.crc32(out, found)
            if size <= limit:
                pieces.append(out)
            else:
                pieces.clear()
        if method and inflate.eof:
            ended = True
            read -= len(inflate.unused_data)
            break
    if not ended or (packed and read < packed and not method):
        detail = "the archive ends within this member"
        return Entry(name, fault=detail, reason="truncated_stream", lost=size), start + read
    if crc and found != crc:
        return Entry(name, fault="its checksum differs", lost=size), start + read
    return Entry(name, size, b"".join(pieces) if size <= limit else None), start + read


def _find(file: BinaryIO, position: int) -> int | None:
    """Return where the next local header stands from `position` on, None where none does."""
    file.seek(position)
    tail = b""
    while piece := file.read(CHUNK):
        window = tail + piece
        at = window.find(b"PK\3\4")
        if at >= 0:
            return position - len(tail) + at
        position += len(piece)
        tail = window[-3:]
    return None
