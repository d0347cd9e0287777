"""Pages of markup whose visible text is known, because they are made of pieces that state it."""

from __future__ import annotations

import random

HEADS = (
    "<!DOCTYPE html>",
    "<html>",
    '<?xml version="1.0"?>',
    '<svg xmlns="http://www.w3.org/2000/svg">',
)
PIECES = (
    ("읽는글", "읽는글"), ("word", "word"), ("&amp;", "&amp;"), ("#", "#"), ("é", "é"), ("😀", "😀"),
    ("<p>", ""), ("</p>", ""), ("<br/>", ""), ('<a href="x.html?a=1&b=2">', ""), ("</a>", ""),
    ("<p\nclass='한글'\n>", ""), ('<img alt="a > b">', ""), ("<img alt='둘 > 하나'>", ""),
    ("<!-- 숨은 글 -->", ""), ("<!-- a > b -->", ""), ("<script>if (a < b) x('한');</script>", ""),
    ("<SCRIPT type='module'>let s = '<p>';</SCRIPT>", ""), ("<style>p > a { color: red }</style>", ""),
    ("<STYLE>p {}</STYLE >", ""), ("<scripture>말씀</scripture>", "말씀"),
    ("<styles>모양</styles>", "모양"), ("3 < 5, ", "3<5,"), ("가 < 나 그리고 다 > 라", "가<나그리고다>라"),
    ("<한글>", "<한글>"), (" ", ""), ("\n", ""), ("\t\r\n", ""),
)  # fmt: skip
CDATA = (("<![CDATA[본문이다]]>", "본문이다"), ("<![CDATA[a > b]]>", "a>b"), ("<![CDATA[]]>", ""))
"""(markup, what a reader sees without its white space); CDATA is for XML alone."""


def page(draw: random.Random) -> tuple[str, str]:
    """Return a page and its visible text, without ASCII white space."""
    head = draw.choice(HEADS)
    pieces = PIECES + CDATA * (3 if head.startswith(("<?xml", "<svg")) else 0)
    if head.startswith("<?xml"):  # whether `<style>` of any vocabulary is a style is left open
        pieces = tuple(
            one
            for one in pieces
            if not one[0].lower().startswith(("<style>", "<script ", "<script>"))
        )
    chosen = [draw.choice(pieces) for _ in range(draw.choice((0, 1, 2, 5, 30)))]
    text = head + "".join(markup for markup, _ in chosen)
    return text, "".join(seen for _, seen in chosen)
