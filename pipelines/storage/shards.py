"""Reading and writing shards.

A document shard and its annotation shards have the same rows in the same order, in the same
row groups, so a stage streams them side by side and holds one row group at a time. An
annotation shard names the SHA-256 of the document shard that it belongs to; a mismatch is
an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.storage.files import atomic_path, write_text
from pipelines.storage.layout import DOCUMENTS, RECEIPTS, receipt_name
from pipelines.storage.store import open_parquet
from schemas.errors import RunFault
from schemas.manifest import Shard, sha256_file

KEY = b"bibim.key"
DOCUMENTS_SHA256 = b"bibim.documents"
"""Keys of the Parquet metadata of an annotation shard."""


@dataclass(frozen=True)
class ShardTask:
    """One shard of work: what to read, what to write, and the key under which it is done."""

    name: str
    documents_sha256: str
    rows: int
    key: str


def write_shard(
    path: Path,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    *,
    key: str,
    documents_sha256: str = "",
    stats: Mapping[str, Any] | None = None,
) -> Shard:
    """Write `batches` as the Parquet file `path`, a row group each, and its receipt.

    An annotation shard carries its key and the hash of its documents. A document shard does not:
    its hash must not change when an input's time changes but not its content.

    `stats` is read after the last batch, so a generator may still fill it. The bytes depend
    on the arguments only.
    """
    tagged = schema
    if documents_sha256:
        tagged = schema.with_metadata(
            {KEY: key.encode(), DOCUMENTS_SHA256: documents_sha256.encode()}
        )
    rows = 0
    with atomic_path(path) as temporary:
        with pq.ParquetWriter(temporary, tagged, compression="zstd") as writer:
            for batch in batches:
                rows += batch.num_rows
                writer.write_batch(
                    batch.cast(tagged) if batch.schema != tagged else batch, batch.num_rows or 1
                )
        shard = Shard(
            name=path.name,
            rows=rows,
            bytes=temporary.stat().st_size,
            sha256=sha256_file(temporary),
            key=key,
            stats=dict(stats or {}),
        )
    write_receipt(path.parent, shard)
    return shard


def write_receipt(folder: Path, shard: Shard) -> None:
    """Record that `shard` is whole. Call it after the shard is in place."""
    write_text(folder / RECEIPTS / receipt_name(shard.name), shard.model_dump_json())


def read_receipts(folder: Path) -> dict[str, Shard]:
    """Return the receipts of `folder` by shard name.

    Those whose file is missing or of another size are left out.
    """
    receipts = {}
    for path in sorted((folder / RECEIPTS).glob(receipt_name("*"))):
        shard = Shard.model_validate_json(path.read_text("utf-8"))
        file = folder / shard.name
        if file.exists() and file.stat().st_size == shard.bytes:
            receipts[shard.name] = shard
    return receipts


def read_batches(
    out: Path, name: str, wanted: Mapping[str, Sequence[str]], documents_sha256: str | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the row groups of shard `name` with the `wanted` columns of several folders.

    `wanted` maps a folder relative to OUT (`documents`, `annotations/measure`) to columns.
    Raises RunFault when an annotation shard does not belong to the document shard.
    """
    files = {}
    try:
        for folder in wanted:
            file = open_parquet(out / folder / name)
            files[folder] = file
            belongs = (file.schema_arrow.metadata or {}).get(DOCUMENTS_SHA256, b"").decode()
            if documents_sha256 and folder != DOCUMENTS and belongs != documents_sha256:
                raise RunFault(
                    f"{out / folder / name} belongs to another document shard than "
                    f"{DOCUMENTS}/{name}. Delete it and run again; its stage will rewrite it."
                )
        groups = {file.num_row_groups for file in files.values()}
        rows = {file.metadata.num_rows for file in files.values()}
        if len(groups) > 1 or len(rows) > 1:
            raise RunFault(
                f"{name}: {', '.join(wanted)} differ in rows ({sorted(rows)}). "
                "Delete the annotation shard and run again."
            )
        for group in range(groups.pop() if groups else 0):
            columns: list[pa.Array] = []
            fields: list[pa.Field] = []
            for folder, file in files.items():
                table = file.read_row_group(group, columns=list(wanted[folder]), use_threads=False)
                for column in wanted[folder]:
                    chunked = table.column(column)
                    columns.append(
                        chunked.combine_chunks() if chunked.num_chunks != 1 else chunked.chunk(0)
                    )
                    fields.append(table.schema.field(column))
            yield pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))
    finally:
        for file in files.values():
            file.close(force=True)
