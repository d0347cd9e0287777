"""How likely each chosen block is a part of the main text, by its shape, place and words.

A small forest of decision trees (`filters/models/pages.md`) adds up the odds. It only removes.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from math import log
from pathlib import Path

import numpy as np
import numpy.typing as npt

from filters.text.pages.lines import HEADINGS
from filters.text.pages.marks import CONTENT, DETAIL, PERHAPS, RELATED
from filters.text.pages.tree import ITEM, SEPARATOR, Page
from filters.text.pages.trim import DATE
from filters.text.pages.words import words

MODEL = Path(__file__).parents[2] / "models" / "pages.npz"
LEAST, LEAST_ARTICLE = -0.5, -0.2
"""Logarithm of the odds below which a block is removed, from any page and from an article."""
MOST = 5000
"""Blocks of a page beyond which all stay, for the sake of memory."""
LONG = 80
"""Bytes from which a block that ends as a sentence is prose."""
HEAD = 200
"""Characters of a block that its signs are looked for in."""
WINDOW = 3
"""Neighbours on each side whose links and prose count."""

_INVITE = (
    "sign up",
    "sign in",
    "log in",
    "click here",
    " rss",
    *sorted(
        words("""
        subscri newsletter login register follow twitter facebook instagram telegram whatsapp
        youtube email e-mail comment share print bookmark feedback abonn suscr kommentar teilen
        구독 공유 댓글 문의 로그인 회원 추천 신고
        """)
    ),
)
_RIGHTS = (
    "all rights",
    "terms of",
    "powered by",
    *sorted(
        words("© copyright privacy licens licenc disclaimer trademark 저작권 약관"),
    ),
)
_DIGITS = re.compile(r"\d+")
_LOWER = re.compile(r"[^A-Z]+")
_NOT_WORD = re.compile(r"\W+")
_ENDS = frozenset(".!?。…\"'”’)")
_CELLS = frozenset(("td", "th"))
_ITEMS = frozenset(("li", "dt", "dd"))

Values = list[float]


@dataclass(slots=True)
class Blocks:
    """The chosen blocks of a page.

    `chosen`: their indexes; `sizes`, `linked`, `tags`: per block of the page its bytes, its bytes
    in links, and the element that owns it. `root` holds them, `title` is the block with the page's
    title, `title_key` the letters of the page's own title, `article` whether it calls itself one.
    """

    page: Page
    chosen: list[int]
    sizes: list[int]
    linked: list[int]
    tags: list[str]
    root: int
    title: int
    title_key: str
    article: bool


def likely(blocks: Blocks) -> list[int]:
    """Return the chosen blocks without those that are hardly a part of the main text."""
    if not 0 < len(blocks.chosen) <= MOST:
        return blocks.chosen
    least = LEAST_ARTICLE if blocks.article else LEAST
    found = odds(np.array(features(blocks)))
    kept = [
        block
        for block, value in zip(blocks.chosen, found.tolist(), strict=True)
        if value > least or block == blocks.title or blocks.page.pre[block]
    ]
    return kept or blocks.chosen


@cache
def _forest() -> tuple[float, tuple[npt.NDArray[np.int64], ...], npt.NDArray[np.float64]]:
    """Return the base, (feature, left, right, roots) and limits; a leaf's limit is its value."""
    with np.load(MODEL) as file:
        parts = tuple(file[name].astype(np.int64) for name in ("feature", "left", "right", "roots"))
        return float(file["base"]), parts, file["limit"].astype(np.float64)


def odds(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the logarithms of the odds [n] that blocks of the features `rows` [n, f] are text."""
    base, (feature, left, right, roots), limit = _forest()
    at = np.broadcast_to(roots, (len(rows), len(roots)))
    line = np.arange(len(rows))[:, None]
    while True:
        tested = feature[at]
        if (tested < 0).all():
            break
        at = np.where(rows[line, tested] <= limit[at], left[at], right[at])
    total: npt.NDArray[np.float64] = limit[at].sum(axis=1) + base
    return total


def features(blocks: Blocks) -> list[Values]:
    """Return the features of each chosen block."""
    page, chosen = blocks.page, blocks.chosen
    long = [_is_long(blocks, block) for block in chosen]
    share = [blocks.linked[block] / max(blocks.sizes[block], 1) for block in chosen]
    prose = [
        blocks.sizes[block] - blocks.linked[block] if is_long else 0
        for block, is_long in zip(chosen, long, strict=True)
    ]
    total = max(sum(prose), 1)
    held = _held(blocks, prose)
    most = max(held.get(page.owners[block], 0) for block in chosen) or 1
    familiar = _familiar([page.texts[block] for block in chosen])
    count = len(chosen)
    places: dict[int, Values] = {}
    rows = []
    done = 0
    for at, block in enumerate(chosen):
        owner = page.owners[block]
        place = places.get(owner)
        if place is None:
            place = places[owner] = _place(blocks, owner, held, total, most)
        before, after = slice(max(0, at - WINDOW), at), slice(at + 1, at + 1 + WINDOW)
        tag = blocks.tags[block]
        rows.append(
            [
                *_shape(blocks, block),
                *place,
                share[at],
                float(long[at]),
                share[at - 1] if at else 0.5,
                share[at + 1] if at + 1 < count else 0.5,
                sum(share[before]) / WINDOW,
                sum(share[after]) / WINDOW,
                sum(long[before]) / WINDOW,
                sum(long[after]) / WINDOW,
                done / total,
                prose[at] and place[1],
                familiar[at],
                at / count,
                log(count),
                float(at > 0 and blocks.tags[chosen[at - 1]] == tag),
                float(at + 1 < count and blocks.tags[chosen[at + 1]] == tag),
                float(at > 0 and blocks.tags[chosen[at - 1]] in HEADINGS),
                float(block == blocks.title),
                float(blocks.article),
            ]
        )
        done += prose[at]
    return rows


def _is_long(blocks: Blocks, block: int) -> bool:
    """Return whether a block is a sentence of prose or code."""
    if blocks.page.pre[block]:
        return True
    size = blocks.sizes[block]
    return (
        size >= LONG and blocks.linked[block] * 3 < size and blocks.page.texts[block][-1] in _ENDS
    )


def _held(blocks: Blocks, prose: list[int]) -> dict[int, int]:
    """Return the prose that the chosen blocks give to each element up to the root."""
    held: dict[int, int] = {}
    own: dict[int, int] = {}
    for block, size in zip(blocks.chosen, prose, strict=True):
        owner = blocks.page.owners[block]
        own[owner] = own.get(owner, 0) + size
    for owner, size in own.items():
        element = owner
        while element >= 0:
            held[element] = held.get(element, 0) + size
            if element == blocks.root:
                break
            element = blocks.page.parents[element]
    return held


def _familiar(texts: list[str]) -> Values:
    """Return the share of each text's longer words that other texts hold too."""
    vocabularies = [
        {word for word in text.lower().split() if len(word) > 4 or word > "\u3000"}
        for text in texts
    ]
    known: Counter[str] = Counter()
    for own in vocabularies:
        known.update(own)
    return [sum(known[word] > 1 for word in own) / max(len(own), 1) for own in vocabularies]


def _place(blocks: Blocks, owner: int, held: dict[int, int], total: int, most: int) -> Values:
    """Return the features of an element: prose in it and around it, its marks, its depth."""
    page = blocks.page
    parent = page.parents[owner] if owner >= 0 else -1
    grand = page.parents[parent] if parent >= 0 else -1
    hints = depth = 0
    element = owner
    while element >= 0 and element != blocks.root:
        hints |= page.hints[element]
        element = page.parents[element]
        depth += 1
    return [
        held.get(owner, 0) / total,
        held.get(parent, 0) / total,
        held.get(grand, 0) / total,
        max(held.get(owner, 0), held.get(parent, 0)) / most,
        float(bool(hints & DETAIL)),
        float(bool(hints & PERHAPS)),
        float(bool(hints & RELATED)),
        float(bool(hints & CONTENT)),
        float(min(depth, 12)),
    ]


def _shape(blocks: Blocks, block: int) -> Values:
    """Return the features of a block by itself."""
    text, tag = blocks.page.texts[block], blocks.tags[block]
    head = text[:HEAD]
    low = head.lower()
    digits = len(head) - len(_DIGITS.sub("", head))
    key = _NOT_WORD.sub("", low) if len(text) < HEAD else ""
    return [
        log(blocks.sizes[block] + 1),
        float(text[-1] in _ENDS),
        float(tag in HEADINGS),
        float(tag in _ITEMS or text.startswith(ITEM)),
        float(tag in _CELLS or SEPARATOR in text),
        float(blocks.page.pre[block]),
        float(tag == "p"),
        digits / len(head),
        len(_LOWER.sub("", head)) / len(head),
        float(digits > 2 and bool(DATE.search(head))),
        float(any(sign in low for sign in _INVITE)),
        float(any(sign in low for sign in _RIGHTS)),
        float(len(key) > 4 and key in blocks.title_key),
    ]
