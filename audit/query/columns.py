"""Columns of a run in memory: numbers with a value for null, and strings as codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.rules.evaluate import breaks, numbers
from schemas.rules import Rule

BLOCK = 1 << 20
"""Rows that are worked on at once: bounds the memory that a question takes."""

Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]
Masks = npt.NDArray[np.uint64]
Values = npt.NDArray[Any]
"""A numeric column: float32 or float64 with NaN for null, int32 or int64 with `null_of`."""


def null_of(kind: np.dtype[Any]) -> int:
    """Return the value that means null in a column of whole numbers of this type."""
    return int(np.iinfo(kind).min)


def is_null(values: Values) -> Bools:
    """Return where a column of the frame has no value."""
    return np.isnan(values) if values.dtype.kind == "f" else values == null_of(values.dtype)


class Names:
    """Codes for strings: 0 is null."""

    def __init__(self) -> None:
        self.names: list[str | None] = [None]
        self._codes: dict[str | None, int] = {None: 0}

    def code(self, name: str | None) -> int:
        if name not in self._codes:
            self._codes[name] = len(self.names)
            self.names.append(name)
        return self._codes[name]

    def codes(self, column: pa.Array) -> npt.NDArray[np.int32]:
        coded = column.dictionary_encode()
        table = np.array([self.code(n) for n in coded.dictionary.to_pylist()] + [0], np.int32)
        places: npt.NDArray[np.int32] = np.asarray(coded.indices.fill_null(len(table) - 1))
        return np.take(table, places)


def breaks_values(rule: Rule, values: Values) -> Bools:
    """Return where `values` break `rule`; see `filters.rules.evaluate.breaks`."""
    nulls = None if values.dtype.kind == "f" else is_null(values)
    return breaks(rule, numbers(values, nulls))


def put(values: Values, part: Ints, row: int) -> Values:
    """Write whole numbers into `values` from `row` on. Return it, as int64 where one needs it.

    `part` has the null of int64.
    """
    nulls = is_null(part)
    low, high = null_of(np.dtype(np.int32)), np.iinfo(np.int32).max
    if values.dtype == np.int32 and bool(np.any(~nulls & ((part <= low) | (part > high)))):
        wide = values.astype(np.int64)
        wide[is_null(values)] = null_of(wide.dtype)
        values = wide
    values[row : row + len(part)] = np.where(nulls, null_of(values.dtype), part)
    return values
