"""The `redact` stage's annotator: spans of personal data in every document.

The text stays as it is; `mask` changes it when tokens are written, by the config of that moment. So
a change of action recomputes nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from filters.columnar.kernels import buffers
from filters.pii.entities import CODE_THRESHOLD, KINDS
from filters.pii.prefilter import CandidateWindows, find_windows
from schemas.config import Pii
from schemas.errors import RunFault

if TYPE_CHECKING:
    from filters.pii.analyser import Hit

SPANS = pa.list_(
    pa.struct(
        [
            pa.field("start", pa.int32(), nullable=False),
            pa.field("end", pa.int32(), nullable=False),
            pa.field("type", pa.string(), nullable=False),
        ]
    )
)
"""Spans of a document: UTF-8 byte offsets `[start, end)`, sorted, disjoint, on whole characters."""

CODE_COMPONENT = "code"


class Redact:
    """Finds personal data. Columns:

    - `pii_spans`: all spans (see SPANS), whatever the config does with them; empty, never null, on
      an annotated row.
    - `pii_count`: the number of spans.
    - `pii_types`: the distinct entity types among them, sorted.

    In rows whose `assigned` is `code` a value needs CODE_THRESHOLD: a shape alone is not enough
    there, it needs a context word or a checksum.
    """

    schema = pa.schema(
        [
            pa.field("pii_spans", SPANS),
            pa.field("pii_count", pa.int32()),
            pa.field("pii_types", pa.list_(pa.string())),
        ]
    )
    reads: tuple[str, ...] = ("text", "assigned")

    def __init__(self, settings: Pii) -> None:
        from filters.pii.analyser import Analyser

        self._kinds = 0
        for number, kind in enumerate(KINDS):
            if not set(kind.entities) <= set(settings.disable):
                self._kinds |= 1 << number
        self._analyser = Analyser(settings.disable, settings.score_threshold)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the columns of `schema`. A null text has no spans."""
        text = batch.column("text").cast(pa.large_string())
        assigned = batch.column("assigned")
        found: dict[int, list[Hit]] = {}
        for windows in find_windows(text, self._kinds):
            try:
                self._read(text, windows, found)
            except (ValueError, TypeError, IndexError, KeyError, RecursionError) as error:
                # The message may contain the value that was read: report the type of error only.
                raise RunFault(
                    f"Presidio failed with {type(error).__name__} on {KINDS[windows.kind].name} "
                    f"candidates; put {', '.join(KINDS[windows.kind].entities)} under pii.disable"
                ) from None
        code = {row for row in found if assigned[row].as_py() == CODE_COMPONENT}
        kept = {
            row: resolve([hit for hit in hits if row not in code or hit.score >= CODE_THRESHOLD])
            for row, hits in found.items()
        }
        return self._columns(batch.num_rows, kept)

    def _read(
        self, text: pa.LargeStringArray, windows: CandidateWindows, found: dict[int, list[Hit]]
    ) -> None:
        """Add the hits of `windows` to `found`, by row, in bytes of the row."""
        from filters.pii.analyser import Hit

        data, offsets = buffers(text)
        view = memoryview(data.data)
        shown = [
            str(view[start:end], "utf-8", "replace")
            for start, end in zip(
                windows.shown_start.tolist(), windows.shown_end.tolist(), strict=True
            )
        ]
        for window, hits in enumerate(self._analyser.analyse(shown, windows.kind)):
            if not hits:
                continue
            row = int(windows.row[window])
            base = int(windows.shown_start[window])
            low, high = int(windows.start[window]), int(windows.end[window])
            ascii_only = shown[window].isascii()
            for hit in hits:
                start, end = hit.start, hit.end
                if not ascii_only:
                    start = len(shown[window][:start].encode())
                    end = start + len(shown[window][hit.start : end].encode())
                if low <= base + start < high:
                    shift = base - int(offsets[row])
                    found.setdefault(row, []).append(
                        Hit(start + shift, end + shift, hit.entity, hit.score)
                    )

    def _columns(self, rows: int, found: dict[int, list[Hit]]) -> pa.RecordBatch:
        sizes = np.zeros(rows + 1, np.int32)
        type_sizes = np.zeros(rows + 1, np.int32)
        starts: list[int] = []
        ends: list[int] = []
        types: list[str] = []
        distinct: list[str] = []
        for row in sorted(found):
            hits = found[row]
            sizes[row + 1] = len(hits)
            starts += [hit.start for hit in hits]
            ends += [hit.end for hit in hits]
            types += [hit.entity for hit in hits]
            names = sorted({hit.entity for hit in hits})
            type_sizes[row + 1] = len(names)
            distinct += names
        values = pa.StructArray.from_arrays(
            [
                pa.array(starts, pa.int32()),
                pa.array(ends, pa.int32()),
                pa.array(types, pa.string()),
            ],
            fields=list(SPANS.value_type),
        )
        spans = pa.ListArray.from_arrays(
            pa.array(np.cumsum(sizes, dtype=np.int32)), values, type=SPANS
        )
        return pa.RecordBatch.from_arrays(
            [
                spans,
                pa.array(sizes[1:]),
                pa.ListArray.from_arrays(
                    pa.array(np.cumsum(type_sizes, dtype=np.int32)),
                    pa.array(distinct, pa.string()),
                ),
            ],
            schema=self.schema,
        )


def resolve(hits: Sequence[Hit]) -> list[Hit]:
    """Return disjoint hits in order; of overlapping ones the longest stays, then the best score.

    Ties go to the leftmost, then to the first type by name, so the result is determined.
    """
    chosen: list[Hit] = []
    cluster: list[Hit] = []
    reach = -1
    for hit in sorted(hits):
        if hit.start >= reach:
            chosen += _best(cluster)
            cluster = []
        cluster.append(hit)
        reach = max(reach, hit.end)
    return chosen + _best(cluster)


def _best(cluster: list[Hit]) -> list[Hit]:
    if len(cluster) < 2:
        return cluster
    chosen: list[Hit] = []
    for hit in sorted(cluster, key=lambda h: (h.start - h.end, -h.score, h.start, h.entity)):
        if all(hit.end <= other.start or hit.start >= other.end for other in chosen):
            chosen.append(hit)
    return sorted(chosen)
