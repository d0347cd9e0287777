"""Front matter of Markdown: keys and values about a page, which are not its text."""

from __future__ import annotations

import re

LONGEST = 65536
"""Characters within which front matter ends."""

_FENCED = re.compile(
    r"\s*---[ \t]*\n"
    r"(?:[ \t]*(?:#[^\n]*)?\n|[\w.$-]{1,60}[ \t]*:(?:[ \t][^\n]*)?\n"
    r"|[ \t]*-[ \t][^\n]*\n|[ \t]+\S[^\n]*\n)*+"
    r"(?:---|\.\.\.)[ \t]*(?:\n|$)"
)
_KEY = re.compile(r"(?m)^[\w.$-]{1,60}[ \t]*:")
_ALONE = re.compile(r"(?m)^(?:title|layout|description|slug|id|ms\.\w+)[ \t]*:")
"""Keys that make front matter without another key."""
_OF_DOCS = re.compile(r"\bms\.[a-z]+(?:\.[a-z]+)*\s?:\s?\S")


def front_matter_end(text: str) -> int:
    """Return the number of characters of front matter at the start of a text, fences included."""
    if not text.lstrip("\ufeff \t\r\n").startswith("---"):
        return 0
    match = _FENCED.match(text.replace("\r", " ")[:LONGEST].lstrip("\ufeff"))
    if match is None or (len(_KEY.findall(match[0])) < 2 and not _ALONE.search(match[0])):
        return 0
    return match.end() + text.startswith("\ufeff")


def is_front_matter(block: str) -> bool:
    """Return whether a block of a page is front matter that the page shows as text.

    It is where two keys of a documentation system stand in it, or one starts it (`ms.assetid: …`).
    """
    if "ms." not in block or len(block) > LONGEST:
        return False
    keys = _OF_DOCS.findall(block)
    return len(keys) > 1 or (bool(keys) and bool(_OF_DOCS.match(block)))
