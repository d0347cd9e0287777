"""`mix`: the mixture solved, ordered and written as token shards."""

from __future__ import annotations

from typing import Any

from pipelines.stages.base import Stage, without
from pipelines.storage.layout import MIXTURE
from schemas.config import Config


def settings(config: Config) -> Any:
    """Return the mixture's section, its conditions as rules."""
    mixture = config.mixture
    return [
        without(mixture),
        [str(entry.rule) for entry in mixture.upsample],
        [[str(rule) for rule in stage.rules] for stage in mixture.stages],
    ]


STAGE = Stage(
    name="mix",
    reads=("tokenize",),
    settings=settings,
    noted=lambda config: config.name,
    modules=("pipelines.mix.run",),
    survivors_only=True,
    folder=MIXTURE,
    output="mixture",
)
