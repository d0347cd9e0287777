"""Importing a library without the optional packages that it would load and does not need."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


@contextmanager
def hidden(*packages: str) -> Iterator[None]:
    """Hide `packages` from imports in the body, as if they were not installed.

    What is loaded already stays as it is; afterwards they can be imported as before. torch alone
    takes 500 MB of memory and seconds.
    """

    class Others(PathFinder):
        """Finds what `PathFinder` finds, except `packages`."""

        @classmethod
        def find_spec(
            cls,
            fullname: str,
            path: Sequence[str] | None = None,
            target: ModuleType | None = None,
        ) -> ModuleSpec | None:
            if fullname in packages:
                return None
            return PathFinder.find_spec(fullname, path, target)

    finders = sys.meta_path
    sys.meta_path = [Others if finder is PathFinder else finder for finder in finders]
    try:
        yield
    finally:
        sys.meta_path = finders
