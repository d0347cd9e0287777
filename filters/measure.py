"""The `measure` stage: every signal of every family in `filters.signals`, in one pass each."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import filters.signals
from filters.kernels import Mask, buffers, everywhere
from filters.signals.family import Family
from schemas.config import Measure as Settings

COUNTS = frozenset(
    {"bytes", "chars", "lines", "max_line_length", "paragraphs", "stop_words", "units", "words"}
)
"""Columns that are whole numbers; all others are float32."""


@lru_cache(1)
def families() -> tuple[Family, ...]:
    """Return the families of signals, `size` first (its columns are never null), then by name."""
    names = sorted(
        (module.name for module in pkgutil.iter_modules(filters.signals.__path__)),
        key=lambda name: (name != "size", name),
    )
    modules = (importlib.import_module(f"filters.signals.{name}") for name in names)
    return tuple(module.SIGNALS for module in modules if hasattr(module, "SIGNALS"))


def meanings() -> dict[str, str]:
    """Return what each column means: unit, range and source."""
    return {name: text for family in families() for name, text in family.columns.items()}


def _type(name: str) -> pa.DataType:
    return pa.int64() if name in COUNTS else pa.float32()


class Measure:
    """Annotates the heuristic signals; a column is null where its family does not apply."""

    reads = ("text", "assigned")
    schema = pa.schema([(name, _type(name)) for name in meanings()])

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the columns of `schema` for `batch` (text, assigned)."""
        data, offsets = buffers(batch.column("text"))
        assigned = batch.column("assigned")
        columns: list[pa.Array] = []
        for family in families():
            where: Mask = np.ones(batch.num_rows, dtype=bool)
            if family.components is not None:
                members = pa.array(sorted(family.components), pa.string())
                where = np.asarray(pc.fill_null(pc.is_in(assigned, members), False))
            values = family.compute(data, offsets, where)
            for index, name in enumerate(family.columns):
                columns.append(
                    pa.array(values[:, index], pa.float64(), mask=~where).cast(_type(name))
                )
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def compile_kernels() -> None:
    """Call every kernel of every family once, so that its machine code is there."""
    data, offsets = buffers(pa.array(["가 a", "x = 1;"], pa.large_string()))
    for family in families():
        family.compute(data, offsets, everywhere(offsets))
