"""The solver: exact to the token, within the limits, and clear when it cannot."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtures.mixing.plan import SourceTokens
from mixtures.mixing.shares import apportion, fill
from mixtures.mixing.solver import solve
from schemas.errors import InputError
from schemas.mixture import Mixture


def source(name: str, component: str, tokens: int) -> SourceTokens:
    return SourceTokens(name, component, tokens, max(1, tokens // 1000))


AVAILABLE = [
    source("ko-docs", "ko", 20_000_000),
    source("ko-reviews", "ko", 12_000_000),
    source("en-docs", "en", 9_000_000),
    source("code", "code", 15_000_000),
]
THIRDS = {"ko": "1/3", "en": "1/3", "code": "1/3"}


def targets(plan):
    return {entry.source: entry.target for entry in plan.sources}


def test_thirds_of_a_number_that_three_does_not_divide_add_up():
    plan = solve(AVAILABLE, Mixture(tokens=10_000_001, weights=THIRDS))
    assert sum(entry.target for entry in plan.components) == 10_000_001
    assert sum(targets(plan).values()) == 10_000_001
    assert max(e.target for e in plan.components) - min(e.target for e in plan.components) == 1


def test_sources_without_weights_share_by_their_tokens():
    plan = solve(AVAILABLE, Mixture(tokens="9.6M", weights={"ko": 1}))
    assert targets(plan) == {"ko-docs": 6_000_000, "ko-reviews": 3_600_000}


def test_weights_of_all_sources_are_relative():
    weights = {"ko": {"share": 1, "sources": {"ko-docs": 3, "ko-reviews": 1}}}
    assert targets(solve(AVAILABLE, Mixture(tokens=4_000_000, weights=weights))) == {
        "ko-docs": 3_000_000,
        "ko-reviews": 1_000_000,
    }


def test_weights_of_some_sources_leave_the_rest_to_the_others():
    weights = {"ko": {"share": 1, "sources": {"ko-reviews": 0.25}}}
    assert targets(solve(AVAILABLE, Mixture(tokens=4_000_000, weights=weights))) == {
        "ko-docs": 3_000_000,
        "ko-reviews": 1_000_000,
    }


def test_weights_that_leave_nothing_for_a_source_are_an_error():
    weights = {"ko": {"share": 1, "sources": {"ko-reviews": 1}}}
    with pytest.raises(InputError, match="leaves nothing for ko-docs"):
        solve(AVAILABLE, Mixture(tokens=4_000_000, weights=weights))


def test_a_weight_for_a_source_of_another_component_is_an_error():
    weights = {"ko": {"share": 1, "sources": {"code": 1}}}
    with pytest.raises(InputError, match=r"no document of code is in 'ko'.*ko-docs, ko-reviews"):
        solve(AVAILABLE, Mixture(tokens=4_000_000, weights=weights))


def test_what_a_source_lacks_goes_to_the_others_of_its_component():
    weights = {"ko": {"share": 1, "sources": {"ko-docs": 1, "ko-reviews": 9}}}
    plan = solve(AVAILABLE, Mixture(tokens=25_000_000, weights=weights, max_epochs=1))
    assert targets(plan) == {"ko-docs": 13_000_000, "ko-reviews": 12_000_000}
    assert [round(entry.epochs, 2) for entry in plan.sources] == [0.65, 1.0]


def test_a_mixture_that_cannot_be_met_says_by_how_much_and_what_would_meet_it():
    with pytest.raises(InputError) as caught:
        solve(AVAILABLE, Mixture(tokens="60M", weights=THIRDS, max_epochs=2))
    message = str(caught.value)
    assert "en is short by 2,000,000 tokens: 20,000,000 asked for, 9,000,000 there" in message
    assert "mixture.tokens: 54000000" in message
    assert "mixture.max_epochs: 2.23" in message
    assert "allow_short" in message
    solve(AVAILABLE, Mixture(tokens=54_000_000, weights=THIRDS, max_epochs=2))
    solve(AVAILABLE, Mixture(tokens="60M", weights=THIRDS, max_epochs=2.23))


def test_allow_short_gives_what_there_is_and_says_what_is_missing():
    settings = Mixture(tokens="60M", weights=THIRDS, max_epochs=2, allow_short=True)
    plan = solve(AVAILABLE, settings)
    assert {e.component: e.shortfall for e in plan.components} == {
        "code": 0,
        "en": 2_000_000,
        "ko": 0,
    }
    assert plan.planned == 58_000_000


def test_a_component_without_a_token_is_short_by_all_of_it():
    with pytest.raises(InputError, match="ja is short by 500 tokens: 500 asked for, 0 there"):
        solve(AVAILABLE, Mixture(tokens=1000, weights={"ko": 0.5, "ja": 0.5}))


def test_no_token_count_means_as_many_as_the_weights_allow():
    plan = solve(AVAILABLE, Mixture(weights=THIRDS, max_epochs=2))
    assert plan.tokens == 54_000_000
    assert targets(plan)["en-docs"] == 18_000_000


def test_proportional_shares_are_those_of_the_tokens():
    plan = solve(AVAILABLE, Mixture(strategy="proportional", tokens="28M"))
    assert {e.component: e.target for e in plan.components} == {
        "code": 7_500_000,
        "en": 4_500_000,
        "ko": 16_000_000,
    }


def test_temperature_evens_out_and_one_is_proportional():
    flat = solve(AVAILABLE, Mixture(strategy="temperature", temperature=1, tokens="28M"))
    warm = solve(AVAILABLE, Mixture(strategy="temperature", temperature=4, tokens="28M"))
    share = {plan: {e.component: e.target for e in plan.components} for plan in (flat, warm)}
    assert share[flat]["ko"] == 16_000_000
    expected = 9 ** (1 / 4) / (9 ** (1 / 4) + 32 ** (1 / 4) + 15 ** (1 / 4))
    assert share[warm]["en"] / 28_000_000 == pytest.approx(expected, abs=1e-7)


def test_unimax_is_even_up_to_the_limit_and_gives_the_rest_to_the_larger():
    plan = solve(AVAILABLE, Mixture(strategy="unimax", tokens="42M", max_epochs=1))
    assert {e.component: e.target for e in plan.components} == {
        "code": 15_000_000,
        "en": 9_000_000,
        "ko": 18_000_000,
    }
    with pytest.raises(InputError, match=r"mixture\.tokens: 56000000"):
        solve(AVAILABLE, Mixture(strategy="unimax", tokens="57M", max_epochs=1))


@pytest.mark.parametrize(
    ("caps", "tokens", "asked"),
    [
        ({"en": 766, "math": 1206}, 2018, {"en": 812, "math": 1206}),
        ({"en": 700, "math": 1206}, 3000, {"en": 1500, "math": 1500}),
        ({"code": 0, "en": 100, "ko": 500}, 800, {"code": 150, "en": 150, "ko": 500}),
        ({"code": 10, "en": 100, "ko": 500}, 610, {"code": 10, "en": 100, "ko": 500}),
    ],
)
def test_unimax_of_more_than_there_is_asks_for_all_of_each_component(caps, tokens, asked):
    available = [source(name, name, cap) for name, cap in caps.items()]
    plan = solve(
        available, Mixture(strategy="unimax", tokens=tokens, max_epochs=1, allow_short=True)
    )
    assert {entry.component: entry.target for entry in plan.components} == asked
    assert {entry.component: entry.planned for entry in plan.components} == caps


PLANS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 10**7)), min_size=1, max_size=8
).map(lambda rows: [source(f"s{i}", component, n) for i, (component, n) in enumerate(rows)])


@settings(max_examples=200, deadline=None)
@given(
    PLANS,
    st.sampled_from(["fixed", "proportional", "temperature", "unimax"]),
    st.one_of(st.none(), st.integers(1, 10**8)),
    st.sampled_from([0.5, 1, 2.5, 4]),
)
def test_whatever_the_plan_it_adds_up_and_keeps_its_limits(available, strategy, tokens, epochs):
    names = sorted({entry.component for entry in available})
    weights = dict.fromkeys(names, Fraction(1, len(names))) if strategy == "fixed" else {}
    mixture = Mixture(
        strategy=strategy, tokens=tokens, weights=weights, max_epochs=epochs, temperature=2
    )
    try:
        plan = solve(available, mixture)
    except InputError:
        assert tokens is not None, "as many as possible is always possible"
        plan = solve(available, mixture.model_copy(update={"allow_short": True}))
        assert any(entry.shortfall for entry in plan.components)
    else:
        assert plan.planned == plan.tokens == sum(entry.target for entry in plan.sources)
        assert tokens is None or plan.tokens == tokens
    for entry in plan.sources:
        assert 0 <= entry.target <= entry.tokens * Fraction(str(epochs))
    for entry in plan.components:
        own = [e.target for e in plan.sources if e.component == entry.component]
        assert sum(own) == entry.planned <= entry.target
    assert (
        solve(list(reversed(available)), mixture.model_copy(update={"allow_short": True})) == plan
    )


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 10**9),
    st.lists(st.tuples(st.fractions(0, 100), st.integers(0, 10**8)), min_size=1, max_size=9),
)
def test_parts_add_up_and_only_full_ones_get_less_than_their_weight(total, rows):
    weights, limits = [row[0] for row in rows], [row[1] for row in rows]
    parts = fill(total, weights, limits)
    weighted = sum(limit for weight, limit in rows if weight)
    assert sum(parts) == min(total, weighted)
    assert all(0 <= part <= limit for part, limit in zip(parts, limits, strict=True))
    assert all(not part for part, weight in zip(parts, weights, strict=True) if not weight)
    free = [i for i in range(len(rows)) if parts[i] < limits[i] - 1 and weights[i]]
    rates = [Fraction(parts[i]) / weights[i] for i in free]
    if len(free) > 1:
        slack = max(Fraction(1) / weights[i] for i in free)
        assert max(rates) - min(rates) <= 2 * slack


@given(st.integers(0, 10**12), st.lists(st.integers(1, 1000), min_size=1, max_size=12))
def test_apportioned_seats_are_within_one_of_their_share(total, counts):
    shares = {str(i): Fraction(count, sum(counts)) for i, count in enumerate(counts)}
    parts = apportion(total, shares)
    assert sum(parts.values()) == total
    assert all(abs(parts[name] - total * share) < 1 for name, share in shares.items())
