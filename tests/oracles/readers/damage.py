"""Damaged files: each format and compression, cut or with one bad block in the middle."""

from __future__ import annotations

import bz2
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipelines.ingest.readers import read_split
from pipelines.ingest.readers.base import ReadStats, Record, Reject
from pipelines.ingest.readers.plan import plan_splits
from schemas.config import Ingest, Source
from tests.oracles.readers import recover
from tests.oracles.readers.pack import ONE, http, jsonl, parquet, record, tar, zip_file
from tests.oracles.readers.prose import page

FORMATS = ("jsonl", "tar", "warc", "text", "html", "zip", "parquet")
PACKINGS = ("plain", "gz-one", "gz-many", "zst-one", "zst-many", "bz2", "xz", "lz4")
KINDS = ("cut-10", "cut-25", "cut-50", "cut-90", "zeros", "noise")
COUNT = 400 if os.environ.get("BIBIM_ORACLES") == "full" else 120

_chance = random.Random(24)
SYLLABLES = [
    chr(0xAC00 + 28 * _chance.randrange(399) + _chance.choice((0, 0, 4, 8, 16, 21)))
    for _ in range(500)
]
WORDS = ["".join(_chance.choices(SYLLABLES, k=_chance.randint(2, 4))) for _ in range(4000)]


def words(number: int, count: int = 90) -> str:
    """Return a text of words that compress about as well as prose."""
    chance = random.Random(f"words {number}")
    chosen = chance.choices(WORDS, k=count)
    return f"{number}번째 글이다. " + " ".join(
        word + ("다." if n % 9 == 8 else "") for n, word in enumerate(chosen)
    )


@dataclass(frozen=True)
class Sound:
    """An undamaged input: its records' bytes, in order, and the text that stands for each."""

    suffix: str
    pieces: list[bytes]
    texts: list[str]
    format: str


def sound(format: str) -> Sound:
    """Return the input of a format; of `text` and `html` each piece is a file."""
    texts = [words(n) for n in range(COUNT)]
    if format == "jsonl":
        return Sound(".jsonl", [jsonl([text]) for text in texts], texts, format)
    if format == "tar":
        whole = tar([(f"proj/{n:03}.txt", text.encode()) for n, text in enumerate(texts)])
        size = [512 + -(-len(text.encode()) // 512) * 512 for text in texts]
        ends = [sum(size[: n + 1]) for n in range(COUNT)]
        pieces = [whole[a:b] for a, b in zip([0, *ends], [*ends, len(whole)], strict=True)]
        return Sound(".tar", [*pieces[:-2], pieces[-2] + pieces[-1]], texts, format)
    if format == "zip":
        whole = zip_file(
            [(f"proj/{n:03}.txt".encode(), text.encode()) for n, text in enumerate(texts)]
        )
        return Sound(".zip", [whole], texts, format)
    if format == "parquet":
        # Statistics hold two whole texts per page, and damage to those costs nothing.
        plain = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
        whole = parquet({"text": texts}, rows=10, **plain)
        return Sound(".parquet", [whole], texts, format)
    if format == "warc":
        pieces = [
            record(
                http(page([t, t[::-1]]).encode(), "Content-Type: text/html; charset=utf-8"),
                f"http://site.example/{n}",
            )
            for n, t in enumerate(texts)
        ]
        return Sound(".warc", pieces, texts, format)
    long = [words(1000 + n, 4000) for n in range(6)]
    if format == "html":
        parts = [[words(5000 + 40 * n + k, 80) for k in range(40)] for n in range(6)]
        return Sound(
            ".html", [page(part).encode() for part in parts], [part[0] for part in parts], format
        )
    return Sound(".txt", [text.encode() for text in long], long, format)


def packed(pieces: list[bytes], packing: str) -> tuple[bytes, str]:
    """Return the bytes of a file and its ending."""
    kind, _, count = packing.partition("-")
    ending = "" if kind == "plain" else "." + kind
    if count == "many":
        groups = [b"".join(pieces[at : at + 8]) for at in range(0, len(pieces), 8)]
        return b"".join(ONE[ending](group) for group in groups), ending
    if kind == "bz2":
        return bz2.compress(b"".join(pieces), 1), ending
    return ONE[ending](b"".join(pieces)), ending


def damaged(data: bytes, kind: str) -> bytes:
    """Return `data` cut, or with 512 bad bytes in the middle."""
    name, _, share = kind.partition("-")
    if name == "cut":
        return data[: len(data) * int(share) // 100]
    block = bytes(512) if name == "zeros" else random.Random(7).randbytes(512)
    middle = len(data) // 2
    return data[:middle] + block + data[middle + 512 :]


@dataclass
class Read:
    """What the program reads from a path."""

    records: list[Record]
    rejects: list[Reject]
    structural: int

    @property
    def texts(self) -> list[str]:
        return [item.text.strip() for item in self.records]

    @property
    def lost(self) -> int:
        """Estimated loss: bytes never read, and those of records that were read in vain."""
        return sum(r.lost_bytes + r.raw_bytes for r in self.rejects if r.fault)


def program(path: Path, format: str = "auto") -> Read:
    """Read a path by the public entry of the readers."""
    source, ingest = Source(component="ko", path=str(path), format=format), Ingest()
    read = Read([], [], 0)
    for split in plan_splits("s", source, ingest):
        stats = ReadStats()
        for item in read_split(split, source, ingest, stats):
            (read.records if isinstance(item, Record) else read.rejects).append(item)
        read.structural += stats.structural_bytes
    return read


@cache
def _blocks() -> set[bytes]:
    """Return the blocks of the valid records."""
    return {piece.partition(b"\r\n\r\n")[2][:-4] for piece in sound("warc").pieces}


def recovered(format: str, data: bytes, ending: str) -> list[str]:
    """Return the texts (of pages: the addresses) that the independent reader gets.

    A page counts where its record is that of the valid file, as in `fuzz.independent`: a record that
    is pieced together over lost bytes, or that has damaged ones in it, is not recovered.
    """
    if format == "zip":
        return [body.decode() for _, body in recover.zip_members(data)]
    if format == "parquet":
        return list(recover.parquet_texts(data))
    pieces = recover.STREAMS[ending](data)
    readers: dict[str, Callable[[], list[str]]] = {
        "jsonl": lambda: list(recover.line_texts(pieces)),
        "tar": lambda: [body.decode("utf-8", "replace") for _, body in recover.tar_members(pieces)],
        "warc": lambda: [
            address for address, block in recover.warc_records(pieces) if block in _blocks()
        ],
    }
    return readers[format]() if format in readers else []
