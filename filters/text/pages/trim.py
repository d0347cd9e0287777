"""Blocks that leave the main text by what stands around them: columns of a layout, repeated labels,
lines of dates and prices."""

from __future__ import annotations

import re

from filters.text.pages.lines import HEADINGS
from filters.text.pages.tree import ITEM, SEPARATOR, Page
from filters.text.pages.words import words

COLUMN_SHARE, ROW_SHARE = 0.4, 0.6
"""Shares of the page's prose in a cell beyond which the cells beside it are columns of a layout and
the other rows its head and foot."""
DEPTH = 40
"""Elements around a block that a cell is looked for in."""
REPEATED, LABEL = 3, 40
"""Times that a label repeats before it is left out, and its most characters."""
DATE_WORDS = 6
"""Most words beside the date in a line that is a date."""

_LISTED = words("li dt dd th td caption figcaption blockquote")
_MONTH = (
    r"jan(?:uary|uar|\.)?|feb(?:ruary|ruar|\.)?|mar(?:ch|\.)?|märz|apr(?:il|\.)?|may|mai|june?|juni|"
    r"july?|juli|aug(?:ust|\.)?|sept?(?:ember|\.)?|oct(?:ober|\.)?|okt(?:ober|\.)?|"
    r"nov(?:ember|\.)?|de[cz](?:ember|\.)?"
)
DATE = re.compile(
    rf"\b(?:{_MONTH})\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+(?:19|20)\d\d\b|"
    rf"\b\d{{1,2}}(?:st|nd|rd|th|\.)?\s+(?:of\s+)?(?:{_MONTH}),?\s+(?:19|20)\d\d\b|"
    r"\b(?:19|20)\d\d\s?[-./년]\s?\d{1,2}\s?[-./월]\s?\d{1,2}\b|\b\d{1,2}[./]\d{1,2}[./](?:19|20)?\d\d\b",
    re.I,
)
_WORD = re.compile(r"[^\W\d_]+")
_PRICE = re.compile(
    r"[\W\d]*(?:[$£€¥₩]|\d\s?(?:원|円|USD|EUR|GBP|KRW))[\W\d]*(?:원|USD|EUR|GBP|KRW)?[\W\d]*"
)
_STOCK = re.compile(
    r"\d+ (?:in stock|left in stock)|(?:in|out of) stock|품절|재고\s?\d+\s?개?", re.I
)


def is_dated_line(text: str, tag: str) -> bool:
    """Return whether a block is a date and few words: when a page was written, and by whom."""
    if len(text) > 120 or tag in HEADINGS or tag in _LISTED or text[-1] in ".!?。:;":
        return False
    date = DATE.search(text)
    return bool(date) and len(_WORD.findall(DATE.sub(" ", text))) <= DATE_WORDS


def is_price(text: str) -> bool:
    """Return whether a block is a price or a number of goods in stock."""
    return len(text) < 60 and bool(_PRICE.fullmatch(text) or _STOCK.fullmatch(text))


def repeated_labels(page: Page, tags: list[str], linked: list[bool]) -> set[int]:
    """Return the blocks whose short text, no heading and no part of a list, repeats on the page.

    `tags`, `linked`: per block the element that owns it and whether it is a link.
    """
    found: dict[str, list[int]] = {}
    for block, text in enumerate(page.texts):
        if len(text) > LABEL or page.pre[block] or text[-1] in ".!?。…:":
            continue
        if (linked[block] and tags[block] in HEADINGS) or (
            tags[block] not in HEADINGS
            and not text.startswith(ITEM)
            and SEPARATOR not in text
            and not is_listed(page, page.owners[block])
        ):
            found.setdefault(text, []).append(block)
    return {block for same in found.values() if len(same) >= REPEATED for block in same}


def is_listed(page: Page, element: int) -> bool:
    """Return whether an element or one of the three around it is a part of a list or a table."""
    for _ in range(4):
        if element < 0:
            return False
        if page.tags[element] in _LISTED:
            return True
        element = page.parents[element]
    return False


def columns(page: Page, prose: list[int]) -> tuple[set[int], int]:
    """Return the cells beside a cell that holds most of the page's prose, and the outermost table
    of such a cell, -1 if none.

    `prose`: sums of the prose before each block. A table with such a cell lays the page out; its
    other cells are columns of menus, its other rows heads and feet, unless they are prose.
    """
    total = prose[-1]
    holders = [
        element
        for element, tag in enumerate(page.tags)
        if tag == "td"
        and page.last[element] - page.first[element] >= 2
        and prose[page.last[element]] - prose[page.first[element]] >= COLUMN_SHARE * total
    ]
    if not holders:
        return set(), -1
    rows = {page.parents[cell]: cell for cell in holders}
    bodies = {
        page.parents[row]
        for row, cell in rows.items()
        if prose[page.last[cell]] - prose[page.first[cell]] >= ROW_SHARE * total
    }
    found: set[int] = set()
    for element, tag in enumerate(page.tags):
        parent = page.parents[element]
        if (tag == "td" and parent in rows and element not in holders) or (
            tag == "tr" and parent in bodies and element not in rows
        ):
            found.add(element)
    table = page.parents[holders[0]]
    while table >= 0 and page.tags[table] != "table":
        table = page.parents[table]
    return found, table


def in_cell(page: Page, block: int) -> bool:
    """Return whether a block stands in a table's cell."""
    element = page.owners[block]
    for _ in range(DEPTH):
        if element < 0:
            return False
        if page.tags[element] == "td":
            return True
        element = page.parents[element]
    return True
