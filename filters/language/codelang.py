"""Code or prose by content, and the programming language of code."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from filters.columnar.arrays import Doubles, Floats, Longs
from filters.columnar.kernels import HANGUL, JAMO, MARK, SPACE, classify, kernel, next_codepoint
from filters.language import prose
from filters.language.hints import LANGUAGES

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
_SHEBANG = re.compile(rb"#!.{0,80}?(python|bash|zsh|sh|node|perl|ruby|lua|php)")
_SHELLS = {"bash": "shell", "zsh": "shell", "sh": "shell", "node": "javascript"}


def code_language(head: bytes, meta: dict[str, Any], guess: str | None) -> str | None:
    """Return the programming language by declared name, file name, shebang, then `guess`.

    `head`: the first bytes; `guess`: of `guess_language`. None if all are unknown.
    """
    declared = meta.get("language")
    if isinstance(declared, str) and declared:
        return declared.lower()
    path = meta.get("path")
    if isinstance(path, str) and "." in path:
        known = EXTENSIONS.get(path.rsplit(".", 1)[1].lower())
        if known:
            return known
    if shebang := _SHEBANG.match(head):
        name = shebang.group(1).decode()
        return _SHELLS.get(name, name)
    return guess


def guess_language(votes: Doubles) -> list[str | None]:
    """Return for each row of `hints.language_votes` the language with most votes, or None."""
    best = votes.argmax(axis=1)
    highest = votes.max(axis=1)
    return [
        LANGUAGES[index] if vote >= MIN_VOTES else None
        for index, vote in zip(best.tolist(), highest.tolist(), strict=True)
    ]


MIN_VOTES = 1.0
"""Below so many votes (`filters/language/hints.py`) the language is unknown."""
FEATURES = 13
"""Columns of `code_features`."""
_OPERATORS = np.zeros(128, np.bool_)
_OPERATORS[[ord(mark) for mark in "_{};()[]<>=&|*+/$"]] = True
_STRONG = np.zeros(128, np.bool_)
_STRONG[[ord(mark) for mark in "_{};"]] = True
_LINE_ENDS = np.zeros(128, np.bool_)
_LINE_ENDS[[ord(mark) for mark in "{};:,()[]"]] = True


@kernel
def code_features(data, offsets, where):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return float64 [rows, 13]: features that separate code from prose, shares from 0 to 1.

    Of visible characters: 0 operators and brackets, 3 `_{};` alone, 5 Hangul. Of lines with text:
    1 ended by one of `{};:,()[]`, 2 indented, 4 ended by `.?!` or a Hangul syllable, 7 longer
    than 100 characters, 8 begun in the first column by Markdown's marks (`##`, `- `, `* `, `> `,
    `|`, `:::`, a fence), 10 begun as comments (`//`, `/*`, ` *`), 11 ended by one of `{};`.
    Of words: 6 joined by `_`, `.` or `(` inside, 9 with Markdown's `](`, `**` or a backtick.
    12: lines of one word, of all lines with text.
    """
    rows = len(offsets) - 1
    out = np.zeros((rows, FEATURES))
    for row in range(rows):
        if not where[row]:
            continue
        at, end = offsets[row], offsets[row + 1]
        visible = operators = strong = hangul = 0
        lines = ended = closed = indented = sentences = long_lines = 0
        markdown = comments = single = 0
        words = joined = marked = 0
        last = head = after_head = np.uint32(0)
        blank = False
        length = line_words = 0
        in_word = word_joined = word_marked = False
        while at <= end:
            if at < end:
                cp, at = next_codepoint(data, at)
            else:
                cp, at = np.uint32(10), end + 1
            kind = classify(cp)
            length += 1
            if kind == SPACE:
                if in_word:
                    words += 1
                    line_words += 1
                    joined += word_joined
                    marked += word_marked
                    in_word = word_joined = word_marked = False
                if cp != 10:
                    blank |= head == 0
                    continue
                if head:
                    lines += 1
                    if last < 128:
                        ended += _LINE_ENDS[last]
                        closed += last in (123, 125, 59)
                        sentences += last in (46, 63, 33)
                    else:
                        sentences += last == 0x3002 or classify(last) == HANGUL
                    indented += blank
                    long_lines += length > 100
                    single += line_words == 1
                    if not blank:
                        if head == 124 or (head == 58 and after_head == 58):
                            markdown += 1
                        elif head in (35, 96, 126):
                            markdown += after_head == head
                        elif head in (45, 42, 62):
                            markdown += after_head == 32
                    if head == 47:
                        comments += after_head in (47, 42)
                    elif head == 42 and blank:
                        comments += after_head in (32, 10, 47)
                last = head = after_head = np.uint32(0)
                blank = False
                length = line_words = 0
                continue
            if head == 0:
                head = cp
                after_head = np.uint32(data[at]) if at < end else np.uint32(10)
            visible += 1
            if kind in (HANGUL, JAMO):
                hangul += 1
            elif kind == MARK and cp < 128:
                operators += _OPERATORS[cp]
                strong += _STRONG[cp]
                if in_word and cp in (95, 46, 40) and at < end and data[at] > 47:
                    word_joined = True
                if cp == 96 or (cp == 40 and last == 93) or (cp == 42 and last == 42):
                    word_marked = True
            in_word = True
            last = cp
        n = max(lines, 1)
        out[row, 0] = operators / max(visible, 1)
        out[row, 1] = ended / n
        out[row, 2] = indented / n
        out[row, 3] = strong / max(visible, 1)
        out[row, 4] = sentences / n
        out[row, 5] = hangul / max(visible, 1)
        out[row, 6] = joined / max(words, 1)
        out[row, 7] = long_lines / n
        out[row, 8] = markdown / n
        out[row, 9] = marked / max(words, 1)
        out[row, 10] = comments / n
        out[row, 11] = closed / n
        out[row, 12] = single / n
    return out


_OF_FEATURES = (8.45, -0.01, 5.45, 2.28, -4.32, -18.39, 7.61, -2.33, -29.52, -19.69, 14.03,
                1.78, -0.51)  # fmt: skip
_OF_WORDS = (-3.03, -8.94)
WEIGHTS = np.array([*_OF_FEATURES, *_OF_WORDS])
BIAS = -1.19
"""Logistic regression: source files and fenced blocks against documentation with and without its
blocks, single paragraphs, reviews. `benchmarks/signals.py code --fit` fits and tests them."""
MIN_OPERATORS = 0.03
"""Below this share of operators and brackets a text counts as prose: short lines are ambiguous."""


def code_score(features: Doubles, words: Longs) -> Floats:
    """Return the probability that a row is source code rather than prose.

    `features` are of `code_features`, `words` of `prose.function_words`. 0 where no line is
    indented or ends as code does and there is no brace (an address alone, empty text).
    """
    evidence = np.column_stack([features, prose_shares(words)])
    probability = 1 / (1 + np.exp(-(evidence @ WEIGHTS + BIAS)))
    no_syntax = (features[:, 1] == 0) & (features[:, 2] == 0) & (features[:, 3] == 0)
    probability[no_syntax | (features[:, 0] < MIN_OPERATORS)] = 0
    return np.asarray(probability, np.float32)


def prose_shares(words: Longs) -> Doubles:
    """Return float64 [rows, 2]: English and other function words, as shares of Latin words."""
    total = np.maximum(words[:, [prose.WORDS]], 1)
    return np.asarray(words[:, [prose.ENGLISH_WORDS, prose.OTHER_WORDS]] / total)
