"""Checking candidate pairs: by exact Jaccard, and with earlier runs by their signatures.

Texts are read where they lie, once for the documents that have a candidate.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.columnar.arrays import fixed_matrix
from filters.dedup.annotator import morphemes
from filters.dedup.connected import forest
from filters.dedup.lsh import Pairs, jaccard
from filters.dedup.minhash import shingle_sets
from pipelines.dedup.clusters import ROW_BITS
from pipelines.engine.context import Context
from pipelines.engine.exchange import load_array, save_array
from pipelines.runners.runner import Runner, distribute
from pipelines.storage.shards import ShardTask

Places = Sequence[tuple[Context, ShardTask]]


class ExtractShingles(beam.DoFn):
    """(ordinal, task) in; writes the shingle sets of those documents that have a candidate."""

    def __init__(self, ctx: Context, work: Path) -> None:
        self._ctx = ctx
        self._work = work

    def process(self, element: tuple[int, ShardTask]) -> Iterator[int]:
        """Write rows, offsets and values of the shard's shingle sets as three `.npy` files."""
        ordinal, task = element
        settings = self._ctx.config.dedup
        work = self._work
        rows = _wanted(work, ordinal) & ((1 << ROW_BITS) - 1)
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
    """Part in; keeps the pairs whose exact Jaccard similarity reaches the threshold."""

    def __init__(self, ctx: Context, work: Path) -> None:
        self._ctx = ctx
        self._work = work

    def process(self, part: str) -> Iterator[str]:
        """Write `edges-PART.npy`, int64 [edges, 2]: pairs ordered by shard are read in runs."""
        work = self._work
        pairs = load_array(work / f"part-{part}.npy")
        left, right = pairs[:, 0] >> ROW_BITS, pairs[:, 1] >> ROW_BITS
        similar = np.zeros(len(pairs))
        bounds = np.flatnonzero(np.diff(left * (1 << 20) + right, prepend=-1, append=-1))
        for begin, end in itertools.pairwise(bounds):
            one = _sets(work, int(left[begin]), pairs[begin:end, 0])
            other = _sets(work, int(right[begin]), pairs[begin:end, 1])
            similar[begin:end] = jaccard(*one, *other)
        kept = pairs[similar >= self._ctx.config.dedup.threshold]
        save_array(work / f"edges-{part}.npy", forest(kept))
        yield part


def _sets(work: Path, ordinal: int, documents: Pairs) -> tuple[npt.NDArray[np.uint32], Pairs]:
    """Return a shard's flat shingle values (mapped) and begin and end of each document's."""
    values = load_array(work / f"values-{ordinal:05d}.npy")
    rows = load_array(work / f"rows-{ordinal:05d}.npy")
    places = load_array(work / f"places-{ordinal:05d}.npy")
    index = np.searchsorted(rows, documents & ((1 << ROW_BITS) - 1))
    return np.asarray(values), np.column_stack([places[index], places[index + 1]])


class Estimate(beam.DoFn):
    """Part in; keeps the pairs with earlier runs whose estimated similarity is enough."""

    def __init__(self, ctx: Context, work: Path, places: Places) -> None:
        self._ctx = ctx
        self._work = work
        self._places = places

    def process(self, part: str) -> Iterator[str]:
        """Write `edges-earlier-PART.npy`, int64 [edges, 2]. Pairs are ordered by shard."""
        work = self._work
        pairs = load_array(work / f"earlier-{part}.npy")
        settings = self._ctx.config.dedup
        left, right = pairs[:, 0] >> ROW_BITS, pairs[:, 1] >> ROW_BITS
        similar = np.zeros(len(pairs))
        bounds = np.flatnonzero(np.diff(left * (1 << 20) + right, prepend=-1, append=-1))
        for begin, end in itertools.pairwise(bounds):
            one = self._signatures(int(left[begin]), pairs[begin:end, 0])
            other = self._signatures(int(right[begin]), pairs[begin:end, 1])
            similar[begin:end] = (one == other).mean(axis=1)
        kept = forest(pairs[similar >= settings.threshold])
        save_array(work / f"edges-earlier-{part}.npy", kept)
        yield part

    def _signatures(self, ordinal: int, documents: Pairs) -> npt.NDArray[np.uint32]:
        ctx, task = self._places[ordinal]
        width = 4 * self._ctx.config.dedup.permutations
        batches = list(ctx.read(task.name, ["signature"], task.documents_sha256))
        rows = pa.array(documents & ((1 << ROW_BITS) - 1))
        column = pa.Table.from_batches(batches).column(0).take(rows).combine_chunks()
        return np.asarray(fixed_matrix(column, width, "<u4"))


def _wanted(work: Path, ordinal: int) -> Pairs:
    """Return the documents of a shard that have a candidate, sorted."""
    low, high = np.int64(ordinal) << ROW_BITS, np.int64(ordinal + 1) << ROW_BITS
    found = []
    for path in sorted(work.glob("wanted-*.npy")):
        wanted = load_array(path)
        begin, end = np.searchsorted(wanted, [low, high])
        found.append(wanted[begin:end])
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)


def verify_pairs(
    runner: Runner,
    ctx: Context,
    work: Path,
    shards: Sequence[tuple[int, ShardTask]],
    places: Places,
) -> None:
    """Turn the pairs in the work folder into edges, see `pipelines.dedup.pairs.MergePairs`.

    `shards`: (ordinal, task) of this run; `places`: every ordinal's, those of earlier runs too.
    """
    own, earlier = (
        [path.stem.removeprefix(name) for path in sorted(work.glob(f"{name}*.npy"))]
        for name in ("part-", "earlier-")
    )

    def extract(pipeline: beam.Pipeline) -> None:
        distribute(pipeline, "shingle", shards) | "shingle: write" >> beam.ParDo(
            ExtractShingles(ctx, work)
        )

    def check(pipeline: beam.Pipeline) -> None:
        if own:
            distribute(pipeline, "verify", own) | "verify: pairs" >> beam.ParDo(Verify(ctx, work))
        if earlier:
            distribute(pipeline, "estimate", earlier) | "estimate: pairs" >> beam.ParDo(
                Estimate(ctx, work, places)
            )

    if own:
        runner.run("dedup-shingle", extract)
    if own or earlier:
        runner.run("dedup-verify", check)
