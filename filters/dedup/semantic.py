"""Semantic near-duplicates: cosine similarity of embeddings inside k-means cells.

After SemDeDup (Abbas et al. 2023, arXiv 2303.09540): documents are assigned to cells, and only
documents of one cell are compared. Ours: a document is a duplicate only of one that itself stays,
so every reported pair reaches the threshold.
"""

from __future__ import annotations

import numpy as np

from filters.columnar.arrays import Floats, Longs

PER_CELL = 1000
"""Documents per cell, about; comparing costs the square of it."""
ROUNDS = 12
_BLOCK = 512


def fit_cells(sample: Floats, cells: int, seed: int = 0) -> Floats:
    """Return the centres of at most `cells` cells, float32 (cells, dimensions), by k-means."""
    from scipy.cluster.vq import kmeans2

    different = np.unique(sample, axis=0)
    if len(different) <= cells:
        return different
    centres, _ = kmeans2(sample.astype(np.float64), cells, ROUNDS, minit="++", rng=seed)
    return np.asarray(centres, np.float32)


def nearest_cell(vectors: Floats, centres: Floats) -> Longs:
    """Return for each vector the number of the nearest centre."""
    distance = (centres * centres).sum(axis=1) - 2 * (vectors @ centres.T)
    return np.asarray(distance.argmin(axis=1), np.int64)


def semantic_duplicates(vectors: Floats, threshold: float) -> tuple[Longs, Floats]:
    """Return for each vector the index of the earlier one that it repeats, and their similarity.

    `vectors`: float32 (documents, dimensions) of length one, or zero for documents that repeat
    none; preferred documents come first. The index is -1 and the similarity 0 for documents that
    stay. Others get the most similar of those that stay; its cosine is `threshold` or more.
    """
    count = len(vectors)
    originals = np.full(count, -1, np.int64)
    similar = np.zeros(count, np.float32)
    stays = np.zeros(count, np.bool_)
    for begin in range(0, count, _BLOCK):
        end = min(begin + _BLOCK, count)
        block = vectors[begin:end] @ vectors[:end].T
        for row in range(begin, end):
            before = np.where(stays[:row], block[row - begin, :row], -1)
            best = int(before.argmax()) if row else 0
            if row and before[best] >= threshold:
                originals[row], similar[row] = best, min(before[best], 1)
            else:
                stays[row] = True
    return originals, similar
