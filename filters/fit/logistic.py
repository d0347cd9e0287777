"""Logistic regression, calibration, and figures of a classifier.

Small and exact: L-BFGS over SciPy sparse or NumPy dense matrices, one thread, no randomness,
so the same rows give the same weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.sparse
import scipy.special
import scipy.stats

from filters.columnar.arrays import Doubles, Mask

Matrix = Any  # scipy.sparse.csr_matrix or a dense float array (rows, features)


def fit_logistic(
    features: Matrix,
    labels: Mask,
    cost: float,
    weights: Doubles | None = None,
    steps: int = 100,
) -> tuple[Doubles, float]:
    """Return (weights, intercept) that minimise cost · Σ wᵢ log-loss + ‖weights‖²/2.

    `features`: (rows, features); `labels`: bool (rows,); `weights`: by row, all 1 if None. The
    intercept is not regularised. `steps` bounds L-BFGS's iterations.
    """
    rows, columns = features.shape
    transposed = features.T.tocsr() if scipy.sparse.issparse(features) else features.T
    sign = np.where(labels, 1.0, -1.0)
    by_row = cost * (np.ones(rows) if weights is None else weights)

    def loss(point: Doubles) -> tuple[float, Doubles]:
        margin = sign * (features @ point[:-1] + point[-1])
        slope = -by_row * sign * scipy.special.expit(-margin)
        value = float(by_row @ np.logaddexp(0, -margin) + 0.5 * point[:-1] @ point[:-1])
        return value, np.append(transposed @ slope + point[:-1], slope.sum())

    found = scipy.optimize.minimize(
        loss,
        np.zeros(columns + 1),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": steps, "maxfun": 2 * steps},
    )
    return found.x[:-1], float(found.x[-1])


def platt(margin: Doubles, labels: Mask) -> tuple[float, float]:
    """Return (slope, offset) of the logistic curve that turns margins into probabilities.

    Platt, "Probabilistic outputs for support vector machines" (1999), with his smoothed targets.
    """
    positive = int(labels.sum())
    target = np.where(labels, (positive + 1) / (positive + 2), 1 / (len(labels) - positive + 2))

    def loss(point: Doubles) -> tuple[float, Doubles]:
        z = point[0] * margin + point[1]
        gap = scipy.special.expit(z) - target
        return float((np.logaddexp(0, z) - target * z).mean()), np.array(
            [(gap * margin).mean(), gap.mean()]
        )

    found = scipy.optimize.minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS")
    return float(found.x[0]), float(found.x[1])


@dataclass(frozen=True)
class Figures:
    """How well probabilities separate positives from negatives, and their calibration."""

    rows: int
    positives: int
    auc: float
    macro_f1: float
    ece: float
    reliability: tuple[tuple[float, float, int], ...]
    """By tenth of probability: mean probability, share of positives, rows."""

    def as_dict(self) -> dict[str, Any]:
        """Return the figures rounded to four places, for a card."""
        return {
            "rows": self.rows,
            "positives": self.positives,
            "auc": round(self.auc, 4),
            "macro_f1": round(self.macro_f1, 4),
            "ece": round(self.ece, 4),
            "reliability": [[round(p, 4), round(t, 4), n] for p, t, n in self.reliability],
        }


def figures(probability: npt.NDArray[Any], labels: Mask, bins: int = 10) -> Figures:
    """Return the figures of probabilities `probability` against `labels`.

    `auc`: area under the ROC curve by the rank formula (ties count half). `macro_f1`: mean of
    the F1 of both classes at 0.5. `ece`: expected calibration error over `bins` equal steps
    (Guo et al. 2017, arXiv:1706.04599). NaN where a class is missing.
    """
    probability = np.asarray(probability, np.float64)
    positives = int(labels.sum())
    negatives = len(labels) - positives
    ranks = scipy.stats.rankdata(probability)
    auc = (
        (ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives)
        if positives and negatives
        else float("nan")
    )
    predicted = probability > 0.5
    true_positives = int((predicted & labels).sum())
    true_negatives = int((~predicted & ~labels).sum())
    f1 = 2 * true_positives / max(int(predicted.sum()) + positives, 1)
    f0 = 2 * true_negatives / max(int((~predicted).sum()) + negatives, 1)
    step = np.minimum((probability * bins).astype(int), bins - 1)
    table = tuple(
        (
            float(probability[step == k].mean()),
            float(labels[step == k].mean()),
            int((step == k).sum()),
        )
        for k in range(bins)
        if (step == k).any()
    )
    ece = sum(abs(p - t) * n for p, t, n in table) / max(len(labels), 1)
    return Figures(len(labels), positives, float(auc), (f1 + f0) / 2, float(ece), table)
