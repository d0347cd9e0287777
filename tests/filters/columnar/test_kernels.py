"""Views on Arrow's buffers, and classes of codepoints."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from filters.columnar import kernels
from filters.columnar.kernels import (
    buffers,
    classify,
    everywhere,
    find_slot,
    next_codepoint,
    table_size,
)
from tests.support.columns import odd_text, texts


@settings(deadline=None)
@given(odd_text)
def test_codepoints_come_back_from_the_bytes(text: str):
    data, offsets = buffers(texts(text))
    at, end = int(offsets[0]), int(offsets[1])
    found = []
    while at < end:
        cp, at = next_codepoint(data, at)
        found.append(chr(cp))
    assert "".join(found) == text


def test_a_slice_and_a_null_keep_their_own_bytes():
    column = pa.array(["가나", None, "abc", ""], pa.large_string())
    for start in range(4):
        data, offsets = buffers(column.slice(start))
        found = [data[a:b].tobytes().decode() for a, b in pairwise(offsets)]
        assert found == [value or "" for value in column.slice(start).to_pylist()]
    assert len(everywhere(buffers(column.slice(4))[1])) == 0


@pytest.mark.parametrize(
    ("character", "kind"),
    [
        ("가", kernels.HANGUL), ("ㅋ", kernels.JAMO), ("ᄒ", kernels.JAMO), ("a", kernels.LATIN),
        ("é", kernels.LATIN), ("漢", kernels.HAN), ("か", kernels.KANA), ("7", kernels.DIGIT),
        (" ", kernels.SPACE), ("\u3000", kernels.SPACE), ("…", kernels.MARK), ("·", kernels.MARK),
        ("я", kernels.OTHER), ("ش", kernels.OTHER), ("🙂", kernels.MARK), ("𠀀", kernels.HAN),
        ("\u202f", kernels.SPACE), ("\u205f", kernels.SPACE), ("\u1680", kernels.SPACE),
        ("\x85", kernels.SPACE), ("㈜", kernels.MARK), ("㎡", kernels.MARK), ("٣", kernels.DIGIT),
        ("۹", kernels.DIGIT), ("३", kernels.DIGIT), ("،", kernels.MARK), ("؟", kernels.MARK),
        ("।", kernels.MARK), ("\u200d", kernels.MARK), ("\ufeff", kernels.MARK),
    ],
)  # fmt: skip
def test_a_character_has_its_class(character: str, kind: int):
    assert classify(np.uint32(ord(character))) == kind


def test_every_letter_of_the_basic_plane_counts_as_a_letter_and_no_space_does():
    letters = {
        kernels.HANGUL,
        kernels.JAMO,
        kernels.LATIN,
        kernels.HAN,
        kernels.KANA,
        kernels.OTHER,
    }
    odd = {0x2071, 0x207F}  # superscript letters stand in a block of marks
    for code in range(0x10000):
        character = chr(code)
        if unicodedata.category(character) in ("Lu", "Ll") and character.isascii():
            assert kernels.CLASS_OF[code] in letters
        if character.isspace() and code not in (
            0x1C,
            0x1D,
            0x1E,
            0x1F,
            0x85,
            0x1680,
            0x202F,
            0x205F,
        ):
            assert kernels.CLASS_OF[code] == kernels.SPACE, hex(code)
        if 0xAC00 <= code <= 0xD7A3 or code in odd:
            assert kernels.CLASS_OF[code] not in (kernels.SPACE, kernels.DIGIT)


def test_a_hash_table_finds_what_was_put_in():
    keys = np.zeros(table_size(100), np.uint64)
    wanted = np.arange(1, 101, dtype=np.uint64) * np.uint64(1 << 40)  # all want the same slot
    for key in wanted:
        keys[find_slot(keys, key)] = key
    assert all(keys[find_slot(keys, key)] == key for key in wanted)
    assert keys[find_slot(keys, np.uint64(7))] == 0
