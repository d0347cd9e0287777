"""Texts and source files: marks, UTF-16 and UTF-32, stateful sets, declarations, `encoding`."""

from __future__ import annotations

import random

import pytest

from filters.text.charset import decode_page, decode_text, unicode_codec
from tests.support.charset_texts import TEXTS

KOREAN, JAPANESE, CHINESE = TEXTS["ko"], TEXTS["ja"], TEXTS["zh_hans"]


@pytest.mark.parametrize("lang", list(TEXTS))
@pytest.mark.parametrize(
    "codec", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
)
def test_unicode_is_found_with_and_without_a_mark(lang: str, codec: str):
    for text in (TEXTS[lang], TEXTS[lang][:12]):
        assert decode_text(text.encode(codec))[0] == text


@pytest.mark.parametrize(
    ("data", "codec"),
    [
        (b"\xef\xbb\xbf{}", "utf-8-sig"),
        ("\ufeff가".encode("utf-16-le"), "utf-16"),
        ("\ufeff가".encode("utf-32-be"), "utf-32"),
        ('{"text": "가나"}\n'.encode("utf-16-be"), "utf-16-be"),
        ('{"text": "가나"}\n'.encode("utf-16-le")[:-1], "utf-16-le"),
        ("А".encode("utf-16-le") * 40, "utf-16-le"),
        (KOREAN.encode(), None),
        (KOREAN.encode("cp949"), None),
        (b"plain", None),
        (b"", None),
        (b"PK\x03\x04\x14\x00\x00\x00\x08\x00\x21\x00", None),
        (bytes(range(256)) * 4, None),
        (b"\x00" * 64, None),
    ],
)
def test_the_first_bytes_of_a_file_show_its_unicode(data: bytes, codec: str | None):
    assert unicode_codec(data) == codec


def test_random_bytes_are_not_taken_for_utf16():
    rng = random.Random(3)
    for size in (64, 1000, 4096):
        for _ in range(50):
            data = rng.randbytes(size)
            if data[:2] not in {b"\xff\xfe", b"\xfe\xff"}:
                assert unicode_codec(data) is None


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_with_a_missing_byte_is_read_on_behind_it(codec: str):
    text = KOREAN * 3
    data = text.encode(codec)
    cut = decode_text(data[:201] + data[202:])[0]
    assert cut[:80] == text[:80]
    assert cut[-200:] == text[-200:]
    assert cut.count("\ufffd") == 1


def test_many_characters_that_end_in_a_zero_byte_do_not_shift_utf16():
    text = "<p>Title of a page</p>" + "一个人在一条路上，一天一天地走。" * 9
    assert decode_text(text.encode("utf-16"))[0] == text


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        (KOREAN, "iso2022_kr"),
        (JAPANESE, "iso2022_jp"),
        (JAPANESE + "①", "iso2022_jp_3"),
        ("ｱｲｳｴｵ と書いた文章です。", "iso2022_jp_ext"),
        (CHINESE, "hz"),
        ("今天天气很好，我们散步。\nplain ~~ text\n" + CHINESE, "hz"),
    ],
)
@pytest.mark.parametrize("label", [None, "utf-8", "iso-8859-1", "euc-kr"])
def test_stateful_sets_are_read_before_utf8(text: str, codec: str, label: str | None):
    data = text.encode(codec)
    assert decode_text(data)[0] == text
    assert decode_page(data, label and f"text/html; charset={label}")[0] == text


def test_iso_2022_cn_is_read():
    run = bytes(byte & 0x7F for byte in CHINESE.encode("gb2312"))
    assert decode_text(b"\x1b$)A\x0e" + run + b"\x0f\n") == (CHINESE + "\n", "iso2022_cn")


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31mERROR\x1b[0m done\x1b(B\x1b[m\n",
        '(format t "~{~a~^, ~}" items)\n',
        '(format t "~{~A ~D~}" x) ~{AB~}',
        "set t_ts=\x1b$B and \x1b(J",
        "a \x0e shifted \x0f word",
    ],
)
def test_escape_sequences_of_terminals_and_formats_are_text(text: str):
    assert decode_text(text.encode()) == (text, "utf-8")


LATIN = "naïve Größe = 3; é"


@pytest.mark.parametrize(
    "line",
    [
        "# -*- coding: koi8-r -*-",
        "#!/usr/bin/python\n# vim: set fileencoding=koi8-r :",
        "# coding=koi8_r",
        ";; -*- mode: lisp; coding: koi8-r-unix -*-",
        '<?xml version="1.0" encoding="koi8-r"?>',
        '@charset "koi8-r";',
    ],
)
def test_a_declaration_names_the_charset_of_a_source_file(line: str):
    text = f"{line}\nx = 'мир'\n"
    assert decode_text(text.encode("koi8-r")) == (text, "koi8-r")


def test_a_line_of_an_editor_at_the_end_counts_and_one_in_the_middle_does_not():
    text = "x = 'мир'\n" + "y = 1\n" * 20 + "# vim: fenc=koi8-r\n"
    assert decode_text(text.encode("koi8-r"))[1] == "koi8-r"
    text = "x\n" * 9 + "# coding: koi8-r\n" + "°C\n" + "x\n" * 9
    assert decode_text(text.encode("cp1252")) == (text, "cp1252")


def test_a_declaration_that_python_alone_knows_or_nobody_is_harmless():
    for name in ("undefined", "rot13", "latin-1", "unicode_escape", "utf8"):
        data = f"# coding: {name}\ns = '가나다라'\n".encode()
        assert decode_text(data) == (data.decode(), "utf-8")


@pytest.mark.parametrize("encoding", ["cp949", "EUC-KR", "iso2022_kr", "johab", "utf-16", "hz"])
def test_the_encoding_of_the_config_reads_its_own_text(encoding: str):
    text = CHINESE if encoding == "hz" else KOREAN
    assert decode_text(text.encode(encoding), encoding)[0] == text
    assert decode_page(text.encode(encoding), None, encoding)[0] == text


def test_the_encoding_of_the_config_holds_where_the_bytes_do_not_show_theirs():
    assert decode_text("ñ".encode("cp437"), "cp437") == ("ñ", "cp437")
    assert decode_text("ÿ±".encode("cp1252"), "cp1252") == ("ÿ±", "cp1252")
    assert decode_text("é".encode(), "latin-1")[0] == "Ã©"


def test_a_file_in_another_charset_than_the_configs_is_read_by_its_bytes():
    assert decode_text(KOREAN.encode(), "cp949") == (KOREAN, "utf-8")
    assert decode_text(KOREAN.encode("utf-16"), "cp949") == (KOREAN, "utf-16")
    assert decode_text(KOREAN.encode("cp949"), "utf-8") == (KOREAN, "cp949")


def test_the_encoding_of_the_config_is_lenient_to_a_damaged_byte():
    data = KOREAN.encode("cp949")
    at = data.index(b" ", 30)
    text, codec = decode_text(data[:at] + b"\xff" + data[at:], "cp949")
    assert (text.replace("\ufffd", ""), codec) == (KOREAN, "cp949")


def test_a_mark_of_utf8_before_another_charset_is_passed_over():
    assert decode_text(b"\xef\xbb\xbf" + KOREAN.encode("cp949")) == (KOREAN, "cp949")


@pytest.mark.parametrize("codec", ["cp949", "euc_kr", "johab", "utf-8", "gb18030", "cp932"])
def test_a_line_of_jsonl_is_read_in_its_charset(codec: str):
    text = JAPANESE if codec == "cp932" else CHINESE if codec == "gb18030" else KOREAN
    line = f'{{"text": "{text}"}}'
    assert decode_text(line.encode(codec))[0] == line
