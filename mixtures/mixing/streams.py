"""Streams: the documents of a source in their order, and several streams merged into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mixtures.keys import base_keys, named_key, scramble
from mixtures.mixing.documents import Documents
from mixtures.mixing.plan import Plan, Pool
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


def source_stream(
    documents: Documents,
    keys: npt.NDArray[np.uint64],
    rows: npt.NDArray[np.int64],
    uses: npt.NDArray[np.int16],
    target: int,
    pool: Pool,
    plan: Plan,
    settings: Mixture,
) -> Stream:
    """Return the stream of one pool, whose documents are `rows`, of `target` tokens.

    `keys`: base key of every document. `uses`: how often earlier stages took it.
    """
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
    return Stream(copies[order], epochs[order])


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

    `apart`: distance between two copies, as a share of the mixture. Cells are short enough to
    keep copies more than a window apart, where the mixture is long enough.
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


def choose(tokens: npt.NDArray[np.int64], target: int) -> npt.NDArray[np.int64]:
    """Return the places of documents, ascending, whose tokens sum to nearly `target`.

    From the front, without those that would exceed it; then one document near the end is
    exchanged for another as long as that brings the sum nearer. The sum never exceeds `target`.
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
