"""`measure`: heuristic signals of prose and code."""

from __future__ import annotations

from pathlib import Path

from filters.text.boundaries import MODEL
from pipelines.stages.base import Stage, without
from schemas.config import Config


def models(config: Config) -> list[Path]:
    """Return the model of morpheme boundaries, which the signals of units read."""
    return [MODEL]


def not_computed(config: Config) -> dict[str, str]:
    """Return `syntax_ok` unless it is enabled: parsing costs more than all other signals."""
    return {} if config.measure.check_syntax else {"syntax_ok": "measure.check_syntax: true"}


STAGE = Stage(
    name="measure",
    annotator="filters.measure.annotator:Measure",
    sections=("measure",),
    reads=("identify",),
    settings=lambda config: without(config.measure, "cut_tails"),
    modules=("filters.signals",),
    models=models,
    not_computed=not_computed,
)
