"""Which blocks of a page are its main text."""

from __future__ import annotations

import re

from filters.text.front_matter import is_front_matter
from filters.text.pages.marks import AROUND, COMMENTS, CONTENT, DETAIL, HIDDEN, PERHAPS, RELATED, REPLIES
from filters.text.pages.tree import SEPARATOR, Page

HEADINGS = frozenset("h1 h2 h3 h4 h5 h6".split())
KEPT = frozenset("html body main article".split())
"""Elements that are never left out by their names."""
SHARE = 0.85
"""Share of the text that the root holds; an article's root holds `ARTICLE_SHARE`, a named one `NAMED_SHARE`."""
ARTICLE_SHARE = 0.75
NAMED_SHARE = 0.5
CORE_SHARE = 0.85
FEW = 30
"""Bytes below which readers' comments are taken for the page's text."""
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


_BOARD_ROW = re.compile(
    r"작성일|등록일|게시일|조회\s?수?\s?\||작성자|글쓴이|담당\s?부서|첨부\s?파일|번호 \| 제목|글\s?제목 \| 작성일"
)
_BOARD_CAPTION = re.compile(r"상세|목록|보기|게시판|후기")
_ENDS = frozenset(".!?。…\"'”’)")
_LEGAL = re.compile(
    r"무단\s?전재|저작권자\s?[©ⓒ(]|all rights reserved|^\W*(?:copyright|©|ⓒ|\(c\))\s*(?:©|\d{4})|사업자\s?등록\s?번호|"
    r"(?:이용\s?약관|회사\s?소개).*개인정보\s?(?:처리|취급)\s?방침|개인정보\s?(?:처리|취급)\s?방침.*이용\s?약관",
    re.I,
)
_ADVERT = re.compile(r"^\W*(?:AD|광고|ADVERTISEMENT|Sponsored)\b")
_READ_TIME = re.compile(r"\b\d+ min(?:ute)?s? read\b", re.I)
_DAY = re.compile(r"\b(?:19|20)\d\d[.-] ?\d\d?[.-] ?\d\d?\b")
_LINE = re.compile(
    r"^\W*(?:(?:신고|공유|URL\s?복사|이웃\s?추가|본문\s?(?:기타\s?기능)?|답변|수정|삭제|목록|인쇄|스크랩|댓글|추천|비추천|"
    r"질문하기|댓글\s?추가|답변\s?\d*|나도\s?궁금해요|최신순|과거순|활동순|오래된순|추천순|최적|맨\s?위로|이전|다음|더보기|"
    r"게시물\s?본문|펼치기|접기|광고|AD|본문\s?바로\s?가기|답변하기|답변을 달아 주세요|\d+개\s?답변|"
    r"add a comment|\d* ?likes?|\d* ?claps?|share|save|follow|listen|reply|report|print|top|back to top|copy|"
    r"your answer|\d+ answers?|advertisement|sorted by:?|reset to default)\s*\d*\W*)+$",
    re.I,
)
"""Lines that hold names of buttons only."""
_LABEL = re.compile(r"[^:.]{2,30}: ?\S")
_OTHER_SECTION = re.compile(
    r"^(?:(?:전체\s?)?댓글|답글|덧글|관련\s?(?:기사|글|뉴스|문서|상품|게시)|추천\s?(?:기사|글|뉴스|상품)|이전\s?글|다음\s?글|"
    r"최근\s?(?:글|댓글|본)|인기\s?(?:글|기사|검색)|많이\s?본|실시간|다른\s?(?:글|기사|고객|상품)|함께\s?(?:본|볼|보는)|"
    r"이\s?(?:블로그|카페|카테고리|글을|기사를|상품을)|상품평|상품\s?(?:사용\s?)?후기|구매\s?후기|리뷰|배송\s?(?:정보|안내)|교환|반품|"
    r"상품\s?(?:결제|구매)|판매자|첨부\s?파일|공유|구독|사이트\s?정보|자주\s?찾는|"
    r"\d+ (?:comments?|thoughts?|responses?|replies)|comments?\b|responses?\b|leave a|"
    r"related\b|recommended|you (?:may|might)|more (?:from|stories|on|in)\b|read (?:more|next)|"
    r"see also on|customer reviews|reviews?\b|share\b|subscribe|newsletter|sign up|follow us|"
    r"written by|about the author|popular|trending|most read|latest|recent)",
    re.I,
)
"""Headings of parts that are not the page's own text."""


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
    if chooser.size_of(chosen) < FEW:
        more = chooser.run(AROUND | DETAIL)
        if chooser.size_of(more) > 4 * chooser.size_of(chosen) + FEW:
            chosen = more
    return chosen or chooser.run(0)


_NOT_WORD = re.compile(r"\W+")


def _key(text: str) -> str:
    return _NOT_WORD.sub("", text).lower()


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
        self.title_key = _key(page.title)
        self.weights = [self.weight(block) for block in range(len(page.texts))]

    def size_of(self, blocks: list[int]) -> int:
        return sum(self.sizes[block] for block in blocks)

    def weight(self, block: int) -> int:
        """Return how much a block counts as prose or code."""
        page = self.page
        own = self.sizes[block] - self.linked[block]
        owner = page.owners[block]
        if page.pre[block] or (owner >= 0 and self.inside[owner]):
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
        chosen = [
            block
            for block in chosen
            if not self.furniture(block) and not (self.article and self.stray(block))
        ]
        title = self.title(first)
        chosen = self.lead(root, kept) + self.core(root, chosen, weights)
        if title >= 0:
            chosen = self.headed(title, chosen)
        return self.trimmed(self.sections(chosen), title)

    def core(self, root: int, chosen: list[int], weights: list[int]) -> list[int]:
        """Return the chosen blocks without parts beside the core that are no prose.

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
            heading = all(page.tags[page.owners[block]] in HEADINGS for block in blocks)
            if prose * 2 < size and not (heading and blocks[0] < low) or prose * 2 >= size and size < 60:
                left_out.update(blocks)
        return [block for block in chosen if block not in left_out]

    def title(self, before: int) -> int:
        """Return the block that the page's title repeats, -1 if none does; the last such heading
        before the block `before` or shortly after it."""
        page = self.page
        best, length = -1, 0
        for block in range(min(len(page.texts), before + 60)):
            text = page.texts[block]
            if len(text) > 200 or page.pre[block]:
                continue
            key = _key(text)
            heading = page.owners[block] >= 0 and page.tags[page.owners[block]] in HEADINGS
            if len(key) < 3 or len(key) < length or (not heading and len(key) < 8):
                continue
            if self.title_key.startswith(key) if not heading else key in self.title_key:
                if len(key) > length or heading:
                    best, length = block, len(key)
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
            and page.texts[block][-1] in _ENDS
        ]
        return [*before, title, *(block for block in chosen if block > title)]

    def sections(self, chosen: list[int]) -> list[int]:
        """Return the chosen blocks without sections whose heading names another part."""
        page = self.page
        kept: list[int] = []
        level = 0
        for block in chosen:
            tag = page.tags[page.owners[block]] if page.owners[block] >= 0 else ""
            if tag in HEADINGS:
                if level and int(tag[1]) <= level:
                    level = 0
                if not level and len(page.texts[block]) < 60 and kept and _OTHER_SECTION.match(page.texts[block]):
                    level = int(tag[1])
            if not level:
                kept.append(block)
        return kept if self.size_of(kept) * 2 > self.size_of(chosen) else chosen

    def furniture(self, block: int) -> bool:
        """Return whether a block is a row of links, the head of a board's table or front matter."""
        page = self.page
        text = page.texts[block]
        if page.pre[block]:
            return False
        tag = page.tags[page.owners[block]] if page.owners[block] >= 0 else ""
        parts = text.count("\n") + text.count(SEPARATOR) + text.count("] [")
        if parts > 1 and self.linked[block] * 10 > self.sizes[block] * 6:
            return True
        if len(text) < 160 and _LEGAL.search(text):
            return True
        if len(text) < 100:
            if _ADVERT.match(text) or _READ_TIME.search(text):
                return True
            if parts > 1 and self.linked[block] and _DAY.search(text):
                return True
            if parts and _BOARD_ROW.search(text):
                return True
            if tag == "caption" and _BOARD_CAPTION.search(text):
                return True
            if _LINE.match(text):
                return True
        return is_front_matter(text)

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

    def trimmed(self, chosen: list[int], title: int) -> list[int]:
        """Return the blocks without headings whose sections were left out."""
        page = self.page
        kept: list[int] = []
        after = -1
        for block in reversed(chosen):
            if page.tags[page.owners[block]] in HEADINGS and block != title and page.tags[page.owners[block]] != "h1":
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
        if hints & COMMENTS & left_out and not hints & CONTENT and tag not in HEADINGS:
            return True
        if hints & REPLIES and self.article and left_out & COMMENTS and tag not in HEADINGS:
            return True
        around = AROUND | RELATED if self.article else AROUND
        if hints & around and left_out & AROUND and share < 0.3 and tag not in HEADINGS:
            return tag != "p" or links * 2 > size
        if self.holds[element]:
            return False
        if (hints & PERHAPS or tag == "form") and left_out & AROUND and share < 0.3 and tag not in HEADINGS:
            weight = share * self.total
            if links * 4 > size or weight * 2 < size:
                return True
        if hints & DETAIL & left_out and size < 200 and tag not in HEADINGS:
            return not self.has_prose(element)
        if tag == "header" and share < 0.2 and links * 2 > size:
            return True
        blocks = page.last[element] - page.first[element]
        if self.article:
            return blocks >= 3 and links * 10 > size * 6 and share < 0.3
        return blocks >= 5 and links * 10 > size * 8 and share < 0.1

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
            if dropped[element] or page.parents[element] != best and best >= 0:
                continue
            own = sums[page.last[element]] - sums[page.first[element]]
            share = ARTICLE_SHARE if self.article else SHARE
            if self.article and (tag == "article" or page.hints[element] & CONTENT):
                share = NAMED_SHARE
            if own >= share * total and tag not in LEAVES:
                best = element
        return best
