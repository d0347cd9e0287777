"""What is edited when tokens are written: spans cut, personal data masked.

Documents never change. An edit is counted in bytes of the original text that it covers, each
byte once: where two overlap, the first has it. A value of personal data that a cut reaches is cut
with it, as in `filters.pii.mask.apply_spans`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.pii.entities import action_of
from filters.text.removed_spans import flat_spans, overlapped_by
from schemas.config import Config

_FAR = 1 << 40
"""More bytes than a document has."""
CUT = "cut "
"""How the labels of cuts begin."""
UNTOUCHED = ("keep", "drop")


@dataclass(frozen=True)
class Edits:
    """Edited spans of a batch: row, label (such as `masked EMAIL_ADDRESS`), bytes covered."""

    row: npt.NDArray[np.int64]
    label: list[str]
    covered: npt.NDArray[np.int64]


def edits_of(columns: pa.RecordBatch, cuts: list[str], config: Config) -> Edits:
    """Return the edits of a batch with `pii_spans` and the columns `cuts`, in order."""
    parts: list[tuple[npt.NDArray[np.int64], ...]] = []
    labels: list[str] = []
    names = [*cuts, "pii_spans"] if "pii_spans" in columns.schema.names else cuts
    for name in names:
        column = columns.column(name)
        rows, starts, ends = flat_spans(column)
        flat = pc.list_flatten(column)
        if name == "pii_spans":
            kinds = flat.field("type").to_pylist()
            actions = {kind: action_of(config.pii, kind) for kind in set(kinds)}
            changed = np.array([actions[kind] not in UNTOUCHED for kind in kinds], dtype=bool)
            rows, starts, ends = rows[changed], starts[changed], ends[changed]
            verb = {"mask": "masked", "pseudonymise": "pseudonymised"}
            labels += [
                f"{verb[actions[kind]]} {kind}"
                for kind, here in zip(kinds, changed.tolist(), strict=True)
                if here
            ]
        else:
            labels += [f"{CUT}{kind}" for kind in flat.field("kind").to_pylist()]
        parts.append((rows, starts, ends))
    if not labels:
        nothing = np.zeros(0, np.int64)
        return Edits(nothing, [], nothing)
    rows, starts, ends = (np.concatenate(part) for part in zip(*parts, strict=True))
    starts, ends = starts + rows * _FAR, ends + rows * _FAR
    cuts_here = np.array([label.startswith(CUT) for label in labels])
    with_cut = np.where(cuts_here, -1, overlapped_by(starts, ends, cuts_here)).tolist()
    labels = [labels[by] if by >= 0 else own for by, own in zip(with_cut, labels, strict=True)]
    order = np.lexsort((ends, starts))
    rows, starts, ends = rows[order], starts[order], ends[order]
    reached = np.maximum.accumulate(np.concatenate([[0], ends[:-1]]))
    covered = np.maximum(ends - np.maximum(starts, reached), 0)
    return Edits(rows, [labels[int(index)] for index in order], covered)
