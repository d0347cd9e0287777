"""Lines packed by every format, the tools that unpack them, and damage."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
import lzma
import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import zstandard

from schemas.packing import Gap, unpack

LZ4 = importlib.util.find_spec("lz4") is not None
_RNG = random.Random(24)
_WORDS = [
    "".join(_RNG.choice("가나다라마바사아자차abcdefghij") for _ in range(_RNG.randint(2, 8)))
    for _ in range(2000)
]
LINES = [f'{{"text": "{n} {" ".join(_RNG.choices(_WORDS, k=25))}"}}\n' for n in range(8000)]
DATA = "".join(LINES).encode()
"""About 2 MB that compress about as text does."""


@dataclass(frozen=True)
class Packed:
    """Bytes of DATA packed in one way, and the tool that unpacks them."""

    name: str
    data: bytes
    tool: tuple[str, ...]
    whole: bool
    """Whether DATA is one member, frame or block: damage inside costs all that follows."""


def _parts(pack: Callable[[bytes], bytes], count: int = 40) -> bytes:
    step = -(-len(LINES) // count)
    groups = ["".join(LINES[at : at + step]).encode() for at in range(0, len(LINES), step)]
    return b"".join(map(pack, groups))


def _xz_blocks(data: bytes) -> bytes:
    command = ["xz", "-1", "-T2", "--block-size=100000", "-c"]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def packings() -> list[Packed]:
    """Return DATA in one piece and in many, by every format that is installed."""
    gz, zst = ("gzip", "-dc"), ("zstd", "-dc")
    bz, xz, lz = ("bzip2", "-dc"), ("xz", "-dc"), ("lz4", "-dc")
    found = [
        Packed("gzip", gzip.compress(DATA), gz, True),
        Packed("gzip-members", _parts(gzip.compress), gz, False),
        Packed("zstd", zstandard.compress(DATA), zst, True),
        Packed("zstd-frames", _parts(zstandard.compress), zst, False),
        Packed("bzip2", bz2.compress(DATA, 1), bz, False),
        Packed("bzip2-streams", _parts(bz2.compress, 4), bz, False),
        Packed("xz", lzma.compress(DATA, preset=1), xz, True),
        Packed("xz-streams", _parts(lambda data: lzma.compress(data, preset=1)), xz, False),
    ]
    if shutil.which("xz"):
        found.append(Packed("xz-blocks", _xz_blocks(DATA), xz, False))
    if LZ4:
        import lz4.frame

        found.append(Packed("lz4", lz4.frame.compress(DATA), lz, True))
        found.append(Packed("lz4-frames", _parts(lz4.frame.compress), lz, False))
    return found


PACKINGS = packings()


def read(data: bytes, name: str = "") -> tuple[bytes, list[Gap]]:
    """Return what `unpack` gives: the bytes, and the gaps."""
    pieces = list(unpack(io.BytesIO(data).read, name))
    got = b"".join(piece for piece in pieces if not isinstance(piece, Gap))
    return got, [piece for piece in pieces if isinstance(piece, Gap)]


def zeroed(data: bytes, at: float, count: int = 100) -> bytes:
    """Return the data with `count` zeros at a share of its length."""
    start = int(len(data) * at)
    return data[:start] + bytes(count) + data[start + count :]


def without(data: bytes, at: float, count: int = 1000) -> bytes:
    """Return the data without `count` bytes at a share of its length."""
    start = int(len(data) * at)
    return data[:start] + data[start + count :]
