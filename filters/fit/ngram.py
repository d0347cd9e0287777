"""Training of n-gram models: labelled texts in, an `NgramModel` with held-out figures out.

Each window kind (Hangul, other) has a logistic regression with naive-Bayes scaled features (Wang
and Manning 2012, "Baselines and Bigrams", NB-SVM with a logistic loss). Its intercept is fixed, so
that text without evidence stays unlikely. The weights are folded to 2**20 buckets, quantised to
int8 and calibrated by Platt's method on margins of models that had not seen the row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import scipy.optimize
import scipy.sparse
import scipy.special

from filters.columnar.arrays import Doubles, Ints, Longs, Mask
from filters.fit.logistic import Matrix, platt
from filters.toxicity.ngram_model import DAMPING, NgramModel, features

BITS = 20
"""A model has 2 ** BITS buckets; held-out Korean AUC is 0.0005 below that of WIDE_BITS."""
WIDE_BITS = 24
"""Bits of the buckets while training, where two n-grams hardly ever share one."""
MIN_TEXTS = 2
"""An n-gram is a feature if so many training texts have it."""
SHARPNESS = 0.7
"""Exponent of |naive-Bayes log ratio| in the feature scale; 1 is the paper's, 0 no scaling."""
COST = 4.0
"""Weight of the loss against the ridge, for features whose mean square norm is one."""
BASE_MARGIN = -1.5
"""The fixed intercept: a window without evidence gets about 0.15 before calibration.

A fitted intercept would assume the share of positives of the training rows (83 % of the English
ones) everywhere, and class technical prose as toxic.
"""
FOLDS = 3
SMOOTHING = 0.5


@dataclass(frozen=True)
class Rows:
    """Features of texts: `counts` (rows, 2**WIDE_BITS), `total` n-grams and `kind` by row."""

    counts: Matrix
    total: Longs
    kind: Ints


def extract(texts: pa.Doubles) -> Rows:
    """Return the features of `texts`."""
    ids, begins, kind = features(texts, WIDE_BITS)
    counts = scipy.sparse.csr_matrix(
        (np.ones(len(ids), np.float32), ids, begins), shape=(len(texts), 1 << WIDE_BITS)
    )
    counts.sum_duplicates()
    return Rows(counts, np.diff(begins), kind)


def fit_model(rows: Rows, labels: Mask, fold: Longs) -> NgramModel:
    """Return the model of `fit_with_logits`."""
    return fit_with_logits(rows, labels, fold)[0]


def fit_with_logits(rows: Rows, labels: Mask, fold: Longs) -> tuple[NgramModel, Doubles]:
    """Return a calibrated model of all `rows`, with an empty card, and the rows' logits.

    The logits are of models that had not seen the row's fold, on the calibrated scale. `fold`: int
    (rows,), the part of FOLDS of each row, which must depend on the row alone. A kind of window
    with fewer than 20 rows of either label gets no weights and the share of positives as a
    constant.
    """
    codes = np.zeros((2, 1 << BITS), np.int8)
    scale = np.ones(2, np.float32)
    slope = np.zeros(2, np.float32)
    offset = np.zeros(2, np.float32)
    logits = np.zeros(len(labels))
    for kind in range(2):
        here = np.flatnonzero(rows.kind == kind)
        positives = int(labels[here].sum())
        if min(positives, len(here) - positives) < 20:
            share = (labels.sum() + 1) / (len(labels) + 2)
            logits[here] = offset[kind] = scipy.special.logit(share)
            continue
        margin = unseen_margins(rows, labels, fold, here)
        table = _weights(rows, labels, here)
        top = np.abs(table).max() or 1.0
        scale[kind] = np.float32(top / 127**2)
        codes[kind] = np.rint(np.sign(table) * np.sqrt(np.abs(table) / top) * 127).astype(np.int8)
        slope[kind], offset[kind] = platt(margin, labels[here])
        logits[here] = slope[kind] * margin + offset[kind]
    return NgramModel(codes, scale, slope, offset, {}), logits


def unseen_margins(rows: Rows, labels: Mask, fold: Longs, index: Longs) -> Doubles:
    """Return for the rows at `index` the margins of models that had not seen the row's fold."""
    margin = np.zeros(len(index))
    for part in range(FOLDS):
        out = fold[index] == part
        if out.any() and not out.all():
            table = _weights(rows, labels, index[~out])
            margin[out] = margins(rows, table, index[out])
    return margin


def margins(rows: Rows, table: Doubles, index: Longs) -> Doubles:
    """Return the uncalibrated margins of the rows at `index` under a folded weight table."""
    counts = rows.counts[index]
    gathered = table[counts.indices >> (WIDE_BITS - BITS)] * counts.data
    sums = np.add.reduceat(np.append(gathered, 0.0), counts.indptr[:-1])
    sums[np.diff(counts.indptr) == 0] = 0
    return np.asarray(sums / np.sqrt(rows.total[index] + DAMPING), np.float64)


def _weights(rows: Rows, labels: Mask, index: Longs) -> Doubles:
    """Return the folded weights, float64 (2**BITS,), fitted on the rows at `index`."""
    counts, positive = rows.counts[index], labels[index]
    texts = np.bincount(counts.indices, minlength=1 << WIDE_BITS)
    columns = np.flatnonzero(texts >= MIN_TEXTS)
    folded = scipy.sparse.csr_matrix(
        (
            np.ones(len(columns), np.float32),
            (np.arange(len(columns)), columns >> (WIDE_BITS - BITS)),
        ),
        shape=(len(columns), 1 << BITS),
    )
    counts = (counts[:, columns] @ folded).tocsr()
    buckets = np.unique(counts.indices)
    counts = counts[:, buckets].tocsr()

    present = counts.copy()
    present.data[:] = 1
    with_it = np.asarray(present[positive].sum(0), np.float64).ravel() + SMOOTHING
    without = np.asarray(present[~positive].sum(0), np.float64).ravel() + SMOOTHING
    ratio = np.log(with_it / positive.sum() * (~positive).sum() / without)
    by_column = (np.abs(ratio) ** SHARPNESS).astype(np.float32)
    by_row = (1 / np.sqrt(rows.total[index] + DAMPING)).astype(np.float32)
    scaled = (
        scipy.sparse.diags_array(by_row) @ counts @ scipy.sparse.diags_array(by_column)
    ).tocsr()
    cost = COST * len(index) / float((scaled.data.astype(np.float64) ** 2).sum())

    transposed = scaled.T.tocsr()
    sign = np.where(positive, 1.0, -1.0)

    def loss(point: Doubles) -> tuple[float, Doubles]:
        margin = sign * (scaled @ point + BASE_MARGIN)
        gradient = transposed @ (-cost * sign * scipy.special.expit(-margin)) + point
        return float(cost * np.logaddexp(0, -margin).sum() + 0.5 * point @ point), gradient

    found = scipy.optimize.minimize(
        loss, np.zeros(len(buckets)), jac=True, method="L-BFGS-B", options={"maxiter": 100}
    )
    table = np.zeros(1 << BITS)
    table[buckets] = found.x * by_column
    return table
