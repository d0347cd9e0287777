"""Words of a window as tokens of hashed n-grams: what the small transformer reads.

A token is a word, or a part of PART_CHARS characters of a long one. It is a set of buckets: its
characters by 1 to 4 with the word's edges, its syllables without their final consonant by 1 to 3,
and the whole word. No vocabulary is needed, and informal spelling stays near the usual one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from filters.columnar.arrays import Bytes, Ints, Longs, Offsets
from filters.columnar.kernels import GOLDEN, bucket, buffers, kernel
from filters.columnar.windows import MAX_CHARS, SPACE_CODE, read_window

MAX_TOKENS = 64
"""Tokens of a window; later words are not read."""
PART_CHARS = 5

_IDS_PER_CHAR = 8  # 4 n-grams of characters, 3 of open syllables, the word: an upper bound
_FAMILY = (0x3C6EF372FE94F82B, 0x5BE0CD19137E2179, 0x1F83D9ABFB41BD6B)


@dataclass(frozen=True)
class Tokens:
    """Tokens of texts: `ids` of all n-grams, `begins` by token (and end), `rows` by text."""

    ids: Ints
    begins: Longs
    rows: Longs

    def lengths(self) -> Longs:
        """Return how many tokens each text has."""
        return np.diff(self.rows)

    def take(self, rows: Longs) -> Tokens:
        """Return the tokens of some texts."""
        counts = self.lengths()[rows]
        which = ranges(self.rows[rows], counts)
        sizes = np.diff(self.begins)[which]
        return Tokens(
            self.ids[ranges(self.begins[which], sizes)],
            np.concatenate([[0], np.cumsum(sizes)]),
            np.concatenate([[0], np.cumsum(counts)]),
        )


def ranges(starts: Longs, counts: Longs) -> Longs:
    """Return start, start + 1, … (as many as its count) of each start, one after another."""
    before = np.cumsum(counts) - counts
    return np.asarray(np.arange(int(counts.sum())) + np.repeat(starts - before, counts), np.int64)


def tokenise(text: pa.Array, bits: int) -> Tokens:
    """Return the tokens of texts, each one window of at most MAX_CHARS characters."""
    data, offsets = buffers(text)
    chars = int(np.minimum(np.diff(offsets), 4 * MAX_CHARS).sum()) + 3 * len(text)
    ids = np.zeros(chars * _IDS_PER_CHAR, np.int32)
    begins = np.zeros(chars + 1, np.int64)
    rows = np.zeros(len(text) + 1, np.int64)
    _tokenise(data, offsets, bits, ids, begins, rows)
    used = begins[: rows[-1] + 1].copy()
    return Tokens(ids[: used[-1]].copy(), used, rows)


@kernel
def _open(code: int) -> int:
    """Return a syllable without its final consonant; other characters as they are."""
    if 0xAC00 <= code <= 0xD7A3:
        return code - (code - 0xAC00) % 28
    return code


@kernel
def _part(
    chars: Ints, word: int, end: int, first: int, last: int, bits: int, ids: Ints, used: int
) -> int:
    """Append the buckets of the part [first, last) of the word [word, end); return the new end.

    chars[word - 1] and chars[end] are the white space around the word.
    """
    shift = 64 - bits
    whole = np.uint64(_FAMILY[2])
    for at in range(word, end):
        whole = (whole ^ np.uint64(chars[at])) * GOLDEN
    ids[used] = bucket(whole, shift)
    used += 1
    for start in range(first - 1 if first == word else first, last):
        state = np.uint64(_FAMILY[0])
        for at in range(start, min(start + 4, end + 1)):
            state = (state ^ np.uint64(chars[at])) * GOLDEN
            if at > start or start >= word:
                ids[used] = bucket(state, shift)
                used += 1
        if start < word:
            continue
        state = np.uint64(_FAMILY[1])
        for at in range(start, min(start + 3, end)):
            state = (state ^ np.uint64(_open(chars[at]))) * GOLDEN
            ids[used] = bucket(state, shift)
            used += 1
    return used


@kernel
def _tokenise(
    data: Bytes, offsets: Offsets, bits: int, ids: Ints, begins: Longs, rows: Longs
) -> None:
    """Fill `ids`, `begins` and `rows` of `Tokens`."""
    chars = np.zeros(MAX_CHARS + 3, np.int32)
    used = 0
    token = 0
    for row in range(offsets.size - 1):
        _, count = read_window(
            data, offsets[row], offsets[row + 1], MAX_CHARS, MAX_CHARS, MAX_CHARS, chars
        )
        first_token = token
        word = 1
        while word < count - 1 and token - first_token < MAX_TOKENS:
            end = word
            while chars[end] != SPACE_CODE:
                end += 1
            parts = (end - word + PART_CHARS - 1) // PART_CHARS
            for part in range(parts):
                if token - first_token == MAX_TOKENS:
                    break
                first = word + (end - word) * part // parts
                last = word + (end - word) * (part + 1) // parts
                used = _part(chars, word, end, first, last, bits, ids, used)
                token += 1
                begins[token] = used
            word = end + 1
        rows[row + 1] = token
