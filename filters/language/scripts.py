"""Shares of writing systems in a text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from filters.columnar.arrays import Floats, Longs
from filters.columnar.kernels import (
    DIGIT,
    HAN,
    HANGUL,
    JAMO,
    KANA,
    LATIN,
    MARK,
    OTHER,
    buffers,
    class_counts,
    everywhere,
)

LETTERS = (HANGUL, JAMO, LATIN, HAN, KANA, OTHER)


def script_counts(text: pa.LargeStringArray) -> Longs:
    """Return int64 [rows, 9]: codepoints of each class (see `filters/columnar/kernels.py`)."""
    data, offsets = buffers(text)
    return np.asarray(class_counts(data, offsets, everywhere(offsets)))


def shares(counts: Longs) -> dict[str, Floats]:
    """Return the share of each script in the non-space characters, 0 to 1; 0 for empty text."""
    visible = counts[:, [*LETTERS, DIGIT, MARK]].sum(axis=1)
    total = np.maximum(visible, 1)

    def share(*classes: int) -> Floats:
        return np.asarray(counts[:, list(classes)].sum(axis=1) / total, np.float32)

    return {
        "hangul_share": share(HANGUL, JAMO),
        "latin_share": share(LATIN),
        "han_share": share(HAN),
        "kana_share": share(KANA),
        "digit_share": share(DIGIT),
    }
