"""Files and functions stay short enough to read at once; longer functions are named with a reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

PACKAGES = ("schemas", "filters", "mixtures", "pipelines", "trainer", "audit", "bibim")
FILE_LINES, FUNCTION_LINES = 500, 60

LONG = {
    "filters/dedup/contamination.py:_scan": "kernel: two rolling windows in one pass over the units",
    "filters/fit/cbow.py:_cbow": "kernel: one pass over a line, whose vectors and gradients are local",
    "filters/language/codelang.py:code_features": "kernel: thirteen counts in one pass over the bytes",
    "filters/language/prose.py:function_words": "kernel: one pass over the bytes, by word and by line",
    "filters/pii/scan.py:triggers": "kernel: one pass over the bytes, a branch per class of byte",
    "filters/signals/code.py:_measure": "kernel: eight columns in one pass over the bytes",
    "filters/signals/lines.py:_scan": "kernel: fifteen counts in one pass over the bytes",
    "filters/text/ngrams.py:repeated_ngrams": "kernel: n = 1 to 10, each on what is left of n - 1",
    "filters/text/units.py:cut_units": "kernel: one pass over the bytes, a branch per class",
    "mixtures/tokenizer/words.py:_scan": "kernel: one pass over the bytes with its state",
}
"""`file:function` of each function above FUNCTION_LINES, and why it is not split.

A call per byte that takes this much state costs more than the work of the pass.
"""


def lengths(source: str) -> Iterator[tuple[str, int]]:
    """Yield (name, lines) of every function and method of a module, nested ones too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def product() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def long_functions() -> dict[str, int]:
    return {
        f"{path.relative_to(ROOT).as_posix()}:{name}": count
        for path in product()
        for name, count in lengths(path.read_text("utf-8"))
        if count > FUNCTION_LINES
    }


def test_no_file_is_too_long():
    scripts = sorted((ROOT / "audit/report").glob("*.js"))
    assert scripts
    counts = {
        path.relative_to(ROOT): len(path.read_text("utf-8").split("\n")) - 1
        for path in [*product(), *scripts]
    }
    assert len(counts) > 100
    long = [f"{path}: {count} lines" for path, count in counts.items() if count > FILE_LINES]
    assert not long, f"split by subject, {FILE_LINES} lines at most: {long}"


def test_no_function_is_too_long_without_a_reason():
    long = [
        f"{name}: {count} lines" for name, count in long_functions().items() if name not in LONG
    ]
    assert not long, f"split, {FUNCTION_LINES} lines at most, or give a reason in LONG: {long}"


def test_every_exception_is_needed_and_has_a_reason():
    assert set(LONG) <= set(long_functions()), "no longer too long: take it out of LONG"
    assert all(LONG.values())


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    a = 1\n    return a\n",
        "class C:\n    async def f(self):\n        a = 1\n        return a\n",
    ],
)
def test_lines_of_a_function_are_counted(source: str):
    assert list(lengths(source)) == [("f", 3)]
