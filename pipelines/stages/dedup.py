"""`dedup`: clusters of duplicates among the documents that the rules so far keep."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from filters.text.removed_spans import REMOVED_SPANS
from pipelines.stages.base import Stage, without
from pipelines.storage.layout import CONFIG, DOCUMENTS, annotation_manifests
from pipelines.storage.store import as_path
from schemas.config import Config
from schemas.manifest import MANIFEST
from schemas.rules import ALL, Rule

DEDUP = pa.schema(
    [
        pa.field("duplicate", pa.bool_(), nullable=False),  # dropped in favour of another
        pa.field("duplicate_of", pa.binary(16)),  # id of the survivor; null for survivors
        pa.field("duplicate_kind", pa.string()),  # exact, url, near, or earlier: of a prior run
        pa.field("cluster_id", pa.binary(16)),  # smallest id of the cluster; null outside one
        pa.field("cluster_size", pa.int32(), nullable=False),  # 1 outside a cluster
        pa.field("repeats", REMOVED_SPANS, nullable=False),  # passages that many documents hold
        pa.field("repeated", pa.float32()),  # their share of the bytes; null unless counted
    ]
)
"""Columns of `annotations/dedup`. Rows that rules before it drop are ignored."""


def prior_manifests(config: Config) -> list[Path]:
    """Return the configs and manifests of the runs in `dedup.against`."""
    files = []
    for name in config.dedup.against:
        out = as_path(name)
        files += [out / CONFIG, out / DOCUMENTS / MANIFEST, *annotation_manifests(out)]
    return files


def rules(config: Config) -> list[Rule]:
    """Return the rule against duplicates."""
    enabled = config.dedup.enabled
    return [Rule(ALL, "duplicate_of", "null", None, "duplicate")] if enabled else []


STAGE = Stage(
    name="dedup",
    columns=DEDUP,
    reads=("sign",),
    settings=lambda config: without(config.dedup, "semantic"),
    modules=("pipelines.dedup.run",),
    models=prior_manifests,
    rules=rules,
    survivors_only=True,
    whole=True,
)
