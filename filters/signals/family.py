"""A family of signals: its columns, the documents they apply to, and the function that computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from filters.columnar.arrays import Bytes, Doubles, Mask, Offsets

Compute = Callable[[Bytes, Offsets, Mask], Doubles]
Kind = Literal["prose", "code"]
PROSE: Kind = "prose"
CODE: Kind = "code"


@dataclass(frozen=True)
class Family:
    """Signals that one pass computes."""

    columns: dict[str, str]
    """Name of each column to its meaning in one line: unit, range, source."""
    compute: Compute
    """(bytes, offsets, mask of rows) to float64 [rows, len(columns)], 0 outside of the mask."""
    kind: Kind | None = None
    """Documents that the signals apply to: PROSE or CODE, as `identify` classed them; None is all.
    Elsewhere the columns are null, and no rule on them can drop a document."""
    counts: frozenset[str] = frozenset()
    """Columns of whole numbers (int64); the others are float32."""
