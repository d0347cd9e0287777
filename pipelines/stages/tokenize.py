"""`tokenize`: the tokenizer, and the tokens of every document that the rules keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from pipelines.stages.base import Stage, without
from schemas.config import Config
from schemas.errors import InputError

TOKENS: Final = pa.schema(
    [
        pa.field("tokens", pa.int32()),
        pa.field("run_offset", pa.int64()),
        pa.field("cut_key", pa.int64()),
    ]
)
"""Annotation columns: number of tokens, with the document's end; their offset in the run; a hash of
the spans removed before (0: none). All are null where the document has never survived."""


def cut_columns(config: Config) -> list[str]:
    """Return the columns of removed spans (`filters.text.removed_spans`), which encoding skips."""
    tails = ["tails"] if config.measure.cut_tails else []
    return [*tails, "repeats"] if config.dedup.lines.enabled else tails


def settings(config: Config) -> Any:
    """Return the settings of the tokenizer, its training sample, masks and removed spans."""
    return [
        without(config.tokenizer, "path"),
        None if config.tokenizer.path else sampling(config),
        [without(config.pii, "drop_above", "key"), config.pii.key.fingerprint],
        cut_columns(config),
    ]


def sampling(config: Config) -> Any:
    """Return the settings of the mixture that decide the tokenizer's training sample."""
    mixture = config.mixture
    shares = {name: str(weight.share) for name, weight in mixture.weights.items()}
    return [mixture.strategy, mixture.temperature, shares]


def models(config: Config) -> list[Path]:
    """Return the file of the tokenizer that the config names, if it does."""
    if not config.tokenizer.path:
        return []
    path = Path(config.tokenizer.path)
    return [path / "tokenizer.model" if path.is_dir() else path]


def check(config: Config) -> None:
    """Raise InputError where pseudonyms are configured and their secret is not known."""
    secret = config.pii.key
    if (secret.variable or config.pii.pseudonymises()) and not secret.known:
        raise InputError(secret.remedy())


STAGE = Stage(
    name="tokenize",
    columns=TOKENS,
    reads=("identify", "sign", "redact"),
    settings=settings,
    modules=("pipelines.tokenize.run",),
    models=models,
    check=check,
    survivors_only=True,
)
