"""Which folder of a run holds which column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa


class Columns:
    """Which folder of OUT holds which column: `documents` and the annotations so far."""

    def __init__(self, schemas: Mapping[str, pa.Schema]) -> None:
        """`schemas`: folder relative to OUT → schema, in stage order (first wins)."""
        self._folder: dict[str, str] = {}
        self.schema = pa.schema([])
        for folder, schema in schemas.items():
            for field in schema:
                if field.name not in self._folder:
                    self._folder[field.name] = folder
                    self.schema = self.schema.append(field)

    def __contains__(self, name: str) -> bool:
        return name in self._folder

    def folder(self, name: str) -> str:
        return self._folder[name]

    def by_folder(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Return `names` by folder. Raises KeyError for a column that no stage adds."""
        groups: dict[str, list[str]] = {}
        for name in names:
            groups.setdefault(self._folder[name], []).append(name)
        return groups
