"""`score`: quality by text embeddings, on a GPU if there is one."""

from __future__ import annotations

from pathlib import Path

from filters.quality.annotator import model_files
from filters.quality.embedding import is_table
from pipelines.stages.base import Stage, keep_where
from schemas.config import Config
from schemas.extras import EMBED, require


def models(config: Config) -> list[Path]:
    """Return the files of the head and of a local embedder."""
    return model_files(config.quality)


def packages(config: Config) -> None:
    """Raise InputError where the embedder is a model whose library is not installed."""
    if not is_table(config.quality.embedder):
        require(
            EMBED, f"quality.embedder: {config.quality.embedder!r}", "write `embedder: default`"
        )


STAGE = Stage(
    name="score",
    annotator="filters.quality.annotator:Score",
    reads=("identify",),
    settings=lambda config: [config.quality.embedder, config.dedup.semantic.enabled],
    modules=("pipelines.inference.score",),
    models=models,
    packages=packages,
    rules=lambda config: keep_where("quality", ">=", config.quality.drop_below),
    survivors_only=True,
)
