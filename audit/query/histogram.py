"""The distribution of a signal, of all documents and of those kept, by component."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from audit.query.columns import BLOCK, Values, is_null
from audit.query.frame import Frame
from audit.query.plain import Json, short
from schemas.errors import InputError

BINS = 48
SAMPLED = 200_000
"""Values that a histogram's range is taken from."""
NOT_SIGNALS = {"run_offset", "cut_key", "contamination_run"}
EDGE = 0.002
"""Share of the values at each end that a histogram puts into its outermost bins."""


def signals(frame: Frame) -> list[Json]:
    """Return the numeric columns that the run has, by step."""
    found = []
    for step in frame.steps:
        for field in frame.schemas[step]:
            if field.name not in NOT_SIGNALS and frame.numeric(field.name):
                found.append({"name": field.name, "step": step})
    return found


def histogram(frame: Frame, name: str) -> Json:
    """Return a histogram of a column by component, of all documents and of those kept.

    Values beyond the edges are counted in the outermost bins.
    """
    if not any(signal["name"] == name for signal in signals(frame)):
        raise InputError(f"{name}: no signal of this run; docs/signals.md lists them")
    values = frame.values(name)
    rules = [
        (index, float(rule.value))
        for index, rule in enumerate(frame.rules)
        if rule.column == name and isinstance(rule.value, int | float)
    ]
    thresholds = [value for _, value in rules if math.isfinite(value)]
    edges, log = bin_edges(values, thresholds)
    edges = shown_edges(edges)
    kinds = len(frame.components.names)
    component = frame.groups.component * 2 + (frame.groups.mask == 0)
    counts = np.zeros((kinds * 2, BINS), np.int64)
    known = 0
    for start in range(0, frame.rows, BLOCK):
        part = values[start : start + BLOCK]
        valid = np.flatnonzero(~is_null(part))
        known += len(valid)
        bins = np.clip(np.searchsorted(edges, part[valid], side="right") - 1, 0, BINS - 1)
        key = component[frame.group[start : start + BLOCK][valid]] * BINS + bins
        counts += np.bincount(key, minlength=kinds * 2 * BINS).reshape(kinds * 2, BINS)
    by_component = {}
    for code, label in enumerate(frame.components.names):
        dropped, kept = counts[2 * code], counts[2 * code + 1]
        if (dropped.any() or kept.any()) and label is not None:
            by_component[label] = {"all": (dropped + kept).tolist(), "kept": kept.tolist()}
    return {
        "name": name,
        "edges": edges.tolist(),
        "log": log,
        "known": known,
        "null": frame.rows - known,
        "components": by_component,
        "rules": [index for index, _ in rules],
    }


def bin_edges(values: Values, thresholds: Sequence[float]) -> tuple[npt.NDArray[np.float64], bool]:
    """Return BINS + 1 edges that hold most values and every threshold, and whether by ratio.

    Counts that reach over two orders of magnitude get edges of equal ratio.
    """
    some = values[:: max(1, len(values) // SAMPLED)]
    few = some[~is_null(some)].astype(np.float64)
    if not len(few):
        return np.linspace(0.0, 1.0, BINS + 1), False
    low, middle, high = np.quantile(few, [EDGE, 0.5, 1 - EDGE])
    whole = values.dtype.kind == "i"
    log = bool(low >= 0 and high > 100 and high > 20 * max(middle, 1.0))
    log = log or bool(whole and high > 2000)
    for value in thresholds:
        span = max(high - low, abs(value), 1e-6)
        low, high = min(low, value - 0.05 * span), max(high, value + 0.05 * span)
    low = max(low, 0.0) if few.min() >= 0 else low
    if high <= low:
        high = low + 1.0
    if log:
        edges = np.geomspace(max(low, 1.0), high, BINS)
        return np.concatenate([[0.0], edges]), True
    return np.linspace(low, high, BINS + 1), False


def shown_edges(edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return edges with six digits, so that values are counted by what is shown.

    Edges that six digits do not tell apart stay as they are.
    """
    rounded = np.array([short(edge) for edge in edges.tolist()])
    return rounded if np.all(np.diff(rounded) > 0) else edges
