"""Documents on either side of a rule's threshold."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

from audit.query.columns import BLOCK, is_null
from audit.query.frame import Frame
from audit.query.pieces import pieces
from audit.query.plain import Json, plain
from audit.query.texts import SHOWN_COLUMNS, Texts
from schemas.errors import InputError
from schemas.kernels import GOLDEN
from schemas.rules import Rule, is_number


def samples(frame: Frame, texts: Texts, index: int, each: int = 3) -> Json:
    """Return documents that rule `index` drops, nearly drops and nearly keeps."""
    if not 0 <= index < len(frame.rules):
        raise InputError(f"rule {index}: the run has {len(frame.rules)}, counted from 0")
    rule = frame.rules[index]
    groups = frame.groups
    first = groups.first() == index
    scope = frame.scoped(rule, groups.source, groups.component)
    chosen = {"dropped": _spread(frame, first, each)}
    if is_number(rule.value):
        only = groups.mask == np.uint64(1 << index)
        chosen["nearly_kept"] = _nearest(frame, rule, only, each)
        chosen["nearly_dropped"] = _nearest(frame, rule, (groups.mask == 0) & scope, each)
    rows = [row for part in chosen.values() for row in part]
    duplicate = ["duplicate_of"] if "dedup" in frame.steps else []
    columns = list(dict.fromkeys([*SHOWN_COLUMNS, rule.column, *duplicate]))
    shown = iter(texts.read(rows, columns))
    found: Json = {}
    for kind, part in chosen.items():
        found[kind] = []
        for _ in part:
            one = next(shown)
            marks = texts.marks(rule.column, one.text)
            found[kind].append(
                {
                    **plain(one.values),
                    "value": plain({"v": one.values.get(rule.column)})["v"],
                    "excerpt": pieces(one.text, marks),
                    "length": len(one.text),
                }
            )
    return found


def _spread(frame: Frame, chosen: npt.NDArray[np.bool_], each: int) -> list[int]:
    """Return rows of the chosen groups, the same ones every time, spread over all of them."""
    best: list[tuple[int, int]] = []
    for start in range(0, frame.rows, BLOCK):
        rows = np.flatnonzero(chosen[frame.group[start : start + BLOCK]]) + start
        order = rows.astype(np.uint64) * GOLDEN
        few = np.argsort(order, kind="stable")[:each]
        best += zip(order[few].tolist(), rows[few].tolist(), strict=True)
    return [row for _, row in sorted(best)[:each]]


def _nearest(frame: Frame, rule: Rule, chosen: npt.NDArray[np.bool_], each: int) -> list[int]:
    """Return rows of the chosen groups whose values are nearest to the threshold."""
    values = frame.values(rule.column)
    threshold = float(cast(float, rule.value))
    best: list[tuple[float, int]] = []
    for start in range(0, frame.rows, BLOCK):
        part = values[start : start + BLOCK]
        here = chosen[frame.group[start : start + BLOCK]] & ~is_null(part)
        rows = np.flatnonzero(here)
        with np.errstate(invalid="ignore"):  # an infinite value at an infinite threshold
            gap = np.abs(part[rows].astype(np.float64) - threshold)
        few = np.argpartition(gap, each)[:each] if len(gap) > each else np.arange(len(gap))
        best += zip(gap[few].tolist(), (rows[few] + start).tolist(), strict=True)
    return [row for _, row in sorted(best)[:each]]
