"""Containers and compressions, built by independent code."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard


def jsonl(texts: Iterable[str], key: str = "text", **more: object) -> bytes:
    """Return a JSON line per text."""
    return b"".join(
        json.dumps({key: text, **more}, ensure_ascii=False).encode() + b"\n" for text in texts
    )


def gz(data: bytes) -> bytes:
    """Return one gzip member."""
    return gzip.compress(data, 6, mtime=0)


def lz4(data: bytes) -> bytes:
    """Return one LZ4 frame."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "lz4") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def zst(data: bytes) -> bytes:
    """Return one zstd frame with its content's size and a checksum."""
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


ONE: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gz,
    ".zst": zst,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".lz4": lz4,
}
"""Ending → the compression of a whole file."""


def many(pieces: Sequence[bytes], ending: str) -> bytes:
    """Return the pieces, each as a member or frame of its own."""
    return b"".join(ONE[ending](piece) for piece in pieces)


def zlib_body(data: bytes, raw: bool) -> bytes:
    """Return a body of `Content-Encoding: deflate`, with or without the header of zlib."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15 if raw else 15)
    return packer.compress(data) + packer.flush()


def chunked(data: bytes, size: int = 700) -> bytes:
    """Return a body of `Transfer-Encoding: chunked`."""
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def http(body: bytes, headers: str = "Content-Type: text/html", status: str = "200 OK") -> bytes:
    """Return an HTTP response."""
    lines = "".join(line + "\r\n" for line in headers.split("\n") if line)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def record(
    block: bytes,
    url: str = "http://site.example/",
    kind: str = "response",
    version: str = "1.0",
    content: str = "application/http; msgtype=response",
    more: str = "",
    length: int | None = None,
) -> bytes:
    """Return one WARC record."""
    header = (
        f"WARC/{version}\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\n"
        f"WARC-Date: 2024-05-01T00:00:00Z\r\n"
        f"WARC-Record-ID: <urn:uuid:{zlib.crc32(block + url.encode()):08x}-0000-4000-8000-000000000000>\r\n"
        f"Content-Type: {content}\r\n{more}"
        f"Content-Length: {len(block) if length is None else length}\r\n\r\n"
    )
    return header.encode() + block + b"\r\n\r\n"


def tar(members: Iterable[tuple[str, bytes]], kind: int = tarfile.GNU_FORMAT) -> bytes:
    """Return a tar of regular files."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=kind) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def parquet(columns: dict[str, object], rows: int | None = None, **options: object) -> bytes:
    """Return a Parquet file of `columns`, in row groups of `rows`."""
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=rows, **options)
    return sink.getvalue()


def zip_local(name: bytes, data: bytes, flag: int = 0, method: int = 8) -> tuple[bytes, bytes]:
    """Return a member of a zip and its entry of the central directory (at offset 0)."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = packer.compress(data) + packer.flush() if method == 8 else data
    common = struct.pack(
        "<HHHHHIIIHH",
        20, flag, method, 0, 0x5821, zlib.crc32(data), len(body), len(data), len(name), 0,
    )  # fmt: skip
    local = b"PK\x03\x04" + common + name + body
    entry = b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHI", 0, 0, 0, 0)
    return local, entry


def zip_file(members: Sequence[tuple[bytes, bytes]], flag: int = 0, method: int = 8) -> bytes:
    """Return a zip whose names are the bytes given."""
    body, entries = b"", b""
    for name, data in members:
        local, entry = zip_local(name, data, flag, method)
        entries += entry + struct.pack("<I", len(body)) + name
        body += local
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(entries), len(body), 0)
    return body + entries + b"PK\x05\x06" + end
