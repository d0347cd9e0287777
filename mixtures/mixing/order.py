"""The order of a mixture: which copies of which documents, in which shard, in which place.

Everything follows from the documents' ids, so neither files nor workers matter. A document has a
place on a circle (its base key); a source is read around the circle from a point that the seed
gives, as often as its epochs say, so copies of a document lie a whole epoch apart. Components
are interleaved by the share of their tokens that is done: at every place each has given the same
share of its tokens, to within half a document. Shards are cut out of that one sequence, near
their even sizes, where the components' shares are the nearest to their targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mixtures.keys import base_keys, named_key, scramble
from mixtures.mixing.balance import Balance, measure, worst
from mixtures.mixing.solver import Plan, Pool, SourceTokens, joined, solve, stage_settings
from schemas.errors import InputError
from schemas.mixture import ComponentWeight, Mixture

CELL: Final = 1 << 22
"""Tokens of the mixture inside which documents are shuffled anew each epoch, at the most."""

_FIT: Final = 1 << 12
"""Documents on either side of an epoch's end among which the fit is looked for."""
_CANDIDATES: Final = 32
"""Sequences on either side of its even place among which a shard's end is looked for, at least."""
_EASE: Final = (0.8, 0.55, 0.4, 0.28, 0.2)
"""Shares of the longest document that a single window allows, tried in turn."""


@dataclass(frozen=True)
class Documents:
    """The documents that a mixture may use, as columns of one length.

    `ids`: shape (documents, 16). `pair`: number of the document's pool.
    `tokens`: with the document's end.
    """

    ids: npt.NDArray[np.uint8]
    pair: npt.NDArray[np.int32]
    tokens: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Stage:
    """A stretch of the mixture: its shards are `first` to before `last`."""

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
        sums: dict[str, tuple[int, int]] = {}
        for (_, component, _), (tokens, sequences) in self.by_source.items():
            before = sums.get(component, (0, 0))
            sums[component] = (before[0] + tokens, before[1] + sequences)
        return sums


def arrange_stages(
    documents: Documents,
    pairs: Sequence[Pool],
    settings: Mixture,
    allowed: Sequence[npt.NDArray[np.bool_] | None] = (None,),
) -> Arrangement:
    """Arrange each stage of the mixture after the other, as one sequence; see `arrange`.

    `allowed`: for each stage which documents it may use (None: all). Shards end where a stage
    does. A later stage begins with what the earlier ones used the least, and `epochs` counts on.
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
        part = Documents(documents.ids[chosen], documents.pair[chosen], documents.tokens[chosen])
        one = arrange(part, pairs, own, uses[chosen])
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
    """Return by component what the stage that left out the most left out."""
    found: dict[str, dict[str, int]] = {}
    for one in made:
        for name, gone in one.left_out.items():
            if gone["tokens"] > found.get(name, {"tokens": 0})["tokens"]:
                found[name] = gone
    return found


def arrange(
    documents: Documents,
    pairs: Sequence[Pool],
    settings: Mixture,
    uses: npt.NDArray[np.int16] | None = None,
) -> Arrangement:
    """Solve the mixture over `documents` and put them in order.

    `pairs` names the pool of each pair number, `uses` how often earlier stages took each
    document. Documents so long that no order keeps
    `window_tolerance` are left out as long as their component's target is still met.
    Raises InputError if the mixture cannot be met.
    """
    uses = np.zeros(len(documents.tokens), np.int16) if uses is None else uses
    plan = solve(_available(documents, pairs, None, uses), settings)
    names = [component.component for component in plan.components]
    number = {name: index for index, name in enumerate(names)}
    component = np.array([number.get(pool.component, -1) for pool in pairs], dtype=np.int64)
    best: Arrangement | None = None
    seen: set[tuple[int, ...]] = set()
    for ease in _EASE:
        limits = longest(plan, settings, ease)
        limits = _feasible(documents, pairs, plan, settings, limits, uses)
        key = tuple(limits.values())
        if key in seen:
            continue
        seen.add(key)
        made = _arranged(documents, pairs, component, plan, settings, limits, uses)
        if best is None or (made.balance.window or 0) < (best.balance.window or 0):
            best = made
        if (best.balance.window or 0) <= settings.window_tolerance:
            break
    assert best is not None
    return best


def longest(plan: Plan, settings: Mixture, ease: float) -> dict[str, int]:
    """Return the longest document, in tokens, that each component may have.

    A document of L tokens adds L(1−w) tokens to its component (share w) above an even spread,
    half before it and half after, and takes L·v from one of share v. A window of W tokens that
    begins or ends there is off by half of that; within tolerance t it has to be at most t·w·W,
    or t·v·W. So L ≤ 2t·W·w/(1−w) and L ≤ 2t·W; `ease` is the share of that allowed. A document
    may also not be longer than half of its component's part in a shard.
    """
    window = min(settings.window, plan.planned)
    tolerance = float(settings.window_tolerance)
    limits = {}
    for name, share in plan.shares().items():
        if share >= 1:  # nothing to be out of balance with
            limits[name] = plan.planned
            continue
        own = share / (1 - share)
        in_window = 2 * tolerance * window * min(own, 1.0) * ease
        in_shard = share * plan.planned / settings.shards / 2
        bound = in_window if plan.planned >= settings.window else in_shard
        limits[name] = max(1, int(min(bound, in_shard)))
    return limits


def _frozen(plan: Plan, settings: Mixture) -> Mixture:
    """Return settings that give `plan`'s components what it gives them, whatever is there."""
    weights = {
        entry.component: ComponentWeight(
            share=entry.share,
            sources=settings.weights[entry.component].sources
            if entry.component in settings.weights
            else {},
        )
        for entry in plan.components
    }
    return settings.model_copy(
        update={
            "tokens": plan.tokens,
            "strategy": "fixed",
            "weights": weights,
            "allow_short": True,
        }
    )


def _available(
    documents: Documents,
    pairs: Sequence[Pool],
    usable: npt.NDArray[np.bool_] | None,
    uses: npt.NDArray[np.int16],
) -> list[SourceTokens]:
    pair = documents.pair if usable is None else documents.pair[usable]
    tokens = documents.tokens if usable is None else documents.tokens[usable]
    used = _sums(pair, tokens * (uses if usable is None else uses[usable]), len(pairs))
    counts = np.bincount(pair, minlength=len(pairs))
    sums = _sums(pair, tokens, len(pairs))
    return [
        SourceTokens(
            pool.source,
            pool.component,
            int(sums[index]),
            int(counts[index]),
            pool.factor,
            int(used[index]),
        )
        for index, pool in enumerate(pairs)
    ]


def _sums(
    group: npt.NDArray[Any], values: npt.NDArray[np.int64], groups: int
) -> npt.NDArray[np.int64]:
    """Return the sum of `values` of each group, exact."""
    total = np.zeros(groups, dtype=np.int64)
    np.add.at(total, group, values)
    return total


def _usable(
    documents: Documents, pairs: Sequence[Pool], limits: dict[str, int]
) -> npt.NDArray[np.bool_]:
    by_pair = np.array([limits.get(pool.component, 0) for pool in pairs], dtype=np.int64)
    usable: npt.NDArray[np.bool_] = documents.tokens <= by_pair[documents.pair]
    return usable


def _feasible(
    documents: Documents,
    pairs: Sequence[Pool],
    plan: Plan,
    settings: Mixture,
    limits: dict[str, int],
    uses: npt.NDArray[np.int16],
) -> dict[str, int]:
    """Return `limits`, doubled for the components that would miss their target otherwise."""
    same = _frozen(plan, settings)
    planned = {entry.component: entry.planned for entry in plan.components}
    longest_document = int(documents.tokens.max(initial=1))
    limits = dict(limits)
    while True:
        usable = _usable(documents, pairs, limits)
        again = solve(_available(documents, pairs, usable, uses), same)
        short = [
            entry.component
            for entry in again.components
            if entry.planned < planned[entry.component]
        ]
        raised = [name for name in short if limits[name] < longest_document]
        if not raised:
            return limits
        for name in raised:
            limits[name] *= 2


def _arranged(
    documents: Documents,
    pairs: Sequence[Pool],
    component: npt.NDArray[np.int64],
    plan: Plan,
    settings: Mixture,
    limits: dict[str, int],
    uses: npt.NDArray[np.int16],
) -> Arrangement:
    usable = _usable(documents, pairs, limits)
    available = _available(documents, pairs, usable, uses)
    solved = solve(available, _frozen(plan, settings))
    most_of = {
        Pool(entry.source, entry.component, entry.factor): entry.limit(
            Fraction(str(settings.max_epochs))
        )
        for entry in available
    }
    keys = base_keys(documents.ids)
    streams = []
    missing: dict[str, int] = {}  # a small source's misfit goes to the component's next larger
    for entry in sorted(solved.sources, key=lambda e: (e.tokens, *e.pool)):
        most = most_of[entry.pool]
        target = min(most, entry.target + missing.get(entry.component, 0)) if entry.target else 0
        if target:
            number = pairs.index(entry.pool)
            rows = np.flatnonzero(usable & (documents.pair == number))
            stream = _stream(documents, keys, rows, uses, target, entry.pool, solved, settings)
            streams.append((number, *stream))
            lacking = target - int(documents.tokens[stream[0]].sum())
            missing[entry.component] = lacking
    streams.sort(key=lambda stream: stream[0])
    if not streams:
        raise InputError("the mixture is empty: no document of its components is kept")
    rows, epochs = _interleave(documents, component, streams)
    tokens = documents.tokens[rows]
    of = component[documents.pair[rows]]
    shares = list(solved.shares().values())
    shards = cut_shards(of, tokens, len(shares), settings.shards)
    names = [entry.component for entry in solved.components]
    balance = measure(of, tokens, shards, names, shares, settings.window)
    return Arrangement(
        plan=solved,
        rows=rows,
        epochs=epochs,
        shards=shards,
        balance=balance,
        left_out=_left_out(documents, component, usable, names, limits),
        by_source=_by_source(documents.pair[rows], tokens, pairs),
    )


def _by_source(
    pair: npt.NDArray[np.int32], tokens: npt.NDArray[np.int64], pairs: Sequence[Pool]
) -> dict[Pool, tuple[int, int]]:
    counts = np.bincount(pair, minlength=len(pairs))
    sums = _sums(pair, tokens, len(pairs))
    return {
        name: (int(sums[number]), int(counts[number]))
        for number, name in enumerate(pairs)
        if counts[number]
    }


def _left_out(
    documents: Documents,
    component: npt.NDArray[np.int64],
    usable: npt.NDArray[np.bool_],
    names: Sequence[str],
    limits: dict[str, int],
) -> dict[str, dict[str, int]]:
    of = component[documents.pair]
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


def _stream(
    documents: Documents,
    keys: npt.NDArray[np.uint64],
    rows: npt.NDArray[np.int64],
    uses: npt.NDArray[np.int16],
    target: int,
    pool: Pool,
    plan: Plan,
    settings: Mixture,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int16]]:
    """Return the rows and epochs of one source in one component, in the order of its stream."""
    start = named_key(pool.source, settings.seed)
    low = base_keys(documents.ids[:, 8:])[rows]
    around = keys[rows] - start  # wraps around: a circle
    rows = rows[np.lexsort((low, around, uses[rows]))]
    tokens = documents.tokens[rows]
    available = int(tokens.sum())
    full, rest = divmod(target, available)
    part = rows[choose(tokens, rest)]
    copies = np.concatenate([np.tile(rows, full), part])
    epochs = np.concatenate(
        [np.repeat(np.arange(full), len(rows)), np.full(len(part), full)]
    ).astype(np.int16)
    epochs += uses[copies]
    order = _shuffle(documents, keys, copies, epochs, available / target, plan, settings)
    return copies[order], epochs[order]


def _shuffle(
    documents: Documents,
    keys: npt.NDArray[np.uint64],
    rows: npt.NDArray[np.int64],
    epochs: npt.NDArray[np.int16],
    apart: float,
    plan: Plan,
    settings: Mixture,
) -> npt.NDArray[np.int64]:
    """Return the order that shuffles copies inside cells of the stream.

    `apart` is how far apart two copies are, as a share of the mixture. Cells are so short that
    copies stay more than a window apart where the mixture is long enough for that at all.
    """
    spare = apart * plan.planned - settings.window if apart < 1 else 2.0 * CELL
    cell = min(CELL, spare / 2)
    tokens = documents.tokens[rows]
    if cell <= 0:
        return np.arange(len(rows))
    cells = max(1, round(plan.planned / cell))
    place = _middles(tokens)
    mixed = keys[rows] ^ named_key("shuffle", settings.seed)
    mixed = scramble(mixed + epochs.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return np.lexsort((mixed, np.floor(place * cells)))


def _middles(tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the middle of each document in the stream, as a share of its tokens."""
    ends = np.cumsum(tokens)
    middles: npt.NDArray[np.float64] = (ends - tokens / 2) / max(1, int(tokens.sum()))
    return middles


def _interleave(
    documents: Documents,
    component: npt.NDArray[np.int64],
    streams: Sequence[tuple[int, npt.NDArray[np.int64], npt.NDArray[np.int16]]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int16]]:
    """Merge the streams: sources into components, components into one sequence."""
    merged = []
    for name in sorted({int(component[number]) for number, _, _ in streams}):
        own = [stream for stream in streams if component[stream[0]] == name]
        merged.append(_merge([(rows, epochs) for _, rows, epochs in own], documents))
    return _merge(merged, documents)


def _merge(
    streams: Sequence[tuple[npt.NDArray[np.int64], npt.NDArray[np.int16]]], documents: Documents
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int16]]:
    rows = np.concatenate([stream[0] for stream in streams])
    epochs = np.concatenate([stream[1] for stream in streams])
    places = np.concatenate([_middles(documents.tokens[stream[0]]) for stream in streams])
    order = np.argsort(places, kind="stable")
    return rows[order], epochs[order]


def choose(tokens: npt.NDArray[np.int64], target: int) -> npt.NDArray[np.int64]:
    """Return the places of documents, ascending, whose tokens come as near to `target` as can be.

    From the front, leaving out what would overshoot; then one document near the end is
    exchanged for another as long as that brings the sum nearer. The sum is never over `target`.
    """
    ends = np.cumsum(tokens)
    count = int(np.searchsorted(ends, target, side="right"))
    left = target - (int(ends[count - 1]) if count else 0)
    later = np.arange(count, min(len(tokens), count + _FIT))
    taken: list[int] = []
    for place in later.tolist():
        if left == 0:
            break
        if tokens[place] <= left:
            taken.append(place)
            left -= int(tokens[place])
    inside = np.concatenate([np.arange(max(0, count - _FIT), count), np.array(taken, dtype=int)])
    outside = np.setdiff1d(later, inside)
    for _ in range(8):
        if left == 0 or not len(inside) or not len(outside):
            break
        outside = outside[np.argsort(tokens[outside], kind="stable")]
        sizes = tokens[outside]
        best = np.searchsorted(sizes, tokens[inside] + left, side="right") - 1
        gain = np.where(best >= 0, sizes[best] - tokens[inside], 0)
        if gain.max() <= 0:
            break
        out = int(np.argmax(gain))
        into = int(best[out])
        left -= int(gain[out])
        inside[out], outside[into] = outside[into], inside[out]
    first = np.arange(max(0, count - _FIT))
    return np.concatenate([first, np.sort(inside)]).astype(np.int64)


def cut_shards(
    component: npt.NDArray[np.int64], tokens: npt.NDArray[np.int64], components: int, shards: int
) -> npt.NDArray[np.int64]:
    """Return where each of `shards` shards begins among the sequences, and the end.

    Each cut is within a hundredth of a shard of its even place (four hundredths, or 32 sequences,
    where that leaves a component 0.4 % off), there where the components so far are the nearest to
    their shares of the whole.
    """
    ends = np.cumsum(tokens)
    total = int(ends[-1])
    whole = _sums(component, tokens, components)
    share = np.where(whole > 0, whole / total, 1.0)
    size = total / shards
    before = np.zeros(components, dtype=np.int64)
    counted = 0
    cuts = [0]
    for shard in range(1, shards):
        even = total * shard / shards
        middle = int(np.searchsorted(ends, even))
        wide = [int(place) for place in np.searchsorted(ends, [even - size / 25, even + size / 25])]
        first = max(cuts[-1], min(wide[0], middle - _CANDIDATES))
        last = min(len(tokens) - 1, max(wide[1], middle + _CANDIDATES))
        first = min(first, last)
        before += _sums(component[counted:first], tokens[counted:first], components)
        counted = first
        span = slice(first, last + 1)
        off = np.zeros(last + 1 - first)
        for number in range(components):
            own = before[number] + np.cumsum(np.where(component[span] == number, tokens[span], 0))
            np.maximum(off, np.abs(own - share[number] * ends[span]) / share[number], out=off)
        near = np.abs(ends[span] - even) <= size / 100
        if near.any() and off[near].min() <= 0.004 * size:
            off = np.where(near, off, np.inf)
        cuts.append(first + int(np.argmin(off)) + 1)
    return np.array([*cuts, len(tokens)], dtype=np.int64)
