"""A finished run with one thing changed, manifests made to agree: only the ledger can find it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.manifest import sha256_file


def linked(demo: Path, out: Path) -> Path:
    """Return `out`, a copy of a run by hard links: files are to be replaced, never written into."""
    shutil.copytree(demo, out, copy_function=os.link)
    return out


def replace_json(path: Path, change: Callable[[Any], None]) -> None:
    """Apply `change` to the content of a JSON file and replace the file."""
    data = json.loads(path.read_text("utf-8"))
    change(data)
    path.unlink()
    path.write_text(json.dumps(data), "utf-8")


def alter(folder: Path, shard: str, change: Callable[[dict[str, Any]], None], row: int) -> None:
    """Change one row of a shard, and its manifest with it."""
    path = folder / shard
    file = pq.ParquetFile(path)
    schema = file.schema_arrow
    groups = [file.read_row_group(index) for index in range(file.num_row_groups)]
    path.unlink()
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in groups:
            rows = table.to_pylist()
            if 0 <= row < len(rows):
                change(rows[row])
            row -= len(rows)
            writer.write_table(pa.Table.from_pylist(rows, schema=schema), max(len(rows), 1))

    def list_it(manifest: dict[str, Any]) -> None:
        for entry in manifest["shards"]:
            if entry["name"] == shard:
                entry.update(bytes=path.stat().st_size, sha256=sha256_file(path))

    replace_json(folder / "_manifest.json", list_it)


def rows_of(folder: Path, shard: str, columns: list[str]) -> list[dict[str, Any]]:
    """Return the rows of a shard."""
    return pq.read_table(folder / shard, columns=columns).to_pylist()
