"""Which blocks of a page are its main text.

In order: leave out elements by their names and links; find the root, the innermost element that
holds most of the prose; leave out blocks by their words, parts beside the core, sections that their
headings name; put the page's title first. Shares were set on pages of news, blogs and documentation
(`benchmarks/extraction.py`).
"""

from __future__ import annotations

import re

from filters.text.pages.frame import Frame, letters
from filters.text.pages.lines import (
    HEADINGS,
    is_furniture,
    is_stray,
)
from filters.text.pages.marks import (
    AROUND,
    COMMENTS,
    CONTENT,
    DETAIL,
    HIDDEN,
    PERHAPS,
    RELATED,
    REPLIES,
)
from filters.text.pages.odds import Blocks, likely
from filters.text.pages.tree import SEPARATOR, Page
from filters.text.pages.trim import columns, in_cell, is_dated_line, is_price, repeated_labels
from filters.text.pages.words import words

KEPT = words("html body main article")
"""Elements that are never left out by their names."""
LEAVES = words("p tr td th li ul ol dl dt dd tbody thead pre blockquote")
"""Elements that cannot be the root of the main text: too small, or the quote of an answer."""
SHARE, ARTICLE_SHARE, NAMED_SHARE = 0.85, 0.75, 0.5
"""Share of the weight that the root holds: of any page, of an article, of an element that is named
as an article's content."""
CORE_SHARE = 0.85
"""Share of the root's weight that the core holds."""
SENTENCE = 20
"""Bytes of a block that ends as a sentence from which it is one."""
SHORT = 300
"""Bytes of text without a sentence below which a page with long comments is a thread."""
FEW = 30
"""Bytes below which readers' comments are taken for the page's text."""

_ARTICLE = re.compile(r"og:type[\"']?\s+content=[\"']?article", re.I)
_SIGNS = ("article:published_time", "NewsArticle", "BlogPosting", "articleBody")


def dated(html: str) -> bool:
    """Return whether the page calls itself an article: news or a post of a blog."""
    return any(sign in html for sign in _SIGNS) or (
        "og:type" in html and bool(_ARTICLE.search(html))
    )


def choose(page: Page, article: bool) -> list[int]:
    """Return the indexes of the blocks that are the main text, in order."""
    chooser = Chooser(page, article)
    chosen = chooser.run(COMMENTS | AROUND | DETAIL)
    size = chooser.size_of(chosen)
    if size < FEW or (size < SHORT and not chooser.has_sentence(chosen)):
        more = chooser.run(AROUND | DETAIL)
        if chooser.size_of(more) > 4 * size + FEW:
            chosen = more
    return chosen or chooser.run(0)


def _sums(values: list[int]) -> list[int]:
    total = 0
    sums = [0]
    for value in values:
        total += value
        sums.append(total)
    return sums


class Chooser(Frame):
    """Chooses among the blocks of one page.

    Sizes and weights are bytes of UTF-8, so that a syllable of Hangul counts as three letters.
    """

    def __init__(self, page: Page, article: bool) -> None:
        super().__init__(page)
        self.article = article
        self.inside = [False] * len(page.tags)
        for element, parent in enumerate(page.parents):
            self.inside[element] = (
                bool(page.hints[element] & CONTENT)
                or page.tags[element] in ("article", "main")
                or (parent >= 0 and self.inside[parent])
            )
        self.holds = [bool(hint & CONTENT) for hint in page.hints]
        for element in range(len(page.tags) - 1, -1, -1):
            parent = page.parents[element]
            if parent >= 0 and self.holds[element] and page.first[element] < page.last[element]:
                self.holds[parent] = True
        self.prose = _sums([self.weight(block, False) for block in range(len(page.texts))])
        self.weights = [self.weight(block, True) for block in range(len(page.texts))]
        self.repeated = repeated_labels(
            page, self.tags, [self.is_link(block) for block in range(len(page.texts))]
        )
        self.columns, self.table = columns(page, self.prose)

    def has_sentence(self, blocks: list[int]) -> bool:
        """Return whether code or a sentence is among the blocks."""
        page = self.page
        return any(
            page.pre[block] or (self.sizes[block] >= SENTENCE and page.texts[block][-1] in ".!?。…")
            for block in blocks
        )

    def weight(self, block: int, by_name: bool) -> int:
        """Return how much a block counts as prose or code, or `by_name` by where it stands."""
        page = self.page
        own = self.sizes[block] - self.linked[block]
        owner = page.owners[block]
        if page.pre[block] or (by_name and owner >= 0 and self.inside[owner]):
            return own
        text = page.texts[block]
        if "\n" in text and self.linked[block] * 3 > self.sizes[block]:
            return own // 4
        if self.sizes[block] >= 80 or text[-1] in ".!?。…:;,":
            return own
        return own // 4

    def run(self, left_out: int) -> list[int]:
        """Return the main text's blocks, without the parts whose marks are in `left_out`."""
        blocks = self.candidates(left_out)
        # The model was fitted on pages without their comments.
        chosen = likely(blocks) if left_out & COMMENTS else blocks.chosen
        return self.trimmed(chosen, blocks.title)

    def candidates(self, left_out: int) -> Blocks:
        """Return the blocks that the rules choose."""
        page = self.page
        count = len(page.texts)
        kept = [True] * count
        sums = _sums(self.weights)
        sizes = _sums(self.sizes)
        linked = _sums(self.linked)
        total = max(sums[-1], 1)
        dropped = [False] * len(page.tags)
        for element, parent in enumerate(page.parents):
            if parent >= 0 and dropped[parent]:
                dropped[element] = True
                continue
            first, last = page.first[element], page.last[element]
            if first == last:
                continue
            share = (sums[last] - sums[first]) / total
            size = sizes[last] - sizes[first]
            links = linked[last] - linked[first]
            if self.leave_out(element, share, size, links, left_out):
                dropped[element] = True
                kept[first:last] = [False] * (last - first)
        if self.table >= 0 and left_out:
            low, high = page.first[self.table], page.last[self.table]
            kept = [
                keep and (low <= block < high or in_cell(page, block))
                for block, keep in enumerate(kept)
            ]
        weights = [weight * keep for weight, keep in zip(self.weights, kept, strict=True)]
        root = self.root(weights, dropped)
        first, last = (page.first[root], page.last[root]) if root >= 0 else (0, count)
        chosen = [block for block in range(first, last) if kept[block]]
        chosen = [block for block in chosen if self.belongs(block)]
        title = self.title(first)
        chosen = self.lead(root, kept) + self.core(root, chosen, weights)
        if title >= 0:
            chosen = self.headed(title, chosen)
        return self.described(self.sections(chosen), title, root)

    def described(self, chosen: list[int], title: int, root: int) -> Blocks:
        """Return the chosen blocks as the model takes them."""
        sizes, linked, tags = self.sizes, self.linked, self.tags
        return Blocks(
            self.page, chosen, sizes, linked, tags, root, title, self.title_key, self.article
        )

    def core(self, root: int, chosen: list[int], weights: list[int]) -> list[int]:
        """Return the chosen blocks without parts beside the core that are not prose.

        The core is the innermost element with most of the root's prose. A part beside it stays if
        half of it is prose.
        """
        page = self.page
        if root < 0:
            return chosen
        sums = _sums(weights)
        total = sums[page.last[root]] - sums[page.first[root]]
        path = {root}
        core = root
        for element in range(root + 1, len(page.tags)):
            if page.first[element] >= page.last[root]:
                break
            own = sums[page.last[element]] - sums[page.first[element]]
            if (
                page.parents[element] == core
                and own >= CORE_SHARE * total
                and page.tags[element] not in LEAVES
            ):
                core = element
                path.add(core)
        if core == root:
            return chosen
        low, high = page.first[core], page.last[core]
        sides: dict[int, list[int]] = {}
        for block in chosen:
            if not low <= block < high:
                owner = page.owners[block]
                while owner >= 0 and page.parents[owner] not in path:
                    owner = page.parents[owner]
                sides.setdefault(owner if owner >= 0 else -1 - block, []).append(block)
        left_out: set[int] = set()
        for blocks in sides.values():
            size = self.size_of(blocks)
            prose = sum(weights[block] for block in blocks)
            heading = all(self.tags[block] in HEADINGS for block in blocks)
            if (prose * 2 < size and not (heading and blocks[0] < low)) or (
                prose * 2 >= size and size < 60
            ):
                left_out.update(blocks)
        return [block for block in chosen if block not in left_out]

    def belongs(self, block: int) -> bool:
        """Return whether a block's own words leave it in the text."""
        if self.page.pre[block]:
            return True
        text, tag = self.page.texts[block], self.tags[block]
        if block in self.repeated or is_dated_line(text, tag) or is_price(text):
            return False
        share = self.linked[block] / max(self.sizes[block], 1)
        return not is_furniture(text, tag, share) and not (
            self.article and is_stray(text, tag, share)
        )

    def lead(self, root: int, kept: list[bool]) -> list[int]:
        """Return the headings and the prose that stand before the root in the same article."""
        page = self.page
        start = around = page.first[root] if root >= 0 else 0
        while root >= 0:
            if page.tags[root] in ("article", "main") or page.hints[root] & CONTENT:
                around = page.first[root]
            root = page.parents[root]
        found: list[int] = []
        for block in range(start - 1, max(-1, min(around - 1, start - 40)), -1):
            tag = self.tags[block]
            prose = self.sizes[block] >= 80 and self.linked[block] * 3 < self.sizes[block]
            if kept[block] and (prose or (tag == "h1" and not self.is_link(block))):
                found.append(block)
                if tag == "h1":
                    around = block
            if block <= around and (around < start or start - block > 40):
                break
        if found and found[-1] < around:
            return []
        return found[::-1]

    def leave_out(self, element: int, share: float, size: int, links: int, left_out: int) -> bool:
        """Return whether an element is not a part of the main text.

        `share` is its share of the page's weight, `size` and `links` its bytes and those in links.
        """
        page = self.page
        tag, hints = page.tags[element], page.hints[element]
        if tag in KEPT:
            return False
        if element in self.columns and left_out and not self.is_head(element):
            prose = self.prose[page.last[element]] - self.prose[page.first[element]]
            return share < 0.3 and (links * 4 > size or prose * 2 < size)
        if hints & HIDDEN and share < 0.5:
            return True
        if tag in ("nav", "footer", "aside") and left_out & AROUND:
            return True
        if hints & COMMENTS & left_out and not hints & CONTENT and tag not in HEADINGS:
            return True
        if hints & REPLIES and self.article and left_out & COMMENTS and tag not in HEADINGS:
            return True
        around = AROUND | RELATED if self.article else AROUND
        if hints & around and left_out & AROUND and share < 0.3 and tag not in HEADINGS:
            return tag != "p" or links * 2 > size
        if self.holds[element]:
            return False
        if (
            (hints & PERHAPS or tag == "form")
            and left_out & AROUND
            and share < 0.3
            and tag not in HEADINGS
        ):
            prose = self.prose[page.last[element]] - self.prose[page.first[element]]
            if links * 4 > size or prose * 2 < size:
                return True
        if hints & DETAIL & left_out and size < 200 and tag not in HEADINGS:
            return not self.has_prose(element)
        if tag == "header" and share < 0.2 and links * 2 > size:
            return True
        blocks = page.last[element] - page.first[element]
        if self.article:
            return blocks >= 3 and links * 10 > size * 6 and share < 0.3
        return blocks >= 5 and links * 10 > size * 8 and share < 0.1

    def is_head(self, element: int) -> bool:
        """Return whether a table's row is a title: the page's own, or one cell without links."""
        page = self.page
        first, last = page.first[element], page.last[element]
        if page.tags[element] != "tr" or last != first + 1:
            return False
        cells = page.texts[first].split(SEPARATOR)
        if any(
            len(key) * 3 > len(self.title_key) and key in self.title_key
            for key in map(letters, cells)
        ):
            return True
        return len(cells) == 1 and not self.linked[first] and "\n" not in cells[0]

    def has_prose(self, element: int) -> bool:
        """Return whether a sentence or code stands in an element."""
        page = self.page
        return any(
            page.pre[block] or (self.sizes[block] >= 60 and page.texts[block][-1] in ".!?。")
            for block in range(page.first[element], page.last[element])
        )

    def root(self, weights: list[int], dropped: list[bool]) -> int:
        """Return the innermost element that holds most of what counts."""
        page = self.page
        sums = _sums(weights)
        total = sums[-1]
        best = -1
        for element, tag in enumerate(page.tags):
            if dropped[element] or (page.parents[element] != best and best >= 0):
                continue
            own = sums[page.last[element]] - sums[page.first[element]]
            share = ARTICLE_SHARE if self.article else SHARE
            if self.article and (tag == "article" or page.hints[element] & CONTENT):
                share = NAMED_SHARE
            if own >= share * total and tag not in LEAVES:
                best = element
        return best
