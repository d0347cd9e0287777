"""The copies that a stage takes of each pool, merged into one sequence a window apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from mixtures.keys import named_key
from mixtures.mixing.component import Component, component_of
from mixtures.mixing.documents import Documents
from mixtures.mixing.limits import StageInput
from mixtures.mixing.plan import Cell, Plan, Pool, SourceTokens
from mixtures.mixing.streams import Circle, Spread, Stream, draw, interleave, room, shuffled
from schemas.errors import InputError
from schemas.mixture import Mixture

NEVER: Final = -(1 << 62)
"""The place of a document that has not been used."""

_EASES: Final = (1.0, 0.5, 0.25, 0.0)
"""Shares of the room between a pass and a window in which documents move, tried in turn."""


@dataclass(frozen=True)
class History:
    """Where earlier stages began each document's last copy, and how many tokens they have."""

    last: npt.NDArray[np.int64]
    tokens: int

    def after(self, rows: npt.NDArray[np.int64], tokens: npt.NDArray[np.int64]) -> History:
        """Return the history with a stage's sequences `rows`; `tokens`: of each document."""
        ends = self.tokens + np.cumsum(tokens[rows])
        last = self.last.copy()
        np.maximum.at(last, rows, ends - tokens[rows])
        return History(last, int(ends[-1]) if len(ends) else self.tokens)


def shortest_passes(
    plans: Sequence[Plan],
    available: Sequence[SourceTokens],
    others: Mapping[Pool, float] | None = None,
) -> dict[Pool, float]:
    """Return the fewest tokens of the mixture between two copies, of pools that have any.

    A document of a cell of T tokens comes again after T tokens of its pool at the earliest, and a
    pool of X tokens in a stage of N is X/N of it. `others`: the passes of pools in other stages,
    which repeat whatever `plans` say.
    """
    sizes = {entry.cell: entry.tokens for entry in available}
    given: dict[Cell, int] = {}
    for plan in plans:
        for cell, tokens in plan.cells:
            given[cell] = given.get(cell, 0) + tokens
    used = {entry.cell: entry.used for entry in available}
    found = dict(others or {})
    for plan in plans:
        targets = {source.pool: source.target for source in plan.sources}
        for cell, tokens in plan.cells:
            repeats = given[cell] + used[cell] > sizes[cell] or cell.pool in (others or {})
            if tokens and repeats:
                apart = sizes[cell] * plan.planned / targets[cell.pool]
                found[cell.pool] = min(found.get(cell.pool, apart), apart)
    return found


def merged_copies(
    documents: Documents,
    stage: StageInput,
    plan: Plan,
    usable: npt.NDArray[np.bool_],
    settings: Mixture,
    history: History,
    passes: Mapping[Pool, float],
) -> Stream:
    """Return the sequences of a stage in order, copies a window apart where a pass allows.

    `usable`: the mask of the documents that `plan` divides. `passes`: see `shortest_passes`.
    Raises InputError where no document fits.
    """
    names = [entry.component for entry in plan.components]
    component = component_numbers(stage.pools, names)
    circle = Circle.of(documents)
    eases = dict.fromkeys(stage.pools, 0)
    best: tuple[int, Stream] | None = None
    for _ in range(2 * len(_EASES)):
        spreads = {
            pool: Spread.within(passes.get(pool), settings.window, _EASES[ease])
            for pool, ease in eases.items()
        }
        streams = _streams(documents, stage, plan, usable, settings, circle, spreads, history)
        if not any(len(stream.rows) for _, stream in streams):
            raise InputError("the mixture is empty: no document of its components fits")
        merged = interleave(documents, component, streams)
        pairs, near = _too_near(documents, stage, merged, settings.window, history, passes)
        if best is None or pairs < best[0]:
            best = pairs, merged
        tighter = [pool for pool in near if eases[pool] + 1 < len(_EASES)]
        if not tighter:
            break
        for pool in tighter:
            eases[pool] += 1
    assert best is not None
    return best[1]


def component_numbers(pools: Sequence[Pool], names: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the number in `names` of each pool's component; -1: not among them."""
    number = {name: at for at, name in enumerate(names)}
    return np.array([number.get(pool.component, -1) for pool in pools], dtype=np.int64)


def _streams(
    documents: Documents,
    stage: StageInput,
    plan: Plan,
    usable: npt.NDArray[np.bool_],
    settings: Mixture,
    circle: Circle,
    spreads: Mapping[Pool, Spread],
    history: History,
) -> list[tuple[int, Stream]]:
    """Return the streams of pools, by number."""
    # Those used the longest ago come first in each pass, so that a whole pass is between copies
    # although an earlier stage passed some over.
    turn = history.last, -stage.uses
    numbers = {cell: number for number, cell in enumerate(stage.cells.cells)}
    parts: dict[str, list[_Part]] = {}
    for cell, target in plan.cells:
        if not target:
            continue
        rows = np.flatnonzero(usable & (stage.cells.number == numbers[cell]))
        start = named_key(cell.pool.source, settings.seed)
        rows = rows[circle.around(rows, start, *(key[rows] for key in turn))]
        reach = spreads[cell.pool].reach
        reach = None if reach is None else reach * target / max(1, plan.planned)
        part = _Part(cell, target, rows, documents.tokens[rows], stage.uses[rows], reach)
        parts.setdefault(cell.pool.component, []).append(part)
    available = stage.available(documents, usable)
    drawn: dict[Pool, list[Stream]] = {}
    for name, own in parts.items():
        entries = [entry for entry in available if entry.component == name]
        _fill(own, component_of(name, entries, settings, stage.others))
        for part in own:
            stream = Stream(part.rows[part.places], part.passes)
            drawn.setdefault(part.cell.pool, []).append(stream)
    streams = []
    for number, pool in enumerate(stage.pools):
        if pool in drawn:
            stream = Stream(
                np.concatenate([part.rows for part in drawn[pool]]),
                np.concatenate([part.epochs for part in drawn[pool]]),
            )
            made = shuffled(documents, circle, stream, pool, spreads[pool], plan, settings, turn)
            streams.append((number, made))
    return streams


@dataclass
class _Part:
    """The documents of a cell in their order, and the copies that are drawn of them."""

    cell: Cell
    target: int
    rows: npt.NDArray[np.int64]
    tokens: npt.NDArray[np.int64]
    uses: npt.NDArray[np.int16]
    reach: float | None
    places: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    passes: npt.NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    given: int = 0
    """Tokens of the copies."""

    def draw(self, goal: int) -> None:
        """Draw copies of nearly `goal` tokens, unless those drawn before have as many."""
        places, passes = draw(self.tokens, self.uses, goal, self.reach)
        given = int(self.tokens[places].sum())
        if given > self.given:
            self.places, self.passes, self.given = places, passes, given


def _fill(parts: list[_Part], component: Component) -> None:
    """Draw the copies of a component's cells.

    What the documents of one cannot fit comes from the others, the largest target first, as long
    as that one need not begin another pass and other stages keep what they need.
    """
    parts.sort(key=lambda part: (part.target, *part.cell.pool, part.cell.stages))
    for part in parts[:-1]:
        part.draw(part.target)
    for part in reversed(parts):
        missing = sum(one.target - one.given for one in parts)
        if not missing:
            break
        given = {one.cell: one.given for one in parts}
        most = part.given + min(missing, component.more(part.cell, given))
        goal = max(part.target, min(most, room(part.tokens, part.uses, part.target)))
        if goal > part.target or not part.given:
            part.draw(goal)


def _too_near(
    documents: Documents,
    stage: StageInput,
    merged: Stream,
    window: int,
    history: History,
    passes: Mapping[Pool, float],
) -> tuple[int, list[Pool]]:
    """Return how many copies come less than a window after the last, and their pools.

    Pools whose pass is shorter than a window do not count.
    """
    if not merged.epochs.any():
        return 0, []
    begins = history.tokens + np.cumsum(documents.tokens[merged.rows])
    begins -= documents.tokens[merged.rows]
    order = np.argsort(merged.rows, kind="stable")
    rows, begins = merged.rows[order], begins[order]
    again = np.concatenate([[False], rows[1:] == rows[:-1]])
    last = np.where(again, np.concatenate([[0], begins[:-1]]), history.last[rows])
    near = (last != NEVER) & (begins - last < window)
    counts = np.bincount(documents.pool[rows[near]], minlength=len(stage.pools))
    pools = [
        pool
        for number, pool in enumerate(stage.pools)
        if counts[number] and passes.get(pool, window) >= window
    ]
    return sum(int(counts[stage.pools.index(pool)]) for pool in pools), pools
