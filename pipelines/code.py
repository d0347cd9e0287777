"""The version of a step's code: a hash of its source and of what it imports from Bibim."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

PACKAGES = ("schemas", "filters", "mixtures", "pipelines")
NOT_FOLLOWED = frozenset(
    {
        "schemas.config",  # its values are part of the key already
        "schemas.errors",
        "pipelines.catalog",  # names every step, changes no value
        "pipelines.context",
        "pipelines.runners",
    }
)


def _source(module: str) -> Path | None:
    spec = importlib.util.find_spec(module)
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _imports(path: Path) -> Iterator[str]:
    """Yield the modules of Bibim that the file names in its imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in PACKAGES)


@lru_cache
def code_version(*modules: str) -> str:
    """Return a hash of the source of `modules` and of all they import from Bibim's packages.

    A change anywhere else does not alter it, so a step is run again only for its own code.
    A package named in full (`filters.signals`) counts with all of its files.
    """
    seen: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in seen or module in NOT_FOLLOWED or module.split(".")[0] not in PACKAGES:
            continue
        try:
            path = _source(module)
        except ModuleNotFoundError:
            continue  # a name inside a module, not a module
        if path is None:
            continue
        seen[module] = path
        waiting += _imports(path)
        if path.name == "__init__.py" and "." in module:
            waiting += [f"{module}.{file.stem}" for file in sorted(path.parent.glob("*.py"))]
    digest = hashlib.blake2b(digest_size=12)
    for module, path in sorted(seen.items()):
        digest.update(module.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
