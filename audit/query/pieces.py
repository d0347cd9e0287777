"""A text in pieces `[string, kind]`, of which a page makes nodes of text and never markup."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from audit.query.passages import Span

Piece = tuple[str, str]
"""A part of a text and what it is: "" for plain, `pass` for a deciding passage, a PII type."""

EXCERPT = 700
BEFORE = 180
"""Characters of an excerpt, and of those before the first passage."""
WHOLE = 100_000
"""Characters of a document that a page shows at most."""
DIFFED = 3_000
"""Characters of each of two copies that are compared word by word."""


def pieces(text: str, marks: Sequence[Span], length: int = EXCERPT) -> list[Piece]:
    """Return up to `length` characters of `text` around the first mark, cut at the marks."""
    start = max(0, marks[0][0] - BEFORE) if marks and marks[0][0] > length // 2 else 0
    end = min(len(text), start + length)
    found: list[Piece] = [("…", "cut")] if start else []
    at = start
    for first, last in marks:
        low, high = max(first, at), min(last, end)
        if low >= high:
            continue
        found += [(text[at:low], "")] if low > at else []
        found.append((text[low:high], "pass"))
        at = high
    found += [(text[at:end], "")] if at < end else []
    return found + ([("…", "cut")] if end < len(text) else [])


def from_start(text: str, marks: Sequence[tuple[int, int]]) -> list[Piece]:
    """Return a document's pieces from its beginning, marks in place."""
    found: list[Piece] = []
    at, end = 0, min(len(text), WHOLE)
    for first, last in marks:
        low, high = max(first, at), min(last, end)
        if low < high:
            found += [(text[at:low], "")] if low > at else []
            found.append((text[low:high], "pass"))
            at = high
    found += [(text[at:end], "")] if at < end else []
    return found + ([("…", "cut")] if end < len(text) else [])


def word_diff(kept: str, copy: str) -> list[Piece]:
    """Return the pieces of two texts: "" in both, `del` in `kept` only, `ins` in `copy` only.

    Long parts that are the same are shortened.
    """
    left, right = (_tokens(text[:DIFFED]) for text in (kept, copy))
    found: list[Piece] = []
    for act, a, b, c, d in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if act == "equal":
            same = "".join(left[a:b])
            found.append((same if len(same) < 200 else f"{same[:90]} … {same[-90:]}", ""))
            continue
        found += [("".join(left[a:b]), "del")] if b > a else []
        found += [("".join(right[c:d]), "ins")] if d > c else []
    return found


def _tokens(text: str) -> list[str]:
    return re.findall(r"\S+\s*|\s+", text)
