"""What a mixture may use: keys and token counts of the documents that survive, and its plan.

The driver reads ids, counts and the columns of conditions, no text and no token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.rules.decide import in_scope
from filters.rules.evaluate import breaks, holds
from mixtures.keys import id_matrix
from mixtures.mixing.documents import Documents, available_tokens, cells_of
from mixtures.mixing.plan import Plan, Pool, SourceTokens
from mixtures.mixing.solver import solve
from pipelines.engine.context import Context
from pipelines.stages.catalog import only_rules, rule_columns, upsample_rules
from pipelines.storage.layout import DOCUMENTS
from schemas.errors import RunFault
from schemas.manifest import Manifest, read_manifest
from schemas.mixture import Mixture
from schemas.rules import Rule

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Survivors:
    """The documents that a mixture may use, and where their tokens are stored."""

    documents: Documents
    pools: list[Pool]
    runs: list[str]
    """Names of document shards; `run` numbers them."""
    run: npt.NDArray[np.int32]
    offset: Ints
    """Where each document's tokens begin in its run."""
    allowed: list[Mask | None]
    """Per stage of the mixture which documents it may use; None: all."""


class _Columns:
    """Parts of the survivors' columns, one per row group that has any."""

    def __init__(self, stages: int) -> None:
        self.ids = [np.zeros((0, 16), dtype=np.uint8)]
        self.pool = [np.zeros(0, dtype=np.int32)]
        self.tokens = [np.zeros(0, dtype=np.int64)]
        self.offset = [np.zeros(0, dtype=np.int64)]
        self.run = [np.zeros(0, dtype=np.int32)]
        self.allowed = [[np.zeros(0, dtype=np.bool_)] for _ in range(stages)]


def gather(ctx: Context) -> Survivors:
    """Read the keys and counts of all survivors, shard by shard, in name order.

    Raises RunFault if there are no documents, or if a survivor has no tokens.
    """
    documents = _documents(ctx)
    upsample, stage_rules = upsample_rules(ctx.config), only_rules(ctx.config)
    conditions = [rule for rule, _ in upsample] + [rule for rules in stage_rules for rule in rules]
    columns = ["id", "tokens", "run_offset", *rule_columns(conditions)]
    numbers: dict[Pool, int] = {}
    parts = _Columns(len(stage_rules))
    for index, shard in enumerate(documents.shards):
        kept = ctx.survivors(shard.name)
        start = 0
        for batch in ctx.read(shard.name, columns, shard.sha256):
            rows = batch.filter(pa.array(kept[start : start + batch.num_rows]))
            start += batch.num_rows
            if not rows.num_rows:
                continue
            if missing := rows.column("tokens").null_count:
                raise RunFault(
                    f"{shard.name}: {missing} documents that survive have no tokens; "
                    "run the stage `tokenize`"
                )
            parts.ids.append(id_matrix(rows.column("id")).copy())
            parts.pool.append(_number_pools(rows, numbers, upsample))
            parts.tokens.append(rows.column("tokens").cast(pa.int64()).to_numpy())
            parts.offset.append(rows.column("run_offset").to_numpy())
            parts.run.append(np.full(rows.num_rows, index, dtype=np.int32))
            for stage, rules in zip(parts.allowed, stage_rules, strict=True):
                stage.append(_met(rows, rules))
    # Pools in the order of their names: nothing may depend on which shard came first.
    pools = sorted(numbers)
    renumbered = np.zeros(max(1, len(pools)), dtype=np.int32)
    for new, pool in enumerate(pools):
        renumbered[numbers[pool]] = new
    return Survivors(
        documents=Documents(
            ids=np.concatenate(parts.ids),
            pool=renumbered[np.concatenate(parts.pool)],
            tokens=np.concatenate(parts.tokens),
        ),
        pools=pools,
        runs=[shard.name for shard in documents.shards],
        run=np.concatenate(parts.run),
        offset=np.concatenate(parts.offset),
        allowed=[
            np.concatenate(stage) if rules else None
            for stage, rules in zip(parts.allowed, stage_rules, strict=True)
        ],
    )


def _documents(ctx: Context) -> Manifest:
    folder = ctx.folder(DOCUMENTS)
    documents = read_manifest(folder)
    if documents is None:
        raise RunFault(f"{folder}: no documents; run `ingest` first")
    return documents


def _number_pools(
    rows: pa.RecordBatch, numbers: dict[Pool, int], upsample: Sequence[tuple[Rule, Fraction]]
) -> npt.NDArray[np.int32]:
    """Return the number of each row's pool. Pools that are not in `numbers` are added to it."""
    source = pc.dictionary_encode(rows.column("source"))
    component = pc.dictionary_encode(rows.column("assigned"))
    sources, components = source.dictionary.to_pylist(), component.dictionary.to_pylist()
    factors = [Fraction(1), *(factor for _, factor in upsample)]
    code = source.indices.to_numpy().astype(np.int64) * len(components)
    code = (code + component.indices.to_numpy()) * len(factors) + _first_to_hold(rows, upsample)
    codes, inverse = np.unique(code, return_inverse=True)
    pools = []
    for value in codes.tolist():
        pair, factor = divmod(value, len(factors))
        of_source, of_component = divmod(pair, len(components))
        pool = Pool(sources[of_source], components[of_component], factors[factor])
        pools.append(numbers.setdefault(pool, len(numbers)))
    return np.array(pools, dtype=np.int32)[inverse]


def _met(rows: pa.RecordBatch, rules: Sequence[Rule]) -> Mask:
    """Return per row whether no rule of `rules` that applies to it is broken."""
    met = np.ones(rows.num_rows, dtype=np.bool_)
    for rule in rules:
        applies = in_scope(rule, rows.column("assigned"), rows.column("source"))
        met &= ~(applies & breaks(rule, rows.column(rule.column)))
    return met


def _first_to_hold(rows: pa.RecordBatch, upsample: Sequence[tuple[Rule, Fraction]]) -> Ints:
    """Return per row the number, from 1, of the first condition that holds; 0 if none does."""
    first = np.zeros(rows.num_rows, dtype=np.int64)
    for number, (rule, _) in enumerate(upsample, 1):
        applies = in_scope(rule, rows.column("assigned"), rows.column("source"))
        first[(first == 0) & applies & holds(rule, rows.column(rule.column))] = number
    return first


def plan_exact(ctx: Context) -> Plan:
    """Return the solved mixture of a run whose tokens are counted; each stage's `only` holds."""
    survivors = gather(ctx)
    documents = survivors.documents
    cells = cells_of(documents, survivors.pools, survivors.allowed)
    available = available_tokens(documents, cells, np.zeros(len(documents.tokens), np.int16))
    return solve(available, ctx.config.mixture)


BYTES_PER_TOKEN: Final = {"ko": 3.9, "en": 3.7, "code": 3.9}
"""Bytes per token of a 32,000-piece model trained as Bibim does, on technical text of each
component; 3.8 elsewhere. For estimates only."""


def plan_estimated(
    sizes: Sequence[tuple[str, str, int, int]], settings: Mixture
) -> tuple[list[SourceTokens], Plan]:
    """Return estimated tokens by source and the mixture solved over them.

    `sizes`: (source, component, bytes of text, documents). Nothing is tokenised, and no stage's
    `only` is applied: it reads columns that only a run has.
    """
    available = [
        SourceTokens(
            source,
            component,
            int(size / BYTES_PER_TOKEN.get(component, 3.8)) + documents,
            documents,
        )
        for source, component, size, documents in sizes
    ]
    return available, solve(available, settings)
