"""Sets of words, written as lines."""

from __future__ import annotations


def words(lines: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(lines.split())
