"""Clusters of duplicates: who survives, and the annotation that says so.

A document's address is `shard ordinal << ROW_BITS | row`, ordinals counting shards by name; those
of earlier runs come after this run's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.columnar.arrays import fixed_matrix
from filters.dedup.lsh import Pairs
from pipelines.engine.context import Context
from pipelines.engine.exchange import load_array
from pipelines.storage.layout import WORK, source_of
from pipelines.storage.shards import ShardTask
from schemas.config import Dedup

ROW_BITS = 32


def work_folder(ctx: Context) -> Path:
    return ctx.annotations / WORK


def entries(ctx: Context, ordinal: int) -> npt.NDArray[np.void]:
    """Return the entries of a shard's documents in `clusters.npy`."""
    clusters = load_array(work_folder(ctx) / "clusters.npy")
    low, high = np.int64(ordinal) << ROW_BITS, np.int64(ordinal + 1) << ROW_BITS
    begin, end = np.searchsorted(clusters["document"], [low, high])
    return np.asarray(clusters[begin:end])


def duplicate_rows(ctx: Context, ordinal: int) -> npt.NDArray[np.int64]:
    """Return the rows of a shard that are duplicates, once the clusters are known."""
    mine = entries(ctx, ordinal)
    return np.asarray(mine["document"][mine["duplicate"]] & ((1 << ROW_BITS) - 1))


KINDS = ("near", "url", "exact", "earlier")
NEAR, URL, EXACT, EARLIER = range(len(KINDS))

CLUSTER = np.dtype(
    [
        ("document", "<i8"),
        ("survivor", "u1", 16),
        ("cluster", "u1", 16),
        ("size", "<i4"),
        ("duplicate", "?"),
        ("kind", "i1"),
    ]
)
"""One document of a cluster, in `clusters.npy`, ordered by address."""


MEMBER = np.dtype(
    [
        ("id", "u1", 16),
        ("hash", "u1", 16),
        ("url", "u1", 16),  # zeros without an address
        ("bytes", "<i8"),
        ("rank", "<i4"),  # of the source in `prefer`; -1 for documents of earlier runs
    ]
)


def _members(
    places: Sequence[tuple[Context, ShardTask]], own: int, settings: Dedup, nodes: Pairs
) -> npt.NDArray[np.void]:
    """Return the documents at `nodes` as rows of MEMBER. Shards from `own` on: earlier runs."""
    out = np.zeros(len(nodes), MEMBER)
    prefer = {name: rank for rank, name in enumerate(settings.prefer)}
    for ordinal, (ctx, task) in enumerate(places):
        low, high = np.int64(ordinal) << ROW_BITS, np.int64(ordinal + 1) << ROW_BITS
        begin, end = np.searchsorted(nodes, [low, high])
        if begin == end:
            continue
        rows = pa.array(nodes[begin:end] - low)
        columns = ["id", "exact_hash", "bytes", *(["url_key"] if settings.urls else [])]
        batches = list(ctx.read(task.name, columns, task.documents_sha256))
        table = pa.Table.from_batches(batches).take(rows).combine_chunks()
        mine = out[begin:end]
        mine["id"] = fixed_matrix(table.column("id").chunk(0), 16, "u1")
        mine["hash"] = fixed_matrix(table.column("exact_hash").chunk(0), 16, "u1")
        mine["bytes"] = table.column("bytes").to_numpy()
        if settings.urls:
            urls = pc.fill_null(table.column("url_key").chunk(0), bytes(16))
            mine["url"] = fixed_matrix(urls, 16, "u1")
        source = source_of(task.name)
        mine["rank"] = prefer.get(source, len(prefer)) if ordinal < own else -1
    return out


def clusters_of(
    places: Sequence[tuple[Context, ShardTask]],
    own: int,
    settings: Dedup,
    nodes: Pairs,
    labels: Pairs,
) -> npt.NDArray[np.void]:
    """Return an entry (CLUSTER) for every document of a cluster, ordered by address.

    The survivor is of an earlier run, then of the first source in `prefer`, then the longest,
    then the smallest id.
    """
    out = np.zeros(len(nodes), CLUSTER)
    if not len(nodes):
        return out
    members = _members(places, own, settings, nodes)
    halves = np.ascontiguousarray(members["id"]).view(">u8").astype(np.uint64)
    by_choice = np.lexsort((halves[:, 1], halves[:, 0], -members["bytes"], members["rank"], labels))
    by_id = np.lexsort((halves[:, 1], halves[:, 0], labels))
    _, group, count = np.unique(labels, return_inverse=True, return_counts=True)
    begins = np.concatenate([[0], np.cumsum(count)[:-1]])
    survivor = by_choice[begins][group]
    out["document"] = nodes
    out["survivor"] = members["id"][survivor]
    out["cluster"] = members["id"][by_id[begins][group]]
    out["size"] = count[group]
    out["duplicate"] = survivor != np.arange(len(nodes))
    out["kind"] = NEAR
    same_url = (members["url"] == members["url"][survivor]).all(axis=1)
    out["kind"][same_url & members["url"].any(axis=1)] = URL
    out["kind"][(members["hash"] == members["hash"][survivor]).all(axis=1)] = EXACT
    out["kind"][members["rank"][survivor] < 0] = EARLIER
    return out
