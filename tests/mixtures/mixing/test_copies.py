"""Which copies a stage takes: what a group misses comes from others, and passes stay apart."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
import xxhash

from mixtures.mixing.documents import Documents
from mixtures.mixing.order import Arrangement, arrange, arrange_stages
from mixtures.mixing.plan import Pool
from schemas.mixture import Mixture


def documents(lengths: Sequence[Sequence[int]]) -> Documents:
    """Return documents of these tokens, by pool."""
    tokens = np.array([size for own in lengths for size in own], dtype=np.int64)
    pool = np.repeat(np.arange(len(lengths)), [len(own) for own in lengths])
    ids = b"".join(xxhash.xxh3_128_digest(str(row).encode()) for row in range(len(tokens)))
    matrix = np.frombuffer(ids, dtype=np.uint8).reshape(-1, 16)
    return Documents(matrix, pool.astype(np.int32), tokens)


def stage_tokens(corpus: Documents, made: Arrangement) -> list[int]:
    ends = np.concatenate([[0], np.cumsum(corpus.tokens[made.rows])])
    return [
        int(ends[made.shards[stage.last]] - ends[made.shards[stage.first]]) for stage in made.stages
    ]


def nearest_copies(corpus: Documents, made: Arrangement, pool: int) -> int:
    """Return the fewest tokens from the beginning of a pool's copy to that of the next."""
    begins = np.cumsum(corpus.tokens[made.rows]) - corpus.tokens[made.rows]
    own = np.flatnonzero(corpus.pool[made.rows] == pool)
    order = own[np.argsort(made.rows[own], kind="stable")]
    again = np.diff(made.rows[order]) == 0
    return int(np.diff(begins[order])[again].min())


def test_what_a_source_misses_comes_from_the_largest_of_its_component():
    corpus = documents([[700] * 9, [30] * 300, [40] * 4000])
    weights = {"ko": {"share": 1, "sources": {"few": 1, "some": 1, "many": 8}}}
    pools = [Pool(name, "ko") for name in ("few", "some", "many")]
    made = arrange(corpus, pools, Mixture(tokens=12_000, weights=weights, shards=1))
    assert [made.by_source[pool][0] for pool in pools] == [700, 1200, 10_080]


def test_what_the_largest_source_misses_comes_from_a_smaller_one():
    corpus = documents([[700] * 300, [10] * 1000])
    weights = {"ko": {"share": 1, "sources": {"long": 1, "short": 1}}}
    pools = [Pool("long", "ko"), Pool("short", "ko")]
    made = arrange(corpus, pools, Mixture(tokens=10_350, weights=weights, shards=1))
    assert [made.by_source[pool][0] for pool in pools] == [4900, 5450]


def test_what_a_source_misses_is_not_taken_from_what_a_later_stage_needs():
    corpus = documents([[700] * 20, [20] * 500])
    pools = [Pool("long", "ko"), Pool("short", "ko")]
    only: npt.NDArray[np.bool_] = (corpus.pool == 1) & (np.arange(520) >= 270)
    weights = {"ko": {"share": 1, "sources": {"long": 1, "short": 1}}}
    first, second = 5100 + 5300, 4900  # the second stage leaves 100 tokens of `only`
    total = first + second
    settings = Mixture(
        tokens=total,
        weights=weights,
        max_epochs=1,
        stages=[
            {"share": Fraction(first, total)},
            {"share": Fraction(second, total), "weights": {"ko": 1}},
        ],
        shards=2,
    )
    made = arrange_stages(corpus, pools, settings, [None, only])
    assert stage_tokens(corpus, made) == [5100 + 4900, 4900]


@pytest.mark.parametrize("seed", [0, 1, 2, 11, 21, 36, 41, 59])
def test_copies_stay_apart_where_a_later_stage_leaves_long_documents_out(seed: int):
    chance = np.random.default_rng(seed)
    lengths = np.clip(np.exp(chance.normal(np.log(40), 0.8, 420)), 5, 400).astype(int)
    corpus = documents([lengths[:300].tolist(), lengths[300:360].tolist(), lengths[360:].tolist()])
    settings = Mixture(
        tokens=int(lengths[:300].sum() * 0.9),
        weights={"math": 0.3, "en": 0.5, "code": 0.2},
        stages=[{"share": Fraction(7, 8), "weights": {"math": 1}}, {"share": Fraction(1, 8)}],
        window=500,
        window_tolerance=0.03,
        max_epochs=3,
        shards=5,
    )
    made = arrange(corpus, [Pool(name, name) for name in ("math", "en", "code")], settings)
    assert "math" in made.left_out
    assert nearest_copies(corpus, made, 0) >= 500
