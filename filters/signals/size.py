"""Sizes and shares of characters: the signals of every document."""

from __future__ import annotations

import numpy as np

from filters.columnar.arrays import Bytes, Doubles, Mask, Offsets
from filters.columnar.kernels import (
    DIGIT,
    HAN,
    HANGUL,
    JAMO,
    KANA,
    LATIN,
    MARK,
    OTHER,
    SPACE,
    class_counts,
    classify,
    kernel,
    next_codepoint,
)
from filters.columnar.lost import lost_marks
from filters.signals.family import Family

JAMO_RUN = 3
"""ㅋㅋㅋ and longer is a run."""


@kernel
def jamo_runs(data, offsets, where):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return int64 [rows]: characters in runs of three or more jamo."""
    rows = len(offsets) - 1
    out = np.zeros(rows, np.int64)
    for row in range(rows):
        if not where[row]:
            continue
        at, end = offsets[row], offsets[row + 1]
        run = 0
        while at < end:
            cp, at = next_codepoint(data, at)
            if classify(cp) == JAMO:
                run += 1
                continue
            if run >= JAMO_RUN:
                out[row] += run
            run = 0
        if run >= JAMO_RUN:
            out[row] += run
    return out


def compute(data: Bytes, offsets: Offsets, where: Mask) -> Doubles:
    """Return the columns of SIGNALS for each row."""
    counts = class_counts(data, offsets, where).astype(np.float64)
    chars = counts.sum(axis=1)
    visible = np.maximum(chars - counts[:, SPACE], 1)
    letters = counts[:, [HANGUL, JAMO, LATIN, HAN, KANA, OTHER]].sum(axis=1)
    korean = counts[:, [HANGUL, JAMO]].sum(axis=1)
    return np.column_stack(
        [
            np.diff(offsets),
            chars,
            korean / np.maximum(letters, 1),
            (letters + counts[:, DIGIT]) / np.maximum(chars, 1),
            counts[:, MARK] / visible,
            counts[:, DIGIT] / visible,
            jamo_runs(data, offsets, where) / visible,
            lost_marks(data, offsets, where) / visible,
        ]
    )


SIGNALS = Family(
    columns={
        "bytes": "bytes of UTF-8",
        "chars": "codepoints",
        "hangul_ratio": "share of Hangul in the letters (marks and digits do not count)",
        "alnum_ratio": "share of letters and digits in all characters (StarCoder)",
        "mark_ratio": "share of punctuation and symbols in the visible characters",
        "digit_ratio": "share of digits in the visible characters",
        "jamo_runs": "share of visible characters in runs of three or more jamo (ㅋㅋㅋ, ㅠㅠㅠ)",
        "lost_chars": "marks of characters that a wrong charset lost per visible character",
    },
    compute=compute,
    counts=frozenset({"bytes", "chars"}),
)
