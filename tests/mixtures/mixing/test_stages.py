"""Stages: solved together, within the passes of all, copies in order and apart."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil

import numpy as np
import numpy.typing as npt
import pytest
import xxhash
from scipy.optimize import linprog

from mixtures.mixing.documents import Documents
from mixtures.mixing.order import Arrangement, arrange, arrange_stages
from mixtures.mixing.plan import Pool, SourceTokens
from mixtures.mixing.shares import apportion
from mixtures.mixing.solver import solve, solve_stages, stage_settings
from mixtures.mixing.streams import choose
from schemas.errors import InputError
from schemas.mixture import Mixture

Mask = npt.NDArray[np.bool_]


def documents(counts: Sequence[int], seed: int = 1, middle: int = 150) -> Documents:
    """Return documents of `middle` tokens in the median, `counts` of each pool."""
    chance = np.random.default_rng(seed)
    total = sum(counts)
    lengths = np.clip(np.exp(chance.normal(np.log(middle), 0.8, total)), 5, 10 * middle)
    ids = b"".join(xxhash.xxh3_128_digest(f"{seed} {i}".encode()) for i in range(total))
    pool = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    matrix = np.frombuffer(ids, dtype=np.uint8).reshape(-1, 16)
    return Documents(matrix, pool, lengths.astype(np.int64))


def stages(*shares: float) -> list[dict[str, object]]:
    return [{"share": share} for share in shares]


def begins(corpus: Documents, made: Arrangement) -> npt.NDArray[np.int64]:
    tokens = corpus.tokens[made.rows]
    return np.cumsum(tokens) - tokens


def distances(corpus: Documents, made: Arrangement) -> npt.NDArray[np.int64]:
    """Return the tokens from the beginning of each copy to that of the next."""
    places = begins(corpus, made)
    order = np.argsort(made.rows, kind="stable")
    again = np.diff(made.rows[order]) == 0
    return np.diff(places[order])[again]


def early_repeats(made: Arrangement, usable: Mask) -> int:
    """Return the copies that come while a document of `usable` that is used later has not been."""
    first = {}
    for place, row in enumerate(made.rows.tolist()):
        first.setdefault(row, place)
    last_first = max(place for row, place in first.items() if usable[row])
    seen, early = set(), 0
    for place, row in enumerate(made.rows.tolist()):
        early += row in seen and place < last_first
        seen.add(row)
    return early


def test_no_document_comes_twice_at_one_epoch_whatever_the_stages():
    corpus = documents([800, 700])
    pools = [Pool("ko", "ko"), Pool("en", "en")]
    tokens = int(corpus.tokens.sum()) * 9 // 10
    for shares in [(0.5, 0.5), (0.2, 0.5, 0.3), (0.9, 0.1)]:
        settings = Mixture(
            tokens=tokens, weights={"ko": 0.5, "en": 0.5}, stages=stages(*shares), max_epochs=1
        )
        made = arrange(corpus, pools, settings)
        assert np.bincount(made.rows).max() == 1
        assert not made.epochs.any()


def test_a_stage_of_few_documents_leaves_them_no_more_than_their_epochs():
    corpus = documents([400])
    few = np.arange(400) < 100
    half = 2 * int(corpus.tokens[few].sum())
    settings = Mixture(
        tokens=2 * half, weights={"ko": 1}, stages=stages(0.5, 0.5), max_epochs=2, shards=2
    )
    made = arrange_stages(corpus, [Pool("ko", "ko")], settings, [few, None])
    uses = np.bincount(made.rows, minlength=400)
    assert (uses[few] == 2).all()
    assert uses[~few].max() <= 2


@pytest.mark.parametrize("seed", range(40))
def test_random_stages_keep_epochs_passes_and_order(seed: int):
    chance = random.Random(seed)
    corpus = documents([chance.choice([1, 5, 60, 400]) for _ in range(3)], seed)
    pools = [Pool("a", "ko"), Pool("b", "ko"), Pool("c", "en")]
    masks = [
        np.random.default_rng(seed + at).random(len(corpus.tokens)) < 0.5
        if chance.random() < 0.4
        else None
        for at in range(3)
    ]
    size = min(
        int(corpus.tokens[corpus.pool <= 1].sum()), int(corpus.tokens[corpus.pool == 2].sum())
    )
    epochs = chance.choice([1, 2, 2.5, 4, 15])
    settings = Mixture(
        tokens=max(600, int(size * chance.choice([0.5, 1, 1.9]) * min(epochs, 3))),
        weights={"ko": 0.5, "en": 0.5},
        stages=stages(0.3, 0.5, 0.2),
        max_epochs=epochs,
        shards=3,
        allow_short=True,
        window=chance.choice([2000, 50_000, 5_000_000]),
    )
    try:
        made = arrange_stages(corpus, pools, settings, masks)
    except InputError as fault:
        assert "sequences for" in str(fault) or "fits" in str(fault)
        return
    uses = np.bincount(made.rows, minlength=len(corpus.tokens))
    assert uses.max() <= ceil(epochs)
    for number in range(3):
        own = corpus.pool == number
        assert (uses * corpus.tokens)[own].sum() <= corpus.tokens[own].sum() * epochs
    order = np.argsort(made.rows, kind="stable")
    counted = np.concatenate([np.arange(count) for count in uses[uses > 0]])
    assert (made.epochs[order] == counted).all(), "the copies of a document count up"
    for at, mask in enumerate(masks):
        stage = made.stages[at]
        rows = made.rows[made.shards[stage.first] : made.shards[stage.last]]
        assert mask is None or mask[rows].all()


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("shares", [(0.3, 0.7), (0.6, 0.25, 0.15)])
def test_no_document_comes_again_while_another_of_its_source_has_not_come(
    seed: int, shares: tuple[float, ...]
):
    corpus = documents([400], seed)
    size = int(corpus.tokens.sum())
    settings = Mixture(
        tokens=size * 3 // 2, weights={"ko": 1}, stages=stages(*shares), max_epochs=2, shards=3
    )
    made = arrange(corpus, [Pool("ko", "ko")], settings)
    assert len(np.unique(made.rows)) == 400
    assert early_repeats(made, np.ones(400, np.bool_)) == 0


@pytest.mark.parametrize("passes", [1.02, 1.05, 1.3, 2.0, 2.6])
@pytest.mark.parametrize("window", [60_000, 290_000, 330_000])
@pytest.mark.parametrize("shares", [(), (0.45, 0.55)])
def test_copies_are_a_window_apart_where_a_pass_is_longer(
    passes: float, window: int, shares: tuple[float, ...]
):
    corpus = documents([2000, 4000], middle=120)
    pools = [Pool("ko", "ko"), Pool("en", "en")]
    korean = int(corpus.tokens[corpus.pool == 0].sum())
    tokens = int(korean * passes) * 2
    settings = Mixture(
        tokens=tokens,
        weights={"ko": 0.5, "en": 0.5},
        stages=stages(*shares),
        max_epochs=3,
        window=window,
        shards=2,
        window_tolerance=1,
    )
    made = arrange(corpus, pools, settings)
    assert 2 * korean > window + 3000
    assert distances(corpus, made).min() >= window
    assert tokens - int(corpus.tokens[made.rows].sum()) <= 40


def test_a_fit_stays_within_its_reach():
    tokens = np.array([7] * 50 + [3] * 50, dtype=np.int64)
    assert choose(tokens, 24, reach=20).tolist() == [0, 1, 2]
    assert int(tokens[choose(tokens, 24)].sum()) == 24
    assert choose(tokens, 24).max() >= 50


def test_a_later_stage_gets_the_documents_that_only_it_can_use():
    corpus = documents([1000, 600])
    pools = [Pool("en", "en"), Pool("ko", "ko")]
    best = np.random.default_rng(5).random(1600) < 0.4
    english = corpus.pool == 0
    size = int(corpus.tokens[english].sum())
    rare = int(corpus.tokens[english & best].sum())
    asked = Mixture(
        tokens=int(size * 0.95 / 0.8),
        weights={"en": 0.8, "ko": 0.2},
        stages=stages(Fraction(13, 20), Fraction(7, 20)),
        max_epochs=1,
        shards=4,
    )
    later = asked.tokens * 0.35 * 0.8
    assert 0.6 * rare < later < rare, "an even first stage would leave too few"
    made = arrange_stages(corpus, pools, asked, [None, best])
    assert np.bincount(made.rows).max() == 1
    assert asked.tokens - int(corpus.tokens[made.rows].sum()) <= 60
    last = made.rows[made.shards[made.stages[1].first] :]
    assert best[last].all()


def test_an_earlier_stage_leaves_a_source_that_a_later_one_names():
    available = [SourceTokens(name, "ko", 1000, 1) for name in ("news", "wiki", "forum")]
    later = {"ko": {"share": 1, "sources": {"news": 1, "wiki": 0, "forum": 0}}}
    settings = Mixture(
        tokens=2400,
        weights={"ko": 1},
        stages=[{"share": "2/3"}, {"share": "1/3", "weights": later}],
        max_epochs=1,
    )
    first, second = solve_stages(available, settings)
    assert {e.source: e.target for e in first.sources} == {"forum": 700, "news": 200, "wiki": 700}
    assert {e.source: e.target for e in second.sources} == {"forum": 0, "news": 800, "wiki": 0}


def test_short_stages_get_as_much_as_there_is_the_earlier_ones_first():
    available = [
        SourceTokens("a", "ko", 1000, 1, stages=0b01),
        SourceTokens("b", "ko", 500, 1, stages=0b11),
    ]
    settings = Mixture(
        tokens=2400, weights={"ko": 1}, stages=stages(0.5, 0.5), max_epochs=1, allow_short=True
    )
    first, second = solve_stages(available, settings)
    assert (first.planned, second.planned) == (1200, 300)


def random_request(seed: int) -> tuple[list[SourceTokens], Mixture]:
    """Return cells and a mixture of one to four stages, near what is possible."""
    chance = random.Random(seed)
    count = chance.randint(1, 4)
    available = [
        SourceTokens(f"{name}{number}", name, chance.randint(1, 5000), 1, stages=bits)
        for name in "ab"
        for number in range(chance.randint(1, 3))
        for bits in {chance.getrandbits(count) or 1 for _ in range(3)}
    ]
    ends = [0, *sorted(chance.sample(range(1, 20), count - 1)), 20]
    parts: list[dict[str, object]] = []
    for low, high in pairwise(ends):
        share = Fraction(chance.randint(3, 7), 10)
        sources = sorted({entry.source for entry in available if entry.component == "a"})
        weights = {
            "a": {"share": share, "sources": {name: chance.choice([0, 1, 2]) for name in sources}},
            "b": 1 - share,
        }
        own = {"weights": weights} if chance.random() < 0.5 else {}
        parts.append({"share": Fraction(high - low, 20), **own})
    size = sum(entry.tokens for entry in available)
    settings = Mixture(
        tokens=int(size * chance.choice([0.1, 0.2, 0.4, 0.6, 0.9])) + count,
        weights={"a": 0.5, "b": 0.5},
        stages=parts,
        max_epochs=chance.choice([0.5, 1, 2, 2.5]),
    )
    return available, settings


def feasible(available: Sequence[SourceTokens], settings: Mixture) -> bool:
    """Return whether a linear program over (stage, cell) meets every component of every stage."""
    limit = Fraction(str(settings.max_epochs))
    names, rows, sums = [], [], []
    for stage, own in enumerate(stage_settings(settings)):
        shares = {name: weight.share for name, weight in own.weights.items()}
        for name, target in apportion(own.tokens, shares).items():
            weights = own.weights[name].sources
            usable = [
                (stage, at)
                for at, entry in enumerate(available)
                if entry.component == name
                and entry.stages >> stage & 1
                and weights.get(entry.source, 1)
            ]
            rows.append((len(names), len(names) + len(usable)))
            names += usable
            sums.append(target)
    equal = np.zeros((len(rows), len(names) + 1))
    for row, (low, high) in enumerate(rows):
        equal[row, low:high] = 1
    most = np.zeros((len(available), len(names) + 1))
    for column, (_, at) in enumerate(names):
        most[at, column] = 1
    found = linprog(
        np.zeros(len(names) + 1),
        A_ub=most,
        b_ub=[int(entry.tokens * limit) for entry in available],
        A_eq=equal,
        b_eq=sums,
    )
    assert found.status in (0, 2)
    return bool(found.status == 0)


def remedies(message: str) -> list[tuple[str, object]]:
    """Return the changes that a refusal names, as (key, value)."""
    found: list[tuple[str, object]] = []
    for part in message.split("What would meet it: ")[1].split(", or "):
        key, _, value = part.partition(": ")
        if key == "mixture.tokens":
            found.append(("tokens", int(value)))
        elif key == "mixture.max_epochs":
            found.append(("max_epochs", float(value)))
        elif key == "mixture.allow_short":
            found.append(("allow_short", True))
        else:
            assert "no change" in part
    return found


def test_stages_are_met_exactly_where_a_linear_program_can_meet_them():
    counts = {True: 0, False: 0}
    for seed in range(120):
        available, settings = random_request(seed)
        try:
            plans = solve_stages(available, settings)
        except InputError as fault:
            if "cannot be met" not in str(fault):  # a named source that the stage cannot use
                continue
            assert not feasible(available, settings), seed
            counts[False] += 1
            continue
        assert feasible(available, settings), seed
        counts[True] += 1
        given = {entry.cell: 0 for entry in available}
        for stage, plan in enumerate(plans):
            assert all(not part.shortfall for part in plan.components)
            assert sum(tokens for _, tokens in plan.cells) == plan.tokens
            for cell, tokens in plan.cells:
                assert not tokens or cell.stages >> stage & 1
                given[cell] += tokens
        limit = Fraction(str(settings.max_epochs))
        assert all(given[entry.cell] <= entry.tokens * limit for entry in available)
    assert min(counts.values()) >= 25, counts


def test_what_a_refusal_of_stages_names_meets_it():
    named = 0
    for seed in range(120):
        available, settings = random_request(seed)
        try:
            solve_stages(available, settings)
        except InputError as fault:
            if "cannot be met" not in str(fault):
                continue
            for key, value in remedies(str(fault)):
                solve_stages(available, settings.model_copy(update={key: value}))
                named += 1
    assert named >= 50


@pytest.mark.parametrize("seed", range(300))
def test_what_a_refusal_names_meets_it_and_nothing_smaller_does(seed: int):
    chance = random.Random(seed)
    available = [
        SourceTokens(f"{name}{number}", name, chance.choice([1, 7, 300, 90_000]), 1)
        for name in "abc"
        for number in range(chance.randint(1, 3))
    ]
    weights = {
        name: {
            "share": Fraction(1, 3),
            "sources": {
                e.source: chance.choice([0, 1, 2, 3]) for e in available if e.component == name
            },
        }
        for name in "abc"
    }
    strategy = chance.choice(["fixed", "unimax", "proportional", "temperature"])
    settings = Mixture(
        tokens=chance.choice([500, 20_000, 600_000, 5_000_000]),
        strategy=strategy,
        weights=weights if strategy == "fixed" else {},
        temperature=3,
        max_epochs=chance.choice([0.5, 1, 4]),
    )
    try:
        solve(available, settings)
    except InputError as fault:
        found = dict(remedies(str(fault)))
    else:
        return
    for key, value in found.items():
        solve(available, settings.model_copy(update={key: value}))
    if "max_epochs" in found:
        fewer = round(float(str(found["max_epochs"])) - 0.01, 2)
        with pytest.raises(InputError):
            solve(available, settings.model_copy(update={"max_epochs": fewer}))


def test_the_epochs_advised_count_only_sources_that_have_a_weight():
    available = [SourceTokens("s0", "c", 291, 1), SourceTokens("s1", "c", 674_465, 1)]
    weights = {"c": {"share": 1, "sources": {"s0": 2, "s1": 0}}}
    with pytest.raises(InputError, match=r"291 there.*mixture\.max_epochs: 12223,"):
        solve(available, Mixture(tokens=291 * 12_223, weights=weights))


def test_the_epochs_advised_for_unimax_are_those_that_it_needs():
    available = [
        SourceTokens("a", "a", 511, 1),
        SourceTokens("b", "b", 531, 1),
        SourceTokens("c", "c", 364_178, 1),
    ]
    with pytest.raises(InputError, match=r"mixture\.max_epochs: 1\.6,"):
        solve(available, Mixture(strategy="unimax", tokens=582_372, max_epochs=1))


def test_nothing_is_advised_where_nothing_helps():
    with pytest.raises(InputError, match="What would meet it: no change of tokens"):
        solve([SourceTokens("a", "a", 0, 0)], Mixture(tokens=500, weights={"a": 1}))


def test_shares_by_temperature_hold_for_six_tokens_beside_millions():
    available = [SourceTokens("a", "a", 6, 1), SourceTokens("b", "b", 350_905_220, 1)]
    plan = solve(available, Mixture(strategy="temperature", temperature=1, max_epochs=1))
    assert plan.planned == 350_905_226
