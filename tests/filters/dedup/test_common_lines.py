"""Lines and paragraphs that many documents hold: which are cut, and that nothing else is."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.dedup.common_lines import Passages, document_keys, removed_repeats, split_passages

TEXT = st.text("ab 가\n\r\t ", max_size=60)


def column(texts: list[str]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


def passages(texts: list[str]) -> tuple[Passages, Passages]:
    return split_passages(column(texts), np.ones(len(texts), np.bool_))


def shown(texts: list[str], found: Passages) -> list[list[str]]:
    out: list[list[str]] = [[] for _ in texts]
    for row, start, end in zip(found.rows, found.starts, found.ends, strict=True):
        out[row].append(texts[row].encode()[start:end].decode())
    return out


def after_cuts(
    texts: list[str], counts: dict[str, int], rare: int, common: int, above: int | None = None
) -> list[str]:
    """Return the texts without what is cut; `counts` are by line or by paragraph."""
    lines, paragraphs = passages(texts)

    def known(found: Passages) -> np.ndarray:  # type: ignore[type-arg]  # a test's
        flat = [text.strip() for row in shown(texts, found) for text in row]
        return np.array([counts.get(text, 1) for text in flat], np.int64)

    limits = [np.full(len(texts), limit, np.int64) for limit in (rare, common)]
    cuts = removed_repeats(
        lines, paragraphs, known(lines), known(paragraphs), limits[0], limits[1], above
    ).to_pylist()
    left = []
    for text, spans in zip(texts, cuts, strict=True):
        data, at, kept = text.encode(), 0, b""
        for span in spans:
            assert span["start"] >= at, "cuts are sorted and disjoint"
            kept += data[at : span["start"]]
            at = span["end"]
        left.append((kept + data[at:]).decode())
    return left


def test_lines_and_paragraphs_are_found_with_their_newlines():
    texts = ["하나\n둘\n\n  \n셋\n", "", "넷", "a\n\nb\nc"]
    lines, paragraphs = passages(texts)
    assert shown(texts, lines) == [["하나\n", "둘\n", "셋\n"], [], ["넷"], ["a\n", "b\n", "c"]]
    assert shown(texts, paragraphs) == [["하나\n둘\n"], [], [], ["b\nc"]]


@given(st.lists(TEXT, max_size=5))
def test_lines_are_what_str_splits_and_equal_texts_have_equal_keys(texts: list[str]):
    lines, _ = passages(texts)
    found = shown(texts, lines)
    assert [[line.strip() for line in row] for row in found] == [
        [line.strip() for line in text.split("\n") if line.strip()] for text in texts
    ]
    flat = ["".join(line.split()) for row in found for line in row]
    by_key = Counter(zip(flat, lines.keys.tolist(), strict=True))
    assert len({text for text, _ in by_key}) == len(by_key) == len({key for _, key in by_key})


def test_a_document_counts_once_for_each_passage():
    lines, paragraphs = passages(["메뉴\n메뉴\n글\n\n메뉴\n메뉴\n글"])
    assert len(document_keys(lines, paragraphs)) == 3  # 메뉴, 글, and the paragraph


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("C\nu\nu\nC\n", "u\nu\n"),  # header and footer
        ("u\nu\ns\ns\nu\ns\n", "u\nu\ns\ns\nu\n"),  # shared lines stay between unique ones
        ("s\nu\nu\n", "u\nu\n"),
        ("u\ns\nu\nu\n", "u\nu\n"),  # a lone unique line before shared ones goes
        ("u\nu\nC\nu\nC\nu\nu", "u\nu\nu\nu"),
        ("u", "u"),  # a document of one line stays
        ("u\nC\ns\n", "u\ns\n"),  # nothing would stay: only common lines go
        ("C\n", ""),
        ("u\nu\n\nC\n\nC\n\nu\nu\n", "u\nu\n\n\nu\nu\n"),  # the blank line between cuts goes
    ],
)
def test_the_pattern_decides_which_lines_stay(text: str, left: str):
    counts = {"C": 100, "s": 10, "u": 1}
    assert after_cuts([text], counts, rare=3, common=50) == [left]


def test_a_paragraph_has_a_limit_of_its_own():
    text = "u\nu\n\n공지\n안내\n\nu\nu\n"
    counts = {"공지\n안내": 9}
    assert after_cuts([text], counts, 3, 50, above=9) == [text]
    assert after_cuts([text], counts, 3, 50, above=8) == ["u\nu\n\n\nu\nu\n"]


@given(st.lists(TEXT, max_size=4), st.integers(0, 3), st.integers(0, 3))
def test_any_text_and_limits_give_cuts_of_whole_lines(texts: list[str], rare: int, more: int):
    counts = {"a": 5, "b": 3, "가": 2, "ab": 4, "a\nb": 4}
    left = after_cuts(texts, counts, rare, rare + more, above=3)
    for text, rest in zip(texts, left, strict=True):
        assert Counter(rest.split("\n")) <= Counter(text.split("\n")) + Counter([""])
