"""Exchange of packed rows: they lie on disk, and only their places cross the shuffle.

A worker writes the rows of one piece of work as one file, ordered by partition. Where each
partition lies in it goes through a GroupByKey; whoever has the partition reads its slices. So
no runner holds the rows in memory (Beam's local one keeps a shuffle there, four bytes for each),
and a partition is as large as it is made.
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

Place = tuple[str, int, int]
"""File, first row and end of a slice."""
Rows = npt.NDArray[Any]

PARTITION_BYTES = 1 << 27
"""Sorting a partition takes about six times this."""


def save_array(path: Path, array: Rows) -> None:
    """Write `array` as the `.npy` file `path`: whole or absent, also where two write it at once."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)


def load_array(path: Path) -> Rows:
    """Return the array at `path`, mapped; one on a store is read whole and kept for a while."""
    if isinstance(path, StorePath):
        status = path.stat()
        return _fetched(path, status.st_size, status.st_mtime)
    return cast(Rows, np.load(path, mmap_mode="r"))


@lru_cache(maxsize=8)
def _fetched(path: Path, size: int, time: float) -> Rows:
    return cast(Rows, np.load(io.BytesIO(path.read_bytes())))


def load_rows(path: Path, begin: int, end: int) -> Rows:
    """Return rows `begin` to before `end` of the array at `path`; of a store just these."""
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
    """Rows of one kind on their way between workers; travels inside DoFns."""

    folder: Path
    dtype: Any

    def write(self, name: str, rows: Rows, partitions: Rows) -> Iterator[tuple[int, Place]]:
        """Write `rows` as file `name`; yield (partition, place) of each partition in it."""
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

    def read(self, places: Iterable[Place]) -> Rows:
        """Return the rows at `places`, files by name."""
        parts = [
            load_rows(self.folder / f"{name}.npy", begin, end)
            for name, begin, end in sorted(places)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, self.dtype)


def partitions_for(rows: int, width: int, small: int) -> int:
    """Return into how many partitions to cut `rows` rows of `width` bytes.

    One for every `small` rows up to 16, so that workers share even a small exchange; beyond,
    as many as PARTITION_BYTES asks for.
    """
    return max(min(16, rows // small), -(-rows * width // PARTITION_BYTES), 1)
