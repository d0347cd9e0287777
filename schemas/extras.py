"""Packages beside the default install: which extra brings them, and importing without them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from schemas.errors import InputError

TORCH = "torch"
EMBED = "embed"
BRINGS = {
    TORCH: ("torch", "transformers", "safetensors"),
    EMBED: ("sentence_transformers", "transformers", "torch"),
}
"""Packages of an extra, by the name that they are imported by; nothing of it works without the
first."""


def missing(extra: str, what: str, instead: str = "") -> InputError:
    """Return the error for `what`, which needs an extra that is not installed.

    `instead`: what else the user may do.
    """
    remedy = f"install it with `pip install 'bibim[{extra}]'`"
    return InputError(f"{what} needs bibim[{extra}]; {remedy}{instead and f', or {instead}'}")


@contextmanager
def needs(extra: str, what: str, instead: str = "") -> Iterator[None]:
    """Turn the absence of one of the extra's packages in the body into InputError."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in BRINGS[extra]:
            raise
        raise missing(extra, what, instead) from error


def require(extra: str, what: str, instead: str = "") -> None:
    """Raise InputError unless the extra's first package is installed. Imports nothing."""
    if importlib.util.find_spec(BRINGS[extra][0]) is None:
        raise missing(extra, what, instead)


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
