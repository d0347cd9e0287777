"""Readers: files to records and rejects. `plan` lists files and splits them, `read_split` reads.

A new reader is a file here that declares a `Reader`, and an entry of READERS.
"""

from __future__ import annotations

from pipelines.ingest.readers import lines, tables, warc, whole
from pipelines.ingest.readers.base import Items, ReadStats, Split
from schemas.config import Ingest, Source

READERS = {
    reader.name: reader
    for reader in (
        warc.WARC,
        lines.JSONL,
        tables.PARQUET,
        whole.HTML,
        whole.TEXT,
        whole.TREE,
    )
}
"""Format → reader. A file of a source without `format` goes to the first that has its ending."""


def read_split(split: Split, source: Source, ingest: Ingest, stats: ReadStats) -> Items:
    """Yield every document and reject of `split`, and fill `stats` meanwhile."""
    return READERS[split.format].read(split, source, ingest, stats)
