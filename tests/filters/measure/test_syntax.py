"""Python that parses, and what does not."""

from __future__ import annotations

import ast

import pyarrow as pa
import pytest

from filters.measure.syntax import LARGEST, syntax_ok
from tests.support.columns import records, texts


def ok(text: str, language: str | None = "python") -> float | None:
    answer: float | None = syntax_ok(texts(text), pa.array([language], pa.string()))[0].as_py()
    return answer


@pytest.mark.parametrize(
    "text", ["x = 1\n", "def f(a: int) -> int:\n    return a\n", "", "# 주석\n"]
)
def test_python_parses(text: str):
    assert ok(text) == 1


@pytest.mark.parametrize("text", ["def f(:\n", "x = = 1\n", "print 'two'\n", "exec 'x = 1'\n"])
def test_other_text_does_not_parse(text: str):
    assert ok(text) == 0


def test_other_languages_and_very_large_files_are_not_asked():
    assert ok("int x;", "c") is None
    assert ok("def f(:", None) is None
    assert ok("x = 1\n" * (LARGEST // 6 + 1)) is None


def test_it_agrees_with_the_interpreter_on_real_files():
    rows = [
        row
        for row in records("corpora/code", every=10)
        if str(row["meta"].get("language", "")).lower() == "python"
    ]
    differ = 0
    for row in rows:
        try:
            ast.parse(row["text"])
            parses = 1.0
        except (SyntaxError, ValueError):
            parses = 0.0
        differ += ok(row["text"]) != parses
    assert len(rows) > 50
    assert differ <= 0.01 * len(rows)
