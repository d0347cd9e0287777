"""`redact`: spans of personal data, applied when tokens are written."""

from __future__ import annotations

from typing import Any

from filters.pii.entities import drop_types
from pipelines.stages.base import Stage, keep_where, without
from schemas.config import Config
from schemas.rules import ALL, Rule


def settings(config: Config) -> Any:
    """Return the settings that decide which spans are found, not the actions on them."""
    return without(config.pii, "action", "entities", "drop_above", "keep_demographics", "key")


def rules(config: Config) -> list[Rule]:
    """Return the rules on the number of spans, and on the entity types with the action `drop`."""
    return [
        *keep_where("pii_count", "<=", config.pii.drop_above),
        *(
            Rule(ALL, "pii_types", "lacks", entity, f"pii_{entity.lower()}")
            for entity in drop_types(config.pii)
        ),
    ]


STAGE = Stage(
    name="redact",
    annotator="filters.pii.annotator:Redact",
    sections=("pii",),
    reads=("identify",),
    settings=settings,
    rules=rules,
    survivors_only=True,
)
