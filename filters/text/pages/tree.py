"""An HTML page as flat arrays of elements and blocks of text.

The parser of resiliparse (lexbor, HTML5) repairs the page and writes it well-formed again; one
regular expression cuts that into tags and texts, and one loop with its own stack fills the arrays.
Nothing recurses, so depth costs memory only, and no object of the DOM is made in Python, which
would cost ten times as much as parsing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from filters.text.pages.inline import resolve
from filters.text.pages.marks import HIDDEN, marks
from filters.text.pages.tame import tame
from filters.text.pages.words import words

_INSTEAD = re.compile(r"(?i)<(?:noframes|noscript)\b[^<>]*>")
_INSTEAD_END = re.compile(r"(?i)</(?:noframes|noscript)")
_TITLE = re.compile(r"<title[^>]*>([^<]*)</title>")
_DIGITS = re.compile("[0-9]+")
_TAG = re.compile(r"<([^>]*)>")
_SURROGATE = re.compile("[\ud800-\udfff]")
_EDIT = ("[편집]", "[edit]", "[원본 편집]")
"""Links of a wiki's headings, which stand in their text."""
_INDENT = re.compile(r"[ \t\r\f\v]+\n")

INLINE = words("""
    abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark nobr output q
    rb ruby s samp small span strike strong sub sup time tt u var picture
""")
VOID = words("""
    area base basefont bgsound col embed frame hr img input keygen link meta param source track
    wbr
""")
SKIPPED = words("""
    amp-ad amp-embed amp-sidebar amp-social-share audio button canvas datalist dialog head map
    meter noscript object progress select svg template video
""")
"""Elements whose text is not shown or is not prose."""
CELL_END = 200
"""Characters of a table's cell beyond which the next one starts a block of its own."""
BREAK = "\0"
"""Stands for <br> until a block ends; no text of a parsed page holds NUL."""
CELL = "\1"
"""Stands between the cells of a table's row until the row ends."""
SEPARATOR = " | "
ITEM = "- "


@dataclass(slots=True)
class Page:
    """Elements in document order, and the blocks of text that they own.

    `tags`, `parents`, `hints`, `first`, `last`: per block-level element its name, the index of its
    parent (-1 for the root), its marks, and the range of blocks in it. `texts`, `owners`, `links`,
    `pre`: per block its text, the element that owns it, its characters in links, and whether its
    line ends are its own. `title`: the page's, from its head.
    """

    tags: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    hints: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    links: list[int] = field(default_factory=list)
    pre: list[bool] = field(default_factory=list)
    title: str = ""


def read_page(html: str) -> Page:
    """Return the page's elements and blocks."""
    from resiliparse.parse.html import HTMLTree

    html = tame(html)
    try:
        tree = HTMLTree.parse(html)
    except UnicodeEncodeError:  # a lone surrogate
        tree = HTMLTree.parse(_SURROGATE.sub("\ufffd", html))
    written = str(tree)
    page = _Builder().build(_TAG.split(resolve(written)))
    title = _TITLE.search(written)
    if title:
        page.title = " ".join(unescape(title[1]).split())
    return page


def without_frames(html: str) -> str:
    """Return what a page holds for readers without frames or scripts, as HTML; empty if nothing."""
    pieces = []
    at = 0
    while opened := _INSTEAD.search(html, at):
        closed = _INSTEAD_END.search(html, opened.end())
        at = closed.end() if closed else len(html)
        pieces.append(html[opened.end() : closed.start() if closed else at])
    return " ".join(pieces)


_INLINE, _CLOSE, _OPEN, _LINK, _LINE, _SKIP, _RULE = range(7)
_KNOWN: dict[str, tuple[int, str, int]] = {}
_KNOWN_MOST = 20000
"""Tags whose meaning is kept; then all are forgotten."""


def _known(tag: str) -> tuple[int, str, int]:
    """Return what a tag does, its name and its marks, and remember it."""
    if len(_KNOWN) >= _KNOWN_MOST:
        _KNOWN.clear()
    read = _KNOWN[tag] = _read(tag)
    return read


def _read(tag: str) -> tuple[int, str, int]:
    if tag[:1] == "/":
        name = tag[1:]
        if name == "a":
            return _LINK, name, 0
        return (_INLINE if name in INLINE else _CLOSE), name, 0
    name, _, attributes = tag.partition(" ")
    if name == "br":
        return _LINE, name, 0
    if name in VOID or not name:
        return (_RULE if name == "hr" else _INLINE), name, 0
    if name in SKIPPED:
        return _SKIP, name, 0
    if name == "a":
        hidden = "class=" in attributes and marks(attributes) & HIDDEN
        anchor = "href=" not in attributes and ("name=" in attributes or "id=" in attributes)
        return (_SKIP, name, 0) if hidden else (_LINK, name, int(not anchor))
    hint = marks(_DIGITS.sub("", attributes)) if attributes else 0
    if name in INLINE:
        return (_SKIP if hint & HIDDEN else _INLINE), name, 0
    return _OPEN, name, hint


class _Builder:
    """Fills a page from alternating texts and tags."""

    def __init__(self) -> None:
        self.page = Page()
        self.pieces: list[str] = []
        self.linked = 0  # characters of the pieces that are in links
        self.open: list[tuple[str, int]] = []  # block-level elements: name, index
        self.owner = -1
        self.pre = 0  # depth in <pre>
        self.item = False  # the next block is the first of an item of a list

    def build(self, parts: list[str]) -> Page:
        """Return the page of `parts`: text, tag, text, …, text."""
        pieces = self.pieces
        known = _KNOWN
        linked = False
        skipped, depth = "", 0
        parts.append("")
        for text, tag in zip(parts[0::2], parts[1::2], strict=True):
            if text and not depth and (pieces or self.pre or not text.isspace()):
                pieces.append(text)
                if linked:
                    self.linked += len(text.strip())
            kind, name, hint = known.get(tag) or _known(tag)
            if depth:
                if name == skipped:
                    depth += -1 if tag[0] == "/" else 1
            elif kind == _INLINE:
                pass
            elif kind == _CLOSE:
                self.close(name)
            elif kind == _OPEN:
                self.start(name, hint)
            elif kind == _LINK:
                linked = bool(hint)
            elif kind == _LINE:
                pieces.append("\n" if self.pre else BREAK)
            elif kind == _SKIP:
                skipped, depth = name, 1
            elif kind == _RULE:
                self.flush()
        self.flush()
        return self.page

    def start(self, name: str, hint: int) -> None:
        """Open a block-level element."""
        page = self.page
        if name in {"td", "th"}:
            self.cell()
        else:
            self.flush()
        page.parents.append(self.owner)
        self.owner = len(page.tags)
        page.tags.append(name)
        page.hints.append(hint)
        page.first.append(len(page.texts))
        page.last.append(0)
        self.open.append((name, self.owner))
        self.pre += name == "pre"
        self.item = name == "li" or (self.item and name in ("p", "div", "h3", "h4", "h5", "h6"))

    def close(self, name: str) -> None:
        """Close a block-level element."""
        page = self.page
        if not self.open or self.open[-1][0] != name:
            return
        _, element = self.open.pop()
        if name not in {"td", "th"} or len(page.texts) > page.first[element] or self.is_long():
            self.flush()
        self.pre -= name == "pre"
        page.last[element] = len(page.texts)
        self.owner = page.parents[element]

    def cell(self) -> None:
        """Start a table's cell: on the line of the cell before it, if that is short."""
        if self.is_long():
            self.flush()
        elif "".join(self.pieces).strip():
            self.pieces.append(CELL)

    def is_long(self) -> bool:
        """Return whether the open line of a table's row is a block of its own."""
        line = "".join(self.pieces)
        return len(line) > CELL_END or BREAK in line

    def flush(self) -> None:
        """End a block of text."""
        if not self.pieces:
            return
        text = "".join(self.pieces)
        self.pieces.clear()
        linked, self.linked = self.linked, 0
        if "&" in text:
            text = unescape(text)
        if self.pre:
            text = _INDENT.sub("\n", text.replace("\xa0", " ") + "\n").strip("\n")
            blank = not text.strip()
        else:
            text = flowed(text)
            if text.endswith(_EDIT):
                text = text[: text.rindex("[")].rstrip()
            blank = not text
            if self.item and not blank:
                text = ITEM + text
        if not blank:
            self.item = False
            page = self.page
            page.texts.append(text)
            page.owners.append(self.owner)
            page.links.append(min(linked, len(text)))
            page.pre.append(self.pre > 0)


def unescape(text: str) -> str:
    """Return text of the written page with its character references replaced."""
    text = text.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">")
    return text.replace("&amp;", "&")


def flowed(text: str) -> str:
    """Return a block with white space collapsed and <br> as line ends."""
    text = text.replace("\xad", "")
    if BREAK not in text and CELL not in text:
        return " ".join(text.split())
    lines = []
    for line in text.split(BREAK):
        cells = [" ".join(cell.split()) for cell in line.split(CELL)]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            lines.append(SEPARATOR.join(cells))
    return "\n".join(lines)
