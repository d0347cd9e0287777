"""Fertility and alignment: counts that can be checked by hand."""

from __future__ import annotations

import pytest

from mixtures.tokenizer.fertility import alignment, compare, morpheme_boundaries, word_insides
from mixtures.tokenizer.tokenizer import Tokenizer
from tests.support.words_of import ENGLISH, KOREAN


def test_bytes_and_tokens_are_those_of_the_texts(tokenizer: Tokenizer):
    rows = compare({"ko": KOREAN, "en": ENGLISH}, {"own": tokenizer}, alignment_lines=3)
    ko, en = rows
    assert ko.bytes == sum(len(text.encode()) for text in KOREAN)
    assert ko.tokens == sum(len(tokenizer.encode(text)) for text in KOREAN)
    assert ko.bytes_per_token == pytest.approx(ko.bytes / ko.tokens)
    assert en.tokens_per_document == en.tokens / len(ENGLISH)
    assert 0 < ko.morpheme_alignment <= 1
    assert en.morpheme_alignment is None


def test_alignment_counts_boundaries_inside_korean_words_only(tokenizer: Tokenizer):
    line = "a 하였다 b"
    insides = word_insides(line)
    assert insides == {3: 5, 4: 8}
    pieces = [tokenizer.piece_bytes[i] for i in tokenizer.encode(line)]
    edges = {sum(map(len, pieces[:n])) for n in range(1, len(pieces))} & set(range(3, 11))
    inside = [edge for edge in edges if 2 < edge < 11]
    share = alignment(tokenizer, [line], [set(insides.values())])
    whole = [edge for edge in inside if edge in insides.values()]
    assert share == (len(whole) / len(inside) if inside else None)


def test_boundaries_are_kiwis_in_bytes():
    assert morpheme_boundaries(["밥을 먹었다"]) == [{3, 10, 13}]
    assert morpheme_boundaries([]) == []
