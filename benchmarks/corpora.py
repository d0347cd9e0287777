"""The corpora that benchmarks read: records of a file, and samples of texts."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


def records(data: Path, name: str) -> Iterator[dict[str, Any]]:
    import zstandard

    path = data / f"{name}.jsonl.zst"
    if not path.exists():
        sys.exit(f"{path} is not here; name the folder of the corpora with --data")
    with path.open("rb") as file:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8"):
            yield json.loads(line)


def sample(data: Path, name: str, documents: int) -> list[str]:
    """Return so many texts, spread evenly over the corpus."""
    texts = [record["text"] for record in records(data, f"corpora/{name}")]
    places = np.linspace(0, len(texts) - 1, min(documents, len(texts))).astype(int)
    return [texts[place] for place in places]
