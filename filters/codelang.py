"""Programming language of a document, and code told from prose by its content."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from filters.kernels import HANGUL, JAMO, MARK, classify, kernel, next_codepoint

EXTENSIONS = {
    "bash": "shell", "c": "c", "cc": "c++", "clj": "clojure", "cpp": "c++", "cs": "c#",
    "css": "css", "cxx": "c++", "dart": "dart", "ex": "elixir", "exs": "elixir", "f90": "fortran",
    "go": "go", "h": "c", "hpp": "c++", "hs": "haskell", "ipynb": "jupyter", "java": "java",
    "jl": "julia", "js": "javascript", "jsx": "javascript", "kt": "kotlin", "kts": "kotlin",
    "lua": "lua", "m": "objective-c", "mjs": "javascript", "ml": "ocaml", "php": "php",
    "pl": "perl", "ps1": "powershell", "py": "python", "pyi": "python", "r": "r", "rb": "ruby",
    "rs": "rust", "scala": "scala", "sh": "shell", "sql": "sql", "swift": "swift",
    "ts": "typescript", "tsx": "typescript", "vue": "vue", "zig": "zig",
}  # fmt: skip
_SHEBANG = re.compile(r"^#!.{0,80}?(python|bash|zsh|sh|node|perl|ruby|lua|php)")
_SHELLS = {"bash": "shell", "zsh": "shell", "sh": "shell", "node": "javascript"}
_CONTENT = (
    ("rust", re.compile(r"^\s*(?:pub(?:\([a-z]+\))? )?(?:fn|impl|mod|use) .*[{;(]", re.M)),
    ("go", re.compile(r"^package \w+$|^func [(\w].*\{$", re.M)),
    ("python", re.compile(r"^\s*(?:def|class) \w+.*:$|^(?:from [\w.]+ )?import [\w., ]+$", re.M)),
    ("java", re.compile(r"^(?:import|package) [\w.]+;$|^\s*public (?:final )?class ", re.M)),
    ("kotlin", re.compile(r"^\s*(?:(?:private|override|internal) )?(?:fun|val) \w+.*[{=:]", re.M)),
    ("c", re.compile(r"^\s*#\s*(?:include\s*[<\"]|define |ifn?def )", re.M)),
    ("typescript", re.compile(r"^(?:export|import) .*(?:from ['\"]|\{$)|^interface \w+", re.M)),
    ("javascript", re.compile(r"^(?:const|let|var|function) \w+", re.M)),
)
CONTENT_WINDOW = 4000
"""Characters that the guess from content looks at."""


def code_language(text: str, meta: dict[str, Any]) -> str | None:
    """Return the programming language by declared name, file name, shebang, then content."""
    declared = meta.get("language")
    if isinstance(declared, str) and declared:
        return declared.lower()
    path = meta.get("path")
    if isinstance(path, str) and "." in path:
        known = EXTENSIONS.get(path.rsplit(".", 1)[1].lower())
        if known:
            return known
    start = text[:CONTENT_WINDOW]
    if shebang := _SHEBANG.match(start):
        return _SHELLS.get(shebang.group(1), shebang.group(1))
    found = [(len(pattern.findall(start)), name) for name, pattern in _CONTENT]
    count, name = max(found, key=lambda pair: pair[0])
    return name if count else None


FEATURES = 8
"""Columns of code_features; see there."""


@kernel
def code_features(data, offsets, where):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return float64 [rows, 8] of what tells code from prose, each a share from 0 to 1.

    0 of visible characters: brackets and operators `{}()[]<>=;&|_*+/$`; 1 of lines with
    text: ended by one of `{};:,()` or a bracket; 2 of lines: indented; 3 of visible characters:
    `_`, `{`, `}`, `;` alone; 4 of lines: ended by `.`, `?`, `!` or a Hangul syllable;
    5 of visible characters: Hangul; 6 of words: joined by `_`, `.`, `(` or `::` inside;
    7 of lines with text: longer than 100 characters.
    """
    rows = len(offsets) - 1
    out = np.zeros((rows, FEATURES))
    for row in range(rows):
        if not where[row]:
            continue
        at, end = offsets[row], offsets[row + 1]
        visible = operators = strong = hangul = 0
        lines = ended = indented = sentences = long_lines = 0
        words = joined = 0
        last = np.uint32(0)
        first_in_line = True
        starts_blank = False
        length = 0
        in_word = False
        word_joined = False
        while at <= end:
            if at < end:
                cp, at = next_codepoint(data, at)
            else:
                cp, at = np.uint32(10), end + 1
            kind = classify(cp)
            if cp == 10:
                if not first_in_line:
                    lines += 1
                    if last in (123, 125, 59, 58, 44, 40, 41, 91, 93):
                        ended += 1
                    if last in (46, 63, 33, 0x3002) or classify(last) == HANGUL:
                        sentences += 1
                    if starts_blank:
                        indented += 1
                    if length > 100:
                        long_lines += 1
                first_in_line, starts_blank, length = True, False, 0
            length += 1
            if kind == 5:
                if first_in_line and cp != 10:
                    starts_blank = True
                if in_word:
                    words += 1
                    if word_joined:
                        joined += 1
                in_word = word_joined = False
                continue
            first_in_line = False
            visible += 1
            if kind == HANGUL or kind == JAMO:
                hangul += 1
            if kind == MARK:
                if cp in (95, 123, 125, 59):
                    strong += 1
                    operators += 1
                elif cp in (40, 41, 91, 93, 60, 62, 61, 38, 124, 42, 43, 47, 36):
                    operators += 1
                if in_word and cp in (95, 46, 40) and at < end and data[at] > 47:
                    word_joined = True
            in_word = True
            last = cp
        out[row, 0] = operators / max(visible, 1)
        out[row, 1] = ended / max(lines, 1)
        out[row, 2] = indented / max(lines, 1)
        out[row, 3] = strong / max(visible, 1)
        out[row, 4] = sentences / max(lines, 1)
        out[row, 5] = hangul / max(visible, 1)
        out[row, 6] = joined / max(words, 1)
        out[row, 7] = long_lines / max(lines, 1)
    return out


WEIGHTS = np.array([32.15, 3.38, 8.07, -27.9, -2.15, -30.51, 3.47, -9.62])
BIAS = -5.62
"""Logistic regression: code files and fenced blocks against documentation and reviews."""


def code_score(features: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return the probability that a row is source code rather than prose."""
    return np.asarray(1 / (1 + np.exp(-(features @ WEIGHTS + BIAS))), np.float32)
