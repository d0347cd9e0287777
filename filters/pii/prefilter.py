"""Which documents, and which windows of them, the analyser has to see."""

from __future__ import annotations

import re
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from filters.pii.patterns import TRIGGER

MARGIN = 80
"""Characters on each side of a trigger: room for the whole value and its context words."""
KEY_BLOCK = 8200
"""Characters after the head of a PEM block, which may be long."""


def has_candidates(text: pa.LargeStringArray) -> pa.BooleanArray:
    """Return for each row whether it may hold personal data: one RE2 pass over the column."""
    return pc.fill_null(pc.match_substring_regex(text, TRIGGER), False)


@lru_cache(1)
def _trigger() -> re.Pattern[str]:
    return re.compile(TRIGGER)


def windows(text: str) -> list[tuple[int, int]]:
    """Return the parts of `text` that hold triggers with their margins, merged, in order."""
    found: list[tuple[int, int]] = []
    for match in _trigger().finditer(text):
        start = max(0, match.start() - MARGIN)
        after = KEY_BLOCK if match.group().startswith("-----") else MARGIN
        end = min(len(text), match.end() + after)
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
