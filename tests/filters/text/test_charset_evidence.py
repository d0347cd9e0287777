"""Charsets under right, wrong and missing labels, whole and damaged, by the letters of languages."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from filters.text.charset import decode_page, decode_text
from filters.text.charset.evidence import LANGUAGES, PRIOR, WIDE
from tests.support.charset_texts import CHARSETS, MORE, TEXTS, written

PAIRS = [*CHARSETS.items(), *MORE]
LABELS = {"mac-roman": "macintosh", "mac-cyrillic": "x-mac-cyrillic", "cp866": "ibm866", "cp949": "euc-kr", "cp932": "shift_jis", "gb18030": "gb2312"}  # fmt: skip


def header(label: str) -> str:
    return f"text/html; charset={label}"


def page_of(codec: str, lang: str) -> str:
    text = written(lang, codec).decode(codec)
    return f"<html><head><title>{text[:20]}</title></head><body><p>{text}</p><p>{text}</p></body></html>"


@pytest.mark.parametrize(("codec", "lang"), PAIRS)
def test_a_page_of_each_charset_is_read_without_a_label(codec: str, lang: str):
    page = page_of(codec, lang).replace("€", "$")  # ISO-8859-15 without € is Windows-1252
    assert decode_page(page.encode(codec))[0].lstrip("\ufeff") == page


@pytest.mark.parametrize(("codec", "lang"), PAIRS)
@pytest.mark.parametrize("label", ["iso-8859-1", "euc-kr", "shift_jis", "windows-1251", "utf-8"])
def test_a_wrong_label_does_not_hide_the_charset_of_a_page(codec: str, lang: str, label: str):
    if {codec, label} in ({"mac-cyrillic", "windows-1251"}, {"cp1251", "windows-1251"}):
        pytest.skip("the charsets share the bytes of nearly every letter")
    page = page_of(codec, lang).replace("€", "$")
    assert decode_page(page.encode(codec), header(label))[0].lstrip("\ufeff") == page


@pytest.mark.parametrize(("codec", "lang"), PAIRS)
@pytest.mark.parametrize("damage", ["changed", "cut", "added"])
def test_one_bad_byte_costs_a_few_characters_and_no_more(codec: str, lang: str, damage: str):
    page = page_of(codec, lang)
    data = page.encode(codec)
    for at in random.Random(7).sample(range(60, len(data) - 60), 5):
        put = {"changed": b"\xff", "cut": b"", "added": b"\xc8" + data[at : at + 1]}[damage]
        text, found = decode_page(
            data[:at] + put + data[at + 1 :], header(LABELS.get(codec, codec))
        )
        lost = Counter(page) - Counter(text)
        assert lost.total() <= 24, (found, at, text)


ASCII = (
    "<p>Water boils at 100@C, says the guide of this place; take care when you open the lid.</p>"
    * 3
)


@pytest.mark.parametrize("text", ["°", " °", "’", "–", " ± 2 ", " × ", "£", "½", "…", "é", "©"])
@pytest.mark.parametrize("label", [None, "iso-8859-1", "windows-1252"])
def test_one_western_byte_amid_ascii_is_windows_1252(text: str, label: str | None):
    page = ASCII.replace("@", text) if text != "é" else "<p>A café in town</p>"
    assert decode_page(page.encode("cp1252"), label and header(label)) == (page, "cp1252")


@pytest.mark.parametrize("lang", ["fr", "de", "es", "pt", "sv", "en"])
def test_western_text_without_a_label_is_not_taken_for_another_script(lang: str):
    text = TEXTS[lang]
    for length in (120, 200, len(text)):
        assert decode_text(text[:length].encode("cp1252"))[0] == text[:length]


@pytest.mark.parametrize("byte", [b"\xff", b"\x81", b"\xc8", b"\xb0"])
@pytest.mark.parametrize("label", ["utf-8", "euc-kr", "shift_jis", "gb2312"])
def test_one_damaged_byte_in_ascii_does_not_change_a_labelled_charset(byte: bytes, label: str):
    data = b"<p>Plain text of a page " + byte + b" and more of it, with nothing else.</p>"
    assert decode_page(data, header(label))[1] in {"utf-8", "cp949", "cp932", "gb18030"}


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=400), st.sampled_from([None, "utf-8", "euc-kr", "x", "utf-16le"]))
def test_any_bytes_are_decoded_to_text_that_can_be_written(data: bytes, label: str | None):
    for text, codec in (
        decode_page(data, label and header(label)),
        decode_text(data),
        decode_text(data, label),
    ):
        text.encode("utf-8")
        assert isinstance(codec, str)


@settings(deadline=None, max_examples=300)
@given(
    st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc"]), max_size=60),
    st.sampled_from([None, "utf-8", "euc-kr", "iso-8859-1", "shift_jis", "koi8-r", "utf-16"]),
)
@example("Ĭ", "utf-16")
def test_valid_utf8_decodes_to_itself_whatever_the_label(text: str, label: str | None):
    text = text.lstrip("\ufeff")
    if "~{" not in text:
        assert decode_page(text.encode(), label and header(label)) == (text, "utf-8")


def test_every_charset_that_is_weighed_has_a_prior():
    weighed = {codec for language in LANGUAGES.values() for codec in language.codecs}
    assert weighed | set(WIDE) | {"utf-8"} == set(PRIOR)
