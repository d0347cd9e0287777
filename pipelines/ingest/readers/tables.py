"""Parquet: one record per row; of N splits each takes every N-th row group.

Only columns that become text or `meta` are read: never the bytes of images and the like. A damaged
column costs its field in the documents of its row group, a damaged text the rest of the row group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.text.charset import decode_text
from pipelines.ingest.readers.base import (
    File,
    FileStats,
    Item,
    Items,
    Reader,
    ReadStats,
    Record,
    Reject,
    Split,
    excerpt,
    sampled,
    too_long,
)
from pipelines.ingest.readers.fields import COLUMNS, document_columns, take
from pipelines.storage.arrow_values import is_bytes, is_list, is_text, stored, texts, values
from pipelines.storage.files import is_remote, open_input
from schemas.config import Ingest, Source
from schemas.json_lines import not_found

BATCH = 1000
_FAULTS = (OSError, pa.ArrowException, ValueError, OverflowError)
"""What pyarrow raises for damage."""


@dataclass(frozen=True)
class Columns:
    """What is read of a file. Leaves are columns of Parquet by their dotted paths."""

    text: tuple[str, ...]
    """Where the text is: the column's name, then those of fields inside of it."""
    text_leaf: str
    leaves: tuple[str, ...]
    """Leaves that are read besides, for `meta` and the document's columns."""
    left_out: tuple[tuple[int, str], ...]
    """Leaves of bytes that are not read: number, and path for `meta.left_out`."""


@dataclass(frozen=True)
class Part:
    """Rows read together, and the paths of the fields that they are without."""

    batch: pa.RecordBatch
    left_out: tuple[str, ...]


def read_parquet(split: Split, source: Source, ingest: Ingest, stats: ReadStats) -> Items:
    """Yield the documents and rejects of a Parquet split. A row's size is that of its text."""
    for file in split.files:
        yield from _read_file(split, file, source, ingest, stats)


def _open(file: File) -> pq.ParquetFile:
    remote = is_remote(file.path)
    by_path = not remote and file.path.isascii()  # Arrow takes no names that are not UTF-8
    return pq.ParquetFile(
        file.path if by_path else open_input(file.path),
        pre_buffer=not remote,
        coerce_int96_timestamp_unit="us",  # in nanoseconds, far years would become near ones
        page_checksum_verification=True,
    )


def _read_file(split: Split, file: File, source: Source, ingest: Ingest, stats: ReadStats) -> Items:
    own = FileStats(file.relative)
    stats.files.append(own)
    try:
        table = _open(file)
    except _FAULTS as error:
        if split.index == 0:
            yield _unreadable(file, error)
        return
    with table:
        groups = [table.metadata.row_group(number) for number in range(table.num_row_groups)]
        sizes = [group.total_byte_size for group in groups]
        try:
            columns = _columns(table, source.text)
        except (OSError, pa.ArrowException) as error:
            if split.index == 0:
                yield _unreadable(file, error)
            return
        except ValueError as error:
            if split.index == 0 and table.metadata.num_rows:
                detail = f"{error}: set sources.{split.source}.text"
                yield Reject(file.relative, "0", 0, "no_text", detail, lost_bytes=sum(sizes))
            return
        own.file_records = sum(group.num_rows for group in groups)
        own.file_bytes = sum(sizes)
        row = 0
        for group, size in enumerate(sizes):
            rows = groups[group].num_rows
            if group % split.count == split.index:
                left = size
                for item in _group(split, file, source, ingest, table, columns, group, row):
                    left -= item.raw_bytes
                    yield item
                own.records += rows
                own.raw_bytes += size
                stats.structural_bytes += left  # page headers, other columns, less compression
            row += rows


def _unreadable(file: File, error: Exception) -> Reject:
    reason, detail = "unreadable", str(error).splitlines()[0] if str(error) else "cannot be read"
    if file.size == 0:
        reason = "empty_file"
    elif _about_encryption(error):
        reason, detail = "encrypted", "the Parquet file is encrypted; decrypt it first"
    return Reject(file.relative, "0", 0, reason, detail, lost_bytes=file.size)


def _about_encryption(error: Exception) -> bool:
    return "crypt" in str(error).lower()


def _group(
    split: Split,
    file: File,
    source: Source,
    ingest: Ingest,
    table: pq.ParquetFile,
    columns: Columns,
    group: int,
    first: int,
) -> Items:
    """Yield the items of a row group whose first row is number `first`."""
    meta = table.metadata.row_group(group)
    row, end = first, first + meta.num_rows
    try:
        for part in _parts(table, columns, group):
            yield from _items(split, file, source, ingest, columns, part, row)
            row += part.batch.num_rows
        if row < end:
            raise _Damaged(ValueError("the column of the text ends before the row group does"))
    except _Damaged as damage:
        lost = meta.total_byte_size * (end - row) // max(1, meta.num_rows)
        detail = f"rows {row} to {end - 1}: {damage}"
        yield Reject(file.relative, str(row), 0, damage.reason, detail, lost_bytes=lost)


class _Damaged(Exception):
    def __init__(self, error: Exception) -> None:
        message = str(error)
        super().__init__(message.splitlines()[0][:200] if message else type(error).__name__)
        self.reason = "encrypted" if _about_encryption(error) else "corrupt_stream"


def _parts(table: pq.ParquetFile, columns: Columns, group: int) -> Iterator[Part]:
    """Yield the rows of a row group in batches, without the columns that are damaged.

    Raises _Damaged where the text is.
    """
    done = 0
    left_out = tuple(path for leaf, path in columns.left_out if not _all_null(table, group, leaf))
    leaves = [columns.text_leaf, *columns.leaves]
    try:
        for batch in table.iter_batches(
            BATCH, row_groups=[group], columns=leaves, use_threads=False
        ):
            yield Part(batch, left_out)
            done += batch.num_rows
    except _FAULTS as error:
        if not columns.leaves:
            raise _Damaged(error) from None
    else:
        return
    whole = tuple(leaf for leaf in columns.leaves if _readable(table, group, leaf))
    left_out += tuple(leaf for leaf in columns.leaves if leaf not in whole)
    leaves = [columns.text_leaf, *whole]
    skip = done
    try:
        for batch in table.iter_batches(
            BATCH, row_groups=[group], columns=leaves, use_threads=False
        ):
            if skip < batch.num_rows:
                yield Part(batch.slice(skip), left_out)
            skip = max(0, skip - batch.num_rows)
    except _FAULTS as error:
        raise _Damaged(error) from None


def _batches(table: pq.ParquetFile, group: int, leaves: Sequence[str]) -> Iterator[pa.RecordBatch]:
    yield from table.iter_batches(BATCH, row_groups=[group], columns=leaves, use_threads=False)


def _all_null(table: pq.ParquetFile, group: int, leaf: int) -> bool:
    """Return whether the statistics show that a leaf has no value in a row group."""
    column = table.metadata.row_group(group).column(leaf)
    known = column.statistics
    return bool(
        known is not None and known.has_null_count and known.null_count == column.num_values
    )


def _readable(table: pq.ParquetFile, group: int, leaf: str) -> bool:
    try:
        for _ in _batches(table, group, [leaf]):
            pass
    except _FAULTS:
        return False
    return True


def _items(
    split: Split,
    file: File,
    source: Source,
    ingest: Ingest,
    columns: Columns,
    part: Part,
    first: int,
) -> Iterator[Item]:
    """Yield the item of each row, without those outside of the source's limit.

    Raises _Damaged.
    """
    wanted = [
        split.below is None or sampled(split, file, str(first + row))
        for row in range(part.batch.num_rows)
    ]
    if not any(wanted):
        return
    try:
        found = _texts(part.batch, columns)
    except _FAULTS as error:
        raise _Damaged(error) from None
    everything = list(zip(part.batch.schema.names, part.batch.columns, strict=True))
    kept = [(name, column) for name, column in everything if (name,) != columns.text]
    names = [name for name, _ in kept]
    others = [_column_values(name, column) for name, column in kept]
    rows = zip(*others, strict=True) if others else [()] * len(found)
    for row, (text, value) in enumerate(zip(found, rows, strict=True)):
        if not wanted[row]:
            continue
        fields = dict(zip(names, value, strict=True))
        if len(columns.text) > 1:
            take(fields, source.text)
        yield _row(file, str(first + row), text, fields, source, ingest, part.left_out)


def _column_values(name: str, column: pa.Array) -> list[Any]:
    """Return a column's values; those of COLUMNS are text even where they are stored as bytes."""
    if name in COLUMNS and is_bytes(stored(column.type)):
        return list(texts(column))
    return values(column)


def _texts(batch: pa.RecordBatch, columns: Columns) -> list[str | bytes | None]:
    array = batch.column(batch.schema.names.index(columns.text[0]))
    for name in columns.text[1:]:
        names = [field.name for field in array.type]
        array = pc.struct_field(array, [names.index(name)])
    return texts(array)


def _row(
    file: File,
    position: str,
    text: str | bytes | None,
    fields: dict[str, Any],
    source: Source,
    ingest: Ingest,
    left_out: tuple[str, ...],
) -> Item:
    size = 0 if text is None else len(text) if isinstance(text, bytes) else _bytes(text)
    if isinstance(text, bytes):
        data, (text, codec) = text, decode_text(text, source.encoding)
        if 2 * text.count("\ufffd") >= max(len(text), 1):
            detail = f"column {source.text!r}: most of its bytes are not text in {codec}"
            return Reject(file.relative, position, size, "invalid_utf8", detail, excerpt(data))
    if text is None or not text.strip():
        detail = f"column {source.text!r} is {'null' if text is None else 'empty'}"
        return Reject(file.relative, position, size, "no_text", detail)
    if size > ingest.max_document_bytes:
        return Reject(file.relative, position, size, "too_long", too_long(size, ingest))
    return Record(file.relative, position, size, text, **document_columns(fields, left_out))


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _columns(table: pq.ParquetFile, text: str) -> Columns:
    """Return which columns to read. Raises ValueError: no column `text`, or one of another type."""
    schema = table.schema_arrow
    path = _text_path(schema, text)
    leaves = [(field.name, *leaf) for field in schema for leaf in _leaves(field.name, field.type)]
    paths = [table.schema.column(number).path for number in range(len(table.schema))]
    if len(leaves) != len(paths):  # types that are not known here: their columns are read whole
        return Columns(path, path[0], tuple(n for n in schema.names if n != path[0]), ())
    text_leaf = next(at for at, leaf in enumerate(leaves) if leaf[:2] == (path[0], ".".join(path)))
    read, left_out = [], []
    for number, (top, shown, kept) in enumerate(leaves):
        if number == text_leaf:
            continue
        if kept or (top in COLUMNS and shown == top):
            read.append(paths[number])
        else:
            left_out.append((number, shown))
    return Columns(path, paths[text_leaf], tuple(read), tuple(left_out))


def _leaves(path: str, kind: pa.DataType) -> list[tuple[str, bool]]:
    """Return the path of each leaf of a column as Parquet stores it, and whether JSON holds it."""
    if kind == pa.uuid():
        return [(path, True)]
    kind = stored(kind)
    if pa.types.is_struct(kind):
        return [leaf for field in kind for leaf in _leaves(f"{path}.{field.name}", field.type)]
    if pa.types.is_map(kind):
        both = _leaves(f"{path}.key", kind.key_type) + _leaves(f"{path}.value", kind.item_type)
        whole = all(kept for _, kept in both)
        return [(leaf, whole) for leaf, _ in both]
    if is_list(kind):
        return _leaves(path, kind.value_type)
    return [(path, not is_bytes(kind))]


def _text_path(schema: pa.Schema, text: str) -> tuple[str, ...]:
    """Return where the text is: a column's name, then those of fields inside of it.

    A column of that very name comes before a field `b` of a struct `a`. Raises ValueError where
    there is neither, or none of strings or bytes.
    """
    for path in _paths(list(schema), text):
        kind = stored(path[-1].type)
        if is_text(kind) or is_bytes(kind) or pa.types.is_null(kind):
            return tuple(field.name for field in path)
        raise ValueError(f"column {text!r} is of type {path[-1].type}, not text")
    fields = {
        field.name: dict.fromkeys(one.name for one in field.type)
        if pa.types.is_struct(field.type)
        else None
        for field in schema
    }
    raise ValueError(not_found(text, fields))


def _paths(fields: list[pa.Field], text: str) -> Iterator[tuple[pa.Field, ...]]:
    """Yield the fields that lead to `text`, the shortest path first."""
    for field in fields:
        if field.name == text:
            yield (field,)
    for field in fields:
        if text.startswith(f"{field.name}.") and pa.types.is_struct(field.type):
            for rest in _paths(list(field.type), text[len(field.name) + 1 :]):
                yield (field, *rest)


def row_positions(file: File, source: Source) -> Iterator[str]:
    """Yield the number of every row, from the file's footer alone; none where it is damaged.

    Nor where the file has no text: reading reports both.
    """
    try:
        with _open(file) as table:
            _columns(table, source.text)
            rows = table.metadata.num_rows
    except _FAULTS:
        return
    yield from map(str, range(rows))


PARQUET = Reader(
    name="parquet",
    endings=(".parquet",),
    read=read_parquet,
    positions=row_positions,
    divisible=True,
)
