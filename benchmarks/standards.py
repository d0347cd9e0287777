"""What it costs that a comment does not say by whose standard it is judged.

    python benchmarks/standards.py [--data FILE] [--model FOLDER]

Sources of labelled rows draw the line at different places. On the held-out rows: the AUC of a
toxicity model as it is, within each source, and given the source: a logistic curve by source
over the model's own score, fitted on one half of the rows and measured on the other, both ways.
The last is about what a model could reach that ranks as well within a source and guesses it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.special import logit

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from filters.fit.labelled import fold_of  # noqa: E402
from filters.fit.linear import read_rows  # noqa: E402
from filters.fit.logistic import figures, fit_logistic  # noqa: E402
from filters.toxicity import ngram_model, small_transformer  # noqa: E402
from filters.toxicity.annotator import DEFAULT_MODEL  # noqa: E402

DATA = ROOT.parent / "shared" / "data" / "labelled" / "toxicity_ko.jsonl.zst"


def given_source(
    score: np.ndarray, source: np.ndarray, labels: np.ndarray, half: np.ndarray
) -> np.ndarray:
    """Return the probabilities of each half by a curve for each source, fitted on the other."""
    margin = logit(np.clip(score.astype(np.float64), 1e-4, 1 - 1e-4))
    here = source[:, None] == np.unique(source)[None, :]
    columns = np.column_stack([here, here * margin[:, None]]).astype(np.float64)
    found = np.zeros(len(score))
    for part in (False, True):
        weights, offset = fit_logistic(columns[half == part], labels[half == part], 10.0)
        found[half != part] = columns[half != part] @ weights + offset
    return 1 / (1 + np.exp(-found))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--model", type=Path, help="a folder of `bibim fit toxicity --transformer`")
    args = parser.parse_args()
    rows, held = read_rows([args.data])
    rows = [row for row, out in zip(rows, held, strict=True) if out]
    labels = np.array([bool(row.label) for row in rows])
    source = np.array([row.source for row in rows])
    half = np.array([fold_of(row.id, 2, salt="standards") == 0 for row in rows])
    texts = pa.array([row.text for row in rows], pa.large_string())
    if args.model:
        score = small_transformer.load(args.model, "cpu")(texts, ngram_model.features(texts, 10)[2])
    else:
        score = ngram_model.load(DEFAULT_MODEL).score(texts)[0]
    print(f"{len(rows):,} held-out rows: AUC {figures(score, labels).auc:.4f}")
    for name in np.unique(source):
        own = source == name
        print(
            f"  {name}: {own.sum():,} rows, {labels[own].mean():.1%} toxic, "
            f"AUC {figures(score[own], labels[own]).auc:.4f}"
        )
    adjusted = given_source(score, source, labels, half)
    print(f"  given the source: AUC {figures(adjusted, labels).auc:.4f}")


if __name__ == "__main__":
    main()
