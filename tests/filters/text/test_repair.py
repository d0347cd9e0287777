"""What encodings, editors and web pages broke is put right; what is whole stays."""

from __future__ import annotations

import unicodedata

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from filters.text.repair import META, has_text, normalise, repair, repaired_share
from schemas.config import Ingest, Repair
from tests.support.columns import records

KINDS = Ingest().repair
SENTENCE = "동해 물과 백두산이 마르고 닳도록"


def repaired(text: str) -> str:
    return repair(text, KINDS)[0]


@pytest.mark.parametrize(
    ("broken", "whole", "kind"),
    [
        ("a\x07b", "ab", "controls"),
        ("\x1b[31mERROR\x1b[0m \x1b]0;title\x07done", "ERROR done", "controls"),
        ("N\x08NA\x08AM\x08ME\x08E _\x08f_\x08i", "NAME fi", "controls"),
        ("first\x85second\x85", "first\nsecond\n", "controls"),
        ("제목\x0b부제", "제목\n부제", "controls"),
        ("page one\x0cpage two", "page one\npage two", "controls"),
        ("하나\x1e둘\x1c셋", "하나\n둘\n셋", "controls"),
        ("It\x92s a \x93test\x94 \x96 yes", "It’s a “test” – yes", "mojibake"),
        ("wait\x85 what", "wait… what", "mojibake"),
        ("Only 20\x80 for Brand\x99 shoes", "Only 20€ for Brand™ shoes", "mojibake"),
        ("in 1990\x961995 at \x8030", "in 1990–1995 at €30", "mojibake"),
        ("정\u200b수\u00ad기 \u202e앞", "정수기 앞", "zero_width"),
        ("ÇÑ±Û ÀÌ¸§ÀÔ´Ï´Ù", "한글 이름입니다", "mojibake"),
        ("naÃ¯ve cafÃ©", "naïve café", "mojibake"),
        ("ㅎㅏㄴㄱㅡㄹ", "한글", "jamo"),
        ("ㅂㅏㄹㅏㅁㅇㅣ ㅂㅜㄴㄷㅏ", "바람이 분다", "jamo"),
        ("\uffbe\uffc2\uffa4\uffa1\uffda\uffa9", "한글", "jamo"),
        ("별점 &#39;다섯&#39; &hearts;&nbsp;추천", "별점 '다섯' ♥ 추천", "html"),
        ("첫째<br/>둘째<br>셋째</p>", "첫째\n둘째\n셋째\n", "html"),
        ('<p>안녕 <b class="x">세상</b></p><p>둘째 줄', "안녕 세상\n둘째 줄", "html"),
        ("CircuitBreaker ì\x84¤ì \x95!!!", "CircuitBreaker 설정!!!", "mojibake"),
        ("&amp;lt;안내&amp;gt;", "<안내>", "html"),
    ],
)
def test_a_broken_text_is_made_whole_and_counted(broken: str, whole: str, kind: str) -> None:
    text, counts = repair(broken, KINDS)
    assert text == whole
    assert list(counts) == [kind]
    assert 0 < counts[kind] <= len(broken)


@pytest.mark.parametrize("times", [1, 2])
def test_utf_8_read_as_windows_1252_comes_back(times: int) -> None:
    broken = SENTENCE
    for _ in range(times):
        broken = "".join(
            chr(byte) if byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else bytes([byte]).decode("cp1252")
            for byte in broken.encode()
        )
    assert repaired(broken) == SENTENCE


def test_euc_kr_read_as_latin_1_comes_back() -> None:
    assert repaired(SENTENCE.encode("euc-kr").decode("latin-1")) == SENTENCE


@pytest.mark.parametrize(
    "text",
    [
        "ㅋㅋㅋ ㅠㅠ ㅇㅅㅇ ㅎㅎ",
        "말줄임표······ 끝",
        "Ça été décidé à l'été; ÀÉÈÙ",
        "ĞİŞÖÜ, Åse, ÆØÅ, München",
        "അവന്\u200d വന്നു, ত্\u200d",
        "👩\u200d💻 and क्\u200dष",
        "if a < b && c > d",
        "AT&T; R&D",
        "문서에는 `&lt;div&gt;`라고 쓴다",
        "<A Beautiful Mind>와 <Table 1>, <B 사감과 러브레터>",
        "a <b 이고 c> d, 그리고 a <i> b",
        "쵝오>ㅁ<b>",
        "Use the <br> tag, or <b> and </b>, or <hr>.",
        "&lt;b&gt;굵게&lt;/b&gt; &lt;i&gt;기울임&lt;/i&gt;",
        "빈 글자 &#57361; &#xE011;",
        "ÀÁÂÃÄÅÆÇÈÉ ±²³´µ¶·¸¹º",
        "This cup â˜• stands for ☕",
        "The unit cell has a volume of 160.2 Å³, 30 Å², at 25Ä°C",
        "Bore Ø½, Ø¾ and Ø¼; siehe MENÜ² und CAFÉ³",
        "<table>과 <tr>, <td>를 써서 표를 만든다. </table>로 닫는다.",
        "അവന്\u200d വന്നു, ত্\u200d, र\u200d्य",
        "[링크](https://example.com?a=1&copy=2)",
        "탭\t과 줄\n바꿈",
        "３월 １일 ＡＢＣ",
    ],
)
def test_a_whole_text_stays(text: str) -> None:
    assert repair(text, KINDS) == (text, {})


def test_what_the_config_leaves_out_is_left() -> None:
    assert repair("a\x07&quot;", [])[0] == "a\x07&quot;"
    assert repair("a\x07&quot;", ["html"])[0] == 'a\x07"'


def test_decomposed_hangul_composes_and_line_ends_are_one_kind() -> None:
    text = unicodedata.normalize("NFD", SENTENCE) + "\r\n끝\r\ufeff\0"
    assert normalise(text) == SENTENCE + "\n끝\n"


BREAKERS = [
    *("가", "각", "\u1100", "\u1161", "\u11ab", "ㅎ", "ㅏ", "ㄴ", "\uffbe", "\uffc2", "\uffa4", "한글"),
    *("\ufeff", "\0", "\r", "\n", "\x07", "\x0c", "\x85", "\x92", "\xa0", "\u200b", "\xad", "\u200d"),
    *("e", "\u0301", "\u0327", "é", "\u0958", "\u0344", "\ufb2c", "क", "्", "👍", " ", "a", "。"),
    *("&amp;", "amp;", "&lt;", "&gt;", "&#8203;", "&shy;", "&zwnj;", "&#12;", "&#x41;", "&eacute;"),
    *("&Atilde;", "&copy;", "&", "#", "38;", "<", ">", "b>", "<br>", "</p>", "`", "](", "# "),
    *("ÇÑ", "±Û", "ÀÌ", "¸§", "Ã¯", "Ã©", "â€™", "â€", "œ", "Ð°", "ä¸\xad", "\xef\xbb\xbf", "\xe2\x80\x8b"),
]  # fmt: skip
"""Pieces that each repair takes up, and that a repair of one of them may leave for another."""


@given(
    st.one_of(
        st.lists(st.sampled_from(BREAKERS), max_size=30).map("".join),
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
    st.sets(st.sampled_from(KINDS)),
)
@example("it&#8203;s &shy;&zwnj;&#12;x", set(KINDS))
@example("가\ufeff\u11ab", set())
@example("가\0\u11ab", set())
@example("\r\ufeff\n", set())
@example("&" + "amp;" * 50 + "lt;b&gt;", set(KINDS))
@example("<" * 50 + "b>" * 50, set(KINDS))
def test_a_second_repair_of_any_text_changes_nothing(text: str, kinds: set[Repair]) -> None:
    once, counts = repair(text, kinds)
    assert repair(once, kinds) == (once, {})
    assert unicodedata.is_normalized("NFC", once)
    assert not set(once) & {"\0", "\r", "\ufeff"}
    assert counts.keys() <= kinds
    if not counts:
        assert once == normalise(text)


@given(st.lists(st.sampled_from(BREAKERS), max_size=30).map("".join))
def test_no_control_or_zero_width_space_is_left_whatever_hid_it(text: str) -> None:
    assert not set(repaired(text)) & {"\x07", "\x0c", "\x85", "\u200b", "\xad"}


@pytest.mark.parametrize(
    ("hidden", "whole"),
    [
        ("가\ufeff\u11ab", "간"),
        ("가\0\u11ab", "간"),
        ("\r\ufeff\n", "\n"),
        ("a&#8203;b&shy;c&#7;d", "abcd"),
        ("&amp;amp;amp;amp;amp;lt;표&amp;amp;amp;amp;amp;gt;", "<표>"),
        ("&eacute;t&#xC3;&#xA9;", "été"),
    ],
)
def test_what_one_repair_uncovers_another_repairs(hidden: str, whole: str) -> None:
    assert repaired(hidden) == whole


@pytest.mark.parametrize("bomb", ["<" * 20_000 + "b>" * 20_000, "&#" * 9_000 + "5" + "3;" * 9_000])
def test_a_text_nested_without_end_is_normalised_only(bomb: str) -> None:
    text, counts = repair("가\ufeff\u11ab" + bomb, KINDS)
    assert repair(text, KINDS) == (text, counts)
    assert text == "간" + bomb
    assert counts == {}


@given(st.text(st.characters(categories=["Lo"], max_codepoint=0xD7A3, min_codepoint=0xAC00)))
def test_any_hangul_survives_being_taken_apart(text: str) -> None:
    assert repaired(unicodedata.normalize("NFD", text)) == text


@pytest.mark.parametrize("corpus", ["ko_docs", "en_docs"])
def test_good_corpora_are_hardly_touched(corpus: str) -> None:
    texts = [row["text"] for row in records(f"corpora/{corpus}", every=5)]
    assert sum(bool(repair(text, KINDS)[1]) for text in texts) <= 0.002 * len(texts)


def test_the_share_is_read_from_meta() -> None:
    meta = [None, '{"a": 1}', orjson.dumps({META: {"jamo": 3, "html": 2}}).decode(), '"repaired"']
    share = repaired_share(pa.array(meta, pa.string()), np.array([10.0, 10, 50, 10]))
    assert share.tolist() == [0, 0, 0.1, 0]


@given(
    st.lists(st.sampled_from("a\u0316\u0301\u0327\u034f\u0344\u20dd가\u11ab"), max_size=300).map(
        "".join
    )
)
@example("e" + "\u0316\u0301" * 80)
@example("e" + "\u0344\u0316" * 40 + "\u20dd" + "\u0301\u0316" * 40)
def test_many_marks_are_put_in_the_order_of_unicode(text: str) -> None:
    assert normalise(text) == unicodedata.normalize("NFC", text)


def test_marks_without_end_cost_time_that_grows_with_their_number() -> None:
    text = "a" + "\u0316\u0301" * 500_000  # two minutes by insertion
    assert len(normalise(text)) == len(text) - 1  # á


@pytest.mark.parametrize(
    "blank", ["", " \n\t", "\u3164\u115f\u1160", "\u2800\u2800", "\ufffc", "\u200b\ufeff", "\x07"]
)
def test_a_text_whose_characters_are_not_drawn_is_empty(blank: str) -> None:
    assert not has_text(blank)
    assert has_text(blank + "가") and has_text("." + blank)
