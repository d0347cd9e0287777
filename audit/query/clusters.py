"""Clusters of duplicates: their sizes, and the largest with what differs in them."""

from __future__ import annotations

from collections.abc import Sequence

from audit.query.frame import Frame
from audit.query.pieces import word_diff
from audit.query.plain import Json, plain
from audit.query.texts import SHOWN_COLUMNS, Texts

LARGEST = 10
"""Clusters that are shown, largest first."""


def clusters(frame: Frame, texts: Texts, limit: int = LARGEST) -> Json:
    """Return the sizes of duplicate clusters, and the largest with what differs in them."""
    if "dedup" not in frame.steps:
        return {"kinds": [], "sizes": [], "largest": []}
    files = frame.files("dedup")
    kinds = frame.query(
        "SELECT duplicate_kind, count(*) FROM read_parquet(?) WHERE duplicate "
        "GROUP BY 1 ORDER BY 2 DESC",
        [files],
    )
    sizes = frame.query(
        "SELECT cluster_size, count(DISTINCT cluster_id) FROM read_parquet(?) "
        "WHERE cluster_id IS NOT NULL GROUP BY 1 ORDER BY 1",
        [files],
    )
    largest = frame.query(
        "SELECT cluster_id, max(cluster_size) AS n FROM read_parquet(?) "
        "WHERE cluster_id IS NOT NULL GROUP BY 1 ORDER BY n DESC, 1 LIMIT ?",
        [files, limit],
    )
    found = []
    for cluster, size in largest:
        members = _members(frame, bytes(cluster))
        if len(members) > 1:
            found.append({"id": bytes(cluster).hex(), "size": size, **_differ(texts, members)})
    return {"kinds": kinds, "sizes": sizes, "largest": found}


def _members(frame: Frame, cluster: bytes) -> list[int]:
    """Return the rows of a cluster's survivor and of two of its copies that differ most."""
    rows: list[tuple[bool, int]] = []
    first = {shard.name: shard.first for shard in frame.shards}
    for name, row, duplicate in frame.query(
        "SELECT parse_filename(filename), file_row_number, duplicate "
        "FROM read_parquet(?, filename=true, file_row_number=true) "
        "WHERE cluster_id = ? ORDER BY duplicate, 1, 2 LIMIT 12",
        [frame.files("dedup"), cluster],
    ):
        rows.append((bool(duplicate), first[name] + row))
    return [row for _, row in rows]


def _differ(texts: Texts, members: Sequence[int]) -> Json:
    """Return a survivor and a copy, near if there is one, with what differs between them."""
    columns = [*SHOWN_COLUMNS, "duplicate_kind"]
    shown = texts.read(members, columns)
    near = next((s for s in shown[1:] if s.values["duplicate_kind"] == "near"), shown[1])
    return {
        "kept": plain(shown[0].values),
        "copy": plain(near.values),
        "diff": word_diff(shown[0].text, near.text),
        "members": [plain(one.values) for one in shown],
    }
