"""Plain English: words that this project's prose, messages and names do without.

Each has the field's own word beside it. Comments, docstrings, strings and names of the code are
read, and the prose of the docs; of tests and benchmarks comments, docstrings and names.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator

import pytest

from tests.support import ROOT

UNITS = "second|minute|hour|token|document|worker|word|line|byte|unit|class|shard|core|row|run|page|step|file|text|character|process|sequence|batch|time|day|device|machine|partition"
COUNTED = (
    "bytes?|seconds?|milliseconds?|characters?|documents?|tokens?|bits?|rows?|lines?|keys?|samples?|files?"
    "|records?|words?|MB|GB|KB|ms|times|threads?|process|processes|epochs?|shards?|texts?|hours?"
)
REFUSED = {
    r"(?<!there )(?<!There )\b(?:is|are|was|were|be) no\b(?! (?:longer|more|less))": "is not a",
    r"\b(?:is|are|was|were) none of\b": "must be one of, got",
    r"\bthat are (?:files|columns|names) that\b": "name the thing",
    rf"\b(?:{COUNTED}) an? (?:{UNITS})\b": "per",
    r"\b(?:goes|go|going|gone|went) on (?:from|with|where|at|there|here)\b|\bto go on\b|\bgoes on\b": "resume",
    r"\bfore(?:tell|tells|told|telling)\b": "predict",
    r"\b(?:told|said)\b": "report, log, message",
    r"\banew\b": "again, from the start",
    r"\bmend(?:s|ed|ing)?\b": "fix, repair",
    r"\breckon(?:s|ed|ing)?\b": "estimate, extrapolate",
    r"\b(?:lie|lies|lay|lain)\b(?! group)": "is stored, stands",
    r"\bnursery\b|\bhatch(?:es|ed|ing)?\b|\bkeeper\b": "fork server, spawn, parent",
    r"\b(?:deal|dealt)\b": "distribute",
    r"\bneedles\b": "patterns",
    r"\bstretch(?:es)?\b": "slice, range",
    r"\btwos\b": "pairs",
    r"\bevery so many\b|\bso many-th\b|\bmany-th\b": "every N-th",
    r"\bto be no chance\b|\bno chance\b": "randomness, coincidence",
    r"\bthe books\b|\bbooks balance\b": "accounting, the totals reconcile",
    r"\bvouch(?:es|ed)?\b|\bbreathes?\b": "name the fact",
    r"\bknows no\b|\bknow no\b": "does not know, must not import",
    r"\bhas it that\b|\bbids\b": "name the fact",
    r"\bas it were\b|\bso to speak\b": "leave it out",
}
"""Pattern → what to write."""

DATA = {
    "filters/language/prose.py": "lists of function words",
    "filters/toxicity/lexicon.py": "lists of phrases",
    "filters/fit/junk_data.py": "lists of words",
    "tests/test_wording.py": "this list",
    "CHANGELOG.md": "earlier releases stay as they were written",
}
SUFFIXES = (".py", ".md", ".yaml", ".yml", ".j2", ".html", ".js", ".toml", ".sh")
NAMED = ("Makefile", ".ci/run", "deploy/Dockerfile")
ONLY_PROSE = ("tests/", "benchmarks/")
"""Where strings are inputs and outputs, not this project's prose."""


def files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    ).stdout.split("\n")
    return [
        name
        for name in listed
        if (name.endswith(SUFFIXES) or name in NAMED)
        and name not in DATA
        and not name.startswith(("mixtures/demo/", "benchmarks/results/", "audit/report/vendor/"))
        and not (name.startswith("tests/data/") and name.endswith(".html"))
        and (ROOT / name).is_file()
    ]


def pieces(name: str, text: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of what a file says: prose whole, code by comment, string and name."""
    if not name.endswith(".py"):
        yield from enumerate(text.split("\n"), 1)
        return
    prose_only = name.startswith(ONLY_PROSE)
    documented = docstrings(text) if prose_only else set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
        elif token.type == tokenize.NAME:
            yield token.start[0], token.string.replace("_", " ")
        elif token.type in (tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1)) and (
            not prose_only or token.start[0] in documented
        ):
            for offset, line in enumerate(token.string.split("\n")):
                yield token.start[0] + offset, line


def docstrings(text: str) -> set[int]:
    """Return the first lines of strings that are statements of their own."""
    return {
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def faults(name: str, text: str) -> list[str]:
    return [
        f"{name}:{line}: {match.group(0)!r}; write: {instead}"
        for line, piece in pieces(name, text)
        for pattern, instead in REFUSED.items()
        for match in re.finditer(pattern, piece)
    ]


def test_the_prose_and_the_names_do_without_these_words():
    found = [fault for name in files() for fault in faults(name, (ROOT / name).read_text("utf-8"))]
    assert not found, f"{len(found)} places:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        '"""The file is no manifest."""',
        "# 400 bytes a document",
        "x = 'the run goes on from there'",
        "def what_it_said(): ...",
        "x = f'{n} tokens lie in {path}'",
    ],
)
def test_a_refused_word_is_found(line: str):
    assert len(faults("x.py", line)) == 1


@pytest.mark.parametrize(
    "line", ["# there is no such file", "# it is no longer here", "x = 'resume'"]
)
def test_other_words_pass(line: str):
    assert not faults("x.py", line)


def test_every_excluded_file_exists():
    assert all((ROOT / name).is_file() for name in DATA)
