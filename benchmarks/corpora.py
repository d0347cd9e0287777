"""The corpora that benchmarks read: records of a file, and samples of texts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


def records(data: Path, name: str) -> Iterator[dict[str, Any]]:
    from schemas.files import read_lines  # the caller has set the path

    path = data / f"{name}.jsonl.zst"
    if not path.exists():
        sys.exit(f"{path} is not here; name the folder of the corpora with --data")
    for _, line in read_lines(path, "records"):
        yield json.loads(line)


def sample(data: Path, name: str, documents: int) -> list[str]:
    """Return so many texts, spread evenly over the corpus."""
    texts = [record["text"] for record in records(data, f"corpora/{name}")]
    places = np.linspace(0, len(texts) - 1, min(documents, len(texts))).astype(int)
    return [texts[place] for place in places]
