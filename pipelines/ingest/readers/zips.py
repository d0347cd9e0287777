"""Members of a zip archive: by its central directory, or header by header where that is damaged."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from pipelines.ingest.readers.magic import DIRECTORY_FAULTS
from pipelines.ingest.readers.tars import Entry

CHUNK = 1 << 16
LONGEST_END = 22 + 0xFFFF
"""Bytes of the record that ends an archive, with its comment."""
ENCRYPTED, HAS_DESCRIPTOR, UTF_8 = 1, 8, 0x800
"""Flags of a member."""
LONGEST_NAME = 1024
"""Characters of a member's name at most where its data is damaged too: else the header is."""
RATIO = 3
"""Unpacked bytes per packed byte, where nothing shows it."""
_LOCAL = struct.Struct("<4xHHHHHIIIHH")
"""A local header: version, flags, method, time, date, CRC, packed, unpacked, name, extra."""
_BEHIND = (b"PK\3\4", b"PK\1\2", b"PK\7\b")
"""What stands behind a member's data: another, the directory, its sizes."""
_METHODS = {0: "stored", 8: "deflate", 12: "bzip2", 14: "lzma"}
_NAMES_OF_METHODS = {1: "shrink", 6: "implode", 9: "deflate64", 93: "zstd", 95: "xz", 98: "ppmd"}


def entries(raw: BinaryIO, limit: int) -> Iterator[Entry]:
    """Yield the members of a zip archive, with a fault in place of what cannot be unpacked.

    A member of more than `limit` bytes comes without its data. `raw` can be sought in.
    """
    try:
        archive = zipfile.ZipFile(raw)
        infos = archive.infolist()
        if len(infos) != (stated := _stated(raw, len(infos))):
            raise zipfile.BadZipFile(f"{len(infos)} of {stated} members in it")
    except DIRECTORY_FAULTS as error:
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
    unfound: dict[int, list[Entry]] = {}
    with archive:
        for info in infos:
            if not info.filename.endswith("/"):
                entry, found = _listed(archive, info, limit)
                if found:
                    yield entry
                else:
                    unfound.setdefault(info.CRC, []).append(entry)
    if unfound:
        yield from _found(raw, limit, unfound)


def _listed(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> tuple[Entry, bool]:
    """Return a member of the directory, and whether it is what the directory says."""
    name = _decoded(info.orig_filename, info.flag_bits, info.extra)
    if stat.S_ISLNK(info.external_attr >> 16):
        return Entry(name, special="a link"), True
    if info.flag_bits & ENCRYPTED:
        fault = "encrypted; unpack it with its password"
        return Entry(name, fault=fault, lost=info.file_size, reason="encrypted"), True
    if info.compress_type not in _METHODS:
        method = _NAMES_OF_METHODS.get(info.compress_type, str(info.compress_type))
        fault = f"packed by the method {method}, which is not read; pack it again"
        return Entry(name, fault=fault, lost=info.file_size), True
    if info.file_size > limit:
        return Entry(name, info.file_size), True
    try:
        with archive.open(info) as handle:
            data = handle.read(limit + 1)
    except Exception as error:  # of this member: a codec of zipfile may raise anything
        fault = f"{type(error).__name__}: {error}"
        return Entry(name, fault=fault, lost=max(info.file_size, info.compress_size)), False
    return Entry(name, len(data), data if len(data) <= limit else None), True


def _found(raw: BinaryIO, limit: int, unfound: dict[int, list[Entry]]) -> Iterator[Entry]:
    """Yield members that are not what the directory says: found by their checksums, or faults."""
    raw.seek(0)
    for entry in _walked(raw, limit):
        missing = unfound.get(zlib.crc32(entry.data)) if entry.data is not None else None
        if missing:
            yield replace(entry, name=missing.pop().name)
    for faults in unfound.values():
        yield from faults


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
    """Yield the members of an archive by their local headers, up to its directory or its end.

    A member that is not whole may have a damaged header: the next one is looked for right behind
    that, and about as many bytes count as lost as stand up to the next.
    """
    file = io.BufferedReader(raw, CHUNK) if isinstance(raw, io.RawIOBase) else raw
    position = find_header(file, 0)
    packed_bytes = unpacked_bytes = 0
    while position is not None:
        file.seek(position)
        header = _Header(file.read(_LOCAL.size))
        raw_name, extra = file.read(header.name_length), file.read(header.extra_length)
        name = (
            raw_name.decode("utf-8", "replace")
            if header.flags & UTF_8
            else name_of(raw_name, extra)
        )
        start = file.tell()
        if name.endswith("/") and not header.packed:
            position = find_header(file, start)
            continue
        entry, after = _member(file, start, header, limit, name)
        if not entry.fault:
            packed_bytes += after - start
            unpacked_bytes += entry.size
            yield entry
            position = find_header(file, after)
            continue
        end = start + header.packed
        file.seek(end)
        ends = header.packed > 0 and file.read(4) in _BEHIND
        following = find_header(file, end if ends else position + 4)
        if ends or entry.reason == "encrypted":
            lost = header.size
        else:
            there = (file.seek(0, io.SEEK_END) if following is None else following) - position
            lost = there * unpacked_bytes // packed_bytes if packed_bytes else RATIO * there
        if len(name) > LONGEST_NAME or not name.isprintable() or "\ufffd" in name:
            yield Entry(
                f"byte {position}", fault=entry.fault, reason=entry.reason, lost=lost, place=True
            )
        else:
            yield replace(entry, lost=max(entry.lost, lost))
        position = following


class _Header:
    """A local header. Sizes and checksum are 0 where they stand behind the member's data."""

    def __init__(self, data: bytes) -> None:
        fields = _LOCAL.unpack(data)
        _, self.flags, self.method, _, _, self.crc, self.packed, self.size = fields[:8]
        self.name_length, self.extra_length = fields[8:]
        if self.flags & HAS_DESCRIPTOR:
            self.crc = self.packed = self.size = 0

    @property
    def plausible(self) -> bool:
        """Whether a member could have this header."""
        known = self.method in _METHODS or self.method in _NAMES_OF_METHODS
        return known and self.name_length > 0


def _member(
    file: BinaryIO, start: int, header: _Header, limit: int, name: str
) -> tuple[Entry, int]:
    """Return the member whose data is at `start`, and where what follows may begin."""
    if header.flags & ENCRYPTED or header.method not in (0, 8):
        encrypted = header.flags & ENCRYPTED
        what = "encrypted" if encrypted else f"packed by the method {header.method}"
        reason = "encrypted" if encrypted else "corrupt_stream"
        return Entry(name, fault=what, reason=reason, lost=header.size), start
    packed = header.packed
    if header.method == 0 and not packed and header.flags & HAS_DESCRIPTOR:
        following = find_header(file, start)
        packed = (following or file.seek(0, io.SEEK_END)) - start
    return _inflated(file, start, header.method, packed, header.crc, limit, name)


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


def find_header(file: BinaryIO, position: int) -> int | None:
    """Return where the next local header starts from `position` on, None where none does."""
    file.seek(position)
    tail = b""
    while piece := file.read(CHUNK):
        window = tail + piece
        at = window.find(b"PK\3\4")
        while 0 <= at <= len(window) - _LOCAL.size:
            if _Header(window[at : at + _LOCAL.size]).plausible:
                return position - len(tail) + at
            at = window.find(b"PK\3\4", at + 1)
        position += len(piece)
        tail = window[-(_LOCAL.size - 1) :]
    return None
