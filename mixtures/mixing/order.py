"""The order of a mixture: which copies of which documents, in which shard, in which place.

The order follows from the documents' ids alone, so neither files nor workers change it. A document
has a place on a circle (its base key). A source is read around the circle from a point that the
seed gives, as often as its epochs, so copies of a document are a whole epoch apart. Components
are interleaved by the share of their tokens that is done: at every place each has given the same
share of its tokens, to within half a document. Shards are cut out of that one sequence, near
their even sizes, where the components' shares are the nearest to their targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from mixtures.keys import base_keys
from mixtures.mixing.balance import Balance, measure, worst
from mixtures.mixing.cut import cut_shards
from mixtures.mixing.documents import Documents, available_tokens, sums
from mixtures.mixing.limits import feasible_limits, fixed_settings, longest_documents, short_enough
from mixtures.mixing.plan import Plan, Pool, joined
from mixtures.mixing.solver import solve, stage_settings
from mixtures.mixing.streams import Stream, interleave, source_stream
from schemas.errors import InputError
from schemas.mixture import Mixture

_EASE: Final = (0.8, 0.55, 0.4, 0.28, 0.2)
"""Shares of the longest document that a single window allows, tried in turn."""


@dataclass(frozen=True)
class Stage:
    """A stage of the mixture: its shards are `first` to before `last`."""

    share: Fraction
    context: int | None
    first: int
    last: int
    plan: Plan
    balance: Balance


@dataclass(frozen=True)
class Arrangement:
    """A mixture in its order. `rows` and `epochs`: of each sequence, its document and pass.

    `shards`: where each shard begins among the sequences, and the end. `left_out`: by component,
    the documents too long for the balance, their tokens and the limit.
    """

    plan: Plan
    rows: npt.NDArray[np.int64]
    epochs: npt.NDArray[np.int16]
    shards: npt.NDArray[np.int64]
    balance: Balance
    left_out: dict[str, dict[str, int]]
    by_source: dict[Pool, tuple[int, int]]
    """Tokens and sequences that each pool has in the mixture."""
    stages: tuple[Stage, ...] = ()

    @property
    def by_component(self) -> dict[str, tuple[int, int]]:
        """Tokens and sequences that each component has in the mixture."""
        by_component: dict[str, tuple[int, int]] = {}
        for (_, component, _), (tokens, sequences) in self.by_source.items():
            before = by_component.get(component, (0, 0))
            by_component[component] = (before[0] + tokens, before[1] + sequences)
        return by_component


def arrange_stages(
    documents: Documents,
    pools: Sequence[Pool],
    settings: Mixture,
    allowed: Sequence[npt.NDArray[np.bool_] | None] = (None,),
) -> Arrangement:
    """Arrange the stages of the mixture one after another, as one sequence; see `arrange`.

    `allowed`: for each stage the mask of the documents that it may use (None: all). Shards end
    where a stage does. A later stage begins with the documents that earlier ones used the least,
    and its `epochs` continue theirs.
    """
    uses = np.zeros(len(documents.tokens), np.int16)
    made: list[Arrangement] = []
    stages: list[Stage] = []
    contexts = [(stage.share, stage.context) for stage in settings.stages] or [(Fraction(1), None)]
    first = 0
    for (share, context), own, mask in zip(
        contexts, stage_settings(settings), allowed, strict=True
    ):
        chosen = np.arange(len(uses)) if mask is None else np.flatnonzero(mask)
        part = Documents(documents.ids[chosen], documents.pool[chosen], documents.tokens[chosen])
        one = arrange(part, pools, own, uses[chosen])
        rows = chosen[one.rows]
        np.add.at(uses, rows, 1)
        made.append(replace(one, rows=rows))
        stages.append(Stage(share, context, first, first + own.shards, one.plan, one.balance))
        first += own.shards
    before = np.cumsum([0, *(len(one.rows) for one in made)])
    shards = [one.shards[:-1] + start for one, start in zip(made, before, strict=False)]
    by_source: dict[Pool, tuple[int, int]] = {}
    for one in made:
        for pool, (tokens, sequences) in one.by_source.items():
            last = by_source.get(pool, (0, 0))
            by_source[pool] = (last[0] + tokens, last[1] + sequences)
    return Arrangement(
        plan=joined([one.plan for one in made]),
        rows=np.concatenate([one.rows for one in made]),
        epochs=np.concatenate([one.epochs for one in made]),
        shards=np.concatenate([*shards, before[-1:]]).astype(np.int64),
        balance=worst([one.balance for one in made]),
        left_out=made[0].left_out if len(made) == 1 else _most_left_out(made),
        by_source=by_source,
        stages=tuple(stages),
    )


def _most_left_out(made: Sequence[Arrangement]) -> dict[str, dict[str, int]]:
    """Return by component the record of the stage that left out the most tokens."""
    found: dict[str, dict[str, int]] = {}
    for one in made:
        for name, gone in one.left_out.items():
            if gone["tokens"] > found.get(name, {"tokens": 0})["tokens"]:
                found[name] = gone
    return found


def arrange(
    documents: Documents,
    pools: Sequence[Pool],
    settings: Mixture,
    uses: npt.NDArray[np.int16] | None = None,
) -> Arrangement:
    """Solve the mixture over `documents` and put them in order.

    `pools`: by the numbers in `documents.pool`. `uses`: how often earlier stages took each
    document. Documents so long that no order keeps `window_tolerance` are left out as long as
    their component's target is still met. Raises InputError if the mixture cannot be met.
    """
    uses = np.zeros(len(documents.tokens), np.int16) if uses is None else uses
    plan = solve(available_tokens(documents, pools, uses), settings)
    names = [component.component for component in plan.components]
    number = {name: index for index, name in enumerate(names)}
    component = np.array([number.get(pool.component, -1) for pool in pools], dtype=np.int64)
    best: Arrangement | None = None
    seen: set[tuple[int, ...]] = set()
    for ease in _EASE:
        limits = longest_documents(plan, settings, ease)
        limits = feasible_limits(documents, pools, plan, settings, limits, uses)
        key = tuple(limits.values())
        if key in seen:
            continue
        seen.add(key)
        made = _arranged(documents, pools, component, plan, settings, limits, uses)
        if best is None or (made.balance.window or 0) < (best.balance.window or 0):
            best = made
        if (best.balance.window or 0) <= settings.window_tolerance:
            break
    assert best is not None
    return best


def _arranged(
    documents: Documents,
    pools: Sequence[Pool],
    component: npt.NDArray[np.int64],
    plan: Plan,
    settings: Mixture,
    limits: dict[str, int],
    uses: npt.NDArray[np.int16],
) -> Arrangement:
    """Return the arrangement of the documents that are within `limits`."""
    usable = short_enough(documents, pools, limits)
    available = available_tokens(documents, pools, uses, usable)
    solved = solve(available, fixed_settings(plan, settings))
    max_epochs = Fraction(str(settings.max_epochs))
    maxima = {entry.pool: entry.limit(max_epochs) for entry in available}
    keys = base_keys(documents.ids)
    streams: list[tuple[int, Stream]] = []
    missing: dict[str, int] = {}  # tokens that a source lacks go to the component's next larger
    for entry in sorted(solved.sources, key=lambda e: (e.tokens, *e.pool)):
        if not entry.target:
            continue
        target = min(maxima[entry.pool], entry.target + missing.get(entry.component, 0))
        if target:
            number = pools.index(entry.pool)
            rows = np.flatnonzero(usable & (documents.pool == number))
            stream = source_stream(
                documents, keys, rows, uses, target, entry.pool, solved, settings
            )
            streams.append((number, stream))
            missing[entry.component] = target - int(documents.tokens[stream.rows].sum())
    streams.sort(key=lambda numbered: numbered[0])
    if not streams:
        raise InputError("the mixture is empty: no document of its components is kept")
    merged = interleave(documents, component, streams)
    rows = merged.rows
    tokens = documents.tokens[rows]
    of = component[documents.pool[rows]]
    shares = list(solved.shares().values())
    shards = cut_shards(of, tokens, len(shares), settings.shards)
    names = [entry.component for entry in solved.components]
    balance = measure(of, tokens, shards, names, shares, settings.window)
    return Arrangement(
        plan=solved,
        rows=rows,
        epochs=merged.epochs,
        shards=shards,
        balance=balance,
        left_out=_left_out(documents, component, usable, names, limits),
        by_source=_by_source(documents.pool[rows], tokens, pools),
    )


def _by_source(
    number: npt.NDArray[np.int32], tokens: npt.NDArray[np.int64], pools: Sequence[Pool]
) -> dict[Pool, tuple[int, int]]:
    """Return the tokens and sequences of each pool that has any; `number`: the sequences' pools."""
    counts = np.bincount(number, minlength=len(pools))
    totals = sums(number, tokens, len(pools))
    return {
        pool: (int(totals[index]), int(counts[index]))
        for index, pool in enumerate(pools)
        if counts[index]
    }


def _left_out(
    documents: Documents,
    component: npt.NDArray[np.int64],
    usable: npt.NDArray[np.bool_],
    names: Sequence[str],
    limits: dict[str, int],
) -> dict[str, dict[str, int]]:
    """Return by component the documents that are not usable, their tokens and the limit."""
    of = component[documents.pool]
    found = {}
    for number, name in enumerate(names):
        gone = ~usable & (of == number)
        if gone.any():
            found[name] = {
                "documents": int(gone.sum()),
                "tokens": int(documents.tokens[gone].sum()),
                "longer_than": limits[name],
            }
    return found
