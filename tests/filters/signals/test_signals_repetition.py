"""Character repetition against its definition."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.signals.repetition import GRAM, SIGNALS
from tests.support.columns import odd_text, signals


def by_definition(text: str) -> float:
    counts = Counter(text[i : i + GRAM] for i in range(len(text) - GRAM + 1))
    top = sorted(counts.values(), reverse=True)[: math.isqrt(len(counts))]
    return sum(n for n in top if n > 1) / sum(counts.values()) if counts else 0.0


@settings(deadline=None)
@given(st.one_of(odd_text, st.text("ab가", max_size=400)))
def test_it_is_the_share_of_the_most_frequent_windows(text: str):
    assert signals(SIGNALS, text)[0]["char_repetition"] == pytest.approx(by_definition(text))


def test_one_character_over_and_over_is_all_repetition():
    assert signals(SIGNALS, "ㅋ" * 5000)[0]["char_repetition"] == 1


def test_a_text_shorter_than_a_window_has_none():
    assert signals(SIGNALS, "가나다")[0]["char_repetition"] == 0


def test_a_long_text_is_counted_in_parts_with_the_same_result():
    import random

    letters = random.Random(3).choices("ab가", k=120_000)
    text = "".join(letters) + "한 번 더 " * 4000
    assert signals(SIGNALS, text)[0]["char_repetition"] == pytest.approx(by_definition(text))
