"""`sign`: content hash, URL key and MinHash signature of every document; benchmark items."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

from filters.dedup.items import read_items
from filters.text.boundaries import MODEL
from pipelines.stages.base import Stage
from schemas.config import Config
from schemas.rules import ALL, Rule


def settings(config: Config) -> Any:
    """Return the settings of hashes, signatures and matches.

    An item without an id is called by the name of its file.
    """
    dedup, decontaminate = config.dedup, config.decontaminate
    names = [PurePath(path).name for path in decontaminate.against]
    signed = [dedup.unit, dedup.ngram, dedup.permutations, dedup.seed]
    return [*signed, decontaminate.ngram, names]


def models(config: Config) -> list[Path]:
    """Return the local benchmark files, and the boundary model where units need it."""
    files = [Path(path) for path in config.decontaminate.against if "://" not in path]
    return [*files, *([MODEL] if config.dedup.unit == "morphemes" else [])]


def check(config: Config) -> None:
    """Raise InputError where a local benchmark file cannot be read, or holds no item."""
    for path in config.decontaminate.against:
        if "://" not in path and Path(path).exists():
            read_items(path)


def rules(config: Config) -> list[Rule]:
    """Return the rule against documents that contain a benchmark item."""
    asked = config.decontaminate.against and config.decontaminate.action == "drop"
    return [Rule(ALL, "contaminated_by", "null", None, "contaminated")] if asked else []


STAGE = Stage(
    name="sign",
    command="dedup",
    annotator="filters.dedup.annotator:Sign",
    sections=("dedup", "decontaminate"),
    reads=("identify",),
    settings=settings,
    models=models,
    check=check,
    rules=rules,
)
