"""The stored columns of a run, read by DuckDB in the order of the documents' manifest."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from audit.query.columns import BLOCK, Values, null_of, put
from audit.query.reading import documents_of, finished_steps, naming_damage, stored_schemas
from pipelines.stages.catalog import folders, stage_of
from pipelines.storage.shards import DOCUMENTS_SHA256
from schemas.config import Config
from schemas.errors import InputError, RunFault


@dataclass(frozen=True)
class ShardRows:
    """Where a document shard's rows begin among all rows."""

    name: str
    sha256: str
    first: int
    rows: int


class StoredColumns:
    """Documents and annotations of the run in `out`, as far as its steps have finished.

    Rows are numbered over all shards. Raises Damaged where a file cannot be read.
    """

    def __init__(self, out: Path, config: Config) -> None:
        self.out = out
        self.config = config
        self.steps = finished_steps(out, config)
        self.shards: list[ShardRows] = []
        self.rows = 0
        for shard in documents_of(out).shards:
            self.shards.append(ShardRows(shard.name, shard.sha256, self.rows, shard.rows))
            self.rows += shard.rows
        self.schemas = stored_schemas(out, config)
        self._known = folders(self.schemas)
        self._db = duckdb.connect(":memory:")
        self._db.execute("SET memory_limit='600MB'; SET threads=2; SET enable_progress_bar=false")
        self._db.execute(
            "SET allow_community_extensions=false; SET autoload_known_extensions=false"
        )

    def check_belongs(self) -> None:
        """Raise RunFault where an annotation shard is not of its document shard."""
        for step in self.steps:
            rows = self.query(
                "SELECT parse_filename(file_name), value FROM parquet_kv_metadata(?) WHERE key = ?",
                [self.files(step), DOCUMENTS_SHA256],
            )
            hashes = {name: bytes(sha256).decode() for name, sha256 in rows}
            for shard in self.shards:
                if hashes.get(shard.name) != shard.sha256:
                    raise RunFault(
                        f"{self.out}/annotations/{step}/{shard.name} belongs to another document "
                        "shard. Delete it and run again; its stage will rewrite it."
                    )

    def files(self, folder: str) -> list[str]:
        """Return the Parquet files of `documents` or of a step, in the order of the rows."""
        base = self.out / (folder if folder == "documents" else f"annotations/{folder}")
        return [os.fspath(base / shard.name) for shard in self.shards]

    def _naming(self, files: Sequence[str]) -> contextlib.AbstractContextManager[None]:
        return naming_damage(self.out, [Path(file) for file in files])

    def folder_of(self, column: str) -> str:
        """Return the finished step (or `documents`) that holds `column`.

        Raises InputError where none does.
        """
        if column in self._known:
            return self._known.folder(column).removeprefix("annotations/")
        try:
            step = stage_of(column)
        except KeyError:
            known = "no stage adds this column; docs/signals.md lists them"
            raise InputError(f"{column}: {known}") from None
        raise InputError(f"{column}: {step} has not run yet; run it first")

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query over the run's files, which are its first parameter."""
        files = next((value for value in parameters if isinstance(value, list)), [])
        with self._naming(files), self._db.cursor() as cursor:
            return cursor.execute(sql, list(parameters)).fetchall()

    def stream(self, folder: str, expressions: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
        """Yield (first row, table) of SQL `expressions` over a folder's rows, in their order."""
        named = ", ".join(f"{text} AS c{number}" for number, text in enumerate(expressions))
        row = 0
        files = self.files(folder)
        with self._naming(files), self._db.cursor() as cursor:
            reader = cursor.sql(
                f"SELECT {named} FROM read_parquet(?)", params=[files]
            ).to_arrow_reader(BLOCK)
            for batch in reader:
                yield row, pa.Table.from_batches([batch])
                row += batch.num_rows
        if row != self.rows:
            raise RunFault(f"{self.out}: {folder} has {row} rows, its manifest {self.rows}")

    def read(self, folder: str, names: Sequence[str]) -> dict[str, Values]:
        """Read numeric columns, in the widths that hold their values; see `Values`."""
        values: dict[str, Values] = {}
        texts = []
        for name in names:
            kind = self.type_of(name)
            if pa.types.is_floating(kind):
                double = kind == pa.float64()
                values[name] = np.empty(self.rows, np.float64 if double else np.float32)
                sql = "DOUBLE" if double else "FLOAT"
                texts.append(f"coalesce(\"{name}\", CAST('nan' AS {sql}))")
            else:
                values[name] = np.empty(self.rows, np.int32)
                null = null_of(np.dtype(np.int64))
                texts.append(f'coalesce(CAST("{name}" AS BIGINT), {null})')
        for row, table in self.stream(folder, texts):
            for number, name in enumerate(names):
                # `to_numpy` imports pandas, a quarter of a question's time
                part: Values = np.from_dlpack(table.column(number).combine_chunks())
                if part.dtype.kind == "i":
                    values[name] = put(values[name], part, row)
                else:
                    values[name][row : row + len(part)] = part
        return values

    def type_of(self, column: str) -> pa.DataType:
        """Return the type of a column that the run has."""
        return self._known.schema.field(column).type

    def numeric(self, column: str) -> bool:
        """Return whether `column` is a number that a threshold can be set on."""
        kind = self.type_of(column)
        return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))

    def shard_of(self, row: int) -> tuple[ShardRows, int]:
        """Return (shard, row in it) of a row among all."""
        firsts = [shard.first for shard in self.shards]
        shard = self.shards[int(np.searchsorted(firsts, row, side="right")) - 1]
        return shard, row - shard.first

    def take(self, rows: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Return `columns` of a few rows, in the order given. Reads only their row groups."""
        by_shard: dict[str, list[tuple[int, int]]] = {}
        for at, row in enumerate(rows):
            shard, inside = self.shard_of(int(row))
            by_shard.setdefault(shard.name, []).append((inside, at))
        taken: list[dict[str, Any]] = [{} for _ in rows]
        usable = [column for column in columns if column in self._known]
        for name, wanted in by_shard.items():
            for folder, names in self._known.by_folder(usable).items():
                path = self.out / folder / name
                with naming_damage(self.out, [path]), pq.ParquetFile(path) as file:
                    for at, values in _rows(file, names, wanted):
                        taken[at].update(values)
        return taken


def _rows(
    file: pq.ParquetFile, columns: Sequence[str], wanted: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (position in the answer, values) for each (row of the file, position) of `wanted`."""
    sizes = [file.metadata.row_group(g).num_rows for g in range(file.metadata.num_row_groups)]
    starts = np.cumsum([0, *sizes])
    groups = np.searchsorted(starts, [row for row, _ in wanted], side="right") - 1
    for group in np.unique(groups):
        table = file.read_row_group(int(group), columns=list(columns))
        for (row, at), own in zip(wanted, groups, strict=True):
            if own == group:
                yield at, table.slice(row - int(starts[group]), 1).to_pylist()[0]
