"""Deduplication: packed keys through one GroupByKey, exact check, components, labels by shard.

Only addresses (see `pipelines.clusters`) and keys cross the shuffle; texts are read where they
lie, once for the documents that have a candidate. All results are sorted, so nothing depends on
which worker was first.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.lsh import MISS_WEIGHT, Pairs, band_keys, bands_and_rows, candidates, jaccard
from filters.minhash import shingle_sets
from filters.signatures import morphemes
from pipelines.clusters import (
    DEDUP,
    ROW_BITS,
    Label,
    clusters_of,
    fixed_matrix,
    save_array,
    work_folder,
)
from pipelines.context import Context
from pipelines.earlier import earlier_shards
from pipelines.runners import Runner, deal
from pipelines.shards import ShardTask
from schemas.config import Dedup

__all__ = ["DEDUP", "run_dedup"]

PARTITIONS = 16
"""Groups of the shuffle: each fits a worker."""
KEY = np.dtype([("key", "<u8"), ("document", "<i8")])


def _banding(settings: Dedup) -> tuple[int, int]:
    if settings.bands and settings.rows:
        return settings.bands, settings.rows
    weight = MISS_WEIGHT if settings.verify else 0.5
    return bands_and_rows(settings.threshold, settings.permutations, weight)


class EmitKeys(beam.DoFn):
    """(ordinal, task) in, (partition, packed keys) out, for the documents that survive."""

    def __init__(self, ctx: Context, settings: Dedup) -> None:
        self._ctx = ctx
        self._settings = settings

    def process(self, element: tuple[int, ShardTask]) -> Iterator[tuple[int, bytes]]:
        """Yield band keys and exact-hash keys with the address of their document."""
        ordinal, task = element
        ctx = self._ctx
        settings = self._settings
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
            signature = fixed_matrix(chosen.column("signature"), 4 * settings.permutations, "<u4")
            exact = fixed_matrix(chosen.column("exact_hash"), 16, "<u8")
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


class FindCandidates(beam.DoFn):
    """(partition, packed keys) in; writes the partition's candidate pairs, yields its number.

    Shards from ordinal `own` on are of earlier runs: pairs of two of those say nothing.
    """

    def __init__(self, ctx: Context, own: int) -> None:
        self._ctx = ctx
        self._own = own

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[int]:
        """Write `pairs-PARTITION.npy`, int64 [pairs, 2]."""
        partition, packed = element
        entries = np.frombuffer(b"".join(packed), KEY)
        pairs = candidates(entries["key"].copy(), entries["document"].copy())
        pairs = pairs[pairs[:, 0] >> ROW_BITS < self._own]
        save_array(work_folder(self._ctx) / f"pairs-{partition:03d}.npy", pairs)
        yield partition


class ExtractShingles(beam.DoFn):
    """(ordinal, task) in; writes the shingle sets of those documents that have a candidate."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def process(self, element: tuple[int, ShardTask]) -> Iterator[int]:
        """Write rows, offsets and values of the shard's shingle sets as three `.npy` files."""
        ordinal, task = element
        settings = self._ctx.config.dedup
        work = work_folder(self._ctx)
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
        save_array(work / f"rows-{ordinal:05d}.npy", np.asarray(rows))
        save_array(work / f"places-{ordinal:05d}.npy", np.concatenate([[0], np.cumsum(sizes)]))
        flat_all = np.concatenate(values) if values else np.zeros(0, np.uint32)
        save_array(work / f"values-{ordinal:05d}.npy", flat_all)
        yield ordinal


class Verify(beam.DoFn):
    """Partition in; keeps the pairs whose exact Jaccard similarity reaches the threshold."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def process(self, part: int) -> Iterator[int]:
        """Write `edges-PART.npy`, int64 [pairs, 2]: pairs ordered by shard are read in runs."""
        work = work_folder(self._ctx)
        pairs = np.load(work / f"part-{part:03d}.npy")
        left, right = pairs[:, 0] >> ROW_BITS, pairs[:, 1] >> ROW_BITS
        similar = np.zeros(len(pairs))
        bounds = np.flatnonzero(np.diff(left * (1 << 20) + right, prepend=-1, append=-1))
        for begin, end in itertools.pairwise(bounds):
            one = _sets(work, int(left[begin]), pairs[begin:end, 0])
            other = _sets(work, int(right[begin]), pairs[begin:end, 1])
            similar[begin:end] = jaccard(*one, *other)
        kept = pairs[similar >= self._ctx.config.dedup.threshold]
        save_array(work / f"edges-{part:03d}.npy", kept)
        yield part


def _sets(work: Path, ordinal: int, documents: Pairs) -> tuple[npt.NDArray[np.uint32], Pairs]:
    """Return a shard's flat shingle values (mapped) and begin and end of each document's."""
    values = np.load(work / f"values-{ordinal:05d}.npy", mmap_mode="r")
    rows = np.load(work / f"rows-{ordinal:05d}.npy")
    places = np.load(work / f"places-{ordinal:05d}.npy")
    index = np.searchsorted(rows, documents & ((1 << ROW_BITS) - 1))
    return np.asarray(values), np.column_stack([places[index], places[index + 1]])


class Estimate(beam.DoFn):
    """Part in; keeps the pairs with earlier runs whose estimated similarity is enough."""

    def __init__(self, ctx: Context, places: Sequence[tuple[Context, ShardTask]]) -> None:
        self._ctx = ctx
        self._places = places

    def process(self, part: int) -> Iterator[int]:
        """Write `edges-earlier-PART.npy`, int64 [pairs, 2]. Pairs are ordered by shard."""
        work = work_folder(self._ctx)
        pairs = np.load(work / f"earlier-{part:03d}.npy")
        settings = self._ctx.config.dedup
        left, right = pairs[:, 0] >> ROW_BITS, pairs[:, 1] >> ROW_BITS
        similar = np.zeros(len(pairs))
        bounds = np.flatnonzero(np.diff(left * (1 << 20) + right, prepend=-1, append=-1))
        for begin, end in itertools.pairwise(bounds):
            one = self._signatures(int(left[begin]), pairs[begin:end, 0])
            other = self._signatures(int(right[begin]), pairs[begin:end, 1])
            similar[begin:end] = (one == other).mean(axis=1)
        kept = pairs[similar >= settings.threshold] if settings.verify else pairs
        save_array(work / f"edges-earlier-{part:03d}.npy", kept)
        yield part

    def _signatures(self, ordinal: int, documents: Pairs) -> npt.NDArray[np.uint32]:
        ctx, task = self._places[ordinal]
        width = 4 * self._ctx.config.dedup.permutations
        batches = list(ctx.read(task.name, ["signature"], task.documents_sha256))
        rows = pa.array(documents & ((1 << ROW_BITS) - 1))
        column = pa.Table.from_batches(batches).column(0).take(rows).combine_chunks()
        return np.asarray(fixed_matrix(column, width, "<u4"))


def run_dedup(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    """Find and label the duplicates among the documents that the rules so far keep.

    `tasks` must name every document shard: duplicates know no shards.
    """
    work = work_folder(ctx)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    tasks = sorted(tasks, key=lambda task: task.name)
    numbered = list(enumerate(tasks))
    settings = ctx.config.dedup
    places = [(ctx, task) for task in tasks]
    edges = np.zeros((0, 2), np.int64)
    if settings.enabled:
        places += earlier_shards(ctx.config)
        edges = _edges(runner, ctx, numbered, places)
    save_array(work / "clusters.npy", clusters_of(places, len(tasks), settings, edges))

    def label(pipeline: beam.Pipeline) -> None:
        deal(pipeline, "label", numbered) | "label: write" >> beam.ParDo(Label(ctx))

    runner.run("dedup-label", label)
    shutil.rmtree(work)


def _edges(
    runner: Runner,
    ctx: Context,
    numbered: list[tuple[int, ShardTask]],
    places: Sequence[tuple[Context, ShardTask]],
) -> Pairs:
    """Return the pairs of documents that are the same, int64 [pairs, 2].

    `places`: where each ordinal's shard lies; those after `numbered` are of earlier runs.
    """
    work = work_folder(ctx)
    own = len(numbered)

    def bucket(pipeline: beam.Pipeline) -> None:
        keys = []
        for label, (here, shards) in enumerate(_by_run(places)):
            keys.append(
                deal(pipeline, f"bucket-{label}", shards)
                | f"bucket: keys {label}"
                >> beam.ParDo(EmitKeys(here, ctx.config.dedup)).with_output_types(tuple[int, bytes])
            )
        (
            keys
            | "bucket: all" >> beam.Flatten()
            | "bucket: group" >> beam.GroupByKey()
            | "bucket: pairs" >> beam.ParDo(FindCandidates(ctx, own))
        )

    runner.run("dedup-bucket", bucket)
    found = [np.load(path) for path in sorted(work.glob("pairs-*.npy"))]
    pairs = np.unique(np.concatenate([np.zeros((0, 2), np.int64), *found]), axis=0)
    if own < len(places):
        foreign = pairs[:, 1] >> ROW_BITS >= own
        earlier = _estimated(runner, ctx, places, pairs[foreign])
        pairs = pairs[~foreign]
    else:
        earlier = np.zeros((0, 2), np.int64)
    if not ctx.config.dedup.verify or not len(pairs):
        return np.concatenate([pairs, earlier])
    save_array(work / "documents.npy", np.unique(pairs))
    parts = _parts(pairs)
    for part, some in enumerate(parts):
        save_array(work / f"part-{part:03d}.npy", some)

    def extract(pipeline: beam.Pipeline) -> None:
        deal(pipeline, "shingle", numbered) | "shingle: write" >> beam.ParDo(ExtractShingles(ctx))

    def verify(pipeline: beam.Pipeline) -> None:
        deal(pipeline, "verify", list(range(len(parts)))) | "verify: pairs" >> beam.ParDo(
            Verify(ctx)
        )

    runner.run("dedup-shingle", extract)
    runner.run("dedup-verify", verify)
    kept = [np.load(work / f"edges-{part:03d}.npy") for part in range(len(parts))]
    return np.concatenate([*kept, earlier])


def _estimated(
    runner: Runner, ctx: Context, places: Sequence[tuple[Context, ShardTask]], pairs: Pairs
) -> Pairs:
    """Return those of `pairs` with documents of earlier runs whose signatures are alike enough."""
    work = work_folder(ctx)
    parts = _parts(pairs)
    for part, some in enumerate(parts):
        save_array(work / f"earlier-{part:03d}.npy", some)

    def estimate(pipeline: beam.Pipeline) -> None:
        deal(pipeline, "estimate", list(range(len(parts)))) | "estimate: pairs" >> beam.ParDo(
            Estimate(ctx, places)
        )

    runner.run("dedup-estimate", estimate)
    kept = [np.load(work / f"edges-earlier-{part:03d}.npy") for part in range(len(parts))]
    return np.concatenate([np.zeros((0, 2), np.int64), *kept])


def _parts(pairs: Pairs) -> list[Pairs]:
    """Return `pairs` in parts of about a thousand, PARTITIONS at most, ordered by shard."""
    by_shard = np.lexsort(
        (pairs[:, 1], pairs[:, 0], pairs[:, 1] >> ROW_BITS, pairs[:, 0] >> ROW_BITS)
    )
    return np.array_split(pairs[by_shard], max(1, min(PARTITIONS, len(pairs) // 1000)))


def _by_run(
    places: Sequence[tuple[Context, ShardTask]],
) -> list[tuple[Context, list[tuple[int, ShardTask]]]]:
    """Return each run's context with its (ordinal, task) pairs, in order."""
    runs: list[tuple[Context, list[tuple[int, ShardTask]]]] = []
    for ordinal, (context, task) in enumerate(places):
        if not runs or runs[-1][0] is not context:
            runs.append((context, []))
        runs[-1][1].append((ordinal, task))
    return runs
