"""Clusters of duplicates: who survives, and the annotation that says so.

A document's address is `shard ordinal << ROW_BITS | row`, ordinals counting shards by name; those
of earlier runs come after this run's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.components import components
from filters.lsh import Pairs
from filters.signatures import fixed_binary
from pipelines.context import Context
from pipelines.shards import ShardTask, write_shard
from schemas.config import Dedup

DEDUP = pa.schema(
    [
        pa.field("duplicate", pa.bool_(), nullable=False),  # dropped in favour of another
        pa.field("duplicate_of", pa.binary(16)),  # id of the survivor; null for survivors
        pa.field("duplicate_kind", pa.string()),  # exact, near, or earlier: of another run
        pa.field("cluster_id", pa.binary(16)),  # smallest id of the cluster; null outside one
        pa.field("cluster_size", pa.int32(), nullable=False),  # 1 outside a cluster
    ]
)
"""Columns of `annotations/dedup`. Rows that earlier rules drop take no part."""

ROW_BITS = 32
WORK = "_work"


def work_folder(ctx: Context) -> Path:
    return ctx.folder("annotations", "dedup", WORK)


def fixed_matrix(column: pa.Array, width: int, dtype: str) -> npt.NDArray[Any]:
    """Return the rows of a binary column whose values all have `width` bytes, as a matrix."""
    fixed = column.cast(pa.binary(width))
    data = np.frombuffer(fixed.buffers()[1], np.uint8)
    begin = fixed.offset * width
    flat = data[begin : begin + len(fixed) * width].view(dtype)
    return flat.reshape(len(fixed), -1)


def save_array(path: Path, array: npt.NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp.npy")
    np.save(temporary, array)
    temporary.replace(path)


class Label(beam.DoFn):
    """(ordinal, task) in; writes the shard's annotation from the tables of clusters."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def process(self, element: tuple[int, ShardTask]) -> Iterator[str]:
        """Write `annotations/dedup/NAME` in the row groups of the document shard."""
        ordinal, task = element
        path = self._ctx.folder("annotations", "dedup", task.name)
        batches = self._batches(ordinal, task)
        write_shard(path, DEDUP, batches, key=task.key, documents_sha256=task.documents_sha256)
        yield task.name

    def _batches(self, ordinal: int, task: ShardTask) -> Iterator[pa.RecordBatch]:
        work = work_folder(self._ctx)
        clusters = np.load(work / "clusters.npy", mmap_mode="r")
        low, high = np.int64(ordinal) << ROW_BITS, np.int64(ordinal + 1) << ROW_BITS
        begin, end = np.searchsorted(clusters["document"], [low, high])
        mine = np.asarray(clusters[begin:end])
        rows = mine["document"] - low
        start = 0
        for batch in self._ctx.read(task.name, ["id"], task.documents_sha256):
            count = batch.num_rows
            chosen = (rows >= start) & (rows < start + count)
            at, here = rows[chosen] - start, mine[chosen]
            start += count
            yield _labelled(count, at, here)


def _labelled(count: int, at: npt.NDArray[np.int64], here: npt.NDArray[np.void]) -> pa.RecordBatch:
    """Return DEDUP's columns for `count` rows; those at `at` have the entries `here`."""
    duplicate = np.zeros(count, bool)
    clustered = np.zeros(count, bool)
    size = np.ones(count, np.int32)
    survivor = np.zeros((count, 16), np.uint8)
    cluster = np.zeros((count, 16), np.uint8)
    exact = np.zeros(count, bool)
    earlier = np.zeros(count, bool)
    clustered[at] = True
    duplicate[at] = here["duplicate"]
    exact[at] = here["exact"]
    earlier[at] = here["earlier"]
    size[at] = here["size"]
    survivor[at] = here["survivor"]
    cluster[at] = here["cluster"]
    kind = np.where(earlier, "earlier", np.where(exact, "exact", "near")).astype(object)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(duplicate),
            _nullable(survivor, duplicate),
            pa.array(kind, pa.string(), mask=~duplicate),
            _nullable(cluster, clustered),
            pa.array(size),
        ],
        schema=DEDUP,
    )


def _nullable(values: npt.NDArray[np.uint8], valid: npt.NDArray[np.bool_]) -> pa.Array:
    rows = fixed_binary(values, 16)
    return rows.take(pa.array(np.arange(len(values)), mask=~valid))


CLUSTER = np.dtype(
    [
        ("document", "<i8"),
        ("survivor", "u1", 16),
        ("cluster", "u1", 16),
        ("size", "<i4"),
        ("duplicate", "?"),
        ("exact", "?"),
        ("earlier", "?"),
    ]
)
"""One document of a cluster, in `clusters.npy`, ordered by address."""


def _members(
    places: Sequence[tuple[Context, ShardTask]], own: int, settings: Dedup, nodes: Pairs
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], Pairs, Pairs]:
    """Return id, content hash, bytes and source rank of the documents at `nodes`.

    Documents of earlier runs (shards from `own` on) have rank -1: they are there already.
    """
    ids = np.zeros((len(nodes), 16), np.uint8)
    hashes = np.zeros((len(nodes), 16), np.uint8)
    sizes = np.zeros(len(nodes), np.int64)
    ranks = np.zeros(len(nodes), np.int64)
    prefer = {name: rank for rank, name in enumerate(settings.prefer)}
    for ordinal, (ctx, task) in enumerate(places):
        low, high = np.int64(ordinal) << ROW_BITS, np.int64(ordinal + 1) << ROW_BITS
        begin, end = np.searchsorted(nodes, [low, high])
        if begin == end:
            continue
        rows = pa.array(nodes[begin:end] - low)
        columns = ["id", "exact_hash", "bytes"]
        batches = list(ctx.read(task.name, columns, task.documents_sha256))
        table = pa.Table.from_batches(batches).take(rows).combine_chunks()
        ids[begin:end] = fixed_matrix(table.column("id").chunk(0), 16, "u1")
        hashes[begin:end] = fixed_matrix(table.column("exact_hash").chunk(0), 16, "u1")
        sizes[begin:end] = table.column("bytes").to_numpy()
        source = task.name.rsplit("-", 1)[0]
        ranks[begin:end] = prefer.get(source, len(prefer)) if ordinal < own else -1
    return ids, hashes, sizes, ranks


def clusters_of(
    places: Sequence[tuple[Context, ShardTask]], own: int, settings: Dedup, edges: Pairs
) -> npt.NDArray[np.void]:
    """Return an entry (CLUSTER) for every document of a cluster, ordered by address.

    The survivor is of an earlier run, then of the first source in `prefer`, then the longest,
    then the smallest id.
    """
    nodes, labels = components(edges)
    out = np.zeros(len(nodes), CLUSTER)
    if not len(nodes):
        return out
    ids, hashes, sizes, ranks = _members(places, own, settings, nodes)
    halves = ids.view(">u8").astype(np.uint64)
    by_choice = np.lexsort((halves[:, 1], halves[:, 0], -sizes, ranks, labels))
    by_id = np.lexsort((halves[:, 1], halves[:, 0], labels))
    _, group, count = np.unique(labels, return_inverse=True, return_counts=True)
    begins = np.concatenate([[0], np.cumsum(count)[:-1]])
    survivor = by_choice[begins][group]
    out["document"] = nodes
    out["survivor"] = ids[survivor]
    out["cluster"] = ids[by_id[begins][group]]
    out["size"] = count[group]
    out["duplicate"] = survivor != np.arange(len(nodes))
    out["exact"] = (hashes == hashes[survivor]).all(axis=1)
    out["earlier"] = ranks[survivor] < 0
    return out
