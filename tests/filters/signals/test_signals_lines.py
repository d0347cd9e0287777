"""Signals of lines and paragraphs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from filters.signals.lines import SIGNALS
from tests.support.columns import odd_text, signals


def test_lines_without_text_do_not_count():
    (found,) = signals(SIGNALS, "one\n\n   \ntwo\n")
    assert found["lines"] == 2
    assert found["paragraphs"] == 2
    assert found["mean_line_length"] == 3


def test_white_space_at_the_end_does_not_belong_to_a_line():
    (found,) = signals(SIGNALS, "a sentence.   \nlonger still")
    assert found["line_punctuation"] == 0.5
    assert found["max_line_length"] == 12


@pytest.mark.parametrize(
    ("line", "share"),
    [
        ("끝났습니다", 1),
        ("좋아요", 1),
        ("안 했음", 1),
        ("제목", 0),
        ("말했다.”", 1),
        ("done)", 0),
        ("(끝.)", 1),
    ],
)
def test_korean_sentences_end_without_a_mark(line: str, share: float):
    assert signals(SIGNALS, line)[0]["sentence_endings"] == share


def test_bullets_want_a_space_where_the_mark_has_other_uses():
    (found,) = signals(SIGNALS, "- one\n* two\n• three\n-x\n**bold**\n---")
    assert found["bullet_lines"] == 0.5


def test_repeated_lines_and_paragraphs_are_counted_from_the_second_on():
    (found,) = signals(SIGNALS, "aa\nbb\n\naa\nbb\n\nccc")
    assert found["dup_lines"] == pytest.approx(2 / 5)
    assert found["dup_line_chars"] == pytest.approx(4 / 17)
    assert found["char_duplicates"] == pytest.approx(4 / 11)
    assert found["dup_paragraphs"] == pytest.approx(1 / 3)
    assert found["dup_paragraph_chars"] == pytest.approx(5 / 17)


def test_indentation_tells_lines_apart():
    assert signals(SIGNALS, "  x\nx")[0]["dup_lines"] == 0


@pytest.mark.parametrize("text", ["", "\n", " \n \n"])
def test_a_text_without_lines_has_neutral_values(text: str):
    (found,) = signals(SIGNALS, text)
    assert {v for k, v in found.items() if k != "newline_ratio"} == {0.0}


@settings(deadline=None)
@given(odd_text)
def test_values_stay_in_range_and_lines_are_those_of_python(text: str):
    (found,) = signals(SIGNALS, text)
    lines = [line for line in text.split("\n") if line.strip(" \t\r\n\v\f\u3000\xa0")]
    if not any(c.isspace() and c not in " \n\t\r\v\f" for c in text):
        assert found["lines"] == len(lines)
    counts = ("lines", "mean_line_length", "max_line_length", "paragraphs")
    assert all(0 <= value <= (1 if name not in counts else 1e9) for name, value in found.items())
