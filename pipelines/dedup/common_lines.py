"""Counting lines and paragraphs across documents, for `filters.dedup.common_lines`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.columnar.arrays import Longs, Mask
from filters.dedup.common_lines import document_keys, removed_repeats, split_passages
from filters.text.removed_spans import flat_spans
from pipelines.dedup.clusters import duplicate_rows, work_folder
from pipelines.engine.context import Context
from pipelines.engine.exchange import Exchange, Slice, load_array, partitions_for, save_array
from pipelines.runners.runner import Runner, distribute
from pipelines.storage.layout import DOCUMENTS
from pipelines.storage.shards import ShardTask
from schemas.config import Lines
from schemas.manifest import read_manifest

COUNT = np.dtype([("key", "<u8"), ("documents", "<i8")])
READS = ("text", "lang", "code_lang")
LINE_BYTES = 40
"""About what a line takes; it only decides the number of partitions."""


class EmitLines(beam.DoFn):
    """(number, task) in, (partition, slice of keys) out: the passages of kept documents."""

    def __init__(self, ctx: Context, exchange: Exchange, partitions: int) -> None:
        self._ctx = ctx
        self._exchange = exchange
        self._partitions = partitions

    def process(self, element: tuple[int, ShardTask]) -> Iterator[tuple[int, Slice]]:
        """Write each document's different passages, as uint64 keys."""
        number, task = element
        kept = kept_rows(self._ctx, number, task)
        found = [np.zeros(0, np.uint64)]
        start = 0
        for batch in self._ctx.read(task.name, READS, task.documents_sha256):
            where = kept[start : start + batch.num_rows] & prose(batch)
            start += batch.num_rows
            found.append(document_keys(*split_passages(batch.column("text"), where)))
        keys = np.concatenate(found)
        yield from self._exchange.write(f"{number:05d}", keys, keys % np.uint64(self._partitions))


class CountLines(beam.DoFn):
    """(partition, slices of keys) in; writes those of more than `above` documents, counted."""

    def __init__(self, exchange: Exchange, work: Path, above: int) -> None:
        self._exchange = exchange
        self._work = work
        self._above = above

    def process(self, element: tuple[int, Iterable[Slice]]) -> Iterator[int]:
        """Write `lines-PARTITION.npy`, rows of COUNT."""
        partition, slices = element
        keys, counts = np.unique(self._exchange.read(slices), return_counts=True)
        many = counts > self._above
        out = np.empty(int(many.sum()), COUNT)
        out["key"], out["documents"] = keys[many], counts[many]
        save_array(self._work / f"lines-{partition:05d}.npy", out)
        yield partition


def kept_rows(ctx: Context, number: int, task: ShardTask) -> Mask:
    """Return bool [rows]: documents that the rules keep and that are not duplicates."""
    kept = ctx.survivors(task.name)
    kept[duplicate_rows(ctx, number)] = False
    return kept


def prose(batch: pa.RecordBatch) -> Mask:
    """Return bool [rows]: texts whose lines count. Code repeats lines by nature."""
    return np.asarray(pc.is_null(batch.column("code_lang")))


def count_lines(runner: Runner, ctx: Context, shards: Sequence[tuple[int, ShardTask]]) -> None:
    """Write `lines.npy`: rows of COUNT ordered by key, of passages that any limit asks for."""
    work = work_folder(ctx)
    settings = ctx.config.dedup.lines
    limits = [*settings.rare.values(), *settings.common.values()]
    above = min(limits if settings.paragraphs is None else [*limits, settings.paragraphs])
    documents = read_manifest(ctx.out / DOCUMENTS)
    manifested = documents.shards if documents else []
    size = sum(int(shard.stats.get("text_bytes", 0)) for shard in manifested)
    partitions = partitions_for(size // LINE_BYTES, 8, 100_000)
    exchange = Exchange(work / "lines", np.dtype("<u8"))

    def build(pipeline: beam.Pipeline) -> None:
        (
            distribute(pipeline, "lines", shards)
            | "lines: keys"
            >> beam.ParDo(EmitLines(ctx, exchange, partitions)).with_output_types(tuple[int, Slice])
            | "lines: group" >> beam.GroupByKey()
            | "lines: count" >> beam.ParDo(CountLines(exchange, work, above))
        )

    runner.run("dedup-lines", build)
    parts = [load_array(path) for path in sorted(work.glob("lines-*.npy"))]
    counts = np.concatenate([np.zeros(0, COUNT), *parts])
    save_array(work / "lines.npy", counts[np.argsort(counts["key"])])


def repeats_of(
    batch: pa.RecordBatch, kept: Mask, counts: npt.NDArray[np.void], settings: Lines
) -> tuple[pa.ListArray, pa.Array]:
    """Return the cuts of the `kept` rows of `batch` (READS), and their share of its bytes.

    `counts`: rows of COUNT ordered by key. Other rows have no cuts and a null share.
    """
    where = kept & prose(batch)
    lines, paragraphs = split_passages(batch.column("text"), where)
    langs = batch.column("lang").to_pylist()
    cuts = removed_repeats(
        lines,
        paragraphs,
        _documents(counts, lines.keys),
        _documents(counts, paragraphs.keys),
        _limits(settings.rare, langs),
        _limits(settings.common, langs),
        settings.paragraphs,
    )
    rows, starts, ends = flat_spans(cuts)
    removed = np.bincount(rows, ends - starts, batch.num_rows)
    sizes = np.maximum(np.asarray(pc.binary_length(batch.column("text"))), 1)
    return cuts, pa.array(removed / sizes, pa.float32(), mask=~kept)


def _documents(counts: npt.NDArray[np.void], keys: npt.NDArray[np.uint64]) -> Longs:
    """Return the counts of `keys`; 1 for those that are not listed."""
    found = np.ones(len(keys), np.int64)
    if len(counts):
        at = np.minimum(np.searchsorted(counts["key"], keys), len(counts) - 1)
        here = counts["key"][at] == keys
        found[here] = counts["documents"][at[here]]
    return found


def _limits(limits: dict[str, int], langs: list[str | None]) -> Longs:
    usual = limits["default"]
    return np.array([limits.get(lang or "", usual) for lang in langs], np.int64)
