"""A run folder made by hand: documents and the annotations that `tokenize` and `mix` read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from filters.text.removed_spans import CUTS
from pipelines.engine.context import Context
from pipelines.stages.tokenize import TOKENS
from pipelines.storage.columns import Columns
from pipelines.storage.files import write_manifest
from pipelines.storage.layout import shard_name
from pipelines.storage.shards import ShardTask, read_batches, write_shard
from schemas.config import Config
from schemas.documents import DOCUMENT, document_id
from schemas.manifest import Manifest, read_manifest

SPAN = pa.struct(
    [
        pa.field("start", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
    ]
)
ADDRESS = "someone@example.org"

GIVEN = pa.schema(
    [
        pa.field("assigned", pa.string()),
        pa.field("bytes", pa.int64()),
        pa.field("exact_hash", pa.binary(16)),
        pa.field("pii_spans", pa.list_(SPAN)),
        pa.field("tails", CUTS),
        pa.field("kept", pa.bool_()),
    ]
)
"""Columns of several earlier stages, and which rows survive."""


class SmallContext(Context):
    """A context whose annotations were given, not computed."""

    def read(
        self, name: str, columns: Sequence[str], documents_sha256: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        known = Columns(
            {"documents": DOCUMENT, "annotations/given": GIVEN, "annotations/tokenize": TOKENS}
        )
        for batch in read_batches(self.out, name, known.by_folder(columns), documents_sha256):
            yield batch.select(list(columns))

    def survivors(self, name: str) -> npt.NDArray[np.bool_]:
        return np.concatenate([np.asarray(b.column(0)) for b in self.read(name, ["kept"])])


def config(sources: dict[str, str], **sections: Any) -> Config:
    """Return a config of `sources` (name → component) with a small tokenizer."""
    return Config.model_validate(
        {
            "name": "small",
            "sources": {name: {"component": part, "path": "x"} for name, part in sources.items()},
            "tokenizer": {"vocab_size": 600, "morphemes": False, "sample": 200_000},
            **sections,
        }
    )


def write_documents(
    out: Path, texts: dict[str, list[str]], components: dict[str, str], rows: int = 100
) -> None:
    """Write `texts` (source → documents) as shards of `rows` documents, all of them kept."""
    shards = []
    for source, documents in sorted(texts.items()):
        for index, first in enumerate(range(0, len(documents), rows)):
            part = documents[first : first + rows]
            batches = [
                pa.RecordBatch.from_pylist(
                    [
                        {
                            "id": document_id(source, str(first + start + row)),
                            "text": text,
                            "source": source,
                            "component": components[source],
                            "origin": f"x:{first + start + row}",
                            "raw_bytes": len(text),
                        }
                        for row, text in enumerate(part[start : start + 40])
                    ],
                    schema=DOCUMENT,
                )
                for start in range(0, len(part), 40)
            ]
            name = shard_name(source, index)
            shards.append(write_shard(out / "documents" / name, DOCUMENT, batches, key="documents"))
    write_manifest(out / "documents", Manifest(stage="ingest", key="documents", shards=shards))
    keep(out, lambda source, row: True)


def keep(out: Path, kept: Callable[[str, int], bool], cut: str | None = None) -> None:
    """Write the given annotations anew; `kept(source, row of its shard)` says what survives.

    `cut` is a string that is cut where a document ends with it.
    """
    manifest = read_manifest(out / "documents")
    assert manifest is not None
    for shard in manifest.shards:
        batches = []
        start = 0
        for batch in read_batches(out, shard.name, {"documents": DOCUMENT.names}):
            rows = batch.to_pylist()
            batches.append(
                pa.RecordBatch.from_pylist(
                    [
                        {
                            "assigned": row["component"],
                            "bytes": len(row["text"].encode()),
                            "exact_hash": xxhash.xxh3_128_digest(row["text"].encode()),
                            "pii_spans": _spans(row["text"]),
                            "tails": _tails(row["text"], cut),
                            "kept": kept(row["source"], start + number),
                        }
                        for number, row in enumerate(rows)
                    ],
                    schema=GIVEN,
                )
            )
            start += len(rows)
        write_shard(
            out / "annotations/given" / shard.name,
            GIVEN,
            batches,
            key="given",
            documents_sha256=shard.sha256,
        )


def _tails(text: str, cut: str | None) -> list[dict[str, Any]]:
    if not cut or not text.endswith(cut):
        return []
    end = len(text.encode())
    return [{"start": end - len(cut.encode()), "end": end, "kind": "copyright"}]


def _spans(text: str) -> list[dict[str, Any]]:
    """Return the span of the one address that is planted in these tests' texts."""
    start = text.find(ADDRESS)
    kind = {"start": start, "end": start + len(ADDRESS), "type": "EMAIL_ADDRESS"}
    return [kind] if start >= 0 else []


def shard_tasks(out: Path, key: str = "tokenize") -> list[ShardTask]:
    """Return a task for each document shard."""
    manifest = read_manifest(out / "documents")
    assert manifest is not None
    return [ShardTask(shard.name, shard.sha256, shard.rows, key) for shard in manifest.shards]
