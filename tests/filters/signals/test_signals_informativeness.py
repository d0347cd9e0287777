"""Reference text scores high, talk scores low."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from filters.signals.informativeness import SIGNALS
from tests.support.columns import odd_text, records, signals

REFERENCE = (
    "# 한강\n\n한강이란 한반도의 중부를 흐르는 강을 말한다. 길이는 494 km이고 유역 면적은 35,770 ㎡가 아니라"
    " 26,018 ㎢로 알려져 있다.[1] 하구의 폭은 1,200 미터에 이른다. 신라에서는 이 강을 왕봉하라고 부른다."
    " 연 강수량은 1,200 mm이다.[2]\n\n## 이름\n\n큰 강이라는 뜻의 말에서 왔다고 한다.\n"
)
MANUAL = (
    "# Cache\n\nA cache is a store that keeps recent results. The term refers to memory of 32 KB to"
    " 64 MB. See also the page on buffers. A line is an entry of 64 bytes.[3]\n\n## Size\n\nThe size"
    " is defined as the product of lines and bytes.\n"
)
TALK = (
    "어제 본 영화 진짜 재밌었어요. 친구랑 같이 봤는데 둘 다 울었네요 ㅠㅠ 배우들 연기가 정말 좋았고"
    " 음악도 마음에 들었습니다. 다음에 또 보고 싶어요.\n"
)


def knowledge(text: str) -> float:
    return signals(SIGNALS, text)[0]["knowledge"]


def test_reference_text_scores_high_and_talk_low():
    assert knowledge(REFERENCE) > 0.6
    assert knowledge(MANUAL) > 0.6
    assert knowledge(TALK) < 0.1


def test_a_table_of_numbers_alone_scores_low():
    assert knowledge("12 km 34 km 56 kg 78 %\n" * 50) < 0.5


def test_one_definition_in_a_line_scores_low():
    assert knowledge("사랑이란 기다림을 말한다.") < 0.65
    assert knowledge("영화란 무엇인가") < 0.65


def test_it_does_not_grow_with_length():
    assert abs(knowledge(REFERENCE * 20) - knowledge(REFERENCE * 2)) < 0.1


def test_documentation_scores_above_reviews():
    scores = {
        name: np.array([knowledge(row["text"]) for row in records(f"corpora/{name}", every=40)])
        for name in ("ko_docs", "ko_reviews")
    }
    docs, reviews = scores["ko_docs"], scores["ko_reviews"]
    above = (docs[:, None] > reviews).mean() + 0.5 * (docs[:, None] == reviews).mean()
    assert above > 0.8


@given(odd_text)
def test_it_stays_between_0_and_1(text: str):
    assert 0 <= knowledge(text) <= 1


@pytest.mark.parametrize(
    "text", ["10 bitcoins", "3 도서관", "5 msgs", "7 mbox", "2 위한 것", "4 kmap"]
)
def test_a_word_that_begins_as_a_unit_is_none(text: str):
    assert knowledge(text) == 0


@pytest.mark.parametrize(
    "text",
    [
        "10 bits",
        "8 bytes,",
        "3도",
        "5 ms",
        "1990년대",
        "2024년부터",
        "3 개월",
        "12kg",
        "5 km.",
        "30%가",
    ],
)
def test_a_number_with_its_unit_counts(text: str):
    assert knowledge(text) > 0
