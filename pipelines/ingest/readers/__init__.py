"""Readers: files to records and rejects. `plan` lists files and splits them, `read_split` reads.

A new reader is a file here that declares a `Reader`, and an entry of READERS.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from pipelines.ingest.readers import lines, tables, warc, whole
from pipelines.ingest.readers.base import File, FileStats, Items, ReadStats, Reject, Split
from pipelines.storage.files import is_remote
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
"""Format → reader. `kinds` and `choice` give a file to one, by its bytes."""


def read_split(split: Split, source: Source, ingest: Ingest, stats: ReadStats) -> Items:
    """Yield every document and reject of `split`, and fill `stats` meanwhile.

    Files that are passed over come first, as rejects with their reasons; so do files that are not
    those any more that were planned.
    """
    files = []
    for file in split.files:
        reject = _passed(file) or _changed(file)
        if reject is None:
            files.append(file)
        elif split.index == 0:
            size = reject.raw_bytes
            stats.files.append(FileStats(file.relative, 1, size, 1, size))
            yield reject
    if files:
        rest = replace(split, files=tuple(files))
        yield from READERS[split.format].read(rest, source, ingest, stats)
        yield from _changed_meanwhile(rest, stats)


def _passed(file: File) -> Reject | None:
    why = file.passed
    if why is None:
        return None
    lost = file.size if why.reason == "unreadable" else 0
    return Reject(file.relative, "0", 0, why.reason, why.detail, fault=why.fault, lost_bytes=lost)


def _changed(file: File) -> Reject | None:
    """Return the reject of a local file that is gone or another than the one that was planned."""
    if is_remote(file.path):
        return None
    try:
        now = os.stat(file.path)
    except OSError as error:
        detail = f"it was there when the run was planned: {error.strerror}; run again"
        return Reject(file.relative, "0", 0, "unreadable", detail, lost_bytes=file.size)
    if (now.st_size, str(now.st_mtime_ns)) == (file.size, file.stamp):
        return None
    detail = (
        f"it had {file.size} bytes when the run was planned and has {now.st_size} now: another "
        "program writes it; let that end, then run again"
    )
    return Reject(file.relative, "0", 0, "changed_file", detail, lost_bytes=now.st_size)


def _changed_meanwhile(split: Split, stats: ReadStats) -> Iterator[Reject]:
    """Yield a reject for every file that has changed while it was read, from its first split."""
    counts = {own.file: own for own in stats.files}
    for file in split.files if split.index == 0 else ():
        reject = _changed(file)
        if reject is not None:
            own = counts.get(file.relative)
            if own is not None:
                own.records += 1
                own.file_records += 1
            yield replace(reject, position="changed")
