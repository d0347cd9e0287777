"""Readers: files to records and rejects. `plan` lists and deals them, `read_split` reads."""

from __future__ import annotations

from pipelines.ingest.readers.base import Items, ReadStats, Split
from pipelines.ingest.readers.lines import read_jsonl
from pipelines.ingest.readers.tables import read_parquet
from pipelines.ingest.readers.warc import read_warc
from pipelines.ingest.readers.whole import read_whole
from schemas.config import Ingest, Source

READERS = {
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "warc": read_warc,
    "text": read_whole,
    "html": read_whole,
    "tree": read_whole,
}


def read_split(split: Split, source: Source, ingest: Ingest, stats: ReadStats) -> Items:
    """Yield every document and reject of `split`, filling `stats` on the way."""
    return READERS[split.format](split, source, ingest, stats)
