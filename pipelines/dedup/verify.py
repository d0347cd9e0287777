"""Checking candidate pairs: by exact Jaccard, and with prior runs by their signatures.

Documents of one content hash are the same under every unit: words and morphemes may differ where
white space and case do, which the hash leaves out.

Texts are read from the document shards, once, and only of documents that have a candidate.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.columnar.arrays import fixed_matrix
from filters.dedup.annotator import morphemes
from filters.dedup.connected import forest
from filters.dedup.lsh import Pairs, jaccard
from filters.dedup.minhash import shingle_sets
from pipelines.dedup.numbers import Corpus, bounds_of, rows_of, shards_of
from pipelines.engine.context import Context
from pipelines.engine.exchange import load_array, save_array
from pipelines.runners.runner import Runner, distribute
from pipelines.storage.shards import ShardTask


class ExtractShingles(beam.DoFn):
    """(number, task) in; writes the shingle sets of those documents that have a candidate."""

    def __init__(self, ctx: Context, work: Path) -> None:
        self._ctx = ctx
        self._work = work

    def process(self, element: tuple[int, ShardTask]) -> Iterator[int]:
        """Write rows, content hashes and shingle sets (offsets, values) as four `.npy` files."""
        number, task = element
        settings = self._ctx.config.dedup
        work = self._work
        rows = rows_of(_wanted(work, number))
        values: list[npt.NDArray[np.uint32]] = []
        lengths: list[npt.NDArray[np.int64]] = []
        hashes = [np.zeros((0, 2), np.uint64)]
        start = 0
        for batch in self._ctx.read(task.name, ["text", "exact_hash"], task.documents_sha256):
            mine = rows[(rows >= start) & (rows < start + batch.num_rows)] - start
            start += batch.num_rows
            if not len(mine):
                continue
            text, exact = (column.take(pa.array(mine)) for column in batch.columns)
            hashes.append(fixed_matrix(exact, 16, "<u8"))
            shingled = morphemes(text) if settings.unit == "morphemes" else text
            flat, offsets = shingle_sets(shingled, settings.unit, settings.ngram)
            values.append(flat)
            lengths.append(np.diff(offsets))
        sizes = np.concatenate(lengths) if lengths else np.zeros(0, np.int64)
        save_array(work / f"rows-{number:05d}.npy", np.asarray(rows))
        save_array(work / f"hashes-{number:05d}.npy", np.concatenate(hashes))
        save_array(work / f"offsets-{number:05d}.npy", np.concatenate([[0], np.cumsum(sizes)]))
        flat_all = np.concatenate(values) if values else np.zeros(0, np.uint32)
        save_array(work / f"values-{number:05d}.npy", flat_all)
        yield number


class Verify(beam.DoFn):
    """Part in; keeps exact copies, and pairs whose Jaccard similarity reaches the threshold."""

    def __init__(self, ctx: Context, work: Path) -> None:
        self._ctx = ctx
        self._work = work

    def process(self, part: str) -> Iterator[str]:
        """Write `edges-PART.npy`, int64 [edges, 2]. Pairs are ordered by shard."""
        work = self._work
        pairs = load_array(work / f"part-{part}.npy")
        left, right = shards_of(pairs[:, 0]), shards_of(pairs[:, 1])
        similar = np.zeros(len(pairs))
        bounds = np.flatnonzero(np.diff(left * (1 << 20) + right, prepend=-1, append=-1))
        for begin, end in itertools.pairwise(bounds):
            ends = [
                (int(left[begin]), pairs[begin:end, 0]),
                (int(right[begin]), pairs[begin:end, 1]),
            ]
            one, other = (_sets(work, *end) for end in ends)
            exact = _equal(*(_hashes(work, *end) for end in ends))
            similar[begin:end] = np.where(exact, 1, jaccard(*one, *other))
        kept = pairs[similar >= self._ctx.config.dedup.threshold]
        save_array(work / f"edges-{part}.npy", forest(kept))
        yield part


def _sets(work: Path, number: int, documents: Pairs) -> tuple[npt.NDArray[np.uint32], Pairs]:
    """Return a shard's shingle values, flat and mapped, and each document's begin and end there.

    The latter have shape (documents, 2).
    """
    values = load_array(work / f"values-{number:05d}.npy")
    rows = load_array(work / f"rows-{number:05d}.npy")
    offsets = load_array(work / f"offsets-{number:05d}.npy")
    index = np.searchsorted(rows, rows_of(documents))
    return np.asarray(values), np.column_stack([offsets[index], offsets[index + 1]])


def _hashes(work: Path, number: int, documents: Pairs) -> npt.NDArray[np.uint64]:
    """Return the content hashes of a shard's `documents`, uint64 [documents, 2]."""
    rows = load_array(work / f"rows-{number:05d}.npy")
    hashes = load_array(work / f"hashes-{number:05d}.npy")
    return np.asarray(hashes[np.searchsorted(rows, rows_of(documents))])


def _equal(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return np.asarray((one == other).all(axis=1))


class Estimate(beam.DoFn):
    """Part in; keeps exact copies of prior runs, and pairs whose estimated similarity suffices."""

    def __init__(self, ctx: Context, work: Path, corpus: Corpus) -> None:
        self._ctx = ctx
        self._work = work
        self._corpus = corpus

    def process(self, part: str) -> Iterator[str]:
        """Write `edges-prior-PART.npy`, int64 [edges, 2]. Pairs are ordered by shard."""
        work = self._work
        pairs = load_array(work / f"prior-{part}.npy")
        settings = self._ctx.config.dedup
        left, right = shards_of(pairs[:, 0]), shards_of(pairs[:, 1])
        similar = np.zeros(len(pairs))
        bounds = np.flatnonzero(np.diff(left * (1 << 20) + right, prepend=-1, append=-1))
        for begin, end in itertools.pairwise(bounds):
            one, hashes = self._signed(int(left[begin]), pairs[begin:end, 0])
            other, others = self._signed(int(right[begin]), pairs[begin:end, 1])
            similar[begin:end] = np.where(_equal(hashes, others), 1, (one == other).mean(axis=1))
        kept = forest(pairs[similar >= settings.threshold])
        save_array(work / f"edges-prior-{part}.npy", kept)
        yield part

    def _signed(
        self, number: int, documents: Pairs
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint64]]:
        """Return signatures and content hashes of a shard's `documents`."""
        ctx, task = self._corpus[number]
        width = 4 * self._ctx.config.dedup.permutations
        columns = ["signature", "exact_hash"]
        batches = list(ctx.read(task.name, columns, task.documents_sha256))
        table = pa.Table.from_batches(batches).take(pa.array(rows_of(documents)))
        signature, exact = (table.column(name).combine_chunks() for name in columns)
        return fixed_matrix(signature, width, "<u4"), fixed_matrix(exact, 16, "<u8")


def _wanted(work: Path, number: int) -> Pairs:
    """Return the documents of a shard that have a candidate, sorted."""
    found = []
    for path in sorted(work.glob("wanted-*.npy")):
        wanted = load_array(path)
        begin, end = np.searchsorted(wanted, bounds_of(number))
        found.append(wanted[begin:end])
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)


def verify_pairs(
    runner: Runner,
    ctx: Context,
    work: Path,
    shards: Sequence[tuple[int, ShardTask]],
    corpus: Corpus,
) -> None:
    """Turn the pairs in the work folder into edges, see `pipelines.dedup.pairs.MergePairs`.

    `shards`: the numbered shards of this run; `corpus`: those of prior runs too.
    """
    own, prior = (
        [path.stem.removeprefix(name) for path in sorted(work.glob(f"{name}*.npy"))]
        for name in ("part-", "prior-")
    )

    def extract(pipeline: beam.Pipeline) -> None:
        distribute(pipeline, "shingle", shards) | "shingle: write" >> beam.ParDo(
            ExtractShingles(ctx, work)
        )

    def check(pipeline: beam.Pipeline) -> None:
        if own:
            distribute(pipeline, "verify", own) | "verify: pairs" >> beam.ParDo(Verify(ctx, work))
        if prior:
            distribute(pipeline, "estimate", prior) | "estimate: pairs" >> beam.ParDo(
                Estimate(ctx, work, corpus)
            )

    if own:
        runner.run("dedup-shingle", extract)
    if own or prior:
        runner.run("dedup-verify", check)
