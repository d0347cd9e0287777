"""Documents that weigh more than their tokens."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mixtures.mixing.plan import SourceTokens
from mixtures.mixing.solver import solve
from schemas.mixture import Mixture, Upsample

TWICE = Fraction(2)


def targets(entries: list[SourceTokens], **settings: object) -> dict[tuple[str, Fraction], int]:
    mixture = Mixture.model_validate({"weights": {"ko": 1}, **settings})
    return {(p.source, p.factor): p.target for p in solve(entries, mixture).sources}


def test_a_pool_of_factor_two_is_drawn_twice_as_often():
    entries = [
        SourceTokens("docs", "ko", 1000, 10),
        SourceTokens("docs", "ko", 1000, 10, TWICE),
        SourceTokens("web", "ko", 2000, 10),
    ]
    found = targets(entries, tokens=5000)
    assert found == {("docs", Fraction(1)): 1000, ("docs", TWICE): 2000, ("web", Fraction(1)): 2000}


def test_weights_of_sources_hold_whatever_their_pools():
    entries = [
        SourceTokens("docs", "ko", 1000, 10),
        SourceTokens("docs", "ko", 1000, 10, Fraction(3)),
        SourceTokens("web", "ko", 4000, 10),
    ]
    weights = {"ko": {"share": 1, "sources": {"docs": "1/2", "web": "1/2"}}}
    found = targets(entries, tokens=4000, weights=weights)
    assert found == {
        ("docs", Fraction(1)): 500,
        ("docs", Fraction(3)): 1500,
        ("web", Fraction(1)): 2000,
    }


def test_max_epochs_limits_what_is_upsampled_and_the_others_fill_in():
    entries = [SourceTokens("docs", "ko", 1000, 10, TWICE), SourceTokens("web", "ko", 9000, 10)]
    found = targets(entries, tokens=9000, max_epochs=1)
    assert found == {("docs", TWICE): 1000, ("web", Fraction(1)): 8000}


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 8)), min_size=1, max_size=5),
    st.integers(1, 10**6),
)
def test_targets_add_up_and_epochs_are_in_the_ratio_of_factors(
    drawn: list[tuple[int, int]], tokens: int
):
    entries = [
        SourceTokens(f"s{i}", "ko", size, 1, Fraction(factor))
        for i, (size, factor) in enumerate(drawn)
    ]
    tokens = min(tokens, sum(size for size, _ in drawn) // 8)
    if not tokens:
        return
    plan = solve(entries, Mixture(weights={"ko": 1}, tokens=tokens, max_epochs=8))
    assert sum(source.target for source in plan.sources) == tokens
    rates = [
        (source.target / source.factor / source.tokens, 1 / source.tokens)
        for source in plan.sources
    ]
    low, high = min(rate for rate, _ in rates), max(rate for rate, _ in rates)
    assert float(high - low) <= 1.001 * max(slack for _, slack in rates)


@pytest.mark.parametrize("when", ["knowledge", "knowledge>=", ">=0.5", "knowledge~0.5"])
def test_a_condition_that_is_none_is_an_error_with_an_example(when: str):
    with pytest.raises(ValidationError, match=r"for example|wants a number|not a condition"):
        Upsample(when=when, factor=TWICE)


def test_a_condition_may_name_a_component():
    for when, scope in (("ko.knowledge>=0.6", "ko"), ("knowledge >= 0.6", "all")):
        rule = Upsample(when=when, factor=TWICE).rule
        assert (rule.scope, rule.column, rule.op, rule.value) == (scope, "knowledge", ">=", 0.6)


def test_a_document_without_a_value_is_weighted_only_on_request():
    assert Upsample(when="knowledge>=0.6", factor=TWICE).rule.null == "drop"
    assert Upsample(when="knowledge>=0.6, null: keep", factor=TWICE).rule.null == "keep"
