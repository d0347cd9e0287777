"""Repair and charsets against their sentences: NFC, line ends, a second repair, labels."""

from __future__ import annotations

import unicodedata

import pytest

from filters.text.charset import codec_of, decode_page
from filters.text.repair import normalise, repair
from schemas.config import Ingest
from tests.oracles.texts import NAMES, adversarial, documents, shorten

KINDS = Ingest().repair
BROKEN = [
    "가\ufeff\u11ab", "가\0\u11ab", "e\u200b\u0301", "&#8203;", "&shy;", "&zwnj;", "&#12;", "&amp;amp;#8203;",
    "&#4352;&#4449;", "<b>가</b>\u11ab", "ㅎㅏ&#4520;", "\u1112\u200d\u1161", "ÃƒÂ©&#x85;", "a\x85\u0301", "&#x11ab;",
    "ÇÑ±Û\u200b", "Ã\u200b©", "ㅎ\u200bㅏㄴ", "ㅎ&shy;ㅏㄴㄱㅡㄹ", "&lt;b&gt;", "&amp;lt;b&amp;gt;", "<<b>b>", "&#38;#38;lt;",
]  # fmt: skip


def faults(text: str) -> list[str]:
    """Return what `text`, repaired, breaks of the docs' sentences."""
    once, counts = repair(text, KINDS)
    twice, again = repair(once, KINDS)
    return [
        sentence
        for holds, sentence in (
            (unicodedata.is_normalized("NFC", once), "brings every text to NFC"),
            ("\r" not in once, "with \\n line ends"),
            (twice == once, "a second repair changes nothing"),
            (not again, "a second repair counts nothing"),
            (counts or once == normalise(text), "what is not counted is not replaced"),
            (unicodedata.is_normalized("NFC", normalise(text)), "normalised text is in NFC"),
        )
        if not holds
    ]


def check(texts: list[str]) -> None:
    wrong = [text for text in texts if faults(text)]
    if wrong:
        kinds = {
            fault: text for text in sorted(wrong, key=len, reverse=True) for fault in faults(text)
        }
        shortest = {
            fault: shorten(text, lambda less, fault=fault: fault in faults(less))
            for fault, text in kinds.items()
        }
        pytest.fail(f"{len(wrong)} of {len(texts)} texts: {shortest!r}")


@pytest.mark.parametrize("name", NAMES)
def test_a_repaired_document_is_in_nfc_and_stays_as_it_is(name: str):
    check(documents(name))


def test_a_repaired_adversarial_text_is_in_nfc_and_stays_as_it_is():
    texts = adversarial()
    check(
        BROKEN
        + texts
        + [left + right for left, right in zip(BROKEN * 60, texts[::-1], strict=False)]
    )


def test_decomposed_text_comes_back():
    for text in (*documents("ko_docs"), *documents("ko_reviews")):
        whole = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
        assert normalise(unicodedata.normalize("NFD", text)) == whole.replace("\0", "").replace(
            "\ufeff", ""
        )


CHARSETS = {
    "cp949": (
        "비빔밥은 밥에 나물을 얹어 비벼 먹는 음식이다. 뷁 똠방각하. " * 4,
        "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949",
    ),
    "cp1252": (
        "The café is “nice” — naïve, 20 € a head, and it’s open. " * 4,
        "ascii ansi_x3.4-1968 cp1252 iso-8859-1 iso8859-1 iso_8859-1 l1 latin1 us-ascii windows-1252 x-cp1252",
    ),
    "cp932": (
        "日本語の文章です。これは試験のための長い文です。①髙 " * 4,
        "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
    ),
    "euc_jp": ("日本語の文章です。これは試験のための長い文です。" * 4, "cseucpkdfmtjapanese euc-jp x-euc-jp"),
    "gb18030": ("这是一个用于测试的句子，它很长，也很普通。" * 4, "chinese csgb2312 gb2312 gb18030 gbk x-gbk iso-ir-58"),
    "big5hkscs": ("這是一個用於測試的句子，它很長，也很普通。" * 4, "big5 big5-hkscs cn-big5 csbig5 x-x-big5"),
    "cp1251": ("Это длинное предложение для проверки кодировки. " * 4, "cp1251 windows-1251 x-cp1251"),
}  # fmt: skip
LABELS = [(codec, label) for codec, (_, labels) in CHARSETS.items() for label in labels.split()]
UNKNOWN = ["undefined", "hex", "base64", "rot13", "unicode_escape", "raw_unicode_escape", "idna", "punycode",
           "charmap", "zlib", "bz2", "uu", "mbcs", "none", "", "binary", "no-such-charset", "한글"]  # fmt: skip


@pytest.mark.parametrize(("codec", "label"), LABELS)
def test_a_label_of_the_encoding_standard_decodes_its_charset(codec: str, label: str):
    text = CHARSETS[codec][0]
    data = f"<p>{text}</p>".encode(codec)
    for written in (label, label.upper(), f'"{label}"', f" {label} "):
        assert decode_page(data, f"text/html; charset={written}")[0] == f"<p>{text}</p>", written
    page = f'<html><head><meta charset="{label}"></head><p>{text}</p></html>'
    assert decode_page(page.encode(codec))[0] == page


@pytest.mark.parametrize("label", UNKNOWN)
def test_an_unknown_label_is_ignored(label: str):
    assert codec_of(label) is None
    for codec in ("cp949", "utf-8", "cp1252"):
        data = CHARSETS.get(codec, CHARSETS["cp949"])[0].encode(codec)
        assert decode_page(data, f"text/html; charset={label}") == decode_page(data)


@pytest.mark.parametrize("label", [label for _, label in LABELS])
def test_bytes_that_are_valid_utf_8_are_utf_8_whatever_a_label_claims(label: str):
    for text, _ in CHARSETS.values():
        assert decode_page(text.encode(), f"text/html; charset={label}")[0] == text
