"""This machine's cores, and limits on thread pools. Imports nothing: launchers need it first."""

from __future__ import annotations

import os

THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads() -> None:
    """Limit libraries' thread pools to 1 thread: there is a worker per core. The user's own
    settings stay."""
    for name in THREAD_LIMITS:
        os.environ.setdefault(name, "1")
