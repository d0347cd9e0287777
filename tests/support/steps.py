"""Count the lines of filters/ that measuring a text runs, kernels included: the same on any machine.

    NUMBA_DISABLE_JIT=1 PYTHONPATH=. python tests/support/steps.py SIZE ...

Reads a JSON list of strings from standard input; prints for each a list: the count for SIZE bytes of
that string, repeated. Kernels are counted only where Numba does not compile them, so this is a
program of its own.
"""

from __future__ import annotations

import json
import sys
from types import FrameType
from typing import Any

import pyarrow as pa

from filters.measure.annotator import Measure
from schemas.config import Measure as Settings


def steps(annotate: Measure, line: str, size: int) -> int:
    whole = line * (size // len(line.encode()) + 1)
    rows = pa.RecordBatch.from_arrays(
        [
            pa.array([whole.encode()[:size].decode("utf-8", "ignore")]),
            *(pa.array([value], pa.string()) for value in ("ko", None, None)),
        ],
        names=["text", "assigned", "code_lang", "meta"],
    )
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        if "/filters/" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        annotate(rows)
    finally:
        sys.settrace(None)
    return count


if __name__ == "__main__":
    annotate = Measure(Settings())
    sizes = [int(size) for size in sys.argv[1:]]
    print(json.dumps([[steps(annotate, t, s) for s in sizes] for t in json.load(sys.stdin)]))
