"""Limits for pages made to be slow: what costs an HTML5 parser more than the page's size."""

from __future__ import annotations

import re
from collections.abc import Iterator

from filters.text.pages.words import words

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
_TAG = re.compile(r"<(?:!--|(/?)([a-zA-Z][^\s/<>]*)[^<>]*>?)")
_ENDS = {
    name: re.compile(f"</{name}", re.I) for name in ("script", "style", "textarea", "xmp", "iframe")
}
_FORMATTING = words("b big code em font i nobr s small strike strong tt u")
_UNCOUNTED = words("""
    area base basefont bgsound br col colgroup dd dt embed frame hr img input keygen li link meta
    optgroup option p param rb rp rt rtc source tbody td tfoot th thead tr track wbr a
""")


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


def _tags(html: str) -> Iterator[re.Match[str]]:
    """Yield the tags of a page, without those in comments, scripts and other raw text."""
    at = 0
    while match := _TAG.search(html, at):
        at = match.end()
        name = match[2]
        if name is None:
            at = html.find("-->", at)
        else:
            yield match
            end = _ENDS.get(name.lower()) if not match[1] else None
            if end:
                closing = end.search(html, at)
                at = closing.start() if closing else -1
        if at < 0:
            return


def _flattened(html: str) -> str:
    """Return the page with its depth limited."""
    depth = skipped = formatting = most = 0
    dropped: list[tuple[int, int]] = []
    formats: list[tuple[int, int]] = []
    for match in _tags(html):
        name = match[2].lower()
        if name in _FORMATTING:
            formatting = max(0, formatting + (-1 if match[1] else 1))
            most = max(most, formatting)
            formats.append(match.span())
        elif name in _UNCOUNTED:
            continue
        elif not match[1]:
            if depth < DEPTH:
                depth += 1
            else:
                skipped += 1
                dropped.append(match.span())
        elif skipped:
            skipped -= 1
            dropped.append(match.span())
        else:
            depth = max(0, depth - 1)
    if most > FORMATTING:
        dropped = sorted(dropped + formats)
    if not dropped:
        return html
    pieces = []
    done = 0
    for start, end in dropped:
        pieces.append(html[done:start])
        done = end
    return "".join(pieces) + html[done:]
