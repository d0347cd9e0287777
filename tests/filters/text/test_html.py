"""The main text of a page is kept, in order and with its line ends; what stands around it is not."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.text.charset import decode_page
from filters.text.front_matter import front_matter_end
from filters.text.html import main_text
from tests.support import ROOT

PAGES = ROOT / "tests/data/pages"
WORD = re.compile(r"\w+")


def page(body: str, head: str = "") -> str:
    return f"<!doctype html><html><head>{head}</head><body>{body}</body></html>"


PROSE = "".join(
    f"<p>읍내 도서관은 겨울 동안 저녁 아홉 시까지 문을 연다고 {number}일에 알렸다.</p>"
    for number in range(1, 6)
)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>첫 줄<br>둘째 줄<br/>셋째 줄</p>", "첫 줄\n둘째 줄\n셋째 줄"),
        ("<h1>제목</h1><p>글이다.<h2>둘째</h2><p>더 있다.", "제목\n글이다.\n둘째\n더 있다."),
        ("<ul><li>하나<li>둘<ul><li>안</ul></ul>", "- 하나\n- 둘\n- 안"),
        ("<dl><dt>낱말</dt><dd>그 뜻이다.</dd></dl>", "낱말\n그 뜻이다."),
        (
            "<table><tr><th>이름<th>값<tr><td>가<td>1<tr><td>나<td></table>",
            "이름 | 값\n가 | 1\n나",
        ),
        (
            "<pre><code>def f():\n    return 1\n\n\nf()\n</code></pre>",
            "def f():\n    return 1\n\n\nf()",
        ),
        ("<pre>a<br>  b<br>c</pre>", "a\n  b\nc"),
        (
            "<figure><img src=a><figcaption>그림 1. 설명이다.</figcaption></figure>",
            "그림 1. 설명이다.",
        ),
        ("<details><summary>물음</summary><p>답이다.</p></details>", "물음\n답이다."),
        ("<p>a&nbsp;&nbsp;b \n c &lt;d&gt; 한&shy;글</p>", "a b c <d> 한글"),
        ("<p>x</p><script>y</script><style>z</style><!-- w --><button>v</button>", "x"),
    ],
)
def test_structures_of_a_page_keep_their_lines(html, text):
    assert main_text(page(html)) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<ruby>漢字<rp>(</rp><rt>한자</rt><rp>)</rp></ruby>이다.", "漢字(한자)이다."),
        ("<ruby><rb>東</rb><rb>京</rb><rt>동</rt><rt>경</rt></ruby>이다.", "東京(동경)이다."),
        (
            "<math><mi>E</mi><mo>=</mo><mi>m</mi><msup><mi>c</mi><mn>2</mn></msup></math>",
            "E = mc^2",
        ),
        (
            "<math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac></math>",
            "(a + b)/2",
        ),
        (
            '<math><semantics><mi>x</mi><annotation encoding="application/x-tex">x^2'
            "</annotation></semantics></math>",
            "$x^2$",
        ),
        ('<img class="tex" alt="a^2+b^2">', "$a^2+b^2$"),
        ('<script type="math/tex">x<1 & y</script>', "$x<1 & y$"),
        ("10<sup>6</sup>", "10^6"),
    ],
)
def test_readings_and_formulas_are_written_in_the_line(html, text):
    assert main_text(page(f"<p>{html}</p>")) == text


@pytest.mark.parametrize(
    "html",
    [
        "깊은 글이다.",
        "<font>" * 400 + "깊은 글이다." + "</font>" * 400,
        "<blockquote>" * 300 + "<p>깊은 글이다.</p>" + "</blockquote>" * 300,
        "<div>" * 5000 + "깊은 글이다.",
        "<p>깊은 글이다.",
        '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body><p>깊은 글이다.<br/></p></body></html>',
        "<frameset><frame src=a><noframes><body><p>깊은 글이다.</p></body></noframes></frameset>",
        "<body><noscript><p>깊은 글이다.</p></noscript></body>",
        "<body><nav><a href=a>깊은 글이다.</a></nav></body>",
    ],
    ids=lambda html: html[:16],
)
def test_a_page_with_text_has_a_main_text(html):
    assert main_text(html) == "깊은 글이다."


@pytest.mark.parametrize(
    "html", ["", " ", "<p>", page(""), "<script>x</script>", "<title>제목</title>", "<img src=a>"]
)
def test_a_page_without_text_has_none(html):
    assert main_text(html) == ""


def test_menus_comments_and_footers_are_left_out():
    html = page(
        '<div id="gnb"><ul><li><a href=a>소식</a><li><a href=b>민원</a></ul></div>'
        f"<h1>도서관 시간</h1><div class=view_content>{PROSE}</div>"
        '<div class="cmt"><p>댓글이 길게 달렸다. 저녁에 갈 곳이 생겨서 좋다고들 한다.</p></div>'
        "<footer>누리일보 주소</footer>"
    )
    text = main_text(html)
    assert text.startswith("도서관 시간\n읍내 도서관은")
    assert text.count("\n") == 5


def test_the_short_post_of_a_board_stays_and_its_long_comments_do_not():
    comments = (
        '<article class="comment"><p>저도 그 소리를 들었는데 정말 크더군요.</p></article>' * 9
    )
    html = page(
        "<h1>이 소리 저만 거슬리나요</h1><div id=bo_v_con>새벽마다 쿵쿵거립니다.</div>"
        f"<section id=bo_vc>{comments}</section>",
        "<title>이 소리 저만 거슬리나요</title>",
    )
    assert main_text(html) == "이 소리 저만 거슬리나요\n새벽마다 쿵쿵거립니다."


def test_short_korean_sentences_between_english_ones_stay():
    english = "<p>The library will stay open until nine in the evening this winter, it said.</p>"
    html = page(f"<div>{english}<p>짧다.</p>{english}<p>더 짧다.</p>{english}</div>")
    lines = main_text(html).split("\n")
    assert lines[1::2] == ["짧다.", "더 짧다."]


def test_the_variant_of_a_tab_that_is_hidden_stays():
    html = page(
        f"<main>{PROSE}<div hidden><p>맥에서는 명령 키를 누르고 있어야 열린다.</p></div></main>"
    )
    assert main_text(html).endswith("맥에서는 명령 키를 누르고 있어야 열린다.")


def test_front_matter_that_a_page_shows_is_cut():
    html = page(f"<main><p>title: X<br>ms.date: 2020<br>ms.assetid: abc</p>{PROSE}</main>")
    assert "assetid" not in main_text(html)
    assert main_text(html).startswith("읍내")


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("---\ntitle: 제목\nms.assetid: a\nkeys:\n- b\n---\n글", 42),
        ("---\ntitle: 제목\n---\n", 18),
        ("---\n참고: 아래\n---\n글", 0),
        ("글\n---\ntitle: a\n---\n", 0),
        ("---\ntitle: a\n글", 0),
    ],
)
def test_front_matter_ends_at_its_second_fence(text, length):
    assert front_matter_end(text) == length


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters() | st.sampled_from("<>/&;\"'= \0\n"), max_size=200))
def test_no_string_raises(html):
    assert isinstance(main_text(html), str)


TAGS = st.sampled_from(
    [
        "p",
        "div",
        "b",
        "a",
        "li",
        "ul",
        "td",
        "tr",
        "table",
        "h2",
        "pre",
        "span",
        "section",
        "script",
        "math",
        "ruby",
        "rt",
        "select",
        "main",
        "nav",
    ]
)
PIECE = st.one_of(
    TAGS.map("<{}>".format),
    TAGS.map("</{}>".format),
    st.sampled_from(["낱말", "word", " ", "&lt;b&gt;"]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECE, max_size=40).map("".join))
def test_words_come_from_the_page_and_no_tag_is_left(html):
    text = main_text(html)
    allowed = set(
        WORD.findall(re.sub(r"<[^>]*>", "", html.replace("&lt;", " ").replace("&gt;", " ")))
    )
    joined = "".join(sorted(allowed))
    assert all(set(word) <= set(joined) for word in WORD.findall(text))
    assert not re.search(r"</?(?:p|div|td|li|span|section)\b[^>]*>", text)


@pytest.mark.parametrize(
    "unit",
    [
        "<div>", "<font>", "<b a={}><p>", "<table><tr><td>", "<ul><li>", "<a href=x><div>",
        "<b><div></b>", "<div></p>", "<p a=1 b=2 c=3>hi</p>", "<!--", "<script>", "<noframes>",
        "<svg><g>", "<math><mrow>", "<ruby>a<rt>b", "&", "<", '<a "', "<td>x", "답변1",
        "<pre> \n", '<img class="tex" alt="x"', "<body a{}=1>",
    ],
)  # fmt: skip
def test_time_grows_with_the_length_of_the_page(unit):
    html = "".join(unit.format(number) for number in range(30_000)) + "끝"
    start = time.process_time()
    main_text(html)
    assert time.process_time() - start < 4


def test_an_element_of_many_attributes_is_read_quickly():
    html = "<p " + " ".join(f'a{number}="x"' for number in range(100_000)) + ">글이다.</p>"
    start = time.process_time()
    assert main_text(html) == "글이다."
    assert time.process_time() - start < 2


def scores(rows: list[Path]) -> list[tuple[str, float, float]]:
    """Return per page its type and language, the recall and the precision of its words."""
    found = []
    for name, language, kind, held, *_ in (row.split("\t") for row in rows):
        if held == "yes":
            continue
        html, _codec = decode_page((PAGES / f"{name}.html").read_bytes())
        truth = Counter(WORD.findall((PAGES / f"{name}.txt").read_text("utf-8")))
        neither = PAGES / f"{name}.comments.txt"
        apart = Counter(WORD.findall(neither.read_text("utf-8") if neither.exists() else ""))
        got = Counter(WORD.findall(main_text(html)))
        right = (truth & got).total()
        more = (got - truth - apart).total()
        found.append((f"{language} {kind}", right / truth.total(), right / max(right + more, 1)))
    return found


def test_the_marked_pages_keep_their_words():
    rows = (PAGES / "index.tsv").read_text("utf-8").splitlines()[1:]
    found = scores(rows)
    kinds = {kind for kind, _, _ in found}
    mean = {
        kind: sum(recall for one, recall, _ in found if one == kind)
        / sum(one == kind for one, _, _ in found)
        for kind in kinds
    }
    assert min(mean.values()) >= 0.9, mean
    for language in ("ko", "en"):
        part = [row for row in found if row[0].startswith(language)]
        assert sum(recall for _, recall, _ in part) / len(part) >= 0.98
        assert sum(precision for *_, precision in part) / len(part) >= 0.95
    assert all(recall >= 0.5 for _, recall, _ in found)
