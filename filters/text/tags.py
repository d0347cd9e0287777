"""Remains of HTML in a text that is not a page: character references, and tags of formatting.

Tags are removed only where a text holds several elements: pairs of one name, tags that stand
alone (`<br>`) or whose end HTML lets authors leave out (`<li>`). Angle brackets of prose stay:
`<Table 1>`, `a <b and c> d`, `<b>` alone, "the <b> tag".
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable

_MARKDOWN = re.compile(r"`|\]\(|^#{1,6} |^[ \t]*\|", re.M)
_REFERENCE = re.compile(r"&(?:amp;)*((?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});)")
"""A reference, however often it was escaped."""


def _names(names: str) -> frozenset[str]:
    return frozenset(names.split())


_BLOCKS = _names(
    "address article blockquote center dd div dl dt footer h1 h2 h3 h4 h5 h6 header li main ol p "
    "section table tbody td tfoot th thead tr ul"
)
_INLINE = _names(
    "a abbr b big cite code del em font i ins kbd mark s small span strike strong sub sup tt u"
)
_ALONE = _names("br hr img wbr")
_OPTIONAL_END = _names("dd dt li p td th tr")
_LINE_END = _names("br p div li tr h1 h2 h3 h4 h5 h6 dd dt")
_TAG = re.compile(
    rf"<(/?)({'|'.join(sorted(_BLOCKS | _INLINE | _ALONE, key=lambda name: (-len(name), name)))})"
    r"((?:\s{1,20}[a-z_:@][\w:.-]{0,60}\s{0,3}=\s{0,3}"
    r"""(?:"[^"<>]{0,2000}"|'[^'<>]{0,2000}'|[^\s"'<>=`]{1,500})){0,30})"""
    r"\s{0,20}/?>",
    re.I,
)
"""A well-formed tag: a name of HTML, and attributes that have values."""
_PARTICLE = re.compile("(?:과|와|을|를|은|는|이|가|로|의|에|도|나|이나|으로)[ ,.]")
"""A Korean particle directly behind a tag: `<table>과 <tr>을` names the tags."""
SEVERAL = 2
"""Elements that show a text to hold HTML."""
_KEPT = frozenset({"Co", "Cn", "Cs"})
"""Categories of which no reference is replaced: private use, unassigned, surrogates."""


def without_html(text: str) -> tuple[str, int]:
    """Return `text` without tags of formatting and references, and the characters replaced.

    A text that shows Markdown stays: it holds HTML on purpose.
    """
    if ("<" not in text and "&" not in text) or _MARKDOWN.search(text):
        return text, 0
    text, tags = _without_tags(text)
    plain, named = _unescaped(text, lambda char: True)
    if named and _without_tags(plain)[1]:  # what was escaped was meant to be read
        plain, named = _unescaped(text, lambda char: char not in "<>")
    return plain, tags + named


def _without_tags(text: str) -> tuple[str, int]:
    """Return the text without its tags, lines ended where blocks end, and their characters."""
    tags = list(_TAG.finditer(text)) if "<" in text else []
    if not tags:
        return text, 0
    elements, removed = _matched(text, tags)
    if elements < SEVERAL:
        return text, 0
    pieces, at, count = [], 0, 0
    for index, tag in enumerate(tags):
        name = tag[2].lower()
        if index not in removed and not (tag[1] and name in _BLOCKS):
            continue
        ends = name in _LINE_END and (bool(tag[1]) or name == "br")
        pieces += [text[at : tag.start()], "\n" if ends else ""]
        at = tag.end()
        count += len(tag[0])
    return "".join([*pieces, text[at:]]), count


def _matched(text: str, tags: list[re.Match[str]]) -> tuple[int, set[int]]:
    """Return how many elements there are, and the indices of their tags."""
    elements, removed = 0, set[int]()
    open_tags: dict[str, list[int]] = {}
    for index, tag in enumerate(tags):
        if _mentioned(text, tag):
            continue
        name = tag[2].lower()
        if tag[1]:
            if partners := open_tags.get(name):
                removed |= {partners.pop(), index}
                elements += name not in _OPTIONAL_END
        elif name in _ALONE or name in _OPTIONAL_END:
            removed.add(index)
            elements += 1
            open_tags.setdefault(name, []).append(index)
        else:
            open_tags.setdefault(name, []).append(index)
    return elements, removed


def _mentioned(text: str, tag: re.Match[str]) -> bool:
    """Return whether a tag stands between spaces, as a word of its sentence."""
    before = text[tag.start() - 1 : tag.start()] if tag.start() else "\n"
    if not tag[1] and before in " \n" and _PARTICLE.match(text, tag.end()):
        return True
    return before == " " and text[tag.end() : tag.end() + 1] in (" ", ",", ".")


def _unescaped(text: str, wanted: Callable[[str], bool]) -> tuple[str, int]:
    """Return the text with the references to `wanted` characters replaced, and their characters."""
    count = 0

    def character(match: re.Match[str]) -> str:
        nonlocal count
        char = html.unescape(f"&{match[1]}")
        if (
            char.endswith(";")
            or not wanted(char)
            or any(unicodedata.category(one) in _KEPT for one in char)
        ):
            return match[0]
        count += len(match[0])
        return " " if char == "\xa0" else char

    return (_REFERENCE.sub(character, text), count) if "&" in text else (text, 0)
