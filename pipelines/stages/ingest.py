"""`ingest`: files to document shards, once."""

from __future__ import annotations

from pipelines.stages.base import Stage
from pipelines.storage.layout import DOCUMENTS
from schemas.documents import DOCUMENT

STAGE = Stage(
    name="ingest",
    columns=DOCUMENT,
    modules=("pipelines.ingest.run",),
    folder=DOCUMENTS,
)
