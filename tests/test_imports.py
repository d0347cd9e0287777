"""Imports point one way, and importing anything is cheap: no model library comes along."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("schemas", "filters", "mixtures", "pipelines", "audit", "trainer", "bibim")
MAY_IMPORT = {
    "schemas": set(),
    "filters": {"schemas"},
    "mixtures": {"schemas"},
    "pipelines": {"schemas", "filters", "mixtures"},
    "audit": {"schemas", "filters", "mixtures", "pipelines"},
    "trainer": {"schemas", "mixtures"},
    "bibim": {"schemas", "filters", "mixtures", "pipelines", "audit", "trainer"},
}
"""What a package may import besides itself. Nobody may import `bibim`, the command line."""

HEAVY = ("torch", "presidio_analyzer", "spacy", "kiwipiepy", "fasttext", "sentencepiece")
TORCH = importlib.util.find_spec("torch") is not None
"""Without it the trainer cannot be imported."""
BEAM_FREE = ("schemas", "filters", "mixtures", "audit", "trainer")


@dataclass(frozen=True)
class Import:
    """One import of a package of ours, at the top of a file or inside a function."""

    line: int
    package: str


def modules() -> list[Path]:
    return sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def own_imports(tree: ast.AST) -> Iterator[Import]:
    """Yield the imports of our packages anywhere below `tree`."""
    for node in ast.iter_child_nodes(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            if (package := name.split(".")[0]) in PACKAGES:
                yield Import(node.lineno, package)
        yield from own_imports(node)


def wrong_imports(name: str, source: str) -> list[str]:
    """Return what `source`, the module at `name`, imports against the direction."""
    package = name.partition("/")[0]
    wrong = []
    for found in own_imports(ast.parse(source)):
        allowed = {package, *MAY_IMPORT[package]}
        if found.package not in allowed:
            wrong.append(f"{name}:{found.line} imports {found.package}")
    return wrong


def imported_by(names: list[str], wanted: tuple[str, ...]) -> set[str]:
    """Return which of `wanted` a fresh interpreter has loaded after importing `names`."""
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print('LOADED', *sorted(set({wanted!r}) & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return set(done.stdout.strip().splitlines()[-1].split()[1:])


def test_imports_point_one_way():
    wrong = [
        fault
        for path in modules()
        for fault in wrong_imports(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("filters/x.py", "from pipelines.engine.annotate import Stage"),
        ("filters/x.py", "def f():\n    import mixtures.mixing.solver"),
        ("schemas/x.py", "import filters"),
        ("mixtures/x.py", "if True:\n    from filters.clean import clean"),
        ("pipelines/driver.py", "def f():\n    from audit.accounting.check import check_run"),
        ("pipelines/driver.py", "def f():\n    from trainer.sft import tune"),
        ("pipelines/driver.py", "from bibim.finish import guard"),
        ("audit/x.py", "def f():\n    from bibim.cli.options import load_run"),
    ],
)
def test_an_import_against_the_direction_is_found(name: str, source: str):
    assert len(wrong_imports(name, source)) == 1


def test_the_command_line_may_import_everything():
    source = "\n".join(f"import {package}" for package in PACKAGES)
    assert not wrong_imports("bibim/cli/app.py", source)


def test_importing_everything_loads_no_model_library():
    names = [dotted(path) for path in modules() if not path.is_relative_to(ROOT / "trainer")]
    assert len(names) > 40
    assert imported_by(names, HEAVY) == set()


def test_only_pipelines_and_the_summary_of_a_run_load_beam():
    packages = [name for name in BEAM_FREE if TORCH or name != "trainer"]
    names = [dotted(path) for path in modules() if path.relative_to(ROOT).parts[0] in packages]
    assert imported_by(names, ("apache_beam",)) == set()


def test_importing_what_the_audit_imports_loads_no_numba():
    packages = ("schemas", "filters", "mixtures", "audit")
    names = [dotted(path) for path in modules() if path.relative_to(ROOT).parts[0] in packages]
    assert imported_by(names, ("numba", "llvmlite")) == set()


def test_a_library_that_is_imported_would_be_seen():
    assert imported_by(["json", "decimal"], ("decimal", "torch")) == {"decimal"}
