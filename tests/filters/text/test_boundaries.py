"""Morphemes of a run of Hangul, beside Kiwi's own."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from filters.fit.labelled import is_held_out
from filters.text.boundaries import BITS, FEATURES, features, judge, load_weights
from tests.support.columns import records


def answers(run: str) -> tuple[list[bool], list[bool]]:
    """Return, for each syllable, whether a morpheme ends after it and whether two meet in it."""
    data = np.frombuffer(run.encode(), np.uint8)
    slots = np.zeros(FEATURES, np.int64)
    both = [
        judge(data, 0, len(data), place, load_weights(), slots) for place in range(0, len(data), 3)
    ]
    return [bool(ends) for ends, _ in both], [bool(meets) for _, meets in both]


@given(st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), min_size=1))
def test_a_run_ends_with_a_morpheme_and_features_stay_in_the_table(run: str):
    assert answers(run)[0][-1]
    data = np.frombuffer(run.encode(), np.uint8)
    slots = np.zeros(FEATURES, np.int64)
    features(data, 0, len(data), 0, slots)
    assert ((slots >= 0) & (slots < 1 << BITS)).all()


@given(st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), min_size=1), st.text())
def test_what_stands_around_a_run_changes_nothing(run: str, around: str):
    data = np.frombuffer((around.replace("\ud800", "") + run).encode("utf-8", "ignore"), np.uint8)
    start = len(data) - 3 * len(run)
    slots = np.zeros(FEATURES, np.int64)
    weights = load_weights()
    there = [
        bool(judge(data, start, len(data), place, weights, slots)[0])
        for place in range(start, len(data), 3)
    ]
    assert there == answers(run)[0]


def test_boundaries_are_kiwis_in_nineteen_of_twenty_on_documents_not_learned_from():
    from kiwipiepy import Kiwi

    kiwi = Kiwi()
    right = total = 0
    for name in ("ko_docs", "ko_reviews"):
        held = [r["text"] for r in records(f"corpora/{name}", every=40) if is_held_out(r["id"])]
        for text in held[:25]:
            shown = text[:1000]
            crossed = np.zeros(len(shown) + 1, np.int64)
            for token in kiwi.tokenize(shown):
                if token.end > token.start:
                    crossed[token.start] += 1
                    crossed[token.end - 1] -= 1
            parted = np.cumsum(crossed) == 0
            for run in re.finditer("[가-힣]{2,}", shown):
                a, b = run.span()
                predicted = answers(run[0])[0]
                right += sum(bool(parted[a + i]) == predicted[i] for i in range(b - a - 1))
                total += b - a - 1
    assert total > 3000
    assert right >= 0.95 * total
