"""Limits for pages made to be slow: what costs an HTML5 parser time or memory beyond the page's size."""

from __future__ import annotations

import re

LARGE = 16384
"""Characters up to which a page cannot cost much."""
MANY_TAGS = 4000
LONGEST_TAG = 8192
"""A longer tag loses its attributes: an element's attributes are compared pairwise."""
DEPTH = 512
"""Open elements beyond which tags are dropped and their text is kept, as browsers do."""
FORMATTING = 32
"""Open formatting elements beyond which all are dropped: a parser opens each again per block."""

_NAME = re.compile(r"[^\s/>]*")
_AGAIN = re.compile(r"<(?:html|body)\b[^<>]*>", re.I)
_TAG = re.compile(
    r"<!--.*?-->|<(script|style|textarea|xmp|iframe)\b.*?</\1\b|<(/?)([a-zA-Z][^\s/<>]*)[^<>]*>?",
    re.DOTALL | re.I,
)
_FORMATTING = frozenset("b big code em font i nobr s small strike strong tt u".split())
_UNCOUNTED = frozenset(
    "area base basefont bgsound br col colgroup dd dt embed frame hr img input keygen li link meta "
    "optgroup option p param rb rp rt rtc source tbody td tfoot th thead tr track wbr a".split()
)


def tame(html: str) -> str:
    """Return the page, without what would make parsing cost more than linear time."""
    if len(html) <= LARGE:
        return html
    pieces = html.split("<")
    if max(map(len, pieces)) > LONGEST_TAG:
        html = "<".join(map(_shortened, pieces))
    if len(pieces) <= MANY_TAGS:
        return html
    openings = 0

    def first_ones(match: re.Match[str]) -> str:
        nonlocal openings
        openings += 1
        return match[0] if openings <= 8 else ""

    return _flattened(_AGAIN.sub(first_ones, html))


def _shortened(piece: str) -> str:
    """Return what follows a "<", without the attributes of an overlong tag."""
    if len(piece) <= LONGEST_TAG or not piece[0].isalpha():
        return piece
    end = piece.find(">")
    if end < 0 or end > LONGEST_TAG:
        return _NAME.match(piece)[0] + (piece[end:] if end >= 0 else ">")  # type: ignore[index]
    return piece


def _flattened(html: str) -> str:
    """Return the page with its depth limited."""
    depth = skipped = formatting = 0
    most = 0
    too_deep = False
    pieces = []
    done = 0
    for match in _TAG.finditer(html):
        name = match[3]
        if name is None:
            continue
        name = name.lower()
        if name in _FORMATTING:
            formatting = max(0, formatting + (-1 if match[2] else 1))
            most = max(most, formatting)
            continue
        if name in _UNCOUNTED:
            continue
        if not match[2]:
            if depth < DEPTH:
                depth += 1
                continue
            skipped += 1
        elif skipped:
            skipped -= 1
        else:
            depth = max(0, depth - 1)
            continue
        too_deep = True
        pieces.append(html[done : match.start()])
        done = match.end()
    if too_deep:
        html = "".join(pieces) + html[done:]
    if most > FORMATTING:
        html = _TAG.sub(lambda m: "" if (m[3] or "").lower() in _FORMATTING else m[0], html)
    return html
