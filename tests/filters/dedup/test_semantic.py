"""Semantic duplicates: only true ones fall, and only to one that stays."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from filters.columnar.arrays import Floats
from filters.dedup.semantic import fit_cells, nearest_cell, semantic_duplicates


def unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9))


@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.floats(0.3, 0.99))
def test_each_falls_to_one_that_stays_and_none_that_stays_repeats_another(
    seed: int, count: int, threshold: float
):
    vectors = unit(np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32))
    places, similarity = semantic_duplicates(vectors, threshold)
    stays = np.flatnonzero(places < 0)
    cosine = vectors @ vectors.T
    for row in range(count):
        if places[row] >= 0:
            assert places[row] in stays
            assert places[row] < row
            assert similarity[row] >= np.float32(threshold) - 1e-6
            assert abs(similarity[row] - min(cosine[row, places[row]], 1)) < 1e-5
        else:
            earlier = stays[stays < row]
            assert (cosine[row, earlier] < threshold + 1e-5).all()


def test_the_block_size_changes_nothing():
    vectors = unit(np.random.default_rng(1).normal(size=(1500, 4)).astype(np.float32))
    places, _ = semantic_duplicates(vectors, 0.9)
    half, _ = semantic_duplicates(vectors[:700], 0.9)
    assert places[:700].tolist() == half.tolist()


def test_zero_vectors_repeat_nothing():
    places, _ = semantic_duplicates(np.zeros((4, 3), np.float32), 0.5)
    assert places.tolist() == [-1] * 4


def test_cells_hold_what_is_near_and_are_the_same_each_time():
    chance = np.random.default_rng(2)
    centres = unit(chance.normal(size=(5, 16)).astype(np.float32))
    owner = chance.integers(0, 5, 500)
    vectors = unit(centres[owner] + 0.05 * chance.normal(size=(500, 16)).astype(np.float32))
    cells = fit_cells(vectors, 5)
    assert np.array_equal(cells, fit_cells(vectors, 5))
    found = nearest_cell(vectors, cells)
    assert all(len(set(found[owner == each].tolist())) == 1 for each in range(5))


def test_fewer_texts_than_cells_are_their_own_centres():
    vectors = np.eye(3, dtype=np.float32)
    assert len(fit_cells(vectors, 10)) == 3
