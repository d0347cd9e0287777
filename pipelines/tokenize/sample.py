"""The tokenizer's training sample: which documents, by keyed hash, and which of their lines.

A component contributes bytes by its share in the mixture. The key hashes a document's exact hash,
so duplicates are drawn together and are in the sample once; lines that may contain personal data
are left out. Rules do not matter, so a changed threshold trains no new tokenizer. Workers write
the drawn texts beside the tokenizer; no text is shuffled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.pii.prefilter import has_candidates
from mixtures.keys import base_keys, id_matrix, named_key, scramble
from mixtures.mixing.shares import component_shares
from pipelines.engine.context import Context
from pipelines.storage.files import atomic_path
from pipelines.storage.layout import SHARDS, TOKENIZER
from pipelines.storage.shards import ShardTask
from pipelines.storage.store import read_parquet
from schemas.errors import InputError

SAMPLE: Final = "_sample"
DRAWN: Final = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("id", pa.binary(16), nullable=False),
        pa.field("component", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
    ]
)
"""Columns of `tokenizer/_sample/NAME`; `bytes` is the document's whole length."""

_OVERDRAW: Final = Fraction(5, 4)
"""More than the budget is drawn, since duplicates are removed; then the budget is cut by key."""


def component_bytes(ctx: Context, names: Sequence[str]) -> dict[str, int]:
    """Return the bytes of text of each component over the document shards `names`."""
    sizes: dict[str, int] = defaultdict(int)
    for name in names:
        for batch in ctx.read(name, ["assigned", "bytes"]):
            for row in batch_sums(batch.column("assigned"), batch.column("bytes")):
                sizes[row[0]] += row[1]
    return dict(sizes)


def batch_sums(component: pa.Array, values: pa.Array) -> list[tuple[str, int]]:
    """Return (component, sum of its values); null components are left out."""
    table = pa.table({"component": component, "value": values})
    sums = table.group_by("component").aggregate([("value", "sum")])
    return [
        (name, int(total or 0))
        for name, total in zip(
            sums.column("component").to_pylist(), sums.column("value_sum").to_pylist(), strict=True
        )
        if name is not None
    ]


def budgets(ctx: Context, sizes: dict[str, int]) -> dict[str, int]:
    """Return the bytes that each component contributes to the sample.

    Raises InputError where the components of the mixture have no text.
    """
    settings = ctx.config.mixture
    names = settings.weights if settings.strategy == "fixed" else sizes
    shares = component_shares({name: sizes.get(name, 0) for name in sorted(names)}, settings)
    found = {name: int(ctx.config.tokenizer.sample * share) for name, share in shares.items()}
    if not any(sizes.get(name) for name, budget in found.items() if budget):
        raise InputError(
            f"no document belongs to {', '.join(found)}, so there is nothing to train a tokenizer "
            "on; `bibim audit show OUT` shows where documents were dropped"
        )
    return found


def sample_keys(exact_hash: pa.Array, seed: int) -> npt.NDArray[np.uint64]:
    """Return each document's key, uniform, equal for documents of equal text."""
    return scramble(base_keys(id_matrix(exact_hash)) ^ named_key("tokenizer sample", seed))


class DrawSample(beam.DoFn):
    """Shard task in, shard name out: writes the shard's part of the sample."""

    def __init__(self, ctx: Context, sizes: dict[str, int]) -> None:
        self._ctx = ctx
        self._limits = {
            name: _threshold(budget, sizes.get(name, 0))
            for name, budget in budgets(ctx, sizes).items()
        }

    def process(self, task: ShardTask) -> Iterator[str]:
        """Write `tokenizer/_sample/NAME` and yield the name."""
        path = self._ctx.folder(TOKENIZER, SAMPLE, task.name)
        with atomic_path(path) as temporary, pq.ParquetWriter(temporary, DRAWN) as writer:
            columns = ["id", "assigned", "exact_hash", "text"]
            for batch in self._ctx.read(task.name, columns, task.documents_sha256):
                writer.write_batch(draw(batch, self._limits, self._ctx.config.tokenizer.seed))
        yield task.name


def _threshold(budget: int, size: int) -> int:
    """Return the key below which documents are drawn, of 2^64."""
    share = min(Fraction(1), Fraction(budget, max(1, size)) * _OVERDRAW)
    return min(2**64 - 1, int(share * 2**64))


def draw(batch: pa.RecordBatch, limits: dict[str, int], seed: int) -> pa.RecordBatch:
    """Return the documents of `batch` whose key is under their component's limit (DRAWN).

    `batch` has `id`, `assigned`, `exact_hash` and `text`.
    """
    keys = sample_keys(batch.column("exact_hash"), seed)
    known = sorted(limits)
    position = pc.index_in(batch.column("assigned"), pa.array(known, pa.string()))
    index = position.fill_null(len(known)).to_numpy()
    limit = np.array([*(limits[name] for name in known), 0], dtype=np.uint64)[index]
    drawn = batch.filter(pa.array(keys < limit))
    return pa.RecordBatch.from_arrays(
        [
            pa.array(keys[keys < limit]),
            drawn.column("id"),
            drawn.column("assigned"),
            pc.binary_length(drawn.column("text")).cast(pa.int64()),
            without_candidates(drawn.column("text")),
        ],
        schema=DRAWN,
    )


def without_candidates(texts: pa.Array) -> pa.Array:
    """Return each text without the lines that may contain personal data."""
    lines = pc.split_pattern(texts, "\n")
    flat = pc.list_flatten(lines).cast(pa.large_string())
    clean = pc.invert(has_candidates(flat))
    parents = pc.list_parent_indices(lines).filter(clean)
    counts = np.bincount(np.asarray(parents), minlength=len(texts)).astype(np.int64)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int64())
    kept = pa.LargeListArray.from_arrays(offsets, flat.filter(clean))
    return pc.binary_join(kept, pa.scalar("\n", pa.large_string()))


def sampled_texts(folder: Path, limits: dict[str, int]) -> list[str]:
    """Return the sample: by component in the keys' order, each text once, up to its budget.

    `folder` has the files of `DrawSample`, `limits` the bytes of each component. The result depends
    neither on shards nor on their order.
    """
    files = sorted(folder.glob(SHARDS))
    table = pa.concat_tables([read_parquet(path) for path in files])
    order = pc.sort_indices(
        table.select(["component", "key", "id"]),
        sort_keys=[("component", "ascending"), ("key", "ascending"), ("id", "ascending")],
    )
    table = table.take(order)
    keys, components = table.column("key").to_numpy(), table.column("component").to_pylist()
    sizes = table.column("bytes").to_pylist()
    chosen: list[int] = []
    used: dict[str, int] = defaultdict(int)
    for row, component in enumerate(components):
        again = row > 0 and keys[row] == keys[row - 1] and component == components[row - 1]
        if not again and used[component] < limits.get(component, 0):
            used[component] += sizes[row]
            chosen.append(row)
    texts: list[str] = table.column("text").take(pa.array(chosen, pa.int64())).to_pylist()
    return texts
