"""Rules over annotation columns: one reason per document, from stored signals.

Rules measure nothing, so a changed threshold is decided again from the stored columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.columnar.arrays import Mask
from filters.rules.evaluate import breaks
from schemas.rules import ALL, Rule

KEPT = -1
"""The verdict on a document that every rule keeps."""


def in_scope(rule: Rule, assigned: pa.Array, source: pa.Array) -> Mask:
    """Return for each row whether the rule applies to it: by component, source or `all`."""
    if rule.scope == ALL:
        return np.ones(len(source), dtype=bool)
    component = pc.fill_null(pc.equal(assigned, rule.scope), False)
    return np.asarray(pc.or_(component, pc.fill_null(pc.equal(source, rule.scope), False)))


def decide(columns: Mapping[str, pa.Array], rules: Sequence[Rule]) -> npt.NDArray[np.int16]:
    """Return for each row the index of the first rule that it breaks, or KEPT.

    `columns` holds `assigned`, `source` and every column that a rule names, all of one length. Each
    row is decided alone.
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
