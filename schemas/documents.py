"""Documents and rejects: what `ingest` writes, once.

A document never changes after it was written. Its text is valid UTF-8, NFC, without NUL.
"""

from __future__ import annotations

import pyarrow as pa
import xxhash

DOCUMENT = pa.schema(
    [
        pa.field("id", pa.binary(16), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("component", pa.string(), nullable=False),  # "auto": `identify` resolves it
        pa.field("url", pa.string()),
        pa.field("license", pa.string()),
        pa.field("timestamp", pa.string()),
        pa.field("meta", pa.string()),  # JSON object, or null; `left_out`: paths of fields not kept
        pa.field(
            "origin", pa.string(), nullable=False
        ),  # FILE:POSITION, FILE relative to the source
        pa.field("raw_bytes", pa.int64(), nullable=False),  # bytes of the record as it was read
    ]
)
"""Columns of `documents/SOURCE-00000.parquet`."""

REJECT = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("fault", pa.bool_(), nullable=False),  # counts towards `max_reject_share`
        pa.field("raw_bytes", pa.int64(), nullable=False),
        pa.field(
            "lost_bytes", pa.int64(), nullable=False
        ),  # never read because of damage; estimated
        pa.field("detail", pa.string()),  # the parser's message, with the byte position
        pa.field("excerpt", pa.string()),  # bounded; digits and addresses blanked
    ]
)
"""Columns of `rejects/SOURCE-00000.parquet`: what could not become a document, and why."""

DAMAGE = frozenset(
    {
        "corrupt_stream",
        "truncated_stream",
        "corrupt_record",
        "malformed_record",
        "truncated_record",
        "unreadable",
    }
)
"""Reasons of faults that show a file to be damaged."""


def damage_in_words(files: int, lost_bytes: int) -> str:
    """Return how many files are damaged, and the bytes that nobody read for it, if any."""
    named = f"{files:,} damaged {'file' if files == 1 else 'files'}"
    return f"{named}, about {lost_bytes:,} bytes lost" if lost_bytes else named


BATCH_ROWS = 1000
BATCH_BYTES = 8 << 20
"""A batch (and so a Parquet row group) closes at either bound."""

AUTO = "auto"
"""The component of a source whose documents get theirs by language."""


def document_id(source: str, origin: str) -> bytes:
    """Return the 16-byte id of the document at `origin` of `source` (xxh3-128, big-endian).

    It depends on nothing but these two names, so the same input has the same ids on every
    machine, whatever the number of workers.
    """
    return xxhash.xxh3_128_digest(f"{source}\0{origin}".encode())
