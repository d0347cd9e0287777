"""Charsets of pages: whole, damaged, and under labels that are wrong or unknown."""

from __future__ import annotations

import codecs
import encodings.aliases

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.text.charset import codec_of, decode_page

KOREAN = "<p>버퍼가 가득 차면 쓰기는 기다립니다. 읽는 쪽이 한 칸을 비우면 다시 이어집니다.</p>" * 4
CHINESE = "<p>我们在这里学习和工作，这是一个很好的地方。大家都喜欢。</p>" * 4
JAPANESE = "<p>これは日本語の文章です。今日は天気がいいので散歩をしました。</p>" * 4
RUSSIAN = "<p>Это русский текст о погоде и о природе, и ничего больше в нём нет.</p>" * 4


def header(label: str) -> str:
    return f"text/html; charset={label}"


@pytest.mark.parametrize(
    "label",
    [
        *("undefined", "hex", "base64", "rot13", "bytes", "idna", "punycode", "charmap", "none"),
        *(
            "unicode_escape",
            "raw_unicode_escape",
            "utf-16",
            "utf-7",
            "hz-gb-2312",
            "x-user-defined",
        ),
    ],
)
def test_a_label_that_the_standard_does_not_list_is_ignored(label: str):
    data = f'<meta charset="{label}">{KOREAN}'.encode("cp949")
    assert decode_page(data, header(label)) == (data.decode("cp949"), "cp949")


def test_every_name_that_python_gives_a_codec_decodes_a_page_or_is_ignored():
    names = {*encodings.aliases.aliases, *encodings.aliases.aliases.values(), "undefined", "idna"}
    data = KOREAN.encode("cp949")
    for name in names:
        text, codec = decode_page(data, header(name))
        assert text == data.decode(codec, "replace")


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("EUC-KR", "cp949"),
        (" ks_c_5601-1987 ", "cp949"),
        ("latin1", "cp1252"),
        ("iso-8859-9", "cp1254"),
        ("gb2312", "gb18030"),
        ("Shift_JIS", "cp932"),
        ("utf8", "utf-8"),
        ("koi8-r", "koi8-r"),
        ("", None),
        (None, None),
    ],
)
def test_labels_mean_what_the_standard_says(label: str | None, codec: str | None):
    assert codec_of(label) == codec


def test_the_page_of_the_finding_keeps_its_accents():
    data = "<p>The café is “nice”. It has the best coffee in town.</p>".encode()[:-20] + b"\xff"
    assert decode_page(data, header("utf-8"))[0] == "<p>The café is “nice”. It has the best\ufffd"


PAGES = [
    (KOREAN, "euc-kr", "cp949"),
    (KOREAN, "utf-8", "utf-8"),
    (CHINESE, "gb2312", "gb18030"),
    (CHINESE, "utf-8", "utf-8"),
    (JAPANESE, "shift_jis", "cp932"),
    (JAPANESE, "euc-jp", "euc_jp"),
    (RUSSIAN, "windows-1251", "cp1251"),
    (RUSSIAN, "utf-8", "utf-8"),
]


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(PAGES), st.integers(0, 10**6), st.sampled_from(["cut", "add", "change"]))
def test_one_damaged_byte_does_not_refute_a_label(page, position: int, damage: str):
    text, label, codec = page
    data = text.encode(codec)
    at = position % len(data)
    middle = {"cut": b"", "add": b"\xc8" + data[at : at + 1], "change": b"\xff"}[damage]
    assert decode_page(data[:at] + middle + data[at + 1 :], header(label))[1] == codec


@pytest.mark.parametrize("cut", range(1, 4))
def test_korean_utf8_cut_inside_a_character_stays_korean_without_a_label(cut: int):
    data = KOREAN.encode()[: 300 - cut]
    assert decode_page(data)[0].rstrip("\ufffd") == data.decode("utf-8", "ignore")


@pytest.mark.parametrize(
    "text",
    [
        *("100°C", "©Acme", "R0–R15", "Foundation’s", "§A.1", "São Paulo, Ação", "naïve", "£20"),
        *("INFORMAÇÕES DE AÇÃO", "über Größe, ÄÖÜ", "été à Noël", "“a” … ½ ®"),
    ],
)
@pytest.mark.parametrize("label", ["iso-8859-1", "windows-1252", "latin1"])
def test_a_western_label_holds_against_a_guess_on_few_characters(text: str, label: str):
    page = f"<html><p>{text}</p></html>"
    assert decode_page(page.encode("cp1252"), header(label)) == (page, "cp1252")


def test_turkish_is_read_by_its_label():
    page = "<p>İstanbul’da şöyle bir ağaç var, ÇĞ ığdır öğün.</p>"
    assert decode_page(page.encode("cp1254"), header("iso-8859-9")) == (page, "cp1254")


@pytest.mark.parametrize("label", ["iso-8859-1", "windows-1252", "utf-8"])
@pytest.mark.parametrize("page", [KOREAN, "<p>안녕하세요 Bibim</p>"])
def test_korean_is_read_as_korean_under_a_western_label(page: str, label: str):
    assert decode_page(page.encode("cp949"), header(label)) == (page, "cp949")


def test_cyrillic_is_not_read_as_western():
    assert decode_page(RUSSIAN.encode("cp1251"), header("iso-8859-1"))[0] == RUSSIAN


def test_japanese_in_escape_sequences_and_utf16_without_a_mark_are_read_by_the_header():
    assert decode_page(JAPANESE.encode("iso2022_jp"), header("iso-2022-jp"))[0] == JAPANESE
    assert decode_page(KOREAN.encode("utf-16-le"), header("utf-16le"))[0] == KOREAN


def test_every_codec_of_the_table_decodes_text():
    assert "가".encode("cp949").decode(codec_of("korean") or "") == "가"
    assert codecs.lookup(codec_of("unicode11utf8") or "").name == "utf-8"
