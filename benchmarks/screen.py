"""Speed and drops of `screen` and `score` on the real corpora, one core.

    python benchmarks/screen.py [--data ../shared/data] [--every 1] [--out FILE.json]

Prints, by corpus: MB per second of processor time of screening (toxicity and spam) and of
quality, how many documents exceed
the default thresholds, and the worst of them by score.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa

from filters.quality import annotator as quality
from filters.toxicity import annotator as toxicity
from schemas.config import Quality, Toxicity
from schemas.files import read_lines

CORPORA = ("ko_docs", "en_docs", "code", "ko_reviews")
BATCH = 500


def batches(path: Path, every: int) -> list[pa.RecordBatch]:
    lines = read_lines(path, "records")
    rows = [json.loads(line) for number, line in lines if (number - 1) % every == 0]
    return [
        pa.RecordBatch.from_pydict(
            {
                "id": [row["id"] for row in rows[at : at + BATCH]],
                "text": pa.array([row["text"] for row in rows[at : at + BATCH]], pa.large_string()),
            }
        )
        for at in range(0, len(rows), BATCH)
    ]


def measure(annotator: Any, parts: list[pa.RecordBatch]) -> tuple[pa.Table, float]:
    """Return the annotations and the best of two speeds, MB per second of processor time."""
    size = sum(part.column("text").nbytes for part in parts) / 1e6
    best = 0.0
    for _ in range(2):
        start = time.process_time()
        found = [annotator(part) for part in parts]
        best = max(best, size / (time.process_time() - start))
    return pa.Table.from_batches(found), best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--every", type=int, default=1, help="take every n-th document")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    toxicity.compile_kernels()
    quality.compile_kernels()
    import torch

    torch.set_num_threads(1)
    screen, score = toxicity.Screen(Toxicity()), quality.Score(Quality())
    results = {}
    for name in CORPORA:
        parts = batches(arguments.data / "corpora" / f"{name}.jsonl.zst", arguments.every)
        ids = [value for part in parts for value in part.column("id").to_pylist()]
        screened, screen_speed = measure(screen, parts)
        scored, score_speed = measure(score, parts)
        toxic = np.asarray(screened["toxicity"])
        spam = np.asarray(screened["spam"])
        good = np.asarray(scored["quality"])
        worst = np.argsort(-toxic)[:5]
        results[name] = {
            "documents": len(ids),
            "screen_mb_s": round(screen_speed, 1),
            "score_mb_s": round(score_speed, 1),
            "toxicity_above_0.9": int((toxic > 0.9).sum()),
            "spam_above_0.9": int((spam > 0.9).sum()),
            "quality_below_0.2": int((good < 0.2).sum()),
            "toxicity_median": round(float(np.median(toxic)), 3),
            "quality_median": round(float(np.median(good)), 3),
            "most_toxic": [[ids[row], round(float(toxic[row]), 3)] for row in worst],
        }
        print(name, json.dumps(results[name], ensure_ascii=False), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
