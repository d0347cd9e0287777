"""Resume of stages over the whole corpus: an interruption changes no byte of the result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.dedup import label, semantic
from pipelines.driver import Run
from pipelines.engine.progress import LogReporter
from pipelines.runners.runner import Runner
from pipelines.storage.layout import RECEIPTS
from schemas.config import Config
from schemas.errors import RunFault
from schemas.manifest import read_manifest
from tests.pipelines.dedup.test_dedup import BASE, noisy

STAGES = ("ingest", "identify", "measure", "dedup")
LABELS = {"dedup": label, "semantic": semantic}
"""The modules whose last pipeline writes a stage's annotation, shard by shard."""


def small(folder: Path) -> Config:
    """Return a config of two files of several shards each; the second repeats the first."""
    texts = {"a": BASE[:40], "b": [*BASE[:20], *(noisy(text, "sentence") for text in BASE[20:40])]}
    for name, rows in texts.items():
        lines = (json.dumps({"text": text}, ensure_ascii=False) for text in rows)
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return Config.model_validate(
        {
            "name": "small",
            "sources": {
                name: {"component": "ko", "path": str(folder / f"{name}.jsonl")} for name in texts
            },
            "ingest": {"shard_bytes": 15_000},
            "dedup": {
                "threshold": 0.99,
                "semantic": {"enabled": True, "threshold": 0.9, "cells": 1},
            },
            "mixture": {"weights": {"ko": 1}},
        }
    )


def execute(config: Config, out: Path, stages: tuple[str, ...]) -> None:
    Run(config, out, Runner("local", 1), LogReporter()).execute(stages)


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    ("stage", "column", "more"),
    [("dedup", "duplicate_of", ()), ("semantic", "semantic_of", ("redact", "screen", "score"))],
)
def test_a_run_stopped_at_its_first_label_ends_as_an_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, column: str, more: tuple[str, ...]
):
    config, stages = small(tmp_path), (*STAGES, *more)
    execute(config, tmp_path / "undisturbed", stages)
    write_shard = LABELS[stage].write_shard

    def stopped(*arguments: Any, **named: Any) -> None:
        write_shard(*arguments, **named)
        raise RuntimeError("stopped after the first receipt")

    monkeypatch.setattr(LABELS[stage], "write_shard", stopped)
    with pytest.raises(RunFault, match="stopped after the first receipt"):
        execute(config, tmp_path / "stopped", stages)
    folder = tmp_path / "stopped" / "annotations" / stage
    assert len(list((folder / RECEIPTS).glob("*.json"))) == 1
    assert read_manifest(folder) is None
    monkeypatch.undo()
    execute(config, tmp_path / "stopped", stages)

    expected = tmp_path / "undisturbed" / "annotations" / stage
    assert written(folder) == written(expected)
    labels = [pq.read_table(path).column(column) for path in sorted(expected.glob("*.parquet"))]
    assert sum(len(part) - part.null_count for part in labels) >= 5, "there is something to find"
