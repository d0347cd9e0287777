"""Boilerplate at the edges of a document: copyright lines, reporters' sign-offs, cookie banners,
front matter of Markdown.

Such lines are the same in thousands of documents, while the text above them is good: they are
removed, and the document is kept. Only lines at the very end count, and cookie banners and front
matter at the very beginning; a copyright line inside the text stays. The column is called `tails`.
"""

from __future__ import annotations

import re
from functools import reduce

import numpy as np
import pyarrow as pa

from filters.columnar.arrays import Bytes, Mask, Offsets
from filters.columnar.kernels import kernel
from filters.columnar.patterns import compile_patterns, found_between
from filters.text.front_matter import LONGEST, front_matter_end
from filters.text.removed_spans import build_removed_spans

REACH = 1000
"""Bytes at either edge that are searched."""
MAX_LINE = 300
"""Characters of the longest line that may be boilerplate; a longer one is a paragraph."""
MIN_KEPT = 0.5
"""At least this share of the document's bytes stays, else nothing is removed: a page that holds
only a licence keeps it."""

_PATTERNS = {
    "copyright": (
        r"(?i:^\W*(?:copyrights?\b|\(?c\)).{0,40}(?:19|20)\d\d"
        r"|^\W*©|ⓒ|^\W*저작권자|all rights? reserved\.?\W*$)"
        r"|무단\s?전재|무단\s?복제|무단\s?배포|재배포\s?(?:및\s?.{0,12})?금지|AI\s?학습.{0,12}금지"
    ),
    "sign-off": (
        r"^\W*[가-힣]{2,4}\s?(?:[가-힣]{0,6}\s?)?(?:기자|특파원|통신원|앵커|논설위원)"
        r"\s*(?:[=/(<\[|]?\s*[\w.+-]{1,40}@[\w.-]{1,40}\s*[)>\]]?)?\W*$"
        r"|^\W*[(\[]?(?:사진|영상|취재|편집|출처|자료|그래픽)\s?[=:/].{0,60}$"
        r"|기사\s?제보|제보는\s|제보하기|구독하기|구독\s?신청|구독과\s?좋아요|바로가기\W*$"
        r"|^\W*(?:저작권\s?문의|기사\s?문의|보도자료\s?문의)"
    ),
    "share-bar": (
        r"(?i:^\W*(?:share (?:this|on)|follow us|sign up for our newsletter|"
        r"related (?:articles?|posts?)\W*$|posted (?:in|by)|filed under|leave a comment)\b)"
        r"|^\W*(?:공유하기|댓글\s?쓰기|댓글\s?\d*|관련\s?기사|많이\s?본\s?(?:뉴스|기사)|이전\s?(?:글|기사)"
        r"|다음\s?(?:글|기사)|목록(?:으로)?|인쇄하기|스크랩|좋아요\s?\d+|추천\s?\d+)\W*$"
    ),
    "cookies": (
        r"(?i:\b(?:we|this (?:web)?site|our (?:web)?site)\b.{0,30}\buses? cookies\b"
        r"|accept (?:all )?cookies|cookie (?:policy|settings|preferences)\W*$"
        r"|by continuing to (?:use|browse))"
        r"|쿠키를?\s?(?:사용|수집|허용|저장)|쿠키\s?(?:정책|설정|동의)"
    ),
    "policies": (
        r"(?i:^\W*(?:privacy policy|terms (?:of (?:use|service)|and conditions)|contact us|sitemap)"
        r"(?:\W+(?:privacy policy|terms (?:of (?:use|service)|and conditions)|contact us|sitemap|"
        r"about(?: us)?|help|faq))*\W*$)"
        r"|^\W*(?:개인정보\s?(?:처리|취급)\s?방침|이용\s?약관|이메일\s?무단\s?수집\s?거부|사업자\s?등록\s?번호"
        r"|통신판매업|고객\s?센터|청소년\s?보호\s?(?:정책|책임자))"
    ),
}
"""Kind of boilerplate to the pattern of its lines. Ours: from Korean news and shop pages."""
WEAK = frozenset({"sign-off", "share-bar", "policies"})
"""Kinds that sentences of the text may resemble: removed only where two such lines, or one and a
line of another kind, are neighbours."""
FRONT_MATTER = "front-matter"
_COMPILED = {kind: re.compile(pattern) for kind, pattern in _PATTERNS.items()}
_SIGNS = """
    copyright (c) ©_ ©1 ©2 ⓒ 저작권 reserved 무단 금지 기자 특파원 통신원 앵커 논설위원 사진 영상
    취재 편집 출처 자료 그래픽 제보 구독 바로가기 문의 share follow_us sign_up related posted filed
    leave_a 공유 댓글 관련 뉴스 기사 다음 목록 인쇄 스크랩 좋아요 추천 cookie 쿠키 by_continuing
    privacy terms contact sitemap 개인정보 약관 수집 등록 판매 센터 청소년
"""
"""Every boilerplate line holds one of these; `_` stands for a space."""
_TAIL, _HEAD = 1, 2
_WANTED = compile_patterns(
    [
        (sign.replace("_", " "), _HEAD | _TAIL if sign in ("cookie", "쿠키") else _TAIL)
        for sign in _SIGNS.split()
    ]
)


def line_kind(line: str) -> str | None:
    """Return the kind of boilerplate that a line (without newline) is, or None."""
    if len(line) > MAX_LINE:
        return None
    return next((kind for kind, pattern in _COMPILED.items() if pattern.search(line)), None)


def find_boilerplate(data: Bytes, offsets: Offsets, where: Mask) -> pa.ListArray:
    """Return the boilerplate at the edges of each row, as
    `filters.text.removed_spans.REMOVED_SPANS`.

    Rows outside of `where` have none. Blank lines and rules of marks between boilerplate lines are
    removed with them.
    """
    rows = len(offsets) - 1
    owners: list[int] = []
    spans: list[tuple[int, int, str]] = []
    for row in np.flatnonzero(_candidates(data, offsets, where, _WANTED)).tolist():
        begin, end = int(offsets[row]), int(offsets[row + 1])
        edges = _edges(data, begin, end)
        if edges and sum(stop - start for start, stop, _ in edges) <= MIN_KEPT * (end - begin):
            owners += [row] * len(edges)
            spans += edges
    return build_removed_spans(rows, owners, spans)


@kernel
def _is_visible(byte):  # type: ignore[no-untyped-def]  # typed by Numba
    return byte >= 0x80 or 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122


@kernel
def _is_fence(data, begin, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether three hyphens are the first visible bytes."""
    while begin < end and (data[begin] <= 32 or data[begin] == 0xEF):
        begin += 3 if data[begin] == 0xEF else 1
    return end - begin > 3 and data[begin] == 45 and data[begin + 1] == 45 and data[begin + 2] == 45


@kernel
def _candidates(data, offsets, where, wanted):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return bool [rows]: whether the last or the first line holds one of `_SIGNS`, or the first
    is the fence of front matter."""
    text, starts, kinds, begins = wanted
    rows = len(offsets) - 1
    out = np.zeros(rows, np.bool_)
    for row in range(rows):
        if not where[row]:
            continue
        begin, end = offsets[row], offsets[row + 1]
        stop, start = end, begin
        while stop > begin and not _is_visible(data[stop - 1]):
            stop -= 1
        low = stop
        while low > begin and data[low - 1] != 10 and stop - low < REACH:
            low -= 1
        while stop < end and data[stop] != 10:
            stop += 1  # "(c)" ends with a mark
        while start < end and not _is_visible(data[start]):
            start += 1
        high = start
        while high < end and data[high] != 10 and high - start < REACH:
            high += 1
        out[row] = (
            found_between(data, low, stop, text, starts, kinds, begins) != 0
            or found_between(data, start, high, text, starts, kinds, begins) & _HEAD != 0
            or _is_fence(data, begin, end)
        )
    return out


def _edges(data: Bytes, begin: int, end: int) -> list[tuple[int, int, str]]:
    """Return (start, end, kind) of boilerplate in `data[begin:end]`, counted from `begin`."""
    low = begin if end - begin <= REACH else _next_line(data, end - REACH, end)
    tail = [] if low < 0 else _suffix(data[low:end].tobytes(), low - begin)
    high = min(end, begin + REACH)
    head = _front_matter(data, begin, end) or _prefix(data[begin:high].tobytes())
    reach = tail[0][0] if tail else end - begin
    return [span for span in head if span[1] <= reach] + tail


def _front_matter(data: Bytes, begin: int, end: int) -> list[tuple[int, int, str]]:
    """Return the front matter at the beginning of `data[begin:end]`."""
    if not _is_fence(data, begin, end):
        return []
    text = data[begin : min(end, begin + 4 * LONGEST)].tobytes().decode("utf-8", "ignore")
    length = len(text[: front_matter_end(text)].encode())
    return [(0, length, FRONT_MATTER)] if length else []


def _next_line(data: Bytes, start: int, end: int) -> int:
    newlines = np.flatnonzero(data[start:end] == 10)
    return start + int(newlines[0]) + 1 if len(newlines) else -1


def _suffix(text: bytes, shift: int) -> list[tuple[int, int, str]]:
    """Return the boilerplate lines at the end of `text`, `shift` added to their offsets."""
    lines: list[tuple[int, str]] = []
    at = len(text)
    for line in reversed(text.splitlines(keepends=True)):
        at -= len(line)
        shown = line.decode("utf-8", "replace").strip()
        if not any(char.isalnum() or char in "©ⓒ" for char in shown):
            lines.append((at, ""))  # blank, or a rule of marks: belongs to the line below
            continue
        kind = line_kind(shown)
        if kind is None:
            break
        lines.append((at, kind))
    kinds = [kind for _, kind in lines if kind]
    if len(kinds) < 2 and set(kinds) <= WEAK:
        return []
    spans: list[tuple[int, int, str]] = []
    stop, last = len(text), kinds[0]
    for at, kind in lines:
        last = kind or last
        spans.append((at + shift, stop + shift, last))
        stop = at
    return _joined(spans[::-1])


def _prefix(text: bytes) -> list[tuple[int, int, str]]:
    """Return the cookie banners at the beginning of `text`."""
    spans: list[tuple[int, int, str]] = []
    at = 0
    for line in text.splitlines(keepends=True):
        shown = line.decode("utf-8", "replace").strip()
        if shown and (line_kind(shown) != "cookies" or not line.endswith(b"\n")):
            break
        at += len(line)
        if shown:
            spans.append((spans[-1][1] if spans else 0, at, "cookies"))
    return _joined(spans)


def _joined(spans: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Join neighbours of one kind."""

    def join(
        done: list[tuple[int, int, str]], span: tuple[int, int, str]
    ) -> list[tuple[int, int, str]]:
        if done and done[-1][1] == span[0] and done[-1][2] == span[2]:
            return [*done[:-1], (done[-1][0], span[1], span[2])]
        return [*done, span]

    return reduce(join, spans, [])
