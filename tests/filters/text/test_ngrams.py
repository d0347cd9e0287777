"""Repeated n-grams against the definition written out in Python."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.text.ngrams import DUPLICATE, TOP, repeated_ngrams


def fast(words: list[str], chars: int) -> tuple[np.ndarray, int]:
    n = len(words)
    hashes = np.array([hash_of(word) for word in words] + [0], np.uint64)
    sums = np.cumsum([0, *map(len, words)]).astype(np.int64)
    out = np.zeros(len(TOP) + len(DUPLICATE))
    different = repeated_ngrams(hashes, sums, n, chars, out)
    return out, different


def hash_of(word: str) -> int:
    return (int.from_bytes(word.encode().ljust(8, b"x"), "big") * 0x9E3779B97F4A7C15) % (1 << 64)


def slow(words: list[str], chars: int) -> list[float]:
    found = []
    for n in TOP:
        grams = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
        top = grams.most_common(1)
        found.append(top[0][1] * len(" ".join(top[0][0])) / chars if top else 0.0)
    for n in DUPLICATE:
        seen, repeated, at = set(), 0, 0
        while at + n <= len(words):
            gram = tuple(words[at : at + n])
            if gram in seen:
                repeated += sum(map(len, gram))
                at += n
            else:
                seen.add(gram)
                at += 1
        found.append(repeated / chars)
    return [min(1.0, share) for share in found]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(["a", "bb", "ccc"]), max_size=80))
def test_shares_are_those_of_the_definition(words: list[str]):
    chars = max(sum(map(len, words)) + len(words), 1)
    found, different = fast(words, chars)
    assert found == pytest.approx(slow(words, chars))
    assert different == len(set(words))


def test_a_phrase_that_occurs_twice_is_found_whole():
    words = [f"w{i}" for i in range(30)] + [f"w{i}" for i in range(12)]
    found, _ = fast(words, sum(map(len, words)))
    assert found[-1] > 0.15
    assert fast(words[:30], 100)[0][len(TOP) :].max() == 0


def test_a_text_of_many_parts_is_counted_like_a_short_one():
    random = np.random.default_rng(5)
    words = [f"w{i}" for i in random.integers(0, 3000, 60_000)]
    words += words[:25_000]
    chars = sum(map(len, words)) + len(words)
    found, different = fast(words, chars)
    assert found == pytest.approx(slow(words, chars))
    assert different == len(set(words))
