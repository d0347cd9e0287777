"""What `knowledge` tells apart: the AUC of reference texts against reviews and tweets.

python benchmarks/knowledge.py --data ../shared/data --documents 2000
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.stats import rankdata

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from corpora import records, sample

from filters.columnar.kernels import buffers, everywhere
from filters.signals.informativeness import SIGNALS


def knowledge(texts: list[str]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the signal of each text."""
    data, offsets = buffers(pa.array(texts, pa.large_string()))
    return np.asarray(SIGNALS.compute(data, offsets, everywhere(offsets))[:, 0])


def auc(high: list[str], low: list[str]) -> float:
    """Return the probability that a text of `high` has the higher value; a tie counts a half."""
    ranks = rankdata(np.concatenate([knowledge(high), knowledge(low)]))
    above = ranks[: len(high)].sum() - len(high) * (len(high) + 1) / 2
    return float(above / (len(high) * len(low)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--documents", type=int, default=2000)
    given = parser.parse_args()
    tweets = [row["text"] for row in records(given.data, "labelled/toxicity_en")]
    pairs = {
        "Korean documentation against film reviews": (
            sample(given.data, "ko_docs", given.documents),
            sample(given.data, "ko_reviews", given.documents),
        ),
        "English documentation against tweets": (
            sample(given.data, "en_docs", given.documents),
            tweets[: given.documents],
        ),
    }
    for name, (high, low) in pairs.items():
        print(f"{name}: AUC {auc(high, low):.3f} ({len(high)} and {len(low)} texts)")


if __name__ == "__main__":
    main()
