"""Units: where a text is cut, and what is counted on the way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from filters.columnar.kernels import buffers
from filters.text import units
from filters.text.boundaries import FEATURES, judge, load_weights
from filters.text.units import COUNTS, cut_units
from tests.support.columns import odd_text, texts


def cut(text: str) -> tuple[list[int], np.ndarray, int]:
    """Return the characters of each unit, the counts, and how many different units."""
    data, offsets = buffers(texts(text))
    room = int(offsets[1] - offsets[0]) + 1
    hashes, sums = np.zeros(room, np.uint64), np.zeros(room, np.int64)
    counts = np.zeros(COUNTS, np.int64)
    found = cut_units(data, int(offsets[0]), int(offsets[1]), load_weights(), hashes, sums, counts)
    return np.diff(sums[: found + 1]).tolist(), counts, len(set(hashes[:found].tolist()))


def pieces(run: str) -> list[str]:
    data, offsets = buffers(texts(run))
    start, end = int(offsets[0]), int(offsets[1])
    found, first = [], start
    for place in range(start, end, 3):
        ends, meets = judge(data, start, end, place, load_weights(), np.zeros(FEATURES, np.int64))
        if meets:
            found.append(data[first : place + 3].tobytes().decode())
            first = place
        if ends:
            found.append(data[first : place + 3].tobytes().decode())
            first = place + 3
    return found


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("학교에서", ["학교", "에서"]),
        ("학생은", ["학생", "은"]),
        ("파일", ["파일"]),
        ("추가", ["추가"]),
        ("나", ["나"]),
        ("사용합니다", ["사용", "합", "합니다"]),
        ("했습니다", ["했", "했", "습니다"]),
        ("중요한", ["중요", "한", "한"]),
        ("하는", ["하", "는"]),
    ],
)
def test_a_run_of_hangul_is_cut_into_morphemes(run: str, expected: list[str]):
    assert pieces(run) == expected


def test_english_words_keep_digits_and_inner_marks():
    assert cut("file_2 a.b 3.14 end.")[0] == [6, 3, 4, 3, 1]


def test_korean_text_is_cut_between_letters_and_digits_as_kiwi_does():
    assert cut("문서 C4311")[0] == [2, 1, 4]


def test_marks_join_in_korean_text_only():
    assert cut("문서 **`_")[0] == [2, 4]
    assert cut("ab **`_")[0] == [2, 1, 1, 1, 1]
    assert cut("ab ...")[0] == [2, 3]


def test_words_and_their_kinds_are_counted():
    counts = cut("The cat, 12 - ### of…\n")[1]
    assert counts[units.WORDS] == 6
    assert counts[units.ALPHA_WORDS] == 3
    assert counts[units.NAMED_WORDS] == 4
    assert counts[units.NAMED_WORD_CHARS] == 3 + 4 + 2 + 3
    assert counts[units.HASHES] == 3
    assert counts[units.ELLIPSES] == 1
    assert counts[units.NEWLINES] == 1
    assert bin(counts[units.ENGLISH]).count("1") == 2


def test_korean_stop_words_are_units():
    counts = cut("나는 학교에서 책을 읽었다")[1]
    found = {w for i, w in enumerate(units.KOREAN_STOPS.split()) if counts[units.KOREAN] >> i & 1}
    assert found == {"는", "에서", "을", "다"}


def test_jamo_are_letters():
    assert cut("ㅋㅋㅋ")[1][units.ALPHA_UNITS] == 1


@settings(deadline=None)
@given(odd_text)
def test_counts_are_consistent_for_any_text(text: str):
    lengths, counts, different = cut(text)
    assert counts[units.CHARS] == len(text)
    assert counts[units.NEWLINES] == text.count("\n")
    assert different <= len(lengths) == counts[units.UNITS]
    assert counts[units.ALPHA_UNITS] <= counts[units.NAMED_UNITS] <= counts[units.UNITS]
    assert counts[units.ALPHA_WORDS] <= counts[units.NAMED_WORDS] <= counts[units.WORDS]
    assert all(length > 0 for length in lengths)


@pytest.mark.parametrize("text", ["#맛집 #서울 #여행", "한글 #😀", "C#에서", "가 #é", "가 a.é"])
def test_a_hash_sign_before_other_scripts_is_a_unit_alone(text: str):
    lengths, counts, _ = cut(text)
    assert sum(lengths) == sum(not char.isspace() for char in text)
    assert counts[units.CHARS] == len(text)
    assert lengths == cut(text.replace("#", "@"))[0]


def test_korean_hashtags_are_counted_as_the_words_they_hold():
    counts = cut("#맛집 #서울 #여행")[1]
    assert counts[units.NAMED_WORD_CHARS] / counts[units.NAMED_WORDS] == 3
    counts = cut("전처리 지시문 #include를 쓴다")[1]
    assert (counts[units.NAMED_WORD_CHARS], counts[units.NAMED_WORDS]) == (17, 4)
    assert counts[units.KOREAN]
    counts = cut("가 #tag\u00a0https://x.y")[1]
    assert counts[units.WORDS] == 3
