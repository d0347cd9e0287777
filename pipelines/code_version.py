"""The version of a stage's code: a hash of its source, of what it imports from Bibim, and of the
versions of the libraries that those files import."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path

PACKAGES = ("schemas", "filters", "mixtures", "pipelines")
NOT_FOLLOWED = frozenset(
    {
        "schemas.config",  # the values of the config are part of the key already
        "schemas.mixture",
        "schemas.values",
        "schemas.errors",
        "schemas.extras",
        # These name every stage and change no value.
        "pipelines.stages.base",
        "pipelines.stages.catalog",
        "pipelines.engine.context",
        "pipelines.engine.keys",
        "pipelines.runners.runner",
        "pipelines.storage.layout",
    }
)

_NO_VALUES = frozenset(
    {
        "apache_beam",
        "boto3",
        "huggingface_hub",
        "numba",
        "numpy",
        "orjson",
        "pyarrow",
        "pydantic",
        "yaml",
        "zstandard",
    }
)
"""Libraries that carry values and choose none: another version of them reruns nothing."""
_UNICODE = "unicodedata"
"""The standard library's module whose tables follow the version of Unicode."""


def _source(module: str) -> Path | None:
    """Return the file of a module; None if `module` is not one (a function in a module).

    The file is searched by its path, since `find_spec` would import the parent packages.
    """
    package, *parts = module.split(".")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent.joinpath(*parts)
    for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
        if file.is_file():
            return file
    return None


@lru_cache
def _imports(path: Path) -> tuple[str, ...]:
    """Return the modules of Bibim that the file names in its imports."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found += [name for name in names if name.split(".")[0] in PACKAGES]
    return tuple(found)


@lru_cache
def _libraries(path: Path) -> tuple[str, ...]:
    """Return the libraries outside Bibim and Python that the file imports, and `unicodedata`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    outside = found - set(PACKAGES) - sys.stdlib_module_names - _NO_VALUES
    return tuple(sorted(outside | (found & {_UNICODE})))


@lru_cache
def _distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


@lru_cache
def _version(package: str) -> str:
    """Return the installed version of what is imported as `package`; empty where there is none."""
    if package == _UNICODE:
        return unicodedata.unidata_version
    try:
        return metadata.version(package)  # most packages are called as their distribution is
    except metadata.PackageNotFoundError:
        return "".join(map(metadata.version, _distributions().get(package, ())))


@lru_cache
def code_version(*modules: str) -> str:
    """Return a hash of the source of `modules` and of all they import from Bibim's packages.

    The installed version of every library that those files import counts too. A change anywhere
    else does not alter it, so a stage is run again only for its own code.
    A package among `modules` (`filters.signals`) counts with all of its files; one that is named
    in an import counts with its `__init__` only.
    """
    seen: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in seen or module in NOT_FOLLOWED or module.split(".")[0] not in PACKAGES:
            continue
        path = _source(module)
        if path is None:
            continue
        seen[module] = path
        waiting += _imports(path)
        if path.name == "__init__.py" and module in modules:
            waiting += [f"{module}.{file.stem}" for file in sorted(path.parent.glob("*.py"))]
    digest = hashlib.blake2b(digest_size=12)
    for module, path in sorted(seen.items()):
        digest.update(module.encode() + b"\0" + path.read_bytes() + b"\0")
    for package in sorted({name for path in seen.values() for name in _libraries(path)}):
        digest.update(f"{package} {_version(package)}\0".encode())
    return digest.hexdigest()
