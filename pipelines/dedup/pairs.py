"""Pairs of documents that may be the same: band keys, buckets, each pair once.

Only document numbers (`pipelines.dedup.numbers`) and keys are exchanged, through
`pipelines.engine.exchange`. Two documents with the same URL make an edge at once; all other equal
keys make candidates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.columnar.arrays import fixed_matrix
from filters.dedup.connected import forest, unique_pairs
from filters.dedup.lsh import MISS_WEIGHT, Pairs, band_keys, bands_and_rows, candidates
from pipelines.dedup.numbers import documents_of, shards_of
from pipelines.engine.context import Context
from pipelines.engine.exchange import Exchange, Slice, partitions_for, save_array
from pipelines.runners.runner import Runner, distribute
from pipelines.storage.shards import ShardTask
from schemas.config import Dedup
from schemas.kernels import GOLDEN

KEY = np.dtype([("key", "<u8"), ("document", "<i8")])
PAIR = np.dtype(("<i8", (2,)))
SMALL = 4000
"""Documents per partition, where there are few."""


@dataclass(frozen=True)
class Plan:
    """The work folder, and how keys and pairs are partitioned."""

    work: Path
    own: int
    """Shards of this run; those of prior runs follow."""
    partitions: int
    """Of candidates. As many again follow, for the keys of URLs and their pairs."""
    verify: bool

    @property
    def keys(self) -> Exchange:
        return Exchange(self.work / "keys", KEY)

    @property
    def pairs(self) -> Exchange:
        return Exchange(self.work / "pairs", PAIR)


def plan(work: Path, own: int, documents: int, settings: Dedup) -> Plan:
    """Return the plan for `documents` documents, of this run and of prior ones."""
    keys = documents * (banding(settings)[0] + 1)
    partitions = partitions_for(keys, KEY.itemsize, SMALL * (keys // max(documents, 1)))
    return Plan(work, own, partitions, settings.verify)


def banding(settings: Dedup) -> tuple[int, int]:
    """Return bands and rows per band: those of the config, or the best for the threshold."""
    if settings.bands and settings.rows:
        return settings.bands, settings.rows
    weight = MISS_WEIGHT if settings.verify else 0.5
    return bands_and_rows(settings.threshold, settings.permutations, weight)


class EmitKeys(beam.DoFn):
    """(number, task) in, (partition, slice of keys) out, of the documents that survive."""

    def __init__(self, ctx: Context, settings: Dedup, plan: Plan) -> None:
        self._ctx = ctx
        self._settings = settings
        self._plan = plan

    def process(self, element: tuple[int, ShardTask]) -> Iterator[tuple[int, Slice]]:
        """Write keys of bands, exact hashes and URLs, each with its document."""
        number, task = element
        ctx, settings = self._ctx, self._settings
        bands, rows = banding(settings)
        survivors = ctx.survivors(task.name)
        start = 0
        packed: list[npt.NDArray[np.void]] = []
        urls: list[npt.NDArray[np.void]] = []
        columns = ["signature", "exact_hash", "url_key"]
        for batch in ctx.read(task.name, columns, task.documents_sha256):
            alive = np.flatnonzero(survivors[start : start + batch.num_rows])
            documents = documents_of(number, start + alive)
            start += batch.num_rows
            if not len(alive):
                continue
            chosen = batch.take(pa.array(alive))
            signature = fixed_matrix(chosen.column("signature"), 4 * settings.permutations, "<u4")
            keys = band_keys(signature, bands, rows)
            keys = np.column_stack([_short(chosen.column("exact_hash")), keys])
            packed.append(pack_keys(keys.ravel(), np.repeat(documents, keys.shape[1])))
            if settings.urls:
                url = chosen.column("url_key")
                known = np.asarray(url.is_valid())
                urls.append(pack_keys(_short(url.drop_null()), documents[known]))
        if packed:
            yield from write_keys(self._plan, number, packed, urls)


def _short(column: pa.Array) -> npt.NDArray[np.uint64]:
    """Return 64 bits of each 16-byte hash."""
    halves = fixed_matrix(column, 16, "<u8")
    return np.asarray(halves[:, 0] ^ (halves[:, 1] >> np.uint64(1)))


def pack_keys(keys: npt.NDArray[np.uint64], documents: Pairs) -> npt.NDArray[np.void]:
    """Return keys and their documents as rows of KEY."""
    entries = np.empty(len(keys), KEY)
    entries["key"] = keys
    entries["document"] = documents
    return entries


def write_keys(
    plan: Plan,
    number: int,
    packed: Sequence[npt.NDArray[np.void]],
    urls: Sequence[npt.NDArray[np.void]] = (),
) -> Iterator[tuple[int, Slice]]:
    """Write the keys of one shard; yield (partition, slice). `urls`: those of URLs."""
    entries = np.concatenate([*packed, *urls])
    partitions = (entries["key"] % np.uint64(plan.partitions)).astype(np.int64)
    if urls:
        partitions[-sum(map(len, urls)) :] += plan.partitions
    yield from plan.keys.write(f"{number:05d}", entries, partitions)


class FindCandidates(beam.DoFn):
    """(partition, slices of keys) in, (part, slice of pairs) out.

    Pairs of two documents of prior runs are left out. A part holds whole blocks of pairs of the
    same two shards, so that verifying it reads few shards.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def process(self, element: tuple[int, Iterable[Slice]]) -> Iterator[tuple[int, Slice]]:
        """Write the partition's pairs, int64 [pairs, 2]."""
        partition, slices = element
        plan = self._plan
        entries = plan.keys.read(slices)
        by_url = partition >= plan.partitions
        chain = plan.verify and not by_url
        pairs = candidates(entries["key"], entries["document"], chain)
        pairs = pairs[shards_of(pairs[:, 0]) < plan.own]
        blocks = (pairs[:, 0] >> 12).astype(np.uint64) * GOLDEN
        blocks ^= shards_of(pairs[:, 1]).astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93)
        parts = ((blocks >> np.uint64(32)) % np.uint64(plan.partitions)).astype(np.int64)
        yield from plan.pairs.write(
            f"{partition:05d}", pairs, parts + plan.partitions if by_url else parts
        )


class MergePairs(beam.DoFn):
    """(part, slices of pairs) in; writes each pair once, yields the part.

    Pairs to verify go to `part-` (both of this run) and `prior-` (one of a prior run), and the
    documents of the former to `wanted-`. The others go to `edges-`.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def process(self, element: tuple[int, Iterable[Slice]]) -> Iterator[int]:
        """Write the files of the part, int64 [pairs, 2] ordered by their two shards."""
        part, slices = element
        plan = self._plan
        pairs = unique_pairs(plan.pairs.read(slices))
        if part >= plan.partitions or not plan.verify:
            save_array(plan.work / f"edges-{part:05d}.npy", forest(pairs))
        else:
            order = np.lexsort((shards_of(pairs[:, 1]), shards_of(pairs[:, 0])))
            pairs = pairs[order]
            prior = shards_of(pairs[:, 1]) >= plan.own
            own = pairs[~prior]
            for name, some in (("part", own), ("prior", pairs[prior])):
                if len(some):
                    save_array(plan.work / f"{name}-{part:05d}.npy", some)
            save_array(plan.work / f"wanted-{part:05d}.npy", np.unique(own))
        yield part


def find_pairs(
    runner: Runner,
    plan: Plan,
    emit: Sequence[tuple[beam.DoFn, Sequence[tuple[int, ShardTask]]]],
) -> None:
    """Write the pairs of all documents to the work folder, see MergePairs.

    `emit`: per run, the DoFn that writes keys and the numbered shards that it gets.
    """

    def build(pipeline: beam.Pipeline) -> None:
        keys = [
            distribute(pipeline, f"bucket-{number}", shards)
            | f"bucket: keys {number}" >> beam.ParDo(make).with_output_types(tuple[int, Slice])
            for number, (make, shards) in enumerate(emit)
        ]
        (
            keys
            | "bucket: all" >> beam.Flatten()
            | "bucket: group" >> beam.GroupByKey()
            | "bucket: pairs"
            >> beam.ParDo(FindCandidates(plan)).with_output_types(tuple[int, Slice])
            | "bucket: regroup" >> beam.GroupByKey()
            | "bucket: merge" >> beam.ParDo(MergePairs(plan))
        )

    runner.run("dedup-bucket", build)
