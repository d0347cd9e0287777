"""Streams: the documents of a source in their order, and several streams merged into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
import numpy.typing as npt

from mixtures.keys import base_keys, named_key, scramble
from mixtures.mixing.documents import Documents, sums
from mixtures.mixing.plan import Plan, Pool
from schemas.kernels import GOLDEN
from schemas.mixture import Mixture

CELL: Final = 1 << 22
"""Maximum tokens of the mixture inside which documents are shuffled, differently each epoch."""

_FIT: Final = 1 << 12
"""Documents on either side of an epoch's end among which the fit is searched."""


@dataclass(frozen=True)
class Stream:
    """Sequences in order: of each its document (`rows`) and its pass over the source (`epochs`)."""

    rows: npt.NDArray[np.int64]
    epochs: npt.NDArray[np.int16]


@dataclass(frozen=True)
class Spread:
    """How far documents may leave their places on the circle, in tokens of the mixture.

    `cell`: tokens inside which documents are shuffled; 0: none. `reach`: how far from an epoch's
    end the fit is searched; None: as far as documents go.
    """

    cell: float = CELL
    reach: float | None = None

    @staticmethod
    def within(a_pass: float | None, window: int, ease: float = 1.0) -> Spread:
        """Return the spread that keeps copies a window apart, a pass being `a_pass` tokens.

        None: no document comes again. A copy may move by a cell forward, the next one by a cell
        and the reach back. `ease`: the part of the room that is used.
        """
        if a_pass is None:
            return Spread(CELL * ease, None if ease == 1 else CELL * ease)
        room = a_pass - window
        if room <= 0:  # copies cannot be a window apart; about a pass is the most
            return Spread(0.0, a_pass / 4)
        cell = min(CELL, room * ease / 3)
        return Spread(cell, room * ease - 2 * cell)


@dataclass(frozen=True)
class Circle:
    """Places of documents on the circle: `high`, then `low` where those are equal."""

    high: npt.NDArray[np.uint64]
    low: npt.NDArray[np.uint64]

    @staticmethod
    def of(documents: Documents) -> Circle:
        """Return the places that follow from the ids."""
        return Circle(base_keys(documents.ids), base_keys(documents.ids[:, 8:]))

    def around(
        self, rows: npt.NDArray[np.int64], start: np.uint64, *first: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.int64]:
        """Return the order of documents around the circle from `start`, after that of `first`.

        The last key of `first` decides before those in front of it.
        """
        return np.lexsort((self.low[rows], self.high[rows] - start, *first))  # wraps around


def shuffled(
    documents: Documents,
    circle: Circle,
    stream: Stream,
    pool: Pool,
    spread: Spread,
    plan: Plan,
    settings: Mixture,
    turn: Sequence[npt.NDArray[np.integer]] = (),
) -> Stream:
    """Return the stream of one pool in its order: pass by pass around the circle, then shuffled.

    The order is shuffled inside cells of `spread.cell` tokens of the mixture, in each pass apart.
    `turn`: keys of all documents that come before their places on the circle, the first key last.
    """
    first = [key[stream.rows] for key in turn]
    start = named_key(pool.source, settings.seed)
    order = circle.around(stream.rows, start, *first, stream.epochs)
    rows, epochs = stream.rows[order], stream.epochs[order]
    if spread.cell <= 0:
        return Stream(rows, epochs)
    cells = max(1, ceil(plan.planned / spread.cell))
    place = _middles(documents.tokens[rows])
    mixed = circle.high[rows] ^ named_key("shuffle", settings.seed)
    mixed = scramble(mixed + epochs.astype(np.uint64) * GOLDEN)
    order = np.lexsort((mixed, np.floor(place * cells), epochs))
    return Stream(rows[order], epochs[order])


def draw(
    tokens: npt.NDArray[np.int64],
    uses: npt.NDArray[np.int16],
    target: int,
    reach: float | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int16]]:
    """Return the places of copies that sum to nearly `target` tokens, and the pass of each.

    Those used the least come first, each pass in order; only the last one is not whole. `reach`:
    see `choose`.
    """
    level = uses.astype(np.int64)
    places, passes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    left = target
    while left > 0 and len(level):
        lowest = int(level.min())
        least = np.flatnonzero(level == lowest)
        have = int(tokens[least].sum())
        if have > left:
            places.append(least[choose(tokens[least], left, reach)])
            passes.append(np.full(len(places[-1]), lowest))
            break
        full = left // have if len(least) == len(level) else 1
        places.append(np.tile(least, full))
        passes.append(np.repeat(np.arange(lowest, lowest + full), len(least)))
        level[least] += full
        left -= full * have
    return np.concatenate(places), np.concatenate(passes).astype(np.int16)


def room(tokens: npt.NDArray[np.int64], uses: npt.NDArray[np.int16], target: int) -> int:
    """Return how many tokens `draw` may give for `target` tokens or more without a new pass."""
    level, counts = np.unique(uses, return_inverse=True)
    have = sums(counts, tokens, len(level))
    given, whole = 0, 0
    for at, lowest in enumerate(level.tolist()):
        whole += int(have[at])
        passes = int(level[at + 1]) - lowest if at + 1 < len(level) else None
        if passes is None or given + passes * whole >= target:
            return given + max(1, -(-(target - given) // whole)) * whole
        given += passes * whole
    return given


def _middles(tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the middle of each document in the stream, as a share of its tokens."""
    ends = np.cumsum(tokens)
    middles: npt.NDArray[np.float64] = (ends - tokens / 2) / max(1, int(tokens.sum()))
    return middles


def interleave(
    documents: Documents,
    component: npt.NDArray[np.int64],
    streams: Sequence[tuple[int, Stream]],
) -> Stream:
    """Merge the streams of pools, by number: pools into components, components into one sequence.

    `component`: number of each pool's component.
    """
    merged = []
    for name in sorted({int(component[number]) for number, _ in streams}):
        own = [stream for number, stream in streams if component[number] == name]
        merged.append(_merge(own, documents))
    return _merge(merged, documents)


def _merge(streams: Sequence[Stream], documents: Documents) -> Stream:
    """Merge streams by the share of each one's tokens that is done."""
    rows = np.concatenate([stream.rows for stream in streams])
    epochs = np.concatenate([stream.epochs for stream in streams])
    places = np.concatenate([_middles(documents.tokens[stream.rows]) for stream in streams])
    order = np.argsort(places, kind="stable")
    return Stream(rows[order], epochs[order])


def choose(
    tokens: npt.NDArray[np.int64], target: int, reach: float | None = None
) -> npt.NDArray[np.int64]:
    """Return the places of documents, ascending, whose tokens sum to nearly `target`.

    From the front, without those that would exceed it; then one document near the end is
    exchanged for another as long as that brings the sum nearer. The sum never exceeds `target`.
    `reach`: tokens on either side of the end among which documents may be exchanged; None: all.
    """
    ends = np.cumsum(tokens)
    count = int(np.searchsorted(ends, target, side="right"))
    done = int(ends[count - 1]) if count else 0
    left = target - done
    first, last = max(0, count - _FIT), min(len(tokens), count + _FIT)
    if reach is not None:
        first = max(first, min(count, int(np.searchsorted(ends - tokens, done - reach))))
        last = min(last, max(count, int(np.searchsorted(ends, done + reach, side="right"))))
    later = np.arange(count, last)
    taken: list[int] = []
    for place in later.tolist():
        if left == 0:
            break
        if tokens[place] <= left:
            taken.append(place)
            left -= int(tokens[place])
    inside = np.concatenate([np.arange(first, count), np.array(taken, dtype=int)])
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
    return np.concatenate([np.arange(first), np.sort(inside)]).astype(np.int64)
