"""C4's rules as signals, beside its definition written out in Python."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from filters.signals.c4 import SIGNALS
from tests.support.columns import odd_text, records, signals

POLICY = (
    "javascript", "terms of use", "privacy policy", "cookie policy", "uses cookies",
    "use of cookies", "use cookies",
)  # fmt: skip
GOOD = "The river rises in the hills. It flows south! Does it reach the sea?"


def by_definition(text: str) -> tuple[int, int, int]:
    """Return (lines, lines kept, banned) as datatrove 0.10.0 computes them."""
    lines = [line.strip(" \t\r") for line in text.split("\n")]
    kept = banned = 0
    for whole in lines:
        words = whole.split()
        line = re.sub(r"(?:\[\d*\]|\[edit\]|\[citation needed\])+$", "", whole)
        if any(len(word) > 1000 for word in words) or len(words) < 3:
            continue
        if not line.endswith((".", "?", "!", '"', "'")) or line.endswith("..."):
            continue
        low = line.lower()
        if "lorem ipsum" in low or "{" in low:
            banned = 1
        elif not any(words in low for words in POLICY):
            kept += 1
    return len([line for line in lines if line]), kept, banned


def test_a_good_paragraph_is_kept_with_its_sentences():
    assert signals(SIGNALS, GOOD)[0] == {"c4_lines": 1, "c4_sentences": 3, "c4_banned": 0}


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("No mark at the end of it", 0),
        ("It trails off...", 0),
        ("Too short.", 0),
        ("Please turn on Javascript to go on.", 0),
        ("This site uses cookies as others do.", 0),
        (f"A {'x' * 1001} word is none.", 0),
        ("He said it was so.[12]", 1),
        ('He said: "it is so."', 1),
    ],
)
def test_a_line_is_kept_or_not(line: str, kept: int):
    assert signals(SIGNALS, line)[0]["c4_lines"] == kept


@pytest.mark.parametrize("line", ["It is a block { of code.", "Now comes Lorem Ipsum dolor sit."])
def test_a_curly_bracket_or_lorem_ipsum_bans_the_page(line: str):
    assert signals(SIGNALS, f"{GOOD}\n{line}")[0]["c4_banned"] == 1


def test_an_abbreviation_before_a_small_letter_ends_no_sentence():
    assert signals(SIGNALS, "It is, e.g. by hand, done so.")[0]["c4_sentences"] == 1


def test_numbers_are_those_of_the_definition():
    for row in records("corpora/en_docs", every=12):
        (found,) = signals(SIGNALS, row["text"])
        lines, kept, banned = by_definition(row["text"])
        assert found["c4_lines"] == pytest.approx(kept / max(lines, 1)), row["id"]
        assert found["c4_banned"] == banned, row["id"]


@given(odd_text)
def test_values_stay_in_range(text: str):
    (found,) = signals(SIGNALS, text)
    assert 0 <= found["c4_lines"] <= 1
    assert found["c4_banned"] in (0, 1)
    assert (found["c4_sentences"] > 0) == (found["c4_lines"] > 0)


@pytest.mark.parametrize("space", ["\u00a0", "\u3000", "\u202f", "\u0085", " \u2003", "\x0c"])
def test_lines_end_before_white_space_of_any_kind(space: str):
    (found,) = signals(SIGNALS, f"{space}This line ends here.{space}\n")
    assert found["c4_lines"] == 1


@pytest.mark.parametrize(
    ("end", "kept"),
    [("[edit]", 1), ("[12]", 1), ("[citation needed]", 1), ("[]", 1), ("[edat]", 0), ("[가a]", 0)],
)
def test_only_the_marks_that_c4_names_are_left_out(end: str, kept: int):
    (found,) = signals(SIGNALS, f"This line ends here.{end}\n")
    assert found["c4_lines"] == kept
