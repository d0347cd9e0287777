"""The `measure` stage: every family of `filters/signals`, one pass per family."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache

import numpy as np
import pyarrow as pa

import filters.signals
from filters.columnar.arrays import Mask
from filters.columnar.kernels import buffers, everywhere
from filters.measure.boilerplate import find_boilerplate
from filters.measure.syntax import syntax_ok
from filters.signals.family import CODE, PROSE, Family
from filters.text.removed_spans import REMOVED_SPANS
from filters.text.repair import repaired_share
from schemas.config import Measure as Settings


@lru_cache(1)
def families() -> tuple[Family, ...]:
    """Return the families of signals by name, `size` first: its columns are never null."""
    names = sorted(
        (module.name for module in pkgutil.iter_modules(filters.signals.__path__)),
        key=lambda name: (name != "size", name),
    )
    modules = (importlib.import_module(f"filters.signals.{name}") for name in names)
    return tuple(module.SIGNALS for module in modules if hasattr(module, "SIGNALS"))


def meanings() -> dict[str, str]:
    """Return the meaning of each column in one line: unit, range, source."""
    signals = {name: text for family in families() for name, text in family.columns.items()}
    return signals | {
        "syntax_ok": "1 where a Python file parses, 0 where it does not; null elsewhere and unless "
        "`measure.check_syntax`",
        "repaired": "characters that ingest repaired, per character (`filters/text/repair.py`)",
        "tails": "boilerplate at the edges, which tokens leave out: start, end, kind",
    }


def applies_to() -> dict[str, str]:
    """Return the documents that each column applies to: `all`, `prose` or `code`."""
    signals = {name: str(family.kind or "all") for family in families() for name in family.columns}
    return signals | {"syntax_ok": CODE, "repaired": "all", "tails": PROSE}


CHARS = 1
"""Index of `chars` among the columns."""


def _type(family: Family, name: str) -> pa.DataType:
    return pa.int64() if name in family.counts else pa.float32()


class Measure:
    """Annotates the heuristic signals; a column is null where its family does not apply.

    Then come `syntax_ok` (`filters/measure/syntax.py`), `repaired`, which `ingest` counted, and
    `tails`, the spans that `filters/measure/boilerplate.py` found; the last two are never null.
    """

    reads = ("text", "assigned", "code_lang", "meta")
    schema = pa.schema(
        [(name, _type(family, name)) for family in families() for name in family.columns]
        + [("syntax_ok", pa.float32()), ("repaired", pa.float32()), ("tails", REMOVED_SPANS)]
    )

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the columns of `schema` for `batch` (text, assigned, code_lang, meta)."""
        data, offsets = buffers(batch.column("text"))
        assigned = np.asarray(batch.column("assigned").is_valid())
        code = np.asarray(batch.column("code_lang").is_valid())
        columns: list[pa.Array] = []
        for family in families():
            where: Mask = everywhere(offsets)
            if family.kind is not None:
                where = assigned & (code if family.kind == CODE else ~code)
            values = family.compute(data, offsets, where)
            for index, name in enumerate(family.columns):
                column = pa.array(values[:, index], pa.float64(), mask=~where)
                columns.append(column.cast(_type(family, name)))
        if self._settings.check_syntax:
            columns.append(syntax_ok(batch.column("text"), batch.column("code_lang")))
        else:
            columns.append(pa.nulls(batch.num_rows, pa.float32()))
        repaired = repaired_share(batch.column("meta"), columns[CHARS].to_numpy())
        columns.append(pa.array(repaired, pa.float32()))
        columns.append(find_boilerplate(data, offsets, assigned & ~code))
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def compile_kernels() -> None:
    """Compile (or load from the cache) the kernels of every family."""
    data, offsets = buffers(pa.array(["가 a", "x = 1;"], pa.large_string()))
    for family in families():
        family.compute(data, offsets, everywhere(offsets))
    find_boilerplate(data, offsets, everywhere(offsets))
