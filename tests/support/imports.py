"""Who imports whom: the graph of this project's files, read from their source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT

PACKAGES = ("schemas", "filters", "mixtures", "pipelines", "audit", "trainer", "bibim")


@dataclass(frozen=True)
class Import:
    """One import: the dotted name that it asks for, and where it stands."""

    line: int
    name: str
    late: bool
    """Inside a function: it runs when the function is called."""


def modules() -> list[Path]:
    """Return every file of the packages."""
    return sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))


def dotted(path: Path) -> str:
    """Return the name under which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, late: bool = False) -> Iterator[Import]:
    """Yield every import below `tree`, functions included, blocks of TYPE_CHECKING left out.

    `from a import b` yields `a.b`: whether `b` is a module is for the caller to look up.
    """
    late = late or isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name, late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (Import(node.lineno, name, late) for name in names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from imports(ast.Module([other], []), late)
        else:
            yield from imports(node, late)


def own(tree: ast.AST) -> Iterator[Import]:
    """Yield the imports of this project's packages below `tree`."""
    yield from (each for each in imports(tree) if each.name.split(".")[0] in PACKAGES)


def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"))


def graph() -> dict[str, set[str]]:
    """Return module → the modules of this project that it imports, anywhere in its file."""
    files = {dotted(path): path for path in modules()}
    edges: dict[str, set[str]] = {}
    for name, path in files.items():
        asked = (each.name for each in own(parse(path)))
        found = (one if one in files else one.rpartition(".")[0] for one in asked)
        edges[name] = {one for one in found if one in files and one != name}
    return edges


def reachable(edges: Mapping[str, Set[str]], start: str) -> set[str]:
    """Return every node that a path from `start` leads to; `start` only where a circle does."""
    seen: set[str] = set()
    waiting = list(edges.get(start, ()))
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += edges.get(node, ())
    return seen


def circles(edges: Mapping[str, Set[str]]) -> list[list[str]]:
    """Return the strongly connected components of more than one node, each sorted."""
    after = {node: reachable(edges, node) for node in edges}
    found = {
        tuple(sorted(other for other in after[node] if node in after.get(other, ())))
        for node in edges
        if node in after[node]
    }
    return [list(circle) for circle in sorted(found)]


def loaded_by(program: str, wanted: tuple[str, ...]) -> set[str]:
    """Return which of `wanted` a fresh interpreter has loaded after running `program`."""
    program += f"\nimport sys\nprint('LOADED', *sorted(set({wanted!r}) & set(sys.modules)))\n"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return set(done.stdout.strip().splitlines()[-1].split()[1:])


def loaded_with(names: list[str], wanted: tuple[str, ...]) -> set[str]:
    """Return which of `wanted` a fresh interpreter has loaded after importing `names`."""
    return loaded_by(
        f"import importlib\nfor name in {names!r}: importlib.import_module(name)", wanted
    )
