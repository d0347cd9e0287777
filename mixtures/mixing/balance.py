"""Balance: how far the shares of a mixture are from their targets.

Three figures, each the largest relative deviation of a component's share from its target: over
all, in a shard, and in any window of a given number of tokens. A window may begin at any token of
the shards read in order, inside a document too; the measure is exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel


class Balance(BaseModel):
    """The deviations: 0.01 is one hundredth of the component's share. None: no such window."""

    overall: float
    shard: float
    window: float | None
    window_tokens: int
    by_component: dict[str, dict[str, float | None]]
    """The three figures of each component."""


def measure(
    component: npt.NDArray[np.integer],
    tokens: npt.NDArray[np.integer],
    shards: npt.NDArray[np.int64],
    names: Sequence[str],
    shares: Sequence[float],
    window: int,
) -> Balance:
    """Measure sequences in their order.

    `component` and `tokens`: of each sequence; `component` numbers `names`, whose target shares
    are `shares`. `shards`: where each shard begins among the sequences, and the end.
    """
    ends = np.concatenate([[0], np.cumsum(tokens, dtype=np.int64)])
    total = int(ends[-1])
    sizes = np.diff(ends[shards])
    by_component: dict[str, dict[str, float | None]] = {}
    for number, (name, share) in enumerate(zip(names, shares, strict=True)):
        if share <= 0:
            continue
        own = np.concatenate([[0], np.cumsum(np.where(component == number, tokens, 0))])
        own = own.astype(np.int64)
        filled = sizes > 0
        in_shards = np.diff(own[shards])[filled] / sizes[filled]
        by_component[name] = {
            "overall": abs(own[-1] / total / share - 1) if total else 0.0,
            "shard": float(np.abs(in_shards / share - 1).max()) if len(in_shards) else 0.0,
            "window": worst_window(ends, own, share, window),
        }
    largest = {
        figure: max((row[figure] or 0.0 for row in by_component.values()), default=0.0)
        for figure in ("overall", "shard", "window")
    }
    return Balance(
        overall=largest["overall"],
        shard=largest["shard"],
        window=largest["window"] if total >= window else None,
        window_tokens=window,
        by_component=by_component,
    )


def worst(parts: Sequence[Balance]) -> Balance:
    """Return the largest deviations of several parts that were measured separately."""
    if len(parts) == 1:
        return parts[0]
    by_component: dict[str, dict[str, float | None]] = {}
    for part in parts:
        for name, figures in part.by_component.items():
            row = by_component.setdefault(name, {})
            for figure, value in figures.items():
                last = row.get(figure)
                row[figure] = value if last is None else max(last, value or 0.0)
    windows = [part.window for part in parts if part.window is not None]
    return Balance(
        overall=max(part.overall for part in parts),
        shard=max(part.shard for part in parts),
        window=max(windows, default=None),
        window_tokens=parts[0].window_tokens,
        by_component=by_component,
    )


def worst_window(
    ends: npt.NDArray[np.int64], own: npt.NDArray[np.int64], share: float, window: int
) -> float | None:
    """Return the largest relative deviation of one component in any window of `window` tokens.

    `ends` and `own` (sequences + 1): all tokens and the component's tokens before each sequence.
    A window's content is piecewise linear in its position, so its extremes are where one of its
    ends is the edge of a sequence. None where the mixture is shorter than a window.
    """
    total = int(ends[-1])
    if total < window:
        return None
    starts = np.concatenate([ends[ends <= total - window], ends[ends >= window] - window])
    inside = _at(starts + window, ends, own) - _at(starts, ends, own)
    return float(np.abs(inside / (window * share) - 1).max())


def _at(
    places: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], own: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the component's tokens before each of `places`, inside sequences too."""
    index = np.minimum(np.searchsorted(ends, places, side="right") - 1, len(ends) - 2)
    belongs = own[index + 1] > own[index]
    before: npt.NDArray[np.int64] = own[index] + np.where(belongs, places - ends[index], 0)
    return before
