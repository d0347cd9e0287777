"""Names of charsets in a config: labels, Python's names, and names that are none."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from schemas.charsets import codec_named, near_names
from schemas.config import Source


@pytest.mark.parametrize("name", ["cp949", "EUC-KR", "euc_kr", "utf-16", "utf-8-sig", "johab", "hz", "iso2022_kr", "latin-1", "KOI8-R", "utf_32", "cp437"])  # fmt: skip
def test_a_source_takes_every_charset_that_can_be_read(name: str):
    assert Source(component="ko", path="x", encoding=name).encoding == name
    assert codec_named(name)


@pytest.mark.parametrize("name", ["cp94", "euckorean", "undefined", "hex", "rot13", "base64", "idna", "unicode_escape", "", " ", "한글", "x\0y", "a" * 999])  # fmt: skip
def test_a_name_that_is_not_a_charset_is_refused(name: str):
    assert codec_named(name) is None
    with pytest.raises(ValidationError, match="is not a charset"):
        Source(component="ko", path="x", encoding=name)


def test_a_refusal_lists_names_that_look_like_it():
    assert "cp949" in near_names("cp94")
    with pytest.raises(ValidationError, match=r"names like it: .*shift_jis"):
        Source(component="ko", path="x", encoding="shift_jsi")


def test_a_source_without_an_encoding_has_none():
    assert Source(component="ko", path="x").encoding is None
