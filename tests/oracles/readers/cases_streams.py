"""Compressions: headers that few programs write, many members, padding, damage at the end."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zlib
from pathlib import Path

import zstandard

from tests.oracles.readers.pack import gz, jsonl, lz4, tar, zst
from tests.oracles.readers.prose import paragraphs
from tests.oracles.readers.rig import Outcome, Right

TEXTS = paragraphs(40)
LINES = jsonl(TEXTS)
HALVES = jsonl(TEXTS[:20]), jsonl(TEXTS[20:])


def put(folder: Path, name: str, data: bytes) -> str:
    (folder / name).write_bytes(data)
    return name


def deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def trailer(data: bytes) -> bytes:
    return struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def gzip_with_every_header_field(folder: Path) -> Right:
    flags = 1 | 2 | 4 | 8 | 16  # text, header CRC, extra field, name, comment
    header = b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\x03"
    header += struct.pack("<H", 8) + b"AB\x04\x00wxyz" + b"a.jsonl\0" + b"a comment\0"
    header += struct.pack("<H", zlib.crc32(header) & 0xFFFF)
    data = header + deflate(LINES) + trailer(LINES)
    return Right(put(folder, "a.jsonl.gz", data), TEXTS)


def gzip_in_blocks_of_bgzf(folder: Path) -> Right:
    out = b""
    for at in range(0, len(LINES) + 3000, 3000):
        piece = LINES[at : at + 3000]  # the last one is empty: BGZF's mark of the end
        body = deflate(piece)
        size = struct.pack("<H", 18 + len(body) + 8 - 1)
        out += b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + size + body + trailer(piece)
    return Right(put(folder, "a.jsonl.gz", out), TEXTS)


def gzip_whose_first_member_is_empty(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl.gz", gz(b"") + gz(LINES) + gz(b"")), TEXTS)


def gzip_with_a_wrong_checksum(folder: Path) -> Right:
    data = bytearray(gz(LINES))
    data[-8] ^= 0xFF
    return Right(put(folder, "a.jsonl.gz", bytes(data)), TEXTS, faults=1)


def gzip_with_a_wrong_length_between_members(folder: Path) -> Right:
    first = bytearray(gz(HALVES[0]))
    first[-1] ^= 0xFF
    return Right(put(folder, "a.jsonl.gz", bytes(first) + gz(HALVES[1])), TEXTS, faults=1)


def gzip_followed_by_a_line_of_text(folder: Path) -> Right:
    return Right(
        put(folder, "a.jsonl.gz", gz(LINES) + b"\n-- end of dump --\n"), TEXTS, faults=(0, 1)
    )


def gzip_member_lost_between_two(folder: Path) -> Right:
    pieces = [gz(jsonl(TEXTS[at : at + 10])) for at in range(0, 40, 10)]
    broken = bytearray(pieces[1])
    broken[20:120] = bytes(100)
    data = pieces[0] + bytes(broken) + pieces[2] + pieces[3]

    def check(got: Outcome) -> str | None:
        lost = set(TEXTS[:10] + TEXTS[20:]) - {doc["text"] for doc in got.docs}
        return f"{len(lost)} texts of whole members are lost" if lost else None

    return Right(put(folder, "a.jsonl.gz", data), faults=(1, 12), check=check)


def gzip_twice(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl.gz.gz", gz(gz(LINES))), TEXTS, refused=["a.jsonl.gz.gz"])


def gzip_with_names_of_python_and_ten_members(folder: Path) -> Right:
    sink = io.BytesIO()
    for at in range(0, 40, 4):
        with gzip.GzipFile(f"teil-{at}.jsonl", "wb", fileobj=sink, mtime=1) as stream:
            stream.write(jsonl(TEXTS[at : at + 4]))
    return Right(put(folder, "A.JSONL.GZ", sink.getvalue()), TEXTS)


def zstd_with_skippable_frames(folder: Path) -> Right:
    skip = struct.pack("<II", 0x184D2A53, 11) + b"eleven byte"
    data = skip + zst(HALVES[0]) + skip + zst(HALVES[1]) + skip
    return Right(put(folder, "a.jsonl.zst", data), TEXTS)


def zstd_with_a_window_of_128_megabytes(folder: Path) -> Right:
    settings = zstandard.ZstdCompressionParameters(
        window_log=27, enable_ldm=True, write_content_size=False
    )
    packer = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    data = packer.compress(LINES) + packer.flush()
    return Right(put(folder, "a.jsonl.zst", data), TEXTS)


def zstd_in_a_file_without_ending(folder: Path) -> Right:
    return Right(put(folder, "part-00000", zst(HALVES[0]) + zst(HALVES[1])), TEXTS)


def zstd_with_a_damaged_frame_between_two(folder: Path) -> Right:
    pieces = [zst(jsonl(TEXTS[at : at + 10])) for at in range(0, 40, 10)]
    broken = bytearray(pieces[1])
    broken[12:90] = bytes(78)

    def check(got: Outcome) -> str | None:
        lost = set(TEXTS[:10] + TEXTS[20:]) - {doc["text"] for doc in got.docs}
        return f"{len(lost)} texts of whole frames are lost" if lost else None

    data = pieces[0] + bytes(broken) + pieces[2] + pieces[3]
    return Right(put(folder, "a.jsonl.zst", data), faults=(1, 12), check=check)


def bzip2_of_two_streams(folder: Path) -> Right:
    data = bz2.compress(HALVES[0]) + bz2.compress(HALVES[1])
    return Right(put(folder, "a.jsonl.bz2", data), TEXTS)


def bzip2_called_jsonl(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl", bz2.compress(LINES)), TEXTS)


def xz_of_two_streams_with_padding(folder: Path) -> Right:
    data = (
        lzma.compress(HALVES[0])
        + bytes(8)
        + lzma.compress(HALVES[1], check=lzma.CHECK_SHA256)
        + bytes(4)
    )
    return Right(put(folder, "a.jsonl.xz", data), TEXTS)


def xz_called_gz(folder: Path) -> Right:
    return Right(put(folder, "a.jsonl.gz", lzma.compress(LINES)), TEXTS)


def lz4_of_two_frames_and_a_skippable_one(folder: Path) -> Right:
    skip = struct.pack("<II", 0x184D2A50, 4) + b"skip"
    return Right(put(folder, "a.jsonl.lz4", lz4(HALVES[0]) + skip + lz4(HALVES[1])), TEXTS)


def tar_called_gz(folder: Path) -> Right:
    files = [(f"texts/{n:02}.txt", text.encode()) for n, text in enumerate(TEXTS)]
    return Right(put(folder, "texts.gz", gz(tar(files))), TEXTS)


def an_empty_file_beside_a_good_one(folder: Path) -> Right:
    (folder / "in").mkdir()
    put(folder, "in/a.jsonl.gz", b"")
    put(folder, "in/b.jsonl.gz", gz(LINES))
    return Right("in", TEXTS, faults=(0, 1))


CASES = [
    gzip_with_every_header_field,
    gzip_in_blocks_of_bgzf,
    gzip_whose_first_member_is_empty,
    gzip_with_a_wrong_checksum,
    gzip_with_a_wrong_length_between_members,
    gzip_followed_by_a_line_of_text,
    gzip_member_lost_between_two,
    gzip_twice,
    gzip_with_names_of_python_and_ten_members,
    zstd_with_skippable_frames,
    zstd_with_a_window_of_128_megabytes,
    zstd_in_a_file_without_ending,
    zstd_with_a_damaged_frame_between_two,
    bzip2_of_two_streams,
    bzip2_called_jsonl,
    xz_of_two_streams_with_padding,
    xz_called_gz,
    lz4_of_two_frames_and_a_skippable_one,
    tar_called_gz,
    an_empty_file_beside_a_good_one,
]
