"""Signals of words, units and their repetition (Gopher, FineWeb, FineWeb2).

A *word* is delimited by white space; in Korean it is an eojeol. A *unit* is about a morpheme
(`filters/text/units.py`), which FineWeb2's thresholds for Korean count.
"""

from __future__ import annotations

import numpy as np

from filters.columnar.arrays import Bytes, Doubles, Mask, Offsets
from filters.columnar.kernels import kernel
from filters.signals.family import PROSE, Family
from filters.text import units as u
from filters.text.boundaries import load_weights
from filters.text.ngrams import DUPLICATE, TOP, repeated_ngrams

_GRAMS = len(TOP) + len(DUPLICATE)
_WIDTH = u.COUNTS + _GRAMS + 1


@kernel
def _bits(value):  # type: ignore[no-untyped-def]  # typed by Numba
    count = 0
    while value:
        value &= value - 1
        count += 1
    return count


@kernel
def _measure(data, offsets, where, weights):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return float64 [rows, COUNTS + 10]: counts of units, shares of n-grams, distinct units."""
    rows = len(offsets) - 1
    out = np.zeros((rows, _WIDTH))
    longest = 0
    for row in range(rows):
        if where[row]:
            longest = max(longest, offsets[row + 1] - offsets[row])
    hashes = np.empty(longest + 1, np.uint64)
    sums = np.empty(longest + 1, np.int64)
    totals = np.empty(u.COUNTS, np.int64)
    for row in range(rows):
        if not where[row]:
            continue
        begin, end = offsets[row], offsets[row + 1]
        units = u.cut_units(data, begin, end, weights, hashes, sums, totals)
        for index in range(u.COUNTS):
            out[row, index] = totals[index]
        out[row, u.ENGLISH] = _bits(totals[u.ENGLISH])
        out[row, u.KOREAN] = _bits(totals[u.KOREAN])
        shares = out[row, u.COUNTS : _WIDTH - 1]
        out[row, _WIDTH - 1] = repeated_ngrams(hashes, sums, units, max(totals[u.CHARS], 1), shares)
    return out


def compute(data: Bytes, offsets: Offsets, where: Mask) -> Doubles:
    """Return the columns of SIGNALS for each row."""
    out = _measure(data, offsets, where, load_weights())
    words = np.maximum(out[:, u.WORDS], 1)
    units = np.maximum(out[:, u.UNITS], 1)
    return np.column_stack(
        [
            out[:, u.WORDS],
            out[:, u.NAMED_WORD_CHARS] / np.maximum(out[:, u.NAMED_WORDS], 1),
            out[:, u.ALPHA_WORDS] / words,
            np.maximum(out[:, u.HASHES], out[:, u.ELLIPSES]) / words,
            np.maximum(out[:, u.ENGLISH], out[:, u.KOREAN]),
            out[:, u.ENGLISH],
            out[:, u.KOREAN],
            out[:, u.NAMED_UNITS],
            out[:, u.NAMED_UNIT_CHARS] / np.maximum(out[:, u.NAMED_UNITS], 1),
            out[:, u.ALPHA_UNITS] / units,
            np.maximum(out[:, u.HASHES], out[:, u.ELLIPSES]) / units,
            out[:, u.NEWLINES] / units,
            out[:, _WIDTH - 1] / units,
            out[:, u.COUNTS : _WIDTH - 1],
        ]
    )


SIGNALS = Family(
    columns={
        "words": "words, delimited by white space",
        "mean_word_length": "characters per word with a letter or digit (Gopher: 3 to 10)",
        "alpha_words": "share of words with a letter (Gopher: at least 0.8)",
        "symbol_ratio": "hash signs or ellipses per word, the larger (Gopher: at most 0.1)",
        "stop_words": "distinct stop words, English or Korean, the larger (Gopher: at least 2)",
        "english_stop_words": "how many of Gopher's eight English stop words occur, in any case",
        "korean_stop_words": "how many of FineWeb2's 21 Korean stop words occur as units",
        "units": "units with a letter or digit",
        "mean_unit_length": "characters per unit with a letter or digit (FineWeb2: 1 to 6)",
        "alpha_units": "share of units with a letter (FineWeb2: at least 0.791)",
        "unit_symbol_ratio": "hash signs or ellipses per unit, the larger (FineWeb2: at most 0.1)",
        "unit_newlines": "newlines per unit (FineWeb2: at most 0.196; FineWeb: 0.3)",
        "unique_units": "share of units that are distinct",
        **{
            f"top_{n}gram": f"share of characters in the most frequent {n}-gram of units (Gopher)"
            for n in TOP
        },
        **{
            f"dup_{n}gram": f"share of characters in repeated {n}-grams of units (Gopher)"
            for n in DUPLICATE
        },
    },
    compute=compute,
    kind=PROSE,
    counts=frozenset({"words", "stop_words", "english_stop_words", "korean_stop_words", "units"}),
)
