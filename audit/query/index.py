"""The frame's columns as one file beside the run, mapped into memory instead of read again.

It is derived: without it a command takes seconds longer and gives the same figures. Its key
hashes everything that it was made from, so an index of other data or rules is never read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.storage.files import atomic_path
from pipelines.storage.layout import DOCUMENTS, annotation_folder
from schemas.manifest import MANIFEST

VERSION = 4
"""Increased whenever the content of the file changes."""
KEY, NOTES = b"bibim.key", b"bibim.notes"

KINDS: dict[pa.DataType, np.dtype[Any]] = {
    pa.int32(): np.dtype(np.int32),
    pa.int64(): np.dtype(np.int64),
    pa.float32(): np.dtype(np.float32),
    pa.float64(): np.dtype(np.float64),
}
"""Types of the frame's columns."""

Columns = dict[str, npt.NDArray[Any]]


def index_key(out: Path, steps: Iterable[str], rules: Iterable[str]) -> str:
    """Return a key of the run's manifests and rules: other shards or rules give another key."""
    digest = hashlib.sha256(json.dumps([VERSION, *rules]).encode())
    for folder in (DOCUMENTS, *map(annotation_folder, steps)):
        digest.update(hashlib.sha256((out / folder / MANIFEST).read_bytes()).digest())
    return digest.hexdigest()


def write_index(path: Path, key: str, columns: Columns, notes: dict[str, Any]) -> None:
    """Write `columns` (one length, no nulls) and `notes` (plain JSON) to `path`, atomically."""
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    table = table.replace_schema_metadata({KEY: key, NOTES: json.dumps(notes)})
    with atomic_path(path) as temporary, pa.ipc.new_file(temporary, table.schema) as file:
        file.write_table(table)


def read_index(path: Path, key: str) -> tuple[Columns, dict[str, Any]] | None:
    """Return the columns and notes under `key`, mapped; None if there is no such index."""
    try:
        file = pa.ipc.open_file(pa.memory_map(str(path)))
        metadata = file.schema.metadata or {}
        if metadata.get(KEY) != key.encode():
            return None
        table = file.read_all()
        notes = json.loads(metadata[NOTES])
    except (OSError, pa.ArrowInvalid, ValueError, KeyError):
        return None  # missing or truncated: the frame reads the run and writes the index again
    return {name: _mapped(table.column(name)) for name in table.column_names}, notes


def _mapped(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return a column of one chunk or none, without a copy.

    Arrow's own `to_numpy` and `to_pandas_dtype` import pandas: a quarter of a `bibim what-if`.
    """
    kind = KINDS[column.type]
    if not column.num_chunks:
        return np.zeros(0, kind)
    chunk = column.chunk(0)
    return np.frombuffer(chunk.buffers()[1], kind, len(chunk), chunk.offset * kind.itemsize)
