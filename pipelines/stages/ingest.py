"""`ingest`: files to document shards, once."""

from __future__ import annotations

from pathlib import Path

from filters.text.charset.evidence import MODEL
from pipelines.stages.base import Stage
from pipelines.storage.layout import DOCUMENTS
from schemas.config import Config
from schemas.documents import DOCUMENT


def models(config: Config) -> list[Path]:
    """Return the frequencies by which an unlabelled charset is found."""
    return [MODEL]


STAGE = Stage(
    name="ingest",
    columns=DOCUMENT,
    modules=("pipelines.ingest.run",),
    models=models,
    folder=DOCUMENTS,
)
