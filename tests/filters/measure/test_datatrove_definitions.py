"""The published definitions, written out in Python as datatrove 0.10.0 computes them.

Our numbers equal theirs on texts where only the intended differences of docs/signals.md are out of
the way: no white space at line ends, no empty lines, no newline at the end.
"""

from __future__ import annotations

import pytest

from filters.signals.lines import SIGNALS as LINES
from filters.signals.words import SIGNALS as WORDS
from tests.support.columns import records, signals

STOPS = {"the", "be", "to", "of", "and", "that", "have", "with"}


def plain(text: str) -> str:
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def duplicates(items: list[str]) -> tuple[int, int]:
    seen: set[str] = set()
    number = chars = 0
    for item in items:
        if item in seen:
            number, chars = number + 1, chars + len(item)
        seen.add(item)
    return number, chars


def by_definition(text: str) -> dict[str, float]:
    lines, words = text.split("\n"), text.split()
    number, chars = duplicates(lines)
    return {
        "line_punctuation": sum(line[-1] in ".?!。？！‼⁉．｡" for line in lines) / len(lines),
        "short_lines": sum(len(line) <= 30 for line in lines) / len(lines),
        "dup_lines": number / len(lines),
        "dup_line_chars": chars / len(text),
        "char_duplicates": chars / len(text.replace("\n", "")),
        "ellipsis_lines": sum(line.endswith(("...", "…")) for line in lines) / len(lines),
        "symbol_ratio": max(text.count("#"), text.count("...") + text.count("…")) / len(words),
        "words": len(words),
    }


@pytest.mark.parametrize("corpus", ["en_docs", "ko_docs", "ko_reviews"])
def test_line_and_symbol_signals_are_the_same_numbers(corpus: str):
    texts = [text for row in records(f"corpora/{corpus}", every=12) if (text := plain(row["text"]))]
    lines, words = signals(LINES, *texts), signals(WORDS, *texts)
    for text, ours, more in zip(texts, lines, words, strict=True):
        for name, value in by_definition(text).items():
            assert {**ours, **more}[name] == pytest.approx(value, abs=1e-6), (name, text[:80])


def test_paragraphs_are_split_at_empty_lines():
    text = "a b\nc\n\nd\n\na b\nc\n\n\nd"
    parts = ["a b\nc", "d", "a b\nc", "d"]
    number, chars = duplicates(parts)
    (found,) = signals(LINES, text)
    assert found["dup_paragraphs"] == pytest.approx(number / len(parts))
    assert found["dup_paragraph_chars"] == pytest.approx(chars / len(text))


def test_alphabetic_words_are_those_with_a_letter():
    text = "one 2 - 3rd (four) 다섯 ... ㅋㅋ"
    words = text.split()
    (found,) = signals(WORDS, text)
    assert found["alpha_words"] == pytest.approx(
        sum(any(c.isalpha() for c in word) for word in words) / len(words)
    )


def test_english_stop_words_are_counted_once_each():
    text = "the the of that to\nbe with the"
    assert signals(WORDS, text)[0]["english_stop_words"] == len(STOPS & set(text.split()))
