"""Clusters of duplicates: which document of each survives.

Documents are named by their numbers (`pipelines.dedup.numbers`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.columnar.arrays import fixed_matrix
from filters.dedup.lsh import Pairs
from pipelines.dedup.numbers import Corpus, bounds_of, rows_of
from pipelines.engine.context import Context
from pipelines.engine.exchange import load_array
from pipelines.storage.layout import WORK, source_of
from schemas.config import Dedup


def work_folder(ctx: Context) -> Path:
    """Return the folder of the arrays between the pipelines of the stage."""
    return ctx.annotations / WORK


def entries(ctx: Context, number: int) -> npt.NDArray[np.void]:
    """Return the entries of shard `number` in `clusters.npy`."""
    clusters = load_array(work_folder(ctx) / "clusters.npy")
    begin, end = np.searchsorted(clusters["document"], bounds_of(number))
    return np.asarray(clusters[begin:end])


def duplicate_rows(ctx: Context, number: int) -> npt.NDArray[np.int64]:
    """Return the rows of a shard that are duplicates, once the clusters are known."""
    mine = entries(ctx, number)
    return rows_of(mine["document"][mine["duplicate"]])


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
"""One document of a cluster, in `clusters.npy`, ordered by number."""


MEMBER = np.dtype(
    [
        ("id", "u1", 16),
        ("hash", "u1", 16),
        ("url", "u1", 16),  # zeros without a URL
        ("bytes", "<i8"),
        ("rank", "<i4"),  # of the source in `prefer`; -1 for documents of prior runs
    ]
)


def _members(corpus: Corpus, own: int, settings: Dedup, nodes: Pairs) -> npt.NDArray[np.void]:
    """Return the documents at `nodes` as rows of MEMBER. Shards from `own` on: prior runs."""
    out = np.zeros(len(nodes), MEMBER)
    prefer = {name: rank for rank, name in enumerate(settings.prefer)}
    for number, (ctx, task) in enumerate(corpus):
        begin, end = np.searchsorted(nodes, bounds_of(number))
        if begin == end:
            continue
        rows = pa.array(rows_of(nodes[begin:end]))
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
        mine["rank"] = prefer.get(source, len(prefer)) if number < own else -1
    return out


def clusters_of(
    corpus: Corpus,
    own: int,
    settings: Dedup,
    nodes: Pairs,
    labels: Pairs,
) -> npt.NDArray[np.void]:
    """Return an entry (CLUSTER) for every document of a cluster, ordered by number.

    `own`: shards of this run; `nodes`: numbers of the documents, `labels`: their clusters. The
    survivor is a document of a prior run, if there is one; else of the first source in `prefer`;
    among those the longest; among those the one with the smallest id.
    """
    out = np.zeros(len(nodes), CLUSTER)
    if not len(nodes):
        return out
    members = _members(corpus, own, settings, nodes)
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
