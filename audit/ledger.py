"""The ledger: what went in, what came out, what each rule dropped.

Every figure is counted from the data (documents, rejects, annotations), never from a
runner's counters, which retries inflate.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from audit.reading import decided, documents_of, finished_steps, rules_of
from filters.decide import KEPT
from schemas.config import Config
from schemas.manifest import read_manifest

KEPT_NAME = "kept"


class Count(BaseModel):
    """Documents, bytes as they were read, bytes of text, and tokens where they are known."""

    documents: int = 0
    raw_bytes: int = 0
    text_bytes: int = 0
    tokens: int = 0

    def plus(self, other: Count) -> Count:
        return Count(
            documents=self.documents + other.documents,
            raw_bytes=self.raw_bytes + other.raw_bytes,
            text_bytes=self.text_bytes + other.text_bytes,
            tokens=self.tokens + other.tokens,
        )


class Line(BaseModel):
    """One verdict of one source, component and language."""

    source: str
    component: str | None
    language: str | None
    verdict: str
    count: Count


class SourceBooks(BaseModel):
    """What was read of a source and where it went."""

    read: Count
    structural_bytes: int
    kept: Count
    dropped: dict[str, Count]
    rejected: dict[str, Count]
    faults: int


class Ledger(BaseModel):
    """The books of a run. `steps` says how far it got; `rules` in the order they decide."""

    steps: list[str]
    rules: list[str]
    sources: dict[str, SourceBooks]
    lines: list[Line]


def ledger(out: Path, config: Config) -> Ledger:
    """Return the books of the run in `out`, as far as it got."""
    steps = finished_steps(out, config)
    rules = rules_of(out, config)
    columns = ["source", "assigned", "lang", "raw_bytes"]
    columns += ["bytes"] if "measure" in steps else []
    columns += ["tokens"] if "tokenize" in steps else []
    totals: dict[tuple[str, str | None, str | None, int], Count] = defaultdict(Count)
    for group in decided(out, config, rules, columns):
        for key, count in _group(group.columns, group.verdict):
            totals[key] = totals[key].plus(count)
    lines = [
        Line(
            source=source,
            component=component,
            language=language,
            verdict=KEPT_NAME if verdict == KEPT else rules[verdict].reason,
            count=count,
        )
        for (source, component, language, verdict), count in sorted(
            totals.items(), key=lambda item: [str(part) for part in item[0]]
        )
    ]
    return Ledger(
        steps=steps,
        rules=[f"{rule} ({rule.reason})" for rule in rules],
        sources=_by_source(out, lines),
        lines=lines,
    )


def _group(
    columns: pa.RecordBatch, verdict: np.ndarray[tuple[int], np.dtype[np.int16]]
) -> list[tuple[tuple[str, str | None, str | None, int], Count]]:
    """Sum a row group by source, component, language and verdict."""
    table = pa.Table.from_batches([columns]).append_column("verdict", pa.array(verdict))
    sums = [name for name in ("raw_bytes", "bytes", "tokens") if name in table.column_names]
    keys = ["source", "assigned", "lang", "verdict"]
    grouped = table.group_by(keys).aggregate([(n, "sum") for n in sums] + [([], "count_all")])
    return [
        (
            (row["source"], row["assigned"], row["lang"], row["verdict"]),
            Count(
                documents=row["count_all"],
                raw_bytes=row["raw_bytes_sum"] or 0,
                text_bytes=row.get("bytes_sum") or 0,
                tokens=row.get("tokens_sum") or 0 if row["verdict"] == KEPT else 0,
            ),
        )
        for row in grouped.to_pylist()
    ]


def _by_source(out: Path, lines: list[Line]) -> dict[str, SourceBooks]:
    """Bring together what the readers counted, the rejects and the verdicts, by source."""
    books: dict[str, SourceBooks] = {}

    def of(source: str) -> SourceBooks:
        if source not in books:
            books[source] = SourceBooks(
                read=Count(), structural_bytes=0, kept=Count(), dropped={}, rejected={}, faults=0
            )
        return books[source]

    for shard in documents_of(out).shards:
        book = of(shard.name.rsplit("-", 1)[0])
        stats = shard.stats
        read = Count(documents=stats["records"], raw_bytes=stats["raw_bytes"])
        book.read = book.read.plus(read)
        book.structural_bytes += stats["structural_bytes"]
    for line in lines:
        book = of(line.source)
        if line.verdict == KEPT_NAME:
            book.kept = book.kept.plus(line.count)
        else:
            book.dropped[line.verdict] = book.dropped.get(line.verdict, Count()).plus(line.count)
    for source, reason, fault, count in rejects(out):
        book = of(source)
        book.rejected[reason] = book.rejected.get(reason, Count()).plus(count)
        book.faults += count.documents if fault else 0
    return books


def rejects(out: Path) -> list[tuple[str, str, bool, Count]]:
    """Return (source, reason, fault, count) of everything that could not be read."""
    manifest = read_manifest(out / "rejects")
    found = []
    for shard in manifest.shards if manifest else ():
        table = pq.read_table(
            out / "rejects" / shard.name, columns=["source", "reason", "fault", "raw_bytes"]
        )
        grouped = table.group_by(["source", "reason", "fault"]).aggregate(
            [("raw_bytes", "sum"), ([], "count_all")]
        )
        for row in grouped.to_pylist():
            count = Count(documents=row["count_all"], raw_bytes=row["raw_bytes_sum"])
            found.append((row["source"], row["reason"], row["fault"], count))
    return found
