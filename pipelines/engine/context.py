"""What a stage's workers need: the output folder, the config, and which rows survive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.rules.decide import KEPT, decide
from pipelines.stages.catalog import columns_of, effective_rules, rule_columns
from pipelines.storage.layout import annotation_folder
from pipelines.storage.shards import read_batches
from schemas.config import Config


@dataclass(frozen=True)
class Context:
    """Small and picklable, for use inside DoFns. `stage`: the stage that runs."""

    out: Path
    config: Config
    stage: str

    def folder(self, *parts: str) -> Path:
        return self.out.joinpath(*parts)

    @property
    def annotations(self) -> Path:
        """The folder of the annotation shards that the stage writes."""
        return self.folder(annotation_folder(self.stage))

    def read(
        self, name: str, columns: Sequence[str], documents_sha256: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield shard `name` row group by row group, with `columns` in that order.

        Columns may be of the documents or of any stage before this one.
        """
        wanted = columns_of(self.config, before=self.stage).by_folder(columns)
        for batch in read_batches(self.out, name, wanted, documents_sha256):
            yield batch.select(list(columns))

    def survivors(self, name: str) -> npt.NDArray[np.bool_]:
        """Return bool [rows] of shard `name`: the rules of all stages before keep the row."""
        rules = effective_rules(self.config, before=self.stage)
        columns = rule_columns(rules)
        parts = [
            decide(dict(zip(columns, batch.columns, strict=True)), rules) == KEPT
            for batch in self.read(name, columns)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)
