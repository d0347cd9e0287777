"""Which blocks of a page are its main text."""

from __future__ import annotations

import re

from filters.text.front_matter import is_front_matter
from filters.text.pages.marks import AROUND, COMMENTS, CONTENT, DETAIL, HIDDEN, PERHAPS, RELATED
from filters.text.pages.tree import Page

HEADINGS = frozenset("h1 h2 h3 h4 h5 h6".split())
KEPT = frozenset("html body main article".split())
"""Elements that are never left out by their names."""
SHARE = 0.85
"""Share of the text that the root holds; an article's root holds `ARTICLE_SHARE`, a named one `NAMED_SHARE`."""
ARTICLE_SHARE = 0.75
NAMED_SHARE = 0.5
LEAVES = frozenset("p tr td th li ul ol dl dt dd tbody thead pre".split())
"""Elements that are too small to be the root of the main text."""

_ARTICLE = re.compile(r"og:type[\"']?\s+content=[\"']?article", re.I)
_SIGNS = ("article:published_time", "NewsArticle", "BlogPosting", "articleBody")
_CREDIT = re.compile(r"©|\(c\)|ⓒ|getty|reuters|\bdpa\b|\bAFP\b|foto:|photo:|bild:|credit", re.I)
_INVITATION = re.compile(
    r"^\W*(?:(?:read|see|lesen sie|lies|mehr|auch|also|lea|leer|lire|leggi|czytaj|weitere?|more|"
    r"weiterlesen|ähnliche|share|follow|teilen|anzeige|advertisement|reklama|publicidad|"
    r"tags?|schlagw|themen|quelle|foto|sign up|subscribe|newsletter|jetzt|hier)\b|"
    r"관련|추천|인기|공유|광고|구독|좋아요|댓글|목록|이전글|다음글|스크랩|신고|무단|저작권)",
    re.I,
)


_LABEL = re.compile(r"[^:.]{2,30}: ?\S")


def links_out(text: str, linked: int, size: int) -> bool:
    """Return whether a block is a label and a link: "See also: the other page"."""
    return linked * 2 > size and bool(_LABEL.match(text))


def dated(html: str) -> bool:
    """Return whether the page calls itself an article: news or a post of a blog."""
    return any(sign in html for sign in _SIGNS) or (
        "og:type" in html and bool(_ARTICLE.search(html))
    )


def choose(page: Page, article: bool) -> list[int]:
    """Return the indexes of the blocks that are the main text, in order."""
    chooser = _Chooser(page, article)
    chosen = chooser.run(COMMENTS | AROUND | DETAIL)
    if chooser.size_of(chosen) < 250:
        more = chooser.run(AROUND | DETAIL)
        if chooser.size_of(more) > 4 * chooser.size_of(chosen) + 100:
            chosen = more
    return chosen or chooser.run(0)


def _sums(values: list[int]) -> list[int]:
    total = 0
    sums = [0]
    for value in values:
        total += value
        sums.append(total)
    return sums


class _Chooser:
    def __init__(self, page: Page, article: bool) -> None:
        self.page = page
        self.article = article
        self.sizes = [len(text.encode("utf-8", "replace")) for text in page.texts]
        self.linked = [
            size * links // max(len(text), 1)
            for size, links, text in zip(self.sizes, page.links, page.texts, strict=True)
        ]
        self.weights = [self.weight(block) for block in range(len(page.texts))]

    def size_of(self, blocks: list[int]) -> int:
        return sum(self.sizes[block] for block in blocks)

    def weight(self, block: int) -> int:
        """Return how much a block counts as prose or code."""
        page = self.page
        own = self.sizes[block] - self.linked[block]
        if page.pre[block]:
            return own
        text = page.texts[block]
        if self.sizes[block] >= 80 or text[-1] in ".!?。…:;,":
            return own
        return own // 4

    def run(self, left_out: int) -> list[int]:
        page = self.page
        count = len(page.texts)
        kept = [True] * count
        sums = _sums(self.weights)
        sizes = _sums(self.sizes)
        linked = _sums(self.linked)
        total = self.total = max(sums[-1], 1)
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
        weights = [weight * keep for weight, keep in zip(self.weights, kept, strict=True)]
        root = self.root(weights, dropped)
        first, last = (page.first[root], page.last[root]) if root >= 0 else (0, count)
        chosen = [block for block in range(first, last) if kept[block]]
        if self.article:
            chosen = [block for block in chosen if not self.stray(block)]
        chosen = [block for block in chosen if not is_front_matter(page.texts[block])]
        chosen = self.lead(root, kept) + chosen
        return self.trimmed(chosen)

    def stray(self, block: int) -> bool:
        """Return whether a block in an article is a link to elsewhere or a credit."""
        page = self.page
        size = self.sizes[block]
        text = page.texts[block]
        tag = page.tags[page.owners[block]] if page.owners[block] >= 0 else ""
        if page.pre[block]:
            return False
        if self.linked[block] * 10 >= size * 8 and tag not in HEADINGS:
            return True
        if links_out(text, self.linked[block], size):
            return True
        if len(text) < 120 and _INVITATION.match(text) and (
            self.linked[block] * 2 > size or len(text) < 40
        ):
            return True
        if tag == "figure" and size < 80:
            return True
        return tag == "figcaption" and len(text) < 300 and bool(_CREDIT.search(text))

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
            owner = page.owners[block]
            tag = page.tags[owner] if owner >= 0 else ""
            if kept[block] and (
                tag == "h1" or self.sizes[block] >= 80 and self.linked[block] * 3 < self.sizes[block]
            ):
                found.append(block)
                if tag == "h1":
                    around = block
            if block <= around and (around < start or start - block > 40):
                break
        if found and found[-1] < around:
            return []
        return found[::-1]

    def trimmed(self, chosen: list[int]) -> list[int]:
        """Return the blocks without headings whose sections were left out."""
        page = self.page
        kept: list[int] = []
        after = -1
        for block in reversed(chosen):
            if page.tags[page.owners[block]] in HEADINGS and page.tags[page.owners[block]] != "h1":
                if after < 0:
                    continue
                if after > block + 1 and page.tags[page.owners[after]] in HEADINGS:
                    continue
            kept.append(block)
            after = block
        return kept[::-1] or chosen

    def leave_out(self, element: int, share: float, size: int, links: int, left_out: int) -> bool:
        page = self.page
        tag, hints = page.tags[element], page.hints[element]
        if tag in KEPT:
            return False
        if hints & HIDDEN and share < 0.5:
            return True
        if tag in ("nav", "footer", "aside") and left_out & AROUND:
            return True
        if hints & COMMENTS & left_out and tag not in HEADINGS:
            return True
        around = AROUND | RELATED if self.article else AROUND
        if hints & around and left_out & AROUND and share < 0.3 and tag not in HEADINGS:
            return tag != "p" or links * 2 > size
        if (hints & PERHAPS or tag == "form") and left_out & AROUND and share < 0.3 and tag not in HEADINGS:
            weight = share * self.total
            if links * 4 > size or weight * 2 < size:
                return True
        if hints & DETAIL & left_out and size < 200 and tag not in HEADINGS:
            return True
        if tag == "header" and share < 0.2 and links * 2 > size:
            return True
        blocks = page.last[element] - page.first[element]
        if self.article:
            return blocks >= 3 and links * 10 > size * 6 and share < 0.3
        return blocks >= 5 and links * 10 > size * 8 and share < 0.1

    def root(self, weights: list[int], dropped: list[bool]) -> int:
        """Return the innermost element that holds most of what counts."""
        page = self.page
        sums = _sums(weights)
        total = sums[-1]
        best = -1
        for element, tag in enumerate(page.tags):
            if dropped[element] or page.parents[element] != best and best >= 0:
                continue
            own = sums[page.last[element]] - sums[page.first[element]]
            share = ARTICLE_SHARE if self.article else SHARE
            if self.article and (tag == "article" or page.hints[element] & CONTENT):
                share = NAMED_SHARE
            if own >= share * total and tag not in LEAVES:
                best = element
        return best
