"""What a module of signals gives: columns, which components they are for, and a kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from filters.kernels import Bytes, Mask, Offsets

Compute = Callable[[Bytes, Offsets, Mask], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Family:
    """Signals computed together. `compute` returns float64 [rows, len(columns)].

    `columns` maps a name to its meaning (unit, range, source). `components` limits them to
    documents of these components (None: all); elsewhere they are null and no rule on them
    can drop a document.
    """

    columns: dict[str, str]
    compute: Compute
    components: frozenset[str] | None = None


PROSE = frozenset({"ko", "en"})
CODE = frozenset({"code"})
