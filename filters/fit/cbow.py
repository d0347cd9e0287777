"""Pre-training of the small transformer's table: words from their neighbours (CBOW).

The vector of a token is the mean of its n-grams' rows (Bojanowski et al. 2017, "Enriching Word
Vectors with Subword Information"). From the mean of its neighbours' vectors the word is
distinguished from NEGATIVES words drawn from the corpus (Mikolov et al. 2013, negative sampling).
The gradients of a line are summed before they are applied, so a row is read and written once per
token.
"""

from __future__ import annotations

import numpy as np

from filters.columnar.arrays import Floats, Ints, Longs
from filters.columnar.kernels import kernel
from filters.toxicity.tokens import Tokens

NEGATIVES = 5
REACH = 3
"""Neighbours on either side."""
RATE = 0.2


def train_table(tokens: Tokens, bits: int, width: int, epochs: int, seed: int) -> Floats:
    """Return a table, float32 (2**bits, width), learned from the texts of `tokens`."""
    rng = np.random.default_rng(seed)
    table = ((rng.random((1 << bits, width), np.float32) - 0.5) / np.float32(width) * 8).astype(
        np.float32
    )
    words = np.zeros((1 << bits, width), np.float32)
    whole = tokens.ids[tokens.begins[:-1]]
    for epoch in range(epochs):
        order = rng.permutation(len(tokens.rows) - 1)
        _cbow(
            tokens.ids,
            tokens.begins,
            tokens.rows,
            order,
            whole,
            table,
            words,
            RATE * (1 - epoch / epochs),
            RATE * (1 - (epoch + 1) / epochs),
            seed + epoch,
        )
    return table


@kernel
def _cbow(
    ids: Ints,
    begins: Longs,
    rows: Longs,
    order: Longs,
    whole: Ints,
    table: Floats,
    words: Floats,
    rate_first: float,
    rate_last: float,
    seed: int,
) -> None:
    width = table.shape[1]
    vectors = np.zeros((64, width), np.float32)
    slopes = np.zeros((64, width), np.float32)
    middle = np.zeros(width, np.float32)
    slope = np.zeros(width, np.float32)
    state = np.uint64(seed * 2 + 1)
    for step in range(order.size):
        rate = np.float32(rate_first + (rate_last - rate_first) * step / order.size)
        first = rows[order[step]]
        count = rows[order[step] + 1] - first
        if count < 2:
            continue
        for token in range(count):
            begin, end = begins[first + token], begins[first + token + 1]
            part = np.float32(1.0 / (end - begin))
            for k in range(width):
                vectors[token, k] = 0
                slopes[token, k] = 0
            for at in range(begin, end):
                row = ids[at]
                for k in range(width):
                    vectors[token, k] += table[row, k] * part
        for token in range(count):
            left, right = max(0, token - REACH), min(count, token + REACH + 1)
            share = np.float32(1.0 / (right - left - 1))
            for k in range(width):
                middle[k] = 0
                slope[k] = 0
            for other in range(left, right):
                if other != token:
                    for k in range(width):
                        middle[k] += vectors[other, k] * share
            for draw in range(NEGATIVES + 1):
                target = whole[first + token]
                if draw > 0:
                    state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
                    other = int((state >> np.uint64(33)) % np.uint64(whole.size))
                    if whole[other] == target:
                        continue
                    target = whole[other]
                a = np.float32(0)
                b = np.float32(0)
                c = np.float32(0)
                d = np.float32(0)
                for k in range(0, width, 4):
                    a += middle[k] * words[target, k]
                    b += middle[k + 1] * words[target, k + 1]
                    c += middle[k + 2] * words[target, k + 2]
                    d += middle[k + 3] * words[target, k + 3]
                probability = np.float32(1.0 / (1.0 + np.exp(-(a + b + c + d))))
                gap = rate * ((np.float32(1.0) if draw == 0 else np.float32(0.0)) - probability)
                for k in range(width):
                    slope[k] += gap * words[target, k]
                    words[target, k] += gap * middle[k]
            for other in range(left, right):
                if other != token:
                    for k in range(width):
                        slopes[other, k] += slope[k] * share
        for token in range(count):
            begin, end = begins[first + token], begins[first + token + 1]
            for at in range(begin, end):
                row = ids[at]
                for k in range(width):
                    table[row, k] += slopes[token, k]
