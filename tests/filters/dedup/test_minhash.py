"""Signatures equal datasketch's bit for bit; near-duplicates are found whatever their spacing."""

from __future__ import annotations

import random
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.columnar.kernels import buffers
from filters.dedup.connected import components
from filters.dedup.lsh import MISS_WEIGHT, band_keys, bands_and_rows, candidates, jaccard
from filters.dedup.minhash import char_units, content_hashes, shingle_hashes, shingle_sets, sign

TEXT = (
    "비빔밥은 밥에 나물과 고기를 얹어 고추장으로 비벼 먹는 음식이다. 지역마다 얹는 재료가 다르고, "
    "전주에서는 콩나물과 육회를 올린다. 집에서는 남은 반찬을 모아 간단히 만들기도 한다. "
    "큰 그릇에 담아 여럿이 나누어 먹던 데서 왔다는 이야기도 있다. Version 2.1 of the recipe adds sesame oil."
)


def column(*texts: str) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


def similarity(one: str, other: str) -> float:
    signatures = sign(column(one, other), "chars", 5, 128, 1)
    return float((signatures[0] == signatures[1]).mean())


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=200), st.integers(1, 9))
def test_a_signature_equals_datasketch_bit_for_bit(text: str, n: int):
    data, offsets = buffers(column(text))
    units = np.empty(len(data) + 1, np.uint64)
    hashes = np.empty(len(data) + 1, np.uint32)
    count = shingle_hashes(units, char_units(data, offsets[0], offsets[1], units), n, hashes)
    theirs = MinHash(num_perm=64, seed=3, hashfunc=lambda value: value)
    for value in hashes[:count]:
        theirs.update(int(value))
    ours = sign(column(text), "chars", n, 64, 3)[0]
    assert (ours == theirs.hashvalues).all()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text(max_size=60), max_size=6))
def test_rows_are_signed_alone(texts: list[str]):
    together = sign(column(*texts), "chars", 5, 32, 1)
    alone = [sign(column(text), "chars", 5, 32, 1)[0] for text in texts]
    assert all((row == single).all() for row, single in zip(together, alone, strict=True))


@pytest.mark.parametrize(
    "noisy",
    [
        TEXT.replace(" ", ""),
        TEXT.replace(". ", ".\n\n").replace(", ", ",  "),
        TEXT.upper(),
        TEXT.replace("2.1", "２.１"),
        unicodedata.normalize("NFC", unicodedata.normalize("NFD", TEXT)),
    ],
)
def test_spacing_case_and_width_do_not_count(noisy: str):
    assert similarity(TEXT, noisy) == 1.0
    assert (content_hashes(column(TEXT))[0] == content_hashes(column(noisy))[0]).all()


def test_one_changed_word_leaves_most_of_the_signature():
    assert 0.7 < similarity(TEXT, TEXT.replace("콩나물", "시금치")) < 1.0
    assert similarity(TEXT, "전혀 다른 이야기를 하는 짧은 글입니다. 겹치는 말이 없습니다.") < 0.1


def test_the_signature_estimates_the_exact_similarity():
    changed = TEXT.replace("전주에서는 콩나물과 육회를 올린다.", "진주에서는 선지를 올린다고 한다.")
    values, places = shingle_sets(column(TEXT, changed), "chars", 5)
    at = np.array([[places[0], places[1]]])
    other = np.array([[places[1], places[2]]])
    exact = jaccard(values, at, values, other)[0]
    one, two = (set(values[places[i] : places[i + 1]]) for i in (0, 1))
    assert exact == pytest.approx(len(one & two) / len(one | two))
    assert abs(similarity(TEXT, changed) - exact) < 0.15


def test_bands_and_rows_are_those_of_datasketch():
    for threshold in (0.5, 0.7, 0.8, 0.9):
        index = MinHashLSH(threshold=threshold, num_perm=128)
        assert bands_and_rows(threshold, 128) == (index.b, index.r)


def test_a_bucket_gives_a_star_and_a_chain_whatever_the_order():
    keys = np.array([7, 7, 7, 9], np.uint64)
    documents = np.array([30, 10, 20, 40], np.int64)
    expected = [[10, 20], [10, 30], [20, 30]]
    assert candidates(keys, documents).tolist() == expected
    assert candidates(keys[::-1].copy(), documents[::-1].copy()).tolist() == expected
    assert candidates(np.zeros(0, np.uint64), np.zeros(0, np.int64)).shape == (0, 2)


def test_pairs_above_the_threshold_share_a_band_nearly_always():
    chance = random.Random(5)
    words = [f"낱말{n}" for n in range(4000)]
    found = 0
    texts = []
    for _ in range(200):
        base = [chance.choice(words) for _ in range(200)]
        near = list(base)
        near[chance.randrange(200)] = "바뀐말"
        texts += [" ".join(base), " ".join(near)]
    signatures = sign(column(*texts), "chars", 5, 128, 1)
    keys = band_keys(signatures, *bands_and_rows(0.8, 128, MISS_WEIGHT))
    for pair in range(200):
        found += bool((keys[2 * pair] == keys[2 * pair + 1]).any())
    assert found >= 198


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1), st.randoms())
def test_components_are_labelled_by_their_smallest_node(
    edges: list[tuple[int, int]], chance: random.Random
):
    nodes, labels = components(np.array(edges, np.int64))
    shuffled = list(edges)
    chance.shuffle(shuffled)
    assert [a.tolist() for a in components(np.array(shuffled, np.int64))] == [
        nodes.tolist(),
        labels.tolist(),
    ]
    of = dict(zip(nodes.tolist(), labels.tolist(), strict=True))
    assert all(of[a] == of[b] for a, b in edges)
    assert all(label == min(n for n in of if of[n] == label) for label in of.values())


def test_spaces_marks_case_and_width_do_not_change_a_signature():
    one = '그는 말했다, "비가 온다." 우산 12개를 샀다! (Rain)'
    other = "그는말했다 ‘비가 온다’。우산 １２개를 샀다?? rain…"
    text = pa.array([one, other], pa.large_string())
    first, second = sign(text, "chars", 5, 64, 1)
    assert (first == second).all()


def test_texts_of_marks_alone_differ_by_their_marks():
    text = pa.array(["+-+-+-+-+", "*=*=*=*=*", "   "], pa.large_string())
    first, second, blank = sign(text, "chars", 3, 64, 1)
    assert (first != second).any()
    assert (first != blank).any()
