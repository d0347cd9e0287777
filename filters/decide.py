"""Rules over annotation columns: signals in, one reason a document out.

Rules decide, they measure nothing: a changed threshold re-decides from stored columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.rules import ALL, Rule

KEPT = -1
"""The reason code of a document that every rule keeps."""

_COMPARE = {
    ">=": pc.greater_equal,
    "<=": pc.less_equal,
    ">": pc.greater,
    "<": pc.less,
    "==": pc.equal,
    "!=": pc.not_equal,
}


def breaks(rule: Rule, column: pa.Array) -> npt.NDArray[np.bool_]:
    """Return, for each row of `column`, whether the rule's condition does not hold there.

    Null means that the signal does not apply, so a comparison holds there; `null` and `valid`
    ask just for that.
    """
    if rule.op == "null":
        return np.asarray(column.is_valid())
    if rule.op == "valid":
        return np.asarray(column.is_null())
    if rule.op == "lacks":
        return _holds(column, str(rule.value))
    value: object = rule.value
    if pa.types.is_floating(column.type) and isinstance(value, float):
        # A threshold means the decimal as written: compare in the column's own precision.
        value = pa.scalar(value, column.type)
    held = pc.fill_null(_COMPARE[rule.op](column, value), True)
    return ~np.asarray(held)


def _holds(column: pa.ListArray, value: str) -> npt.NDArray[np.bool_]:
    """Return for each row whether its list has `value` among its items."""
    rows = pc.list_parent_indices(column).filter(pc.equal(pc.list_flatten(column), value))
    held = np.zeros(len(column), dtype=bool)
    held[np.asarray(rows)] = True
    return held


def in_scope(rule: Rule, assigned: pa.Array, source: pa.Array) -> npt.NDArray[np.bool_]:
    """Return for each row whether the rule speaks about it: by component, source or `all`."""
    if rule.scope == ALL:
        return np.ones(len(source), dtype=bool)
    component = pc.fill_null(pc.equal(assigned, rule.scope), False)
    return np.asarray(pc.or_(component, pc.equal(source, rule.scope)))


def decide(columns: Mapping[str, pa.Array], rules: Sequence[Rule]) -> npt.NDArray[np.int16]:
    """Return for each row the index of the first rule that it breaks, or KEPT.

    `columns` holds `assigned`, `source` and every column that a rule names, all of one
    length. Order of rows is irrelevant: each is decided alone.
    """
    rows = len(columns["source"])
    verdict = np.full(rows, KEPT, dtype=np.int16)
    for index, rule in enumerate(rules):
        open_rows = verdict == KEPT
        if not open_rows.any():
            break
        broken = in_scope(rule, columns["assigned"], columns["source"])
        broken &= breaks(rule, columns[rule.column])
        verdict[open_rows & broken] = index
    return verdict
