"""What can be got from damaged files, by readers that share no code with the program's.

Each takes bytes and returns what it finds, in order. They know nothing of positions or limits.
"""

from __future__ import annotations

import bz2
import io
import json
import lzma
import re
import struct
import zlib
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

STEP = 256
BLOCK_OF_BZIP2 = f"{0x314159265359:048b}"
END_OF_BZIP2 = f"{0x177245385090:048b}"


def fed(start: Callable[[], object], data: bytes) -> tuple[bytes, int | None]:
    """Feed `data` in small pieces; return the output, and where the stream ended or None."""
    machine, out = start(), []
    for at in range(0, len(data), STEP):
        piece = data[at : at + STEP]
        try:
            out.append(machine.decompress(piece))
        except (zlib.error, OSError, EOFError, lzma.LZMAError, zstandard.ZstdError):
            out.append(byte_by_byte(start, data[: at + STEP], len(b"".join(out))))
            return b"".join(out), None
        if machine.eof:
            return b"".join(out), at + len(piece) - len(machine.unused_data)
    return b"".join(out), None


def byte_by_byte(start: Callable[[], object], data: bytes, known: int) -> bytes:
    """Return what the last piece still gave before the error."""
    machine, out = start(), b""
    for at in range(len(data)):
        try:
            out += machine.decompress(data[at : at + 1])
        except (zlib.error, OSError, EOFError, lzma.LZMAError, zstandard.ZstdError):
            break
    return out[known:]


def streams(start: Callable[[], object], magic: bytes, data: bytes) -> list[bytes]:
    """Return the output of each stream that starts with `magic`, damaged ones up to the damage."""
    found, at = [], data.find(magic)
    while at >= 0:
        out, used = fed(start, data[at:])
        if out:
            found.append(out)
        at = data.find(magic, at + (used or 1))
    return found


def gzip_streams(data: bytes) -> list[bytes]:
    return streams(lambda: zlib.decompressobj(31), b"\x1f\x8b\x08", data)


def zstd_streams(data: bytes) -> list[bytes]:
    return streams(lambda: zstandard.ZstdDecompressor().decompressobj(), b"\x28\xb5\x2f\xfd", data)


def xz_streams(data: bytes) -> list[bytes]:
    return streams(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ), b"\xfd7zXZ\0", data)


def lz4_streams(data: bytes) -> list[bytes]:
    found, at = [], data.find(b"\x04\x22\x4d\x18")
    while at >= 0:
        following = data.find(b"\x04\x22\x4d\x18", at + 1)
        frame = data[at : following if following >= 0 else len(data)]
        out = b""
        try:
            with pa.CompressedInputStream(pa.BufferReader(frame), "lz4") as stream:
                while piece := stream.read(1024):
                    out += piece
        except (OSError, pa.ArrowException):
            pass
        if out:
            found.append(out)
        at = following
    return found


def bzip2_streams(data: bytes) -> list[bytes]:
    """Return the blocks that are whole, as bzip2recover does: a block starts at any bit."""
    bits = bin(int.from_bytes(b"\x01" + data, "big"))[3:]
    starts = [m.start() for m in re.finditer(f"(?={BLOCK_OF_BZIP2}|{END_OF_BZIP2})", bits)]
    found = []
    for number, start in enumerate(starts):
        if not bits.startswith(BLOCK_OF_BZIP2, start):
            continue
        end = starts[number + 1] if number + 1 < len(starts) else len(bits)
        check = bits[start + 48 : start + 80]
        one = bits[start:end] + END_OF_BZIP2 + check
        one += "0" * (-len(one) % 8)
        try:
            found.append(bz2.decompress(b"BZh9" + int(one, 2).to_bytes(len(one) // 8, "big")))
        except (OSError, EOFError, ValueError):
            continue
    return [b"".join(found)] if found else []


STREAMS: dict[str, Callable[[bytes], list[bytes]]] = {
    "": lambda data: [data],
    ".gz": gzip_streams,
    ".zst": zstd_streams,
    ".bz2": bzip2_streams,
    ".xz": xz_streams,
    ".lz4": lz4_streams,
}
"""Ending → the pieces of decompressed bytes that are left."""


def line_texts(pieces: list[bytes]) -> Iterator[str]:
    """Yield the text of each whole JSON line; pieces may be parts of one stream."""
    for piece in [*pieces, b"".join(pieces)]:
        for line in piece.split(b"\n"):
            try:
                yield json.loads(line)["text"]
            except (ValueError, KeyError, TypeError):
                continue


def tar_members(pieces: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield the members whose header has the right checksum and whose bytes are all there."""
    for piece in [*pieces, b"".join(pieces)]:
        for match in re.finditer(rb"ustar", piece):
            at = match.start() - 257
            header = piece[at : at + 512]
            if at < 0 or len(header) < 512:
                continue
            total = sum(header[:148]) + 8 * 32 + sum(header[156:])
            try:
                size = int(header[124:136].strip(b"\0 ") or b"0", 8)
                right = int(header[148:156].strip(b"\0 ") or b"0", 8) == total
            except ValueError:
                continue
            data = piece[at + 512 : at + 512 + size]
            if right and header[156:157] in (b"0", b"\0") and len(data) == size:
                yield header[:100].rstrip(b"\0").decode("utf-8", "replace"), data


def zip_members(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the members that local headers describe and whose checksum is right."""
    for match in re.finditer(rb"PK\x03\x04", data):
        at = match.start()
        if at + 30 > len(data):
            continue
        method, _, _, check, packed, size, names, extra = struct.unpack(
            "<8xHHHIIIHH", data[at : at + 30]
        )
        start = at + 30 + names + extra
        body = data[start : start + packed]
        try:
            plain = zlib.decompress(body, -15) if method == 8 else body
        except zlib.error:
            continue
        if len(plain) == size and zlib.crc32(plain) == check:
            yield data[at + 30 : at + 30 + names].decode("utf-8", "replace"), plain


def warc_records(pieces: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield the address and the block of each record that is whole."""
    for piece in [*pieces, b"".join(pieces)]:
        for match in re.finditer(rb"WARC/1\.[01]\r\n((?:[^\r\n]+\r\n)+)\r\n", piece):
            length = re.search(rb"(?im)^content-length: *(\d+)\r$", match.group(1))
            address = re.search(rb"(?im)^warc-target-uri: *(\S+)\r$", match.group(1))
            if not length or not address:
                continue
            block = piece[match.end() : match.end() + int(length.group(1))]
            if len(block) == int(length.group(1)):
                yield address.group(1).decode("utf-8", "replace"), block


def parquet_texts(data: bytes) -> Iterator[str]:
    """Yield the texts of the row groups that can be read."""
    try:  # a damaged footer may name columns in bytes that are not UTF-8, or lack the one of the text
        file = pq.ParquetFile(io.BytesIO(data))
        groups = range(file.num_row_groups if "text" in file.schema_arrow.names else 0)
    except (OSError, pa.ArrowException, UnicodeDecodeError):
        return
    for group in groups:
        try:
            yield from file.read_row_group(group, columns=["text"])["text"].to_pylist()
        except (OSError, pa.ArrowException, UnicodeDecodeError):
            continue
