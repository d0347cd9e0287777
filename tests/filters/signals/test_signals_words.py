"""Signals of words and units."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from filters.signals.words import SIGNALS
from tests.support.columns import odd_text, signals


def test_english_prose_has_stop_words_and_korean_prose_has_its_own():
    english, korean = signals(
        SIGNALS,
        "The cat sat on the mat, and that is all there is to be said.",
        "고양이가 돗자리에 앉았고 그것은 모두가 아는 일이다.",
    )
    assert english["english_stop_words"] == 5 == english["stop_words"]
    assert english["korean_stop_words"] == 0
    assert korean["korean_stop_words"] >= 4
    assert korean["english_stop_words"] == 0


def test_word_lengths_leave_bare_marks_out():
    (found,) = signals(SIGNALS, "abc -- de ***")
    assert found["words"] == 4
    assert found["mean_word_length"] == 2.5
    assert found["alpha_words"] == 0.5


def test_a_repeated_sentence_raises_every_ngram_share():
    once = "하나 둘 셋 넷 다섯 여섯 일곱 여덟 아홉 열 열하나 열둘. "
    plain, repeated = signals(SIGNALS, once, once * 20)
    for name in (f"dup_{n}gram" for n in range(5, 11)):
        assert plain[name] == 0
        assert repeated[name] > 0.5
    assert repeated["unique_units"] < 0.1 < plain["unique_units"]


def test_hashes_and_ellipses_are_counted_a_word():
    (found,) = signals(SIGNALS, "# title ... words here …")
    assert found["symbol_ratio"] == pytest.approx(2 / 6)


@settings(deadline=None)
@given(odd_text)
def test_values_stay_in_range_for_any_text(text: str):
    (found,) = signals(SIGNALS, text)
    for name, value in found.items():
        assert value >= 0
        if "gram" in name or name in ("alpha_words", "alpha_units", "unique_units"):
            assert value <= 1
