"""Which blocks of a page are its main text."""

from __future__ import annotations

from filters.text.pages.marks import AROUND, COMMENTS, CONTENT, DETAIL, HIDDEN
from filters.text.pages.tree import Page

HEADINGS = frozenset("h1 h2 h3 h4 h5 h6".split())
KEPT = frozenset("html body main article".split())
"""Elements that are never left out by their names."""


def choose(page: Page) -> list[int]:
    """Return the indexes of the blocks that are the main text, in order."""
    chooser = _Chooser(page)
    chosen = chooser.run(COMMENTS)
    if chooser.size_of(chosen) < 250:
        more = chooser.run(0)
        if chooser.size_of(more) > 2 * chooser.size_of(chosen):
            chosen = more
    return chosen


def _sums(values: list[int]) -> list[int]:
    total = 0
    sums = [0]
    for value in values:
        total += value
        sums.append(total)
    return sums


class _Chooser:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.sizes = [len(text.encode("utf-8", "replace")) for text in page.texts]
        self.linked = [
            size * links // max(len(text), 1)
            for size, links, text in zip(self.sizes, page.links, page.texts, strict=True)
        ]

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
        weights = [self.weight(block) for block in range(count)]
        kept = [True] * count
        sums = _sums(weights)
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
        weights = [weight * keep for weight, keep in zip(weights, kept, strict=True)]
        root = self.root(weights, dropped)
        first, last = (page.first[root], page.last[root]) if root >= 0 else (0, count)
        return [block for block in range(first, last) if kept[block]]

    def leave_out(self, element: int, share: float, size: int, links: int, left_out: int) -> bool:
        page = self.page
        tag, hints = page.tags[element], page.hints[element]
        if tag in KEPT:
            return False
        if hints & HIDDEN and share < 0.5:
            return True
        if tag in ("nav", "footer", "aside") and share < 0.5:
            return True
        if hints & left_out:
            return True
        if hints & AROUND and share < 0.3 and tag not in HEADINGS:
            return True
        if hints & DETAIL and size < 200 and tag not in HEADINGS:
            return True
        if tag == "header" and share < 0.2 and links * 2 > size:
            return True
        blocks = page.last[element] - page.first[element]
        if blocks >= 3 and links * 10 > size * 6 and share < 0.3:
            return True
        return False

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
            if own >= 0.9 * total and tag not in ("p", "tr", "td", "li", "ul", "ol", "dl", "tbody"):
                best = element
        return best
