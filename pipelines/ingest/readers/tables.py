"""Parquet: one record per row; of N splits each takes every N-th row group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipelines.ingest.readers.base import (
    File,
    FileStats,
    Items,
    Reader,
    ReadStats,
    Record,
    Reject,
    Split,
    document_columns,
    sampled,
    too_long,
)
from pipelines.storage.files import is_remote, open_input
from schemas.config import Ingest, Source

BATCH = 1000


def read_parquet(split: Split, source: Source, ingest: Ingest, stats: ReadStats) -> Items:
    """Yield the documents and rejects of a Parquet split. A row's size is that of its text."""
    for file in split.files:
        yield from _read_file(split, file, source, ingest, stats)


def _read_file(split: Split, file: File, source: Source, ingest: Ingest, stats: ReadStats) -> Items:
    import pyarrow as pa
    import pyarrow.parquet as pq

    own = FileStats(file.relative)
    stats.files.append(own)
    try:
        table = pq.ParquetFile(
            open_input(file.path) if is_remote(file.path) else file.path,
            pre_buffer=not is_remote(file.path),
        )
    except (OSError, pa.ArrowException) as error:
        if split.index == 0:
            reason = "empty_file" if file.size == 0 else "unreadable"
            yield Reject(file.relative, "0", 0, reason, str(error).splitlines()[0])
        return
    with table:
        own.file_records = table.metadata.num_rows
        if source.text not in table.schema_arrow.names:
            if split.index == 0:
                names = ", ".join(table.schema_arrow.names)
                detail = f"no column {source.text!r}; there are: {names}"
                yield Reject(file.relative, "0", 0, "no_text", detail)
            return
        own.file_bytes = sum(
            table.metadata.row_group(group).total_byte_size for group in range(table.num_row_groups)
        )
        row = 0
        for group in range(table.num_row_groups):
            meta = table.metadata.row_group(group)
            if group % split.count != split.index:
                row += meta.num_rows
                continue
            left = meta.total_byte_size
            try:
                for batch in table.iter_batches(BATCH, row_groups=[group], use_threads=False):
                    for value in batch.to_pylist():
                        item = _row(file, row, value, source, ingest)
                        if split.below is not None and not sampled(split, file, str(row)):
                            row += 1
                            own.records += 1
                            continue
                        row += 1
                        own.records += 1
                        own.raw_bytes += item.raw_bytes
                        left -= item.raw_bytes
                        yield item
            except (OSError, pa.ArrowException) as error:
                yield Reject(file.relative, str(row), 0, "corrupt_stream", str(error)[:200])
                continue
            own.raw_bytes += left
            stats.structural_bytes += left  # page headers, other columns, less compression


def _row(
    file: File, row: int, value: dict[str, Any], source: Source, ingest: Ingest
) -> Record | Reject:
    text = value.pop(source.text)
    if not isinstance(text, str) or not text.strip():
        detail = f"column {source.text!r} is empty or not a string"
        return Reject(file.relative, str(row), 0, "no_text", detail)
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > ingest.max_document_bytes:
        return Reject(file.relative, str(row), size, "too_long", too_long(size, ingest))
    return Record(file.relative, str(row), size, text, **document_columns(value))


def row_positions(file: File, source: Source) -> Iterator[str]:
    """Yield the number of every row, from the file's footer alone; none where it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_input(file.path) as raw:
            rows = pq.read_metadata(raw).num_rows
    except (OSError, pa.ArrowException):
        return  # reading reports it
    yield from map(str, range(rows))


PARQUET = Reader(
    name="parquet",
    endings=(".parquet",),
    read=read_parquet,
    positions=row_positions,
    divisible=True,
)
