"""Exchange of packed rows: they are written to disk, and only references to them are shuffled.

A worker writes the rows of one task as one file, ordered by partition. The slice of each
partition in it goes through a GroupByKey; the worker of a partition reads its slices. So no runner
holds the rows in memory (Beam's local one would, at four bytes per byte), and a partition may be
of any size.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from pipelines.storage.files import atomic_path
from pipelines.storage.store import StorePath

Slice = tuple[str, int, int]
"""Of a file's rows: file, first row, row after the last."""
Rows = npt.NDArray[Any]

PARTITION_BYTES = 1 << 27
"""Sorting a partition takes about six times this."""


def save_array(path: Path, array: Rows) -> None:
    """Write `array` as the `.npy` file `path`: whole or absent, also where two write it at once."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)


def load_array(path: Path) -> Rows:
    """Return the array at `path`, mapped; on a store it is read whole (the last 8 are kept)."""
    if isinstance(path, StorePath):
        status = path.stat()
        return _fetched(path, status.st_size, status.st_mtime)
    return cast(Rows, np.load(path, mmap_mode="r"))


@lru_cache(maxsize=8)
def _fetched(path: Path, size: int, time: float) -> Rows:
    return cast(Rows, np.load(io.BytesIO(path.read_bytes())))


def load_rows(path: Path, begin: int, end: int) -> Rows:
    """Return rows `begin` to before `end` of the array at `path`; a store sends only these."""
    if not isinstance(path, StorePath):
        return cast(Rows, np.load(path, mmap_mode="r")[begin:end])
    with path.open("rb", buffering=0) as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        width = dtype.itemsize * math.prod(shape[1:])
        file.seek(begin * width, os.SEEK_CUR)
        data = file.read((end - begin) * width)
    return np.frombuffer(data, dtype).reshape(-1, *shape[1:])


@dataclass(frozen=True)
class Exchange:
    """Rows of one type, exchanged between workers through files in `folder`; picklable."""

    folder: Path
    dtype: Any

    def write(self, name: str, rows: Rows, partitions: Rows) -> Iterator[tuple[int, Slice]]:
        """Write `rows` as file `name`; yield (partition, slice) of each partition in it."""
        if not len(rows):
            return
        partitions = partitions.astype(np.int64)
        order = np.argsort(partitions, kind="stable")
        save_array(self.folder / f"{name}.npy", rows[order])
        ends = np.cumsum(np.bincount(partitions))
        begin = 0
        for partition, end in enumerate(ends.tolist()):
            if end > begin:
                yield partition, (name, begin, end)
            begin = end

    def read(self, slices: Iterable[Slice]) -> Rows:
        """Return the rows at `slices`, files by name."""
        parts = [
            load_rows(self.folder / f"{name}.npy", begin, end)
            for name, begin, end in sorted(slices)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, self.dtype)


def partitions_for(rows: int, width: int, small: int) -> int:
    """Return the number of partitions for `rows` rows of `width` bytes.

    One per `small` rows up to 16, so that workers share even a small exchange; beyond, one per
    PARTITION_BYTES.
    """
    return max(min(16, rows // small), -(-rows * width // PARTITION_BYTES), 1)
