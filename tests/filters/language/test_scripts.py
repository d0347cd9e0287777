"""Shares of writing systems."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from filters.language.scripts import script_counts, shares
from tests.support.columns import odd_text, texts


def share(text: str) -> dict[str, float]:
    return {name: float(v[0]) for name, v in shares(script_counts(texts(text))).items()}


def test_shares_are_of_visible_characters():
    found = share("가나 ab\n漢か12")
    assert found == pytest.approx(
        {
            "hangul_share": 0.25,
            "latin_share": 0.25,
            "han_share": 0.125,
            "kana_share": 0.125,
            "digit_share": 0.25,
        }
    )


def test_jamo_count_as_hangul():
    assert share("ㅋㅋㅠ")["hangul_share"] == 1


def test_empty_text_has_no_share():
    assert set(share("").values()) == {0.0} == set(share(" \n").values())


@settings(deadline=None)
@given(odd_text)
def test_counts_add_up_and_shares_stay_in_range(text: str):
    assert script_counts(texts(text)).sum() == len(text)
    found = share(text)
    assert all(0 <= value <= 1 for value in found.values())
    assert sum(found.values()) <= 1 + 1e-6
