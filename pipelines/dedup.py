"""Deduplication: packed keys through one GroupByKey, exact check, components, labels by shard.

A document's address is `shard ordinal << 32 | row`, ordinals counting shards by name. Only
addresses and keys cross the shuffle; texts are read where they lie, once for the documents
that have a candidate. All results are sorted, so nothing depends on which worker was first.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.components import components
from filters.lsh import MISS_WEIGHT, Pairs, band_keys, bands_and_rows, candidates, jaccard
from filters.minhash import shingle_sets
from filters.signatures import fixed_binary, morphemes
from pipelines.context import Context
from pipelines.runners import Runner, deal
from pipelines.shards import ShardTask, write_shard
from schemas.config import Dedup

DEDUP = pa.schema(
    [
        pa.field("duplicate", pa.bool_(), nullable=False),  # dropped in favour of another
        pa.field("duplicate_of", pa.binary(16)),  # id of the survivor; null for survivors
        pa.field("duplicate_kind", pa.string()),  # exact or near, to the survivor
        pa.field("cluster_id", pa.binary(16)),  # smallest id of the cluster; null outside one
        pa.field("cluster_size", pa.int32(), nullable=False),  # 1 outside a cluster
    ]
)
"""Columns of `annotations/dedup`. Rows that earlier rules drop take no part."""

PARTITIONS = 16
"""Groups of the shuffle: each fits a worker."""
KEY = np.dtype([("key", "<u8"), ("document", "<i8")])
WORK = "_work"
ROW_BITS = 32


def _work(ctx: Context) -> Path:
    return ctx.folder("annotations", "dedup", WORK)


def _banding(settings: Dedup) -> tuple[int, int]:
    if settings.bands and settings.rows:
        return settings.bands, settings.rows
    weight = MISS_WEIGHT if settings.verify else 0.5
    return bands_and_rows(settings.threshold, settings.permutations, weight)


class EmitKeys(beam.DoFn):
    """(ordinal, task) in, (partition, packed keys) out, for the documents that survive."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def process(self, element: tuple[int, ShardTask]) -> Iterator[tuple[int, bytes]]:
        """Yield band keys and exact-hash keys with the address of their document."""
        ordinal, task = element
        ctx = self._ctx
        settings = ctx.config.dedup
        bands, rows = _banding(settings)
        survivors = ctx.survivors(task.name)
        start = 0
        packed: list[npt.NDArray[np.void]] = []
        for batch in ctx.read(task.name, ["signature", "exact_hash"], task.documents_sha256):
            alive = np.flatnonzero(survivors[start : start + batch.num_rows])
            address = (np.int64(ordinal) << ROW_BITS) | (start + alive)
            start += batch.num_rows
            if not len(alive):
                continue
            chosen = batch.take(pa.array(alive))
            signature = _matrix(chosen.column("signature"), 4 * settings.permutations, "<u4")
            exact = _matrix(chosen.column("exact_hash"), 16, "<u8")
            keys = band_keys(signature, bands, rows)
            keys = np.column_stack([exact[:, 0] ^ (exact[:, 1] >> np.uint64(1)), keys])
            entry = np.empty(keys.size, KEY)
            entry["key"] = keys.ravel()
            entry["document"] = np.repeat(address, keys.shape[1])
            packed.append(entry)
        if not packed:
            return
        entries = np.concatenate(packed)
        place = (entries["key"] % np.uint64(PARTITIONS)).astype(np.int64)
        for partition in range(PARTITIONS):
            mine = entries[place == partition]
            if len(mine):
                yield partition, mine.tobytes()


def _matrix(column: pa.Array, width: int, dtype: str) -> npt.NDArray[Any]:
    """Return the rows of a binary column whose values all have `width` bytes, as a matrix."""
    fixed = column.cast(pa.binary(width))
    data = np.frombuffer(fixed.buffers()[1], np.uint8)
    begin = fixed.offset * width
    flat = data[begin : begin + len(fixed) * width].view(dtype)
    return flat.reshape(len(fixed), -1)


class FindCandidates(beam.DoFn):
    """(partition, packed keys) in; writes the partition's candidate pairs, yields its number."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[int]:
        """Write `pairs-PARTITION.npy`, int64 [pairs, 2]."""
        partition, packed = element
        entries = np.frombuffer(b"".join(packed), KEY)
        pairs = candidates(entries["key"].copy(), entries["document"].copy())
        _save(_work(self._ctx) / f"pairs-{partition:03d}.npy", pairs)
        yield partition


def _save(path: Path, array: npt.NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp.npy")
    np.save(temporary, array)
    temporary.replace(path)


class ExtractShingles(beam.DoFn):
    """(ordinal, task) in; writes the shingle sets of those documents that have a candidate."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def process(self, element: tuple[int, ShardTask]) -> Iterator[int]:
        """Write rows, offsets and values of the shard's shingle sets as three `.npy` files."""
        ordinal, task = element
        settings = self._ctx.config.dedup
        work = _work(self._ctx)
        wanted = np.load(work / "documents.npy", mmap_mode="r")
        low, high = np.int64(ordinal) << ROW_BITS, np.int64(ordinal + 1) << ROW_BITS
        here = wanted[np.searchsorted(wanted, low) : np.searchsorted(wanted, high)]
        rows = here & ((1 << ROW_BITS) - 1)
        values: list[npt.NDArray[np.uint32]] = []
        lengths: list[npt.NDArray[np.int64]] = []
        start = 0
        for batch in self._ctx.read(task.name, ["text"], task.documents_sha256):
            mine = rows[(rows >= start) & (rows < start + batch.num_rows)] - start
            start += batch.num_rows
            if not len(mine):
                continue
            text = batch.column("text").take(pa.array(mine))
            shingled = morphemes(text) if settings.unit == "morphemes" else text
            flat, places = shingle_sets(shingled, settings.unit, settings.ngram)
            values.append(flat)
            lengths.append(np.diff(places))
        sizes = np.concatenate(lengths) if lengths else np.zeros(0, np.int64)
        _save(work / f"rows-{ordinal:05d}.npy", np.asarray(rows))
        _save(work / f"places-{ordinal:05d}.npy", np.concatenate([[0], np.cumsum(sizes)]))
        flat_all = np.concatenate(values) if values else np.zeros(0, np.uint32)
        _save(work / f"values-{ordinal:05d}.npy", flat_all)
        yield ordinal


class Verify(beam.DoFn):
    """Partition in; keeps the pairs whose exact Jaccard similarity reaches the threshold."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def process(self, part: int) -> Iterator[int]:
        """Write `edges-PART.npy`, int64 [pairs, 2]: pairs ordered by shard are read in runs."""
        work = _work(self._ctx)
        pairs = np.load(work / f"part-{part:03d}.npy")
        left, right = pairs[:, 0] >> ROW_BITS, pairs[:, 1] >> ROW_BITS
        similar = np.zeros(len(pairs))
        bounds = np.flatnonzero(np.diff(left * (1 << 20) + right, prepend=-1, append=-1))
        for begin, end in itertools.pairwise(bounds):
            one = _sets(work, int(left[begin]), pairs[begin:end, 0])
            other = _sets(work, int(right[begin]), pairs[begin:end, 1])
            similar[begin:end] = jaccard(*one, *other)
        kept = pairs[similar >= self._ctx.config.dedup.threshold]
        _save(work / f"edges-{part:03d}.npy", kept)
        yield part


def _sets(work: Path, ordinal: int, documents: Pairs) -> tuple[npt.NDArray[np.uint32], Pairs]:
    """Return a shard's flat shingle values (mapped) and begin and end of each document's."""
    values = np.load(work / f"values-{ordinal:05d}.npy", mmap_mode="r")
    rows = np.load(work / f"rows-{ordinal:05d}.npy")
    places = np.load(work / f"places-{ordinal:05d}.npy")
    index = np.searchsorted(rows, documents & ((1 << ROW_BITS) - 1))
    return np.asarray(values), np.column_stack([places[index], places[index + 1]])


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
        work = _work(self._ctx)
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
    clustered[at] = True
    duplicate[at] = here["duplicate"]
    exact[at] = here["exact"]
    size[at] = here["size"]
    survivor[at] = here["survivor"]
    cluster[at] = here["cluster"]
    kind = np.where(exact, "exact", "near").astype(object)
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
    ]
)
"""One document of a cluster, in `clusters.npy`, ordered by address."""


def _members(
    ctx: Context, tasks: list[ShardTask], nodes: Pairs
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], Pairs, Pairs]:
    """Return id, content hash, bytes and source rank of the documents at `nodes`."""
    ids = np.zeros((len(nodes), 16), np.uint8)
    hashes = np.zeros((len(nodes), 16), np.uint8)
    sizes = np.zeros(len(nodes), np.int64)
    ranks = np.zeros(len(nodes), np.int64)
    prefer = {name: rank for rank, name in enumerate(ctx.config.dedup.prefer)}
    for ordinal, task in enumerate(tasks):
        low, high = np.int64(ordinal) << ROW_BITS, np.int64(ordinal + 1) << ROW_BITS
        begin, end = np.searchsorted(nodes, [low, high])
        if begin == end:
            continue
        rows = pa.array(nodes[begin:end] - low)
        columns = ["id", "exact_hash", "bytes"]
        batches = list(ctx.read(task.name, columns, task.documents_sha256))
        table = pa.Table.from_batches(batches).take(rows).combine_chunks()
        ids[begin:end] = _matrix(table.column("id").chunk(0), 16, "u1")
        hashes[begin:end] = _matrix(table.column("exact_hash").chunk(0), 16, "u1")
        sizes[begin:end] = table.column("bytes").to_numpy()
        source = task.name.rsplit("-", 1)[0]
        ranks[begin:end] = prefer.get(source, len(prefer))
    return ids, hashes, sizes, ranks


def clusters_of(ctx: Context, tasks: list[ShardTask], edges: Pairs) -> npt.NDArray[np.void]:
    """Return an entry (CLUSTER) for every document of a cluster, ordered by address.

    The survivor is of the first source in `prefer`, then the longest, then the smallest id.
    """
    nodes, labels = components(edges)
    out = np.zeros(len(nodes), CLUSTER)
    if not len(nodes):
        return out
    ids, hashes, sizes, ranks = _members(ctx, tasks, nodes)
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
    return out


def run_dedup(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    """Find and label the duplicates among the documents that the rules so far keep.

    `tasks` must name every document shard: duplicates know no shards.
    """
    work = _work(ctx)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    tasks = sorted(tasks, key=lambda task: task.name)
    numbered = list(enumerate(tasks))
    if ctx.config.dedup.enabled:
        edges = _edges(runner, ctx, numbered)
    else:
        edges = np.zeros((0, 2), np.int64)
    _save(work / "clusters.npy", clusters_of(ctx, tasks, edges))

    def label(pipeline: beam.Pipeline) -> None:
        deal(pipeline, "label", numbered) | "label: write" >> beam.ParDo(Label(ctx))

    runner.run("dedup-label", label)
    shutil.rmtree(work)


def _edges(runner: Runner, ctx: Context, numbered: list[tuple[int, ShardTask]]) -> Pairs:
    """Return the pairs of documents that are the same, int64 [pairs, 2]."""
    work = _work(ctx)

    def bucket(pipeline: beam.Pipeline) -> None:
        (
            deal(pipeline, "bucket", numbered)
            | "bucket: keys" >> beam.ParDo(EmitKeys(ctx)).with_output_types(tuple[int, bytes])
            | "bucket: group" >> beam.GroupByKey()
            | "bucket: pairs" >> beam.ParDo(FindCandidates(ctx))
        )

    runner.run("dedup-bucket", bucket)
    found = [np.load(path) for path in sorted(work.glob("pairs-*.npy"))]
    pairs = np.unique(np.concatenate([np.zeros((0, 2), np.int64), *found]), axis=0)
    if not ctx.config.dedup.verify or not len(pairs):
        return pairs
    _save(work / "documents.npy", np.unique(pairs))
    by_shard = np.lexsort(
        (pairs[:, 1], pairs[:, 0], pairs[:, 1] >> ROW_BITS, pairs[:, 0] >> ROW_BITS)
    )
    parts = np.array_split(pairs[by_shard], max(1, min(PARTITIONS, len(pairs) // 1000)))
    for part, some in enumerate(parts):
        _save(work / f"part-{part:03d}.npy", some)

    def extract(pipeline: beam.Pipeline) -> None:
        deal(pipeline, "shingle", numbered) | "shingle: write" >> beam.ParDo(ExtractShingles(ctx))

    def verify(pipeline: beam.Pipeline) -> None:
        deal(pipeline, "verify", list(range(len(parts)))) | "verify: pairs" >> beam.ParDo(
            Verify(ctx)
        )

    runner.run("dedup-shingle", extract)
    runner.run("dedup-verify", verify)
    kept = [np.load(path) for path in sorted(work.glob("edges-*.npy"))]
    return np.concatenate([np.zeros((0, 2), np.int64), *kept])
