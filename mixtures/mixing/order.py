"""The order of a mixture: which copies of which documents, in which shard, in which place.

The order follows from the documents' ids alone, so neither files nor workers change it. A document
has a place on a circle (its base key). A source is read around the circle from a point that the
seed gives, as often as its epochs, so copies of a document are a whole epoch apart. Components
are interleaved by the share of their tokens that is done: at every place each has given the same
share of its tokens, to within half a document. Shards are cut out of that one sequence, near
their even sizes, where the components' shares are the nearest to their targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from mixtures.mixing.balance import Balance, measure, worst
from mixtures.mixing.component import Others
from mixtures.mixing.copies import (
    NEVER,
    History,
    component_numbers,
    merged_copies,
    shortest_passes,
)
from mixtures.mixing.cut import cut_shards
from mixtures.mixing.documents import Documents, available_tokens, cells_of, sums
from mixtures.mixing.limits import (
    StageInput,
    feasible_limits,
    fixed_settings,
    longest_documents,
    short_enough,
)
from mixtures.mixing.plan import Plan, Pool, joined
from mixtures.mixing.solver import (
    needs_after,
    pool_totals,
    solve_stages,
    solve_within,
    stage_settings,
)
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


def arrange(documents: Documents, pools: Sequence[Pool], settings: Mixture) -> Arrangement:
    """Arrange a mixture whose stages may use all documents; see `arrange_stages`."""
    return arrange_stages(documents, pools, settings, [None] * max(1, len(settings.stages)))


def arrange_stages(
    documents: Documents,
    pools: Sequence[Pool],
    settings: Mixture,
    allowed: Sequence[npt.NDArray[np.bool_] | None] = (None,),
) -> Arrangement:
    """Solve the mixture over `documents` and put its stages in order, one after another.

    `pools`: by the numbers in `documents.pool`. `allowed`: for each stage the mask of the documents
    that it may use (None: all). Shards end where a stage does. A later stage begins with the
    documents that earlier ones used the least, and its `epochs` continue theirs. Documents so long
    that no order keeps `window_tolerance` are left out as long as their component's target is
    still met. Raises InputError if the mixture cannot be met, or has fewer sequences than shards.
    """
    cells = cells_of(documents, pools, allowed)
    uses = np.zeros(len(documents.tokens), np.int16)
    available = available_tokens(documents, cells, uses)
    plans = solve_stages(available, settings)
    history = History(np.full(len(uses), NEVER), 0)
    max_epochs = Fraction(str(settings.max_epochs))
    made: list[Arrangement] = []
    usable = np.zeros(len(uses), np.bool_)
    for at, (own, mask) in enumerate(zip(stage_settings(settings), allowed, strict=True)):
        others = None
        if settings.stages:
            left = {e.cell: e.limit(max_epochs) for e in available_tokens(documents, cells, uses)}
            others = Others(left, needs_after(available, settings, at))
        every = np.ones(len(uses), np.bool_) if mask is None else mask
        stage = StageInput(pools, cells, uses, every, others)
        passes = shortest_passes(plans, available)
        try:
            one, used = _best(documents, stage, plans[at], own, history, passes)
        except InputError as fault:
            if not settings.stages:
                raise
            raise InputError(f"stage {at + 1} of the mixture: {fault}") from None
        usable |= used
        made.append(one)
        history = history.after(one.rows, documents.tokens)
        np.add.at(uses, one.rows, 1)
    totals = pool_totals(available_tokens(documents, cells, np.zeros(len(uses), np.int16), usable))
    return _joined(made, settings, totals)


def _joined(
    made: Sequence[Arrangement], settings: Mixture, totals: Mapping[Pool, tuple[int, int]]
) -> Arrangement:
    """Return the arrangements of all stages as one."""
    stages: list[Stage] = []
    contexts = [(stage.share, stage.context) for stage in settings.stages] or [(Fraction(1), None)]
    first = 0
    for (share, context), one in zip(contexts, made, strict=True):
        last = first + len(one.shards) - 1
        stages.append(Stage(share, context, first, last, one.plan, one.balance))
        first = last
    before = np.cumsum([0, *(len(one.rows) for one in made)])
    shards = [one.shards[:-1] + start for one, start in zip(made, before, strict=False)]
    by_source: dict[Pool, tuple[int, int]] = {}
    for one in made:
        for pool, (tokens, sequences) in one.by_source.items():
            last_one = by_source.get(pool, (0, 0))
            by_source[pool] = (last_one[0] + tokens, last_one[1] + sequences)
    return Arrangement(
        plan=joined([one.plan for one in made], totals),
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


def _best(
    documents: Documents,
    stage: StageInput,
    plan: Plan,
    settings: Mixture,
    history: History,
    passes: Mapping[Pool, float],
) -> tuple[Arrangement, npt.NDArray[np.bool_]]:
    """Return the stage in its best order, and the mask of the documents that it could use."""
    best: tuple[Arrangement, npt.NDArray[np.bool_]] | None = None
    seen: set[tuple[int, ...]] = set()
    for ease in _EASE:
        limits = longest_documents(plan, settings, ease)
        limits = feasible_limits(documents, stage, plan, settings, limits)
        key = tuple(limits.values())
        if key in seen:
            continue
        seen.add(key)
        usable = short_enough(documents, stage.pools, limits) & stage.allowed
        made = _arranged(documents, stage, plan, settings, limits, usable, history, passes)
        if best is None or (made.balance.window or 0) < (best[0].balance.window or 0):
            best = made, usable
        if (best[0].balance.window or 0) <= settings.window_tolerance:
            break
    assert best is not None
    return best


def _arranged(
    documents: Documents,
    stage: StageInput,
    plan: Plan,
    settings: Mixture,
    limits: dict[str, int],
    usable: npt.NDArray[np.bool_],
    history: History,
    passes: Mapping[Pool, float],
) -> Arrangement:
    """Return the arrangement of the `usable` documents, which are within `limits`."""
    available = stage.available(documents, usable)
    solved = solve_within(available, fixed_settings(plan, settings), stage.others)
    names = [entry.component for entry in solved.components]
    component = component_numbers(stage.pools, names)
    apart = shortest_passes([solved], available, passes)
    merged = merged_copies(documents, stage, solved, usable, settings, history, apart)
    rows = merged.rows
    tokens = documents.tokens[rows]
    of = component[documents.pool[rows]]
    shares = list(solved.shares().values())
    shards = cut_shards(of, tokens, len(shares), settings.shards)
    balance = measure(of, tokens, shards, names, shares, settings.window)
    of_stage = stage.allowed & (component[documents.pool] >= 0)
    return Arrangement(
        plan=solved,
        rows=rows,
        epochs=merged.epochs,
        shards=shards,
        balance=balance,
        left_out=_left_out(documents, component, of_stage & ~usable, names, limits),
        by_source=_by_source(documents.pool[rows], tokens, stage.pools),
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
    too_long: npt.NDArray[np.bool_],
    names: Sequence[str],
    limits: dict[str, int],
) -> dict[str, dict[str, int]]:
    """Return by component the documents that are too long, their tokens and the limit."""
    of = component[documents.pool]
    found = {}
    for number, name in enumerate(names):
        gone = too_long & (of == number)
        if gone.any():
            found[name] = {
                "documents": int(gone.sum()),
                "tokens": int(documents.tokens[gone].sum()),
                "longer_than": limits[name],
            }
    return found
