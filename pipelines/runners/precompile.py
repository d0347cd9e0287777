"""Compiling the kernels once, before workers start, so that the cost is shown and paid once.

Two processes share the work. Numba's cache keeps what they compile; a stamp file, named by the
code's version, marks it as complete for later runs.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

from pipelines.code_version import code_version

GROUPS = (
    (
        "filters.language.annotator",
        "filters.measure.annotator",
        "filters.dedup.lsh",
        "filters.dedup.common_lines",
    ),
    (
        "filters.dedup.minhash",
        "filters.dedup.contamination",
        "filters.toxicity.annotator",
        "filters.quality.annotator",
        "pii",
    ),
)
"""Modules whose `compile_kernels` is called, by process; `pii` stands for its prefilter."""


def stamp() -> Path:
    """Return the file that exists when the kernels of this version are compiled."""
    modules = [module for group in GROUPS for module in group if module != "pii"]
    version = code_version(*modules, "filters.pii.prefilter")
    return Path(__file__).parent / "__pycache__" / f"kernels-{version}.ready"


def compile_group(group: int) -> None:
    """Compile the kernels of one group in this process."""
    for module in GROUPS[group]:
        if module == "pii":
            import pyarrow as pa

            from filters.pii.prefilter import has_candidates

            has_candidates(pa.array(["010-1234-5678, kim@naver.com"], pa.large_string()))
        else:
            importlib.import_module(module).compile_kernels()


def load() -> None:
    """Load all kernels, if they are compiled, into this process; its forks share them."""
    if stamp().exists():
        for group in range(len(GROUPS)):
            compile_group(group)


def precompile() -> bool:
    """Compile all kernels unless they are compiled; return whether there were any to compile.

    The failure of a process is ignored: each worker then compiles what it needs.
    """
    done = stamp()
    if done.exists():
        return False
    processes = [
        subprocess.Popen([sys.executable, "-m", "pipelines.runners.precompile", str(group)])
        for group in range(len(GROUPS))
    ]
    failed = [process for process in processes if process.wait() != 0]
    if not failed:
        try:
            done.parent.mkdir(exist_ok=True)
            done.touch()
        except OSError:
            return True  # a read-only installation compiles at every run
    return True


if __name__ == "__main__":
    if len(sys.argv) > 1:
        compile_group(int(sys.argv[1]))
    else:
        print("kernels: compiled" if precompile() else "kernels: ready")
