"""Small files that claim or unpack to gigabytes: memory stays bounded."""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from tests.support import ROOT
from tests.support.damage import LZ4
from tests.support.web import http, pages, record

GROWTH = 300e6
SCRIPT = """
import sys; sys.path.insert(0, sys.argv[2])
from pathlib import Path
import pipelines.ingest.run, filters.text.html
from schemas.config import Ingest
from tests.support.reading import read, rejects, texts
def peak(): return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) * 1024
before = peak()
items, stats = read(Path(sys.argv[1]), Ingest(max_document_bytes=int(sys.argv[3])))
print(len(texts(items)), [reason for reason, _ in rejects(items)], peak() - before, sep='|')
"""


def run(path: Path, most: int = 64_000_000) -> tuple[int, str]:
    """Return (documents, reasons of rejects); memory grew by less than GROWTH."""
    command = [sys.executable, "-c", SCRIPT, str(path), str(ROOT), str(most)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    documents, reasons, grown = done.stdout.strip().split("|")
    assert int(grown) < GROWTH, f"{int(grown) / 1e6:.0f} MB more"
    return int(documents), reasons


def blocks(size: int) -> Iterator[bytes]:
    """Yield a line of `size` bytes between two that are records, in pieces."""
    yield b'{"text": "before"}\n{"text": "'
    for _ in range(size >> 20):
        yield b"x" * (1 << 20)
    yield b'"}\n{"text": "after"}\n'


def lz4_frame() -> object:
    import lz4.frame

    packer = lz4.frame.LZ4FrameCompressor()
    begun = [packer.begin()]

    class Started:
        def compress(self, data: bytes) -> bytes:
            return (begun.pop() if begun else b"") + packer.compress(data)

        flush = packer.flush

    return Started()


PACKERS: dict[str, tuple[Callable[[], object], int]] = {
    "gzip": (lambda: zlib.compressobj(9, wbits=31), 3 << 27),
    "zstd": (lambda: zstandard.ZstdCompressor(3).compressobj(), 3 << 27),
    "bzip2": (bz2.BZ2Compressor, 1 << 27),
    "xz": (lambda: lzma.LZMACompressor(preset=1), 1 << 28),
    "lz4": (lz4_frame, 3 << 27),
}


@pytest.mark.parametrize("kind", PACKERS)
def test_a_line_of_gigabytes_in_a_small_file(tmp_path: Path, kind: str):
    if kind == "lz4" and not LZ4:
        pytest.skip("lz4 is not installed")
    make, size = PACKERS[kind]
    packer = make()
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        for block in blocks(size):
            file.write(packer.compress(block))  # type: ignore[attr-defined]
        file.write(packer.flush())  # type: ignore[attr-defined]
    assert run(path) == (2, "['too_long']")


def test_a_record_of_gigabytes_in_a_small_archive(tmp_path: Path):
    packer = zlib.compressobj(9, wbits=31)
    path = tmp_path / "a.warc.gz"
    size = 3 << 27
    head = record(b"", length=str(size)).removesuffix(b"\r\n\r\n")
    with path.open("wb") as file:
        file.write(packer.compress(head))
        for _ in range(size >> 20):
            file.write(packer.compress(bytes(1 << 20)))
        file.write(packer.compress(b"\r\n\r\n") + packer.flush())
        file.write(gzip.compress(b"".join(pages(3))))
    assert run(path) == (3, "['too_long']")


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate"])
def test_a_body_of_a_quarter_of_a_gigabyte_in_a_small_page(tmp_path: Path, coding: str):
    packers = {
        "gzip": lambda: zlib.compressobj(9, wbits=31),
        "deflate": lambda: zlib.compressobj(9),
        "zstd": lambda: zstandard.ZstdCompressor(3).compressobj(),
        "br": _Brotli,
    }
    packer = packers[coding]()
    body = b"".join(packer.compress(b"<p>" + bytes(1 << 20)) for _ in range(1 << 8))
    body += packer.flush()
    path = tmp_path / "a.warc"
    field = f"Content-Encoding: {coding}"
    path.write_bytes(record(http(body, "text/html", field)) + b"".join(pages(3)))
    assert run(path) == (3, "['too_long']")


class _Brotli:
    def __init__(self) -> None:
        brotli = pytest.importorskip("brotli")
        packer = brotli.Compressor(quality=1)
        self.compress, self.flush = packer.process, packer.finish
