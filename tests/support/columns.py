"""What the tests of signals share: columns from texts, and odd texts for Hypothesis."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from hypothesis import strategies as st

from filters.columnar.kernels import buffers, everywhere
from filters.signals.family import Family
from tests.support import ROOT

DATA = ROOT.parent / "shared" / "data"

odd_text = st.text(
    st.one_of(
        st.sampled_from(
            list(
                "가나다한국어의은 the of{};()\n\n\t#*`ㅋㅋㅠ…!?.-_|/日本かなé0123456789𝒳🙂\u0301\u200b"
            )
        ),
        st.characters(exclude_categories=("Cs",), exclude_characters="\0"),
    ),
    max_size=300,
)


def texts(*values: str) -> pa.LargeStringArray:
    return pa.array(values, pa.large_string())


def signals(family: Family, *values: str) -> list[dict[str, float]]:
    """Return one mapping of name to value per text."""
    data, offsets = buffers(texts(*values))
    rows = family.compute(data, offsets, everywhere(offsets))
    return [dict(zip(family.columns, map(float, row), strict=True)) for row in rows]


def records(name: str, every: int = 1) -> Iterator[dict[str, Any]]:
    """Yield every N-th record of a corpus of the shared data (N = `every`); skip the test without it."""
    path = DATA / f"{name}.jsonl.zst"
    if not path.exists():
        pytest.skip(f"../shared/data is not here: no {name}.jsonl.zst")
    with path.open("rb") as file:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8")
        for index, line in enumerate(lines):
            if index % every == 0:
                yield json.loads(line)
