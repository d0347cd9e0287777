"""Words run together and words taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given

from filters.signals.spacing import SIGNALS
from tests.support.columns import odd_text, signals

WELL = "바람이 서늘한 저녁에 우리는 강가를 천천히 걸었다."


def values(text: str) -> tuple[float, float]:
    found = signals(SIGNALS, text)[0]
    return found["unspaced_hangul"], found["spaced_out_hangul"]


def test_well_spaced_text_has_neither():
    assert values(WELL) == (0, 0)
    assert values("그 집 앞 큰길") == (0, 0)  # three words of one syllable do occur


def test_text_without_spaces_is_unspaced():
    assert values(WELL.replace(" ", "")) == (1, 0)


def test_text_with_a_space_after_each_syllable_is_spaced_out():
    assert values(" ".join(WELL.replace(" ", "").replace(".", ""))) == (0, 1)


def test_shares_are_of_the_hangul():
    apart, together = "가 나 다 라", "가" * 12
    assert values(f"{apart} {together}") == pytest.approx((12 / 16, 4 / 16))
    assert values("no Hangul at all") == (0, 0)


@given(odd_text)
def test_shares_stay_in_range(text: str):
    assert all(0 <= value <= 1 for value in values(text))
