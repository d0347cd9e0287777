"""Which programming language lines speak for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from filters.columnar.kernels import buffers, everywhere
from filters.language.hints import LANGUAGES, language_votes
from tests.support.columns import odd_text, records, texts


def best(*values: str) -> list[str]:
    data, offsets = buffers(texts(*values))
    votes = language_votes(data, offsets, everywhere(offsets))
    return [LANGUAGES[index] for index in np.argmax(votes, axis=1)]


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("python", "def f(a):\n    if a:\n        return 1\n    raise ValueError(a)\n"),
        ("rust", "pub fn f(a: &str) -> u8 {\n    let b = a.len();\n    b as u8\n}\n"),
        ("go", "func f(a string) int {\n\tn := len(a)\n\treturn n\n}\n"),
        (
            "java",
            "public class F {\n    private final int a;\n    @Override\n    public int f() {\n",
        ),
        ("c", "#include <stdio.h>\n\nstatic int f(char *a)\n{\n    return a->n;\n}\n"),
        ("kotlin", "fun f(a: String): Int {\n    val n = a.length\n    return n\n}\n"),
        ("typescript", "export type A = string;\n\nexport const f = (a: A) => a.length;\n"),
        ("shell", "if [ -f a ]; then\n  echo a\nfi\n"),
    ],
)
def test_a_few_lines_tell_a_language(language: str, source: str):
    assert best(source) == [language]


@settings(deadline=None)
@given(odd_text)
def test_any_text_has_votes_of_zero_or_more(text: str):
    data, offsets = buffers(texts(text))
    assert (language_votes(data, offsets, everywhere(offsets)) >= 0).all()


def test_the_languages_of_real_files_without_names_are_recognised():
    rows = list(records("corpora/code", every=7))
    found = best(*(row["text"] for row in rows))
    right = [a == row["meta"]["language"].lower() for a, row in zip(found, rows, strict=True)]
    assert sum(right) / len(right) >= 0.98
