"""What could not be read of a source, weighed in records and in bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.storage.layout import REJECTS, source_of
from pipelines.storage.store import read_parquet
from schemas.documents import DAMAGE, damage_in_words
from schemas.manifest import Shard, read_manifest

SHOWN = 3
"""Rejects that a message shows."""


@dataclass(frozen=True)
class Weight:
    """Records and bytes of one source: those read, those of faults, and those lost to damage."""

    documents: int = 0
    faults: int = 0
    """Records that could not be read."""
    read_bytes: int = 0
    """Raw bytes of all records, with the format's own."""
    fault_bytes: int = 0
    """Those of the faults."""
    lost_bytes: int = 0
    """Bytes that damage cost and nobody read, estimated."""
    damage: int = 0
    """Rejects that show a file to be damaged."""

    @property
    def records_share(self) -> float:
        """The share of records that are faults."""
        return self.faults / (self.faults + self.documents) if self.faults else 0.0

    @property
    def bytes_share(self) -> float:
        """The share of bytes, with those lost, that are of faults or lost."""
        gone = self.fault_bytes + self.lost_bytes
        return gone / max(1, self.read_bytes + self.lost_bytes)


def weigh(shards: Iterable[Shard]) -> dict[str, Weight]:
    """Return the weight of each source. `shards`: those of its documents."""
    sums: dict[str, Counter[str]] = {}
    for shard in shards:
        found = sums.setdefault(source_of(shard.name), Counter())
        found["documents"] += shard.rows
        found["read_bytes"] += int(shard.stats.get("raw_bytes", 0))
        for name in ("faults", "fault_bytes", "lost_bytes", "damage"):
            found[name] += int(shard.stats.get(name, 0))
    return {source: Weight(**found) for source, found in sums.items()}


def rejects_of(out: Path, source: str) -> list[dict[str, Any]]:
    """Return the rows of a source in `rejects/`."""
    manifest = read_manifest(out / REJECTS)
    names = [shard.name for shard in manifest.shards] if manifest else []
    mine = [name for name in names if source_of(name) == source]
    return [row for name in mine for row in read_parquet(out / REJECTS / name).to_pylist()]


def counts(rows: Iterable[dict[str, Any]]) -> str:
    """Return the reasons of rejects and their numbers."""
    reasons = Counter(row["reason"] for row in rows).most_common()
    return ", ".join(f"{reason} {count}" for reason, count in reasons)


def too_many(out: Path, source: str, weight: Weight, most: float) -> str:
    """Return the message about a source with more faults than `most`, a share, allows."""
    rows = [row for row in rejects_of(out, source) if row["fault"]]
    rows.sort(key=lambda row: -row["lost_bytes"] - row["raw_bytes"])
    shown = "\n".join(f"  {_line(row)}" for row in rows[:SHOWN])
    if weight.records_share > most:
        records = weight.faults + weight.documents
        share = f"{weight.records_share:.2%} of {records:,} records could not be read"
    else:
        gone = weight.fault_bytes + weight.lost_bytes
        share = f"{weight.bytes_share:.2%} of its bytes could not be read (about {gone:,}"
        share += f" of {weight.read_bytes + weight.lost_bytes:,})"
    lost = f"{damaged(rows)}\n" if weight.damage else ""
    remedy = "get the damaged files again" if weight.damage else "fix the input"
    return (
        f"source {source}: {share}, more than ingest.max_reject_share = {most:.2%} "
        f"({counts(rows)})\n{lost}{shown}\n"
        f"See {out / REJECTS}; {remedy}, or raise ingest.max_reject_share."
    )


def damage_note(out: Path, source: str, weight: Weight) -> str:
    """Return the line about damage below the share that the config allows."""
    rows = [row for row in rejects_of(out, source) if _is_damage(row)]
    rows.sort(key=lambda row: -row["lost_bytes"] - row["raw_bytes"])
    first = f"; first {rows[0]['origin']}: {rows[0]['detail']}" if rows else ""
    return (
        f"source {source}: {damaged(rows)} ({weight.bytes_share:.2%} of its bytes)"
        f"{first}; see {out / REJECTS}"
    )


def damaged(rows: Sequence[dict[str, Any]]) -> str:
    """Return how many files are damaged, and the bytes that this cost."""
    bad = [row for row in rows if _is_damage(row)]
    files = {_file(row["origin"]) for row in bad}
    return damage_in_words(len(files), sum(row["lost_bytes"] for row in bad))


def _is_damage(row: dict[str, Any]) -> bool:
    return bool(row["fault"] and row["reason"] in DAMAGE)


def _file(origin: str) -> str:
    """Return the file of a reject's origin, FILE:POSITION."""
    return origin.rpartition(":")[0]


def _line(row: dict[str, Any]) -> str:
    detail = row["detail"]
    if row["lost_bytes"] and "are lost" not in detail:
        detail += f"; about {row['lost_bytes']:,} bytes are lost"
    return f"{row['origin']}: {row['reason']}: {detail}"
