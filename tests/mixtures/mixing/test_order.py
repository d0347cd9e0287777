"""The order: balanced wherever it is measured, and a function of ids alone."""

from __future__ import annotations

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from mixtures.mixing.balance import measure, worst_window
from mixtures.mixing.cut import cut_shards
from mixtures.mixing.documents import Documents
from mixtures.mixing.order import arrange
from mixtures.mixing.plan import Pool
from mixtures.mixing.streams import choose
from schemas.errors import InputError
from schemas.mixture import Mixture

PAIRS = [
    Pool("ko-docs", "ko"),
    Pool("ko-reviews", "ko"),
    Pool("en-docs", "en"),
    Pool("code", "code"),
]
SIZES = [(6000, 1500, 1.2), (5000, 1000, 0.9), (6000, 700, 1.3), (4000, 2000, 1.4)]
"""Documents, tokens of the median one, and spread (of the logarithm): as real corpora have."""


def corpus(scale: float = 1.0, longest: int = 100_000) -> Documents:
    chance = np.random.default_rng(7)
    pair, tokens = [], []
    for number, (documents, median, spread) in enumerate(SIZES):
        lengths = np.exp(chance.normal(np.log(median), spread, int(documents * scale)))
        tokens.append(np.clip(lengths, 20, longest).astype(np.int64))
        pair.append(np.full(len(lengths), number, dtype=np.int32))
    total = sum(map(len, pair))
    ids = b"".join(xxhash.xxh3_128_digest(str(i).encode()) for i in range(total))
    return Documents(
        np.frombuffer(ids, dtype=np.uint8).reshape(-1, 16),
        np.concatenate(pair),
        np.concatenate(tokens),
    )


CORPUS = corpus()
THIRDS = {"ko": "1/3", "en": "1/3", "code": "1/3"}
MIXTURES = {
    "thirds": Mixture(tokens="40M", weights=THIRDS),
    "90-9-1": Mixture(tokens="40M", weights={"ko": 0.90, "en": 0.09, "code": 0.01}),
    "four epochs": Mixture(weights={"ko": 0.2, "en": 0.6, "code": 0.2}, max_epochs=4),
    "proportional": Mixture(strategy="proportional", tokens="35M", shards=5),
    "temperature": Mixture(strategy="temperature", temperature=3, tokens="40M", shards=3),
    "unimax": Mixture(strategy="unimax", tokens="45M", max_epochs=2),
}


def positions(arrangement):
    tokens = CORPUS.tokens[arrangement.rows]
    return np.cumsum(tokens) - tokens


@pytest.mark.parametrize("name", MIXTURES)
def test_shares_hold_over_all_in_each_shard_and_in_every_window(name):
    made = arrange(CORPUS, PAIRS, MIXTURES[name])
    assert made.balance.overall <= 0.001
    assert made.balance.shard <= 0.01
    assert made.balance.window is not None
    assert made.balance.window <= 0.03
    assert abs(int(CORPUS.tokens[made.rows].sum()) - made.plan.tokens) <= 20


@pytest.mark.parametrize("name", MIXTURES)
def test_shards_are_of_about_even_size(name):
    made = arrange(CORPUS, PAIRS, MIXTURES[name])
    ends = np.concatenate([[0], np.cumsum(CORPUS.tokens[made.rows])])
    sizes = np.diff(ends[made.shards])
    assert len(sizes) == MIXTURES[name].shards
    assert sizes.max() / sizes.mean() < 1.03
    assert sizes.min() / sizes.mean() > 0.97


def test_a_document_comes_again_only_after_a_window_and_as_often_as_its_epochs_say():
    made = arrange(CORPUS, PAIRS, MIXTURES["four epochs"])
    starts = positions(made)
    order = np.lexsort((starts, made.rows))
    rows, starts, epochs = made.rows[order], starts[order], made.epochs[order]
    again = rows[1:] == rows[:-1]
    assert again.any()
    assert np.diff(starts)[again].min() > 5_000_000
    assert (np.diff(epochs)[again] == 1).all(), "passes follow one another"
    assert np.bincount(made.rows).max() == 4
    assert made.epochs.max() == 3


def test_each_pass_has_its_own_shuffle():
    made = arrange(CORPUS, PAIRS, MIXTURES["four epochs"])
    english = np.isin(CORPUS.pool[made.rows], [2])
    first, second = (made.rows[english & (made.epochs == epoch)] for epoch in (0, 1))
    assert set(first.tolist()) == set(second.tolist())
    assert first.tolist() != second.tolist()


def test_the_order_of_the_input_does_not_matter():
    made = arrange(CORPUS, PAIRS, MIXTURES["thirds"])
    shuffle = np.random.default_rng(1).permutation(len(CORPUS.tokens))
    pairs = sorted(PAIRS)
    assert pairs != PAIRS
    place = np.array([pairs.index(pair) for pair in PAIRS], dtype=np.int32)
    shuffled = Documents(CORPUS.ids[shuffle], place[CORPUS.pool[shuffle]], CORPUS.tokens[shuffle])
    ordered = Documents(CORPUS.ids, place[CORPUS.pool], CORPUS.tokens)
    other = arrange(shuffled, pairs, MIXTURES["thirds"])
    same = arrange(ordered, pairs, MIXTURES["thirds"])
    assert (shuffled.ids[other.rows] == CORPUS.ids[same.rows]).all()
    assert (other.epochs == same.epochs).all()
    assert (other.shards == same.shards).all()
    assert len(made.rows) == len(same.rows)


def test_another_seed_gives_another_order():
    other = MIXTURES["thirds"].model_copy(update={"seed": 1})
    first, second = (arrange(CORPUS, PAIRS, m) for m in (MIXTURES["thirds"], other))
    assert first.rows[:1000].tolist() != second.rows[:1000].tolist()


def test_more_tokens_keep_the_documents_of_fewer():
    few = arrange(CORPUS, PAIRS, Mixture(tokens="10M", weights=THIRDS, window="50M"))
    many = arrange(CORPUS, PAIRS, Mixture(tokens="20M", weights=THIRDS, window="50M"))
    kept = np.isin(few.rows, many.rows).mean()
    assert kept > 0.99


def test_documents_too_long_for_the_balance_are_left_out_and_counted():
    made = arrange(CORPUS, PAIRS, MIXTURES["90-9-1"])
    limit = made.left_out["code"]["longer_than"]
    code = CORPUS.tokens[CORPUS.pool == 3]
    assert made.left_out["code"]["documents"] == (code > limit).sum()
    assert CORPUS.tokens[made.rows][CORPUS.pool[made.rows] == 3].max() <= limit


def test_long_documents_stay_where_the_target_needs_them():
    weights = {"ko": 0.5, "code": 0.5}
    every = 2 * int(CORPUS.tokens[CORPUS.pool == 3].sum())
    made = arrange(CORPUS, PAIRS, Mixture(tokens=every, weights=weights, max_epochs=1, shards=40))
    assert made.plan.planned == every
    code = made.rows[CORPUS.pool[made.rows] == 3]
    assert len(code) == (CORPUS.pool == 3).sum()
    assert "code" not in made.left_out


def test_a_short_mixture_of_few_documents_still_adds_up():
    small = corpus(scale=0.01)
    made = arrange(small, PAIRS, Mixture(tokens="60k", weights=THIRDS, shards=2))
    assert made.balance.window is None
    assert made.balance.overall <= 0.001
    assert abs(int(small.tokens[made.rows].sum()) - 60_000) <= 20


def test_a_source_whose_only_document_is_longer_than_its_share_gives_nothing():
    small = corpus(scale=0.01)
    first = np.flatnonzero(small.pool == 1)[0]
    kept = (small.pool != 1) | (np.arange(len(small.pool)) == first)
    few = Documents(small.ids[kept], small.pool[kept], small.tokens[kept])
    made = arrange(few, PAIRS, Mixture(tokens="60k", weights=THIRDS, shards=2))
    assert set(few.pool[made.rows].tolist()) == {0, 2, 3}
    assert abs(int(few.tokens[made.rows].sum()) - 60_000) <= 20


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(1, 200), max_size=60), st.integers(0, 5000))
def test_chosen_documents_never_exceed_the_target_and_none_fits_in_the_rest(lengths, target):
    tokens = np.array(lengths, dtype=np.int64)
    chosen = choose(tokens, target)
    assert len(set(chosen.tolist())) == len(chosen)
    assert (np.diff(chosen) > 0).all()
    left = target - int(tokens[chosen].sum())
    assert left >= 0
    rest = np.delete(tokens, chosen)
    assert not (rest <= left).any() or left == 0


@given(st.lists(st.integers(1, 50), min_size=200, max_size=200), st.integers(500, 3000))
def test_the_fit_is_exact_where_there_are_enough_documents(lengths, target):
    tokens = np.array(lengths, dtype=np.int64)
    if tokens.sum() > target + 500:
        assert target - int(tokens[choose(tokens, target)].sum()) <= 1


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 30)), min_size=1, max_size=40),
    st.integers(1, 60),
)
def test_the_worst_window_is_that_of_looking_at_every_token(rows, window):
    component = np.array([row[0] for row in rows])
    tokens = np.array([row[1] for row in rows])
    share = 0.4
    flat = np.repeat(component == 0, tokens)
    ends = np.concatenate([[0], np.cumsum(tokens)])
    own = np.concatenate([[0], np.cumsum(np.where(component == 0, tokens, 0))])
    found = worst_window(ends, own, share, window)
    if len(flat) < window:
        assert found is None
        return
    looked = max(
        abs(flat[start : start + window].sum() / window / share - 1)
        for start in range(len(flat) - window + 1)
    )
    assert found == pytest.approx(looked)


def test_the_measure_sees_a_shard_that_lacks_a_component():
    component, tokens = np.array([0, 1, 0, 0, 1, 1]), np.full(6, 10)
    made = measure(component, tokens, np.array([0, 2, 4, 6]), ["a", "b"], [0.5, 0.5], 1000)
    assert made.overall == 0
    assert made.shard == 1.0
    assert made.window is None


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(1, 40)), min_size=9, max_size=90),
    st.integers(1, 9),
)
def test_cuts_cover_every_sequence_once_and_no_shard_is_empty(rows, shards):
    component = np.array([row[0] for row in rows], dtype=np.int64)
    tokens = np.array([row[1] for row in rows], dtype=np.int64)
    cuts = cut_shards(component, tokens, 2, shards)
    assert len(cuts) == shards + 1
    assert cuts[0] == 0
    assert cuts[-1] == len(rows)
    assert (np.diff(cuts) >= 1).all()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(1, 40)), min_size=400, max_size=400),
    st.integers(1, 60),
)
def test_cuts_are_within_an_eighth_of_a_shard_or_a_document_of_their_even_places(rows, shards):
    component = np.array([row[0] for row in rows], dtype=np.int64)
    tokens = np.array([row[1] for row in rows], dtype=np.int64)
    cuts = cut_shards(component, tokens, 2, shards)
    ends = np.concatenate([[0], np.cumsum(tokens)])
    size = ends[-1] / shards
    off = np.abs(ends[cuts] - size * np.arange(shards + 1))
    assert off.max() <= max(size / 8, tokens.max()) + 1e-6


def test_sixty_small_shards_are_even_and_fewer_sequences_than_shards_are_refused():
    small = corpus(scale=0.02)
    settings_ = Mixture(tokens="150k", weights=THIRDS, shards=60)
    made = arrange(small, PAIRS, settings_)
    ends = np.concatenate([[0], np.cumsum(small.tokens[made.rows])])
    sizes = np.diff(ends[made.shards])
    longest = int(small.tokens[made.rows].max())
    assert abs(sizes - 2500).max() <= 2 * max(2500 / 8, longest)
    assert sizes.min() > 0
    few = len(made.rows)
    many = settings_.model_copy(update={"shards": few + 500})
    with pytest.raises(InputError, match=r"sequences for .* lower mixture\.shards or raise"):
        arrange(small, PAIRS, many)


def test_what_a_small_source_cannot_fit_comes_from_a_larger_one():
    lengths = [700] * 9 + [40] * 4000
    pair = np.array([0] * 9 + [1] * 4000, dtype=np.int32)
    ids = b"".join(xxhash.xxh3_128_digest(str(i).encode()) for i in range(len(lengths)))
    documents = Documents(
        np.frombuffer(ids, dtype=np.uint8).reshape(-1, 16), pair, np.array(lengths, dtype=np.int64)
    )
    weights = {"ko": {"share": 1, "sources": {"few": 1, "many": 9}}}
    settings_ = Mixture(tokens=50_000, weights=weights, shards=1)
    made = arrange(documents, [Pool("few", "ko"), Pool("many", "ko")], settings_)
    assert made.by_source[Pool("few", "ko")] == (4900, 7)
    assert 50_000 - made.by_component["ko"][0] < 40
