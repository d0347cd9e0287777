"""`screen`: toxicity and spam."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from filters.toxicity.annotator import is_transformer, model_files
from pipelines.code_version import code_version
from pipelines.stages.base import Stage, keep_where
from schemas.config import Config
from schemas.extras import TORCH, require
from schemas.rules import Rule


def settings(config: Config) -> Any:
    """Return nothing for the n-gram model; for a transformer its label and its code.

    A Hub model id is keyed by its name, because its files are not available locally.
    """
    if not is_transformer(config.toxicity):
        return {}
    name = None if Path(config.toxicity.model).is_dir() else config.toxicity.model
    code = code_version("filters.toxicity.classifier", "pipelines.inference.screen")
    return [name, config.toxicity.label, code]


def models(config: Config) -> list[Path]:
    """Return the files of the model."""
    return model_files(config.toxicity)


def rules(config: Config) -> list[Rule]:
    """Return the rules on both scores."""
    return [
        *keep_where("toxicity", "<=", config.toxicity.drop_above),
        *keep_where("spam", "<=", config.toxicity.spam_above),
    ]


def packages(config: Config) -> None:
    """Raise InputError where a transformer is named and torch is not installed."""
    if is_transformer(config.toxicity):
        require(TORCH, f"toxicity.model: {config.toxicity.model!r}", "write `model: default`")


STAGE = Stage(
    name="screen",
    annotator="filters.toxicity.annotator:Screen",
    sections=("toxicity",),
    reads=("identify",),
    settings=settings,
    models=models,
    rules=rules,
    packages=packages,
    survivors_only=True,
)
