"""Limits on libraries' thread pools. Imports nothing heavy: a worker's launcher needs it first."""

from __future__ import annotations

import os

THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def limit_threads() -> None:
    """One worker a core: libraries must not start a pool each. What the user set stays."""
    for name in THREAD_LIMITS:
        os.environ.setdefault(name, "1")
