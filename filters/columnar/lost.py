"""Characters that a wrong charset destroyed: U+FFFD, and what later readings made of it."""

from __future__ import annotations

import numpy as np

from filters.columnar.arrays import Bytes, Longs, Mask, Offsets
from filters.columnar.kernels import kernel

_MARKS = ("\ufffd", "占쏙옙", "锟斤拷", "\u00ef\u00bf\u00bd")
"""U+FFFD, and its UTF-8 read as CP949 (two of them), as GBK (two) and as Latin-1."""
_TEXT = np.frombuffer("".join(_MARKS).encode(), np.uint8)
_STARTS = np.cumsum([0, *(len(mark.encode()) for mark in _MARKS)])


@kernel
def _count(data, offsets, where, text, starts):  # type: ignore[no-untyped-def]  # typed by Numba
    rows = len(offsets) - 1
    out = np.zeros(rows, np.int64)
    for row in range(rows):
        if not where[row]:
            continue
        at, end = offsets[row], offsets[row + 1]
        while at < end:
            length = 1
            if data[at] >= 0xC3:
                for mark in range(len(starts) - 1):
                    size = starts[mark + 1] - starts[mark]
                    same = at + size <= end
                    for place in range(size):
                        same = same and data[at + place] == text[starts[mark] + place]
                    if same:
                        out[row] += 1
                        length = size
                        break
            at += length
    return out


def lost_marks(data: Bytes, offsets: Offsets, where: Mask) -> Longs:
    """Return int64 [rows]: marks of lost characters; one may stand for several characters."""
    return np.asarray(_count(data, offsets, where, _TEXT, _STARTS))
