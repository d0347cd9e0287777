"""What a module of signals gives: columns, which documents they are for, and a kernel."""

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
    """Signals computed together. `compute` returns float64 [rows, len(columns)].

    `columns` maps a name to its meaning (unit, range, source). `kind` limits them to prose or to
    code, as `identify` told them apart; elsewhere they are null and no rule on them can drop
    a document. Columns named in `counts` are whole numbers (int64), others float32.
    """

    columns: dict[str, str]
    compute: Compute
    kind: Kind | None = None
    counts: frozenset[str] = frozenset()
