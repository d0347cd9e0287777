"""`ingest`: files to document shards, once."""

from __future__ import annotations

from pathlib import Path

from filters.text.charset.evidence import MODEL
from filters.text.pages.odds import MODEL as PAGES
from pipelines.stages.base import Stage
from pipelines.storage.layout import DOCUMENTS
from schemas.config import Config
from schemas.documents import DOCUMENT


def models(config: Config) -> list[Path]:
    """Return the frequencies by which an unlabelled charset is found, and the model of pages."""
    return [MODEL, PAGES]


STAGE = Stage(
    name="ingest",
    columns=DOCUMENT,
    modules=("pipelines.ingest.run",),
    models=models,
    folder=DOCUMENTS,
)
