"""Removed spans: passages that stay in the document but never become tokens.

A stage that finds boilerplate annotates its position. The text changes only when tokens are
written, together with the masks of personal data (`filters.pii.mask.apply_spans`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.columnar.arrays import Keys, Longs, Mask
from filters.columnar.kernels import mix64

REMOVED_SPANS = pa.list_(
    pa.struct(
        [
            pa.field("start", pa.int32(), nullable=False),
            pa.field("end", pa.int32(), nullable=False),
            pa.field("kind", pa.string(), nullable=False),
        ]
    )
)
"""Removed spans of a document: UTF-8 byte offsets `[start, end)`, sorted, disjoint, on whole
characters. A span of whole lines includes their newlines. `kind` names what was recognised.
"""

Spans = tuple[Longs, Longs, Longs]


def flat_spans(column: pa.ListArray) -> Spans:
    """Return (row, start, end) of every span of a list column with `start` and `end`."""
    rows = np.asarray(pc.list_parent_indices(column)).astype(np.int64)
    flat = pc.list_flatten(column)
    return (
        rows,
        np.asarray(flat.field("start")).astype(np.int64),
        np.asarray(flat.field("end")).astype(np.int64),
    )


def overlapped_by(starts: Longs, ends: Longs, removed: Mask) -> Longs:
    """Return for each span the index of a removed one that it overlaps, or -1.

    `removed` marks those among the spans; positions count over all rows together.
    """
    order = np.flatnonzero(removed)[np.argsort(starts[removed], kind="stable")]
    furthest = np.maximum.accumulate(ends[order])
    index = np.maximum.accumulate(np.where(ends[order] == furthest, np.arange(len(order)), 0))
    before = np.searchsorted(starts[order], ends)  # removed spans that begin before the end
    overlapped = np.concatenate([[-1], furthest])[before] > starts
    found = np.concatenate([[-1], order[index]])[before]
    return np.asarray(np.where(overlapped, found, -1))


def build_removed_spans(
    rows: int, where: Sequence[int], spans: Sequence[tuple[int, int, str]]
) -> pa.Array:
    """Return a column of REMOVED_SPANS, `rows` long, without nulls.

    `spans` are (start, end, kind), `where` the row of each, ascending.
    """
    sizes = np.bincount(np.asarray(where, dtype=np.int64), minlength=rows)
    values = pa.StructArray.from_arrays(
        [
            pa.array([start for start, _, _ in spans], pa.int32()),
            pa.array([end for _, end, _ in spans], pa.int32()),
            pa.array([kind for _, _, kind in spans], pa.string()),
        ],
        fields=list(REMOVED_SPANS.value_type),
    )
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=REMOVED_SPANS)


def removed_span_keys(columns: Sequence[pa.ListArray], rows: int) -> Longs:
    """Return for each row a hash of its removed spans in all `columns`, 0 where there are none.

    It is stored with the tokens, which are stale when the spans of their document change.
    """
    keys = np.zeros(rows, np.uint64)
    for number, column in enumerate(columns):
        where, starts, ends = flat_spans(column)
        positions = (starts.astype(np.uint64) << np.uint64(32)) | ends.astype(np.uint64)
        hashed = _mix(positions) * np.uint64(2 * number + 1)
        np.add.at(keys, where, hashed | np.uint64(1))
    return keys.view(np.int64)


def _mix(values: Keys) -> Keys:
    """Return `kernels.mix64` of each value of an array."""
    with np.errstate(over="ignore"):
        return np.asarray(mix64.py_func(values), dtype=np.uint64)
