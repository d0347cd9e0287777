"""What a module of signals gives: columns, which documents they are for, and a kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from filters.columnar.kernels import Bytes, Mask, Offsets

Compute = Callable[[Bytes, Offsets, Mask], npt.NDArray[np.float64]]
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
