"""Token runs: the tokens of one document shard in one flat file, read by ranges.

A run holds its documents in the order of their base keys (the first eight bytes of their ids),
which is the order in which every mixture reads them: a slice of the mixture is a slice of each
run. The file is a header of 128 bytes and the tokens, little-endian. The header names the
tokenizer and holds a hash of the index (tokens and offset of every row), which is stored in the
annotation shard beside it, so that a run and an index of different origin are never joined.
"""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import xxhash

from schemas.errors import RunFault
from schemas.kernels import kernel

MAGIC: Final = b"BIBIMRUN"
VERSION: Final = 1
HEADER: Final = 128
SUFFIX: Final = ".run"

_LAYOUT = struct.Struct("<8sIIqq32s16s")
_GAP: Final = 1 << 14
"""Tokens; documents closer than this are read together."""


@dataclass(frozen=True)
class RunHeader:
    """The header of a run."""

    itemsize: int
    documents: int
    tokens: int
    tokenizer: str
    """SHA-256 of the model, in hex."""
    index: str
    """`index_digest` of its rows."""


def run_path(shard: Path) -> Path:
    """Return the token run that belongs to an annotation shard of `tokenize`."""
    return shard.with_suffix(SUFFIX)


def index_digest(counts: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64]) -> str:
    """Return a hash (xxh3-128, hex) of the tokens and the offset of every row, -1 for null."""
    digest = xxhash.xxh3_128(np.ascontiguousarray(counts, dtype="<i4").tobytes())
    digest.update(np.ascontiguousarray(offsets, dtype="<i8").tobytes())
    return digest.hexdigest()


def write_run(
    path: Path, tokens: npt.NDArray[Any], documents: int, tokenizer: str, index: str
) -> None:
    """Write a run to `path`. The caller renames it into place."""
    header = _LAYOUT.pack(
        MAGIC,
        VERSION,
        tokens.dtype.itemsize,
        documents,
        len(tokens),
        bytes.fromhex(tokenizer),
        bytes.fromhex(index),
    )
    with path.open("wb") as file:
        file.write(header.ljust(HEADER, b"\0"))
        np.ascontiguousarray(tokens).tofile(file)


def read_header(path: Path) -> RunHeader | None:
    """Return the header of the run at `path`; None if there is no complete run."""
    try:
        with path.open("rb") as file:
            head = file.read(HEADER)
        size = path.stat().st_size
    except FileNotFoundError:
        return None
    if len(head) < HEADER:
        return None
    magic, version, itemsize, documents, tokens, tokenizer, index = _LAYOUT.unpack_from(head)
    if magic != MAGIC or version != VERSION or size != HEADER + itemsize * tokens:
        return None
    return RunHeader(itemsize, documents, tokens, tokenizer.hex(), index.hex())


class Run:
    """An open run, read by ranges, so that its tokens are not kept in memory."""

    def __init__(self, path: Path) -> None:
        """Open `path`. Raises RunFault if it is not a complete run."""
        header = read_header(path)
        if header is None:
            raise RunFault(f"{path}: not a complete token run; delete it and run `tokenize` again")
        self.path = path
        self.header = header
        self.dtype = np.dtype("<u2") if header.itemsize == 2 else np.dtype("<i4")
        self._file = path.open("rb", buffering=0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, first: int, last: int) -> npt.NDArray[Any]:
        """Return the tokens `first` to before `last`. Raises RunFault past the end."""
        if not 0 <= first <= last <= self.header.tokens:
            raise RunFault(
                f"{self.path}: tokens {first} to {last} of {self.header.tokens} are out of range; "
                "run `tokenize` again"
            )
        tokens = np.empty(last - first, dtype=self.dtype)
        if first == last:
            return tokens
        view = tokens.data.cast("B")
        self._file.seek(HEADER + first * self.header.itemsize)
        while view:
            done = self._file.readinto(view)
            if not done:
                raise RunFault(f"{self.path}: ends {len(view)} bytes early; run `tokenize` again")
            view = view[done:]
        return tokens

    def gather(
        self,
        starts: npt.NDArray[np.int64],
        counts: npt.NDArray[np.int64],
        out: npt.NDArray[Any],
        places: npt.NDArray[np.int64],
    ) -> None:
        """Copy documents into `out`: `counts[i]` tokens from `starts[i]` to `places[i]`.

        Documents close to one another in the run are read together.
        """
        order = np.argsort(starts, kind="stable")
        starts, counts, places = starts[order], counts[order], places[order]
        ends = np.maximum.accumulate(starts + counts)
        breaks = np.flatnonzero(starts[1:] - ends[:-1] > _GAP) + 1
        edges = [0, *breaks.tolist(), len(starts)]
        for a, b in itertools.pairwise(edges):
            if a < b:
                first = int(starts[a])
                piece = self.read(first, int(ends[b - 1]))
                copy_slices(piece, starts[a:b] - first, counts[a:b], out, places[a:b])


@kernel
def copy_slices(
    source: npt.NDArray[Any],
    starts: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    out: npt.NDArray[Any],
    places: npt.NDArray[np.int64],
) -> None:
    """Copy slice `i` of `source` (`counts[i]` items from `starts[i]`) to `out[places[i]:]`."""
    for index in range(len(starts)):
        start, count, place = starts[index], counts[index], places[index]
        for at in range(count):  # a slice assignment would first check for overlaps
            out[place + at] = source[start + at]
