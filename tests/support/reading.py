"""Reading a source as `ingest` does: items, rejects and texts."""

from __future__ import annotations

from pathlib import Path

from pipelines.ingest.readers import read_split
from pipelines.ingest.readers.base import Item, ReadStats, Record, Reject
from pipelines.ingest.readers.plan import plan_splits
from schemas.config import Ingest, Source


def read(
    path: Path, ingest: Ingest | None = None, **source: object
) -> tuple[list[Item], ReadStats]:
    """Read all splits of a source in order."""
    taken = Source(component="ko", path=str(path), **source)  # type: ignore[arg-type]  # of Source
    limits = ingest or Ingest()
    stats = ReadStats()
    items: list[Item] = []
    for split in plan_splits("s", taken, limits):
        items += read_split(split, taken, limits, stats)
    return items, stats


def rejects(items: list[Item]) -> list[tuple[str, str]]:
    return [(item.reason, item.position) for item in items if isinstance(item, Reject)]


def texts(items: list[Item]) -> list[str]:
    return [item.text for item in items if isinstance(item, Record)]
