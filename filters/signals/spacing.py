"""Korean spacing: words run together, and words split into syllables.

Most Korean words (eojeol) have two to five syllables. Text without spaces (old web forms, failed
PDF extraction) and text with a space after every syllable (letter-spaced headings, OCR) would teach
a tokenizer pieces that ordinary text does not contain.
"""

from __future__ import annotations

import numpy as np

from filters.columnar.kernels import HANGUL, SPACE, classify, kernel, next_codepoint
from filters.signals.family import PROSE, Family

LONG_WORD = 12
"""A word of so many Hangul syllables counts as several run together. Ours: 0.1 % of the words of
well-spaced Korean documentation are as long."""
APART = 4
"""So many one-syllable words in a row count as a word split into syllables. Ours."""


@kernel
def _close(syllables, others, run, longs, aparts):  # type: ignore[no-untyped-def]  # typed by Numba
    """Count the word that ends here; return (one-syllable words in a row, longs, aparts)."""
    if syllables >= LONG_WORD:
        longs += syllables
    if syllables == 1 and others == 0:
        run += 1
        aparts += APART if run == APART else run > APART
        return run, longs, aparts
    return 0, longs, aparts


@kernel
def compute(data, offsets, where):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return float64 [rows, 2], the columns of SIGNALS."""
    rows = len(offsets) - 1
    out = np.zeros((rows, 2))
    for row in range(rows):
        if not where[row]:
            continue
        at, end = offsets[row], offsets[row + 1]
        hangul = longs = aparts = run = syllables = others = 0
        while at < end:
            cp, at = next_codepoint(data, at)
            kind = classify(cp)
            if kind == HANGUL:
                syllables += 1
                hangul += 1
            elif kind != SPACE:
                others += 1
            elif syllables or others:
                run, longs, aparts = _close(syllables, others, run, longs, aparts)
                syllables = others = 0
        if syllables or others:
            run, longs, aparts = _close(syllables, others, run, longs, aparts)
        if hangul:
            out[row, 0] = longs / hangul
            out[row, 1] = aparts / hangul
    return out


SIGNALS = Family(
    columns={
        "unspaced_hangul": "share of Hangul syllables in words of twelve or more syllables",
        "spaced_out_hangul": "share of Hangul syllables in rows of four or more one-syllable words",
    },
    compute=compute,
    kind=PROSE,
)
