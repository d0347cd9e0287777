"""What a reader of HTML, XML and SVG sees."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.text.markup import is_markup, visible_bytes


def seen(text: str) -> int:
    data = np.frombuffer(text.encode() + b"</script><", np.uint8)
    return visible_bytes(data, 0, len(text.encode()))


HTML = "<!DOCTYPE html>"
XML = '<?xml version="1.0"?>'


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (HTML + "<p>3 < 5 and the rest of it</p>", "3<5andtherestofit"),
        (HTML + "<p>1<2, a <= b, x <- y</p>", "1<2,a<=b,x<-y"),
        (HTML + "<p>사랑 <3 <가", "사랑<3<가"),
        (HTML + "<!-- a > b --> after", "after"),
        (HTML + "<!--> after", "after"),
        (HTML + "<!---> after <!-- -- --!> end", "afterend"),
        (HTML + '<a title="a > b">link</a>', "link"),
        (HTML + "<a title = 'a > b' x=1>link</a>", "link"),
        (HTML + '<a"b>link</a "c">', "link"),
        (HTML + '<a x=y"z>link</a>', "link"),
        (HTML + '<a = "x>y">', 'y">'),
        (HTML + "<scripture>말씀</scripture>", "말씀"),
        (HTML + "<styles>a</styles><script-x>b</script-x>", "ab"),
        (HTML + "<SCRIPT>a</scripture></Script >b", "b"),
        (HTML + "<script/>a < b</script/>c", "c"),
        (HTML + "<style>p > a {}</style>글", "글"),
        (HTML + "<script>a", ""),
        (HTML + "</>a</ b>c</p x='>'>d<?php echo ?>e", "acde"),
        (HTML + "a</", "a</"),
        (HTML + "a<", "a<"),
        (HTML + "<p a=", ""),
        (HTML + "<![CDATA[a]]>", ""),
        (XML + "<rss><d><![CDATA[본문 <b> 1 > 0]]></d>", "본문<b>1>0"),
        (XML + "<rss><![CDATA[끝이 없다", "끝이없다"),
        (XML + '<resources><style name="A"><item>글</item></style></resources>', "글"),
        (XML + "<html><script src='a'/>글<style>p</style></html>", "글"),
        ("<svg><style>p {}</style><text>글</text></svg>", "글"),
        ("<html><style>p</style>글", "글"),
    ],
)
def test_tags_end_where_the_standard_ends_them(page: str, text: str):
    assert seen(page) == len(text.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n <?xml version='1.0'?>", True),
        ("<!DocType html>", True),
        ("<HTML>", True),
        ("<html", True),
        ("<svg\nxmlns='x'>", True),
        ("<svg/>", True),
        ("<htmlx>", False),
        ("<svgs>", False),
        ("<p>", False),
        ("", False),
    ],
)
def test_markup_is_known_by_its_whole_first_name(text: str, expected: bool):
    data = np.frombuffer(text.encode() + b">", np.uint8)
    assert is_markup(data, 0, len(text.encode())) is expected


class Reader(HTMLParser):
    """What the standard library's parser finds outside tags, scripts and styles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.text = ""

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:
            self.text += data


pieces = st.sampled_from(
    [
        "<p>", "</p>", '<a b="c > d">', "<a b='>' c>", "<br/>", "글 ", "a", " < ", "1<2 ", "<가",
        "<!-- x > y -->", "<scripture>", "<styles x=1>", "</scripture>", "<script>x < y</script>",
        "<style>p > a</style>", "<STYLE a=b>q</STYLE>", "\n", "=", "'", '"', "<!DOCTYPE x>", "<?pi?>",
    ]
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(pieces, max_size=12))
def test_pages_read_as_the_standard_librarys_parser_reads_them(parts: list[str]):
    page = HTML + "<body>" + "".join(parts)
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert seen(page) == len("".join(reader.text.split()).encode())
