"""Edits are counted by byte: a value that a cut reaches is part of the cut."""

from __future__ import annotations

import pyarrow as pa

from audit.accounting.edits import edits_of
from filters.pii.annotator import SPANS
from filters.text.removed_spans import build_removed_spans
from schemas.config import Config


def test_a_value_that_a_cut_reaches_is_counted_as_cut_and_others_as_masked():
    spans = [("EMAIL_ADDRESS", 0, 4), ("EMAIL_ADDRESS", 10, 20), ("EMAIL_ADDRESS", 30, 34)]
    values = [[{"type": kind, "start": start, "end": end} for kind, start, end in spans], []]
    cuts = build_removed_spans(2, [0, 0, 1], [(15, 25, "line"), (20, 28, "line"), (0, 40, "line")])
    columns = pa.record_batch({"tails": cuts, "pii_spans": pa.array(values, SPANS)})
    config = Config.model_validate(
        {
            "name": "small",
            "sources": {"a": {"component": "ko", "path": "x"}},
            "mixture": {"weights": {"ko": 1}},
        }
    )
    edits = edits_of(columns, ["tails"], config)
    found = list(zip(edits.row.tolist(), edits.label, edits.covered.tolist(), strict=True))
    assert found == [
        (0, "masked EMAIL_ADDRESS", 4),
        (0, "cut line", 10),
        (0, "cut line", 5),
        (0, "cut line", 3),
        (0, "masked EMAIL_ADDRESS", 4),
        (1, "cut line", 40),
    ]
