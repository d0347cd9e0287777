"""The `redact` stage: spans of personal data, as annotations. Nothing is changed here."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa

from filters.pii.prefilter import has_candidates, windows
from schemas.config import Pii

SPAN = pa.struct(
    [
        pa.field("start", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
    ]
)
"""A span: codepoint offsets, end exclusive, and the entity type. The value is not kept."""

_HANGUL = re.compile("[\u1100-\u11ff\u3131-\u318e가-힣]")
Span = tuple[int, int, str]


class Redact:
    """Annotates PII spans: sorted, disjoint, inside the text."""

    reads = ("text",)
    schema = pa.schema(
        [
            ("pii_spans", pa.list_(SPAN)),
            ("pii_count", pa.int32()),
            ("pii_types", pa.list_(pa.string())),  # sorted, each once
        ]
    )

    def __init__(self, settings: Pii) -> None:
        self._settings = settings
        self._analyser: Any = None

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the columns of `schema` for `batch` (text)."""
        text = batch.column("text")
        found: list[list[Span]] = [[] for _ in range(len(text))]
        for row, candidate in enumerate(has_candidates(text).to_pylist()):
            if candidate:
                found[row] = self.spans(text[row].as_py())
        spans = [[{"start": s, "end": e, "type": t} for s, e, t in row] for row in found]
        return pa.RecordBatch.from_arrays(
            [
                pa.array(spans, pa.list_(SPAN)),
                pa.array([len(row) for row in found], pa.int32()),
                pa.array([sorted({t for _, _, t in row}) for row in found], pa.list_(pa.string())),
            ],
            schema=self.schema,
        )

    def spans(self, text: str, whole: bool = False) -> list[Span]:
        """Return the spans of one text, looking at windows, or at all of it if `whole`."""
        if self._analyser is None:  # made late: Presidio takes seconds to load
            from filters.pii.recognisers import analyser

            self._analyser = analyser(self._settings.disable)
        parts = [(0, len(text))] if whole else windows(text)
        found: list[tuple[int, int, str, float]] = []
        for start, end in parts:
            window = text[start:end]
            for result in self._results(window):
                found.append(
                    (start + result.start, start + result.end, result.entity_type, result.score)
                )
        return disjoint(found)

    def _results(self, window: str) -> list[Any]:
        """Analyse a window twice: as it is, and with Hangul blanked.

        Presidio's generic recognisers mark boundaries by `\\b`, which a particle glued to a
        number defeats; blanks of the same length give them their boundary back.
        """
        threshold = self._settings.score_threshold
        results = list(self._analyser.analyze(window, language="ko", score_threshold=threshold))
        blanked = _HANGUL.sub(" ", window)
        if blanked != window:
            results += self._analyser.analyze(blanked, language="ko", score_threshold=threshold)
        return results


def disjoint(found: list[tuple[int, int, str, float]]) -> list[Span]:
    """Return spans that do not overlap: the longest wins, then the surest, then the leftmost."""
    chosen: list[Span] = []
    taken: list[tuple[int, int]] = []
    for start, end, entity, _ in sorted(set(found), key=lambda f: (f[0] - f[1], -f[3], f[0], f[2])):
        if all(end <= s or start >= e for s, e in taken):
            taken.append((start, end))
            chosen.append((start, end, entity))
    return sorted(chosen)
