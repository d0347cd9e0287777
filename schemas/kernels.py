"""Functions that Numba compiles at their first call, so that importing them loads no Numba.

`filters` and `mixtures` both have kernels, and `schemas` is the one package that both may import;
see decision 21.
"""

from __future__ import annotations

import ast
import hashlib
import threading
from collections.abc import Callable
from functools import cached_property, lru_cache, update_wrapper
from pathlib import Path
from typing import Any, Literal

import numpy as np

_ROOT = Path(__file__).parents[1]  # of Bibim's packages

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2**64 over the golden ratio, odd: multiplying by it spreads keys over the upper bits (Knuth,
The Art of Computer Programming, volume 3, section 6.4)."""


def inlined(function: Callable[..., Any]) -> Any:
    """Compile `function` as `kernel` does, and inline it into its callers.

    For small functions that run at every byte: there a call with arrays costs more than the work.
    """
    return Kernel(function, "always")


def kernel(function: Callable[..., Any]) -> Any:
    """Compile `function` at its first call, without the GIL (see `Kernel`)."""
    return Kernel(function, "never")


class Kernel:
    """A function that Numba compiles, and loads, no earlier than its first call.

    A module of kernels is therefore imported without Numba. The machine code is cached on disk.
    Numba compares only a function's own file to find stale machine code, not the files of the
    functions compiled into it. So the cache is a folder named by a hash of the file and of all
    that it imports from Bibim's packages.
    """

    def __init__(self, function: Callable[..., Any], inline: Literal["never", "always"]) -> None:
        self.py_func = function
        self._inline = inline
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        return self.dispatcher(*arguments)

    @cached_property
    def dispatcher(self) -> Any:
        """Numba's function; where NUMBA_DISABLE_JIT is set the Python function."""
        with _COMPILING:
            numba = _numba()
            usual = numba.config.CACHE_DIR
            base = Path(usual) if usual else Path(__file__).parent / "__pycache__"
            folder = f"kernels-{_sources(self.py_func.__code__.co_filename)}"
            numba.config.CACHE_DIR = str(base / folder)
            try:
                return numba.njit(nogil=True, cache=True, boundscheck=False, inline=self._inline)(
                    self.py_func
                )
            finally:
                numba.config.CACHE_DIR = usual

    @property
    def targetoptions(self) -> dict[str, Any]:
        """The options that Numba reads of a function which it may inline into its callers."""
        return {"inline": self._inline}


_COMPILING = threading.RLock()


@lru_cache(1)
def _numba() -> Any:
    """Return Numba, which then takes a Kernel inside another one for its compiled function."""
    import numba
    from numba.extending import typeof_impl

    typeof_impl.register(Kernel)(lambda value, context: typeof_impl(value.dispatcher, context))
    return numba


@lru_cache
def _sources(file: str) -> str:
    """Return a hash of a file's source and of what it imports from Bibim's packages."""
    seen: dict[Path, bytes] = {}
    waiting = [Path(file)]
    while waiting:
        path = waiting.pop()
        if path in seen or not path.is_file():
            continue
        seen[path] = path.read_bytes()
        for node in ast.walk(ast.parse(seen[path])):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = _ROOT.joinpath(*node.module.split("."))
                waiting.append(module.with_suffix(".py"))
                waiting += [module / f"{alias.name}.py" for alias in node.names]
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(seen):
        digest.update(seen[path])
    return digest.hexdigest()
