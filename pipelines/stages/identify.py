"""`identify`: language, script shares, language of code, component."""

from __future__ import annotations

from pathlib import Path

from filters.language.lid import model_path
from pipelines.stages.base import Stage, without
from schemas.config import Config
from schemas.rules import ALL, Rule


def models(config: Config) -> list[Path]:
    """Return the language model."""
    return [model_path(config.identify.model)]


STAGE = Stage(
    name="identify",
    annotator="filters.language.annotator:Identify",
    sections=("identify",),
    settings=lambda config: without(config.identify, "model"),
    models=models,
    rules=lambda config: [Rule(ALL, "assigned", "valid", None, "no_component")],
)
