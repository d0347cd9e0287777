"""The stage `semantic`: off by default; enabled, it drops documents that repeat a survivor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from audit.accounting.check import check_run
from audit.query.reading import finished_steps
from pipelines.driver import Run
from pipelines.engine.progress import LogReporter
from pipelines.runners.runner import Runner
from schemas.config import Config
from schemas.errors import InputError
from schemas.manifest import read_manifest
from tests.pipelines.dedup.test_dedup import BASE, story

STAGES = ("ingest", "identify", "measure", "dedup", "redact", "screen", "score")
TEXTS = [story(seed, 12) for seed in range(30)]


def altered(text: str) -> str:
    """Return the text with its seventh sentence replaced: below the threshold of `dedup`."""
    parts = text.split(". ")
    parts[6] = BASE[parts[6].count("이")].split(". ")[0]
    return ". ".join(parts)


def run(folder: Path, workers: int = 1, **semantic: Any) -> tuple[Path, Config]:
    folder.mkdir(parents=True, exist_ok=True)
    texts = [*TEXTS, *map(altered, TEXTS[:10])]
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
    (folder / "in.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    config = Config.model_validate(
        {
            "name": "small",
            "sources": {"a": {"component": "ko", "path": str(folder / "in.jsonl")}},
            "ingest": {"shard_bytes": 8_000},
            "dedup": {"threshold": 0.99, "semantic": semantic},
            "mixture": {"weights": {"ko": 1}},
        }
    )
    out = folder / "out"
    Run(config, out, Runner("local", workers), LogReporter()).execute(STAGES)
    return out, config


def column(out: Path, stage: str, name: str) -> list[Any]:
    manifest = read_manifest(out / "documents")
    assert manifest is not None
    folder = out / ("documents" if stage == "documents" else f"annotations/{stage}")
    return [
        value
        for shard in manifest.shards
        for value in pq.read_table(folder / shard.name, columns=[name]).column(0).to_pylist()
    ]


def test_a_dropped_document_has_its_similarity_to_its_survivor(tmp_path: Path):
    out, config = run(tmp_path, enabled=True, threshold=0.9, cells=1)
    ids = column(out, "documents", "id")
    of = dict(zip(ids, column(out, "semantic", "semantic_of"), strict=True))
    similarity = dict(zip(ids, column(out, "semantic", "semantic_similarity"), strict=True))
    vectors = {
        name: np.frombuffer(value, "<f2").astype(np.float32)
        for name, value in zip(ids, column(out, "score", "embedding"), strict=True)
    }
    assert sum(value is not None for value in of.values()) >= 10
    for name, survivor in of.items():
        if survivor is None:
            assert similarity[name] is None
            continue
        assert of[survivor] is None
        cosine = vectors[name] @ vectors[survivor]
        cosine /= np.linalg.norm(vectors[name]) * np.linalg.norm(vectors[survivor])
        assert similarity[name] == pytest.approx(cosine, abs=1e-3)
        assert similarity[name] >= 0.9
    assert finished_steps(out, config)[-1] == "semantic"
    assert [check.detail for check in check_run(out, config) if not check.holds] == []


def test_two_workers_find_the_same(tmp_path: Path):
    shards = []
    for workers in (1, 2):
        out, _ = run(tmp_path / str(workers), workers, enabled=True, threshold=0.9, cells=3)
        manifest = read_manifest(out / "annotations/semantic")
        assert manifest is not None
        shards.append([shard.sha256 for shard in manifest.shards])
    assert shards[0] == shards[1]


def test_off_by_default_there_is_no_stage_and_no_embedding(tmp_path: Path):
    out, config = run(tmp_path)
    assert not (out / "annotations/semantic").exists()
    assert set(column(out, "score", "embedding")) == {None}
    assert finished_steps(out, config)[-1] == "score"
    assert [check.detail for check in check_run(out, config) if not check.holds] == []


def test_a_rule_over_what_is_off_names_the_key(tmp_path: Path):
    config = {
        "name": "small",
        "sources": {"a": {"component": "ko", "path": str(tmp_path)}},
        "rules": {"ko": {"semantic_similarity": "<=0.5"}},
        "mixture": {"weights": {"ko": 1}},
    }
    with pytest.raises(InputError, match=r"dedup\.semantic\.enabled"):
        Run(Config.model_validate(config), tmp_path, Runner(), LogReporter()).execute(STAGES)
