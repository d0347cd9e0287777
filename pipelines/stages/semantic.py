"""`semantic`: documents that repeat another in meaning, by the embeddings of `score`."""

from __future__ import annotations

import pyarrow as pa

from pipelines.stages.base import Stage, without
from schemas.config import Config
from schemas.rules import ALL, Rule

SEMANTIC = pa.schema(
    [
        pa.field("semantic_of", pa.binary(16)),  # id of the survivor; null for survivors
        pa.field("semantic_similarity", pa.float32()),  # cosine with it; null for survivors
    ]
)
"""Columns of `annotations/semantic`."""


def enabled(config: Config) -> bool:
    """Return whether the config enables the stage."""
    return config.dedup.semantic.enabled


def not_computed(config: Config) -> dict[str, str]:
    """Return both columns unless the stage is enabled."""
    return {} if enabled(config) else dict.fromkeys(SEMANTIC.names, "dedup.semantic.enabled: true")


def rules(config: Config) -> list[Rule]:
    """Return the rule against semantic duplicates."""
    if not enabled(config):
        return []
    return [Rule(ALL, "semantic_of", "null", None, "semantic_duplicate")]


STAGE = Stage(
    name="semantic",
    command="score",
    columns=SEMANTIC,
    reads=("score", "measure"),
    settings=lambda config: [without(config.dedup.semantic), config.dedup.prefer],
    modules=("pipelines.dedup.semantic",),
    rules=rules,
    enabled=enabled,
    not_computed=not_computed,
    survivors_only=True,
    whole=True,
)
