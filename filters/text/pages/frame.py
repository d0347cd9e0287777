"""The frame of a page's main text: its title, its sections, its headings."""

from __future__ import annotations

import re

from filters.text.pages.lines import HEADINGS, names_other_section, opens_comments
from filters.text.pages.tree import Page
from filters.text.pages.trim import is_listed

ENOUGH = 500
"""Bytes of text after which a heading such as "Comments" ends it."""
ENDS = frozenset(".!?。…\"'”’)")

NEAR = 8
"""Blocks after the title that may repeat it."""
_SEGMENTS = re.compile(r"\s+[|>»·–—-]\s+|\s*[|>»]\s*")
"""Between the parts of a page's title: its own, its board, its site."""
_NOT_WORD = re.compile(r"\W+")


def letters(text: str) -> str:
    """Return the letters and digits of a text, in lower case."""
    return _NOT_WORD.sub("", text).lower()


class Frame:
    """The blocks of one page: `tags` of their owners, `sizes`, `linked` (bytes in links), `weights`
    (bytes of prose)."""

    def __init__(self, page: Page) -> None:
        """Measure the blocks in bytes of UTF-8."""
        self.page = page
        self.tags = [page.tags[owner] if owner >= 0 else "" for owner in page.owners]
        self.sizes = [len(text.encode("utf-8", "replace")) for text in page.texts]
        self.linked = [
            size * links // max(len(text), 1)
            for size, links, text in zip(self.sizes, page.links, page.texts, strict=True)
        ]
        self.title_key = letters(page.title)
        self.weights = self.sizes

    def size_of(self, blocks: list[int]) -> int:
        return sum(self.sizes[block] for block in blocks)

    def title(self, before: int) -> int:
        """Return the block that the page's title repeats, -1 if none does; the last such heading
        before the block `before` or shortly after it."""
        page = self.page
        own = letters(_SEGMENTS.split(page.title)[0])
        best, length, found = -1, 0, False
        for block in range(min(len(page.texts), before + 60)):
            text = page.texts[block]
            if len(text) > 200 or page.pre[block]:
                continue
            if self.is_link(block) and self.tags[block] not in HEADINGS:
                continue  # to a page of the same subject
            key = letters(text)
            heading = self.tags[block] in HEADINGS
            first = heading and own in key and len(key) < len(own) + 8 and block < before + NEAR
            first = first and not found
            if len(key) < 3 or (len(key) < length and not first) or (not heading and len(key) < 8):
                continue
            repeated = key in self.title_key if heading else self.title_key.startswith(key)
            if (repeated or (first and len(own) >= 8)) and (heading or len(key) > length):
                best, length = block, len(key)
                found = own in key
        return best if length * 4 >= len(self.title_key) else -1

    def headed(self, title: int, chosen: list[int]) -> list[int]:
        """Return the chosen blocks with the title, and only prose and headings before it."""
        page = self.page
        if not chosen or title > chosen[0] + 60:
            return chosen
        before = [
            block
            for block in chosen
            if block < title
            and self.weights[block] * 2 >= self.sizes[block] >= 80
            and page.texts[block][-1] in ENDS
        ]
        names = [letters(part) for part in _SEGMENTS.split(page.title)]
        keys = [letters(page.texts[title]), *names[:1]]
        names = [name for name in names[1:] if len(name) * 2 < len(keys[0])]
        after = [block for block in chosen if block > title]
        first = [block for block in after[:NEAR] if not self.repeats(block, keys, names)]
        return [*before, title, *first, *after[NEAR:]]

    def repeats(self, block: int, titles: list[str], names: list[str]) -> bool:
        """Return whether a block is the title again, with little beside it, or the site's name."""
        text = self.page.texts[block]
        if len(text) > 200 or self.page.pre[block]:
            return False
        key = letters(text)
        if key in names:
            return True
        if self.tags[block] not in HEADINGS and key not in titles and text[-1] in ENDS:
            return False
        return any(len(own) >= 10 and own in key and len(key) < len(own) + 8 for own in titles)

    def sections(self, chosen: list[int]) -> list[int]:
        """Return the chosen blocks without sections whose heading names another part.

        A short line that does so goes with the links that follow it.
        """
        kept: list[int] = []
        level = 0
        listed = False
        for at, block in enumerate(chosen):
            tag, text = self.tags[block], self.page.texts[block]
            listed = listed and self.is_link(block)
            if self.opens_comments(block) and self.size_of(kept) > ENOUGH:
                break
            if tag in HEADINGS:
                if level and int(tag[1]) <= level:
                    level = 0
                if not level and kept and names_other_section(text):
                    level = int(tag[1])
            elif len(text) < 30 and at + 1 < len(chosen) and names_other_section(text):
                listed = listed or self.is_link(chosen[at + 1])
            if not level and not listed:
                kept.append(block)
        size = self.size_of(kept)
        return kept if size > ENOUGH or size * 2 > self.size_of(chosen) else chosen

    def is_link(self, block: int) -> bool:
        """Return whether a block is a link and little else."""
        return self.linked[block] * 10 >= self.sizes[block] * 8

    def trimmed(self, chosen: list[int], title: int) -> list[int]:
        """Return the blocks without headings whose sections were left out."""
        kept: list[int] = []
        after = -1
        for block in reversed(chosen):
            if self.tags[block] in HEADINGS and block != title and self.tags[block] != "h1":
                if after < 0:
                    continue
                if after > block + 1 and self.tags[after] in HEADINGS:
                    continue
            kept.append(block)
            after = block
        return kept[::-1] or chosen

    def opens_comments(self, block: int) -> bool:
        """Return whether a block outside of tables and lists opens the readers' comments."""
        text = self.page.texts[block]
        if len(text) >= 40 or not opens_comments(text):
            return False
        return not is_listed(self.page, self.page.owners[block])
