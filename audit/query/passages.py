"""The passages of a text that a signal comes from.

They are for display, not for decisions: a passage shows what the signal counts. The values come
from `filters`; nothing here is stored or compared with a threshold. Sentences with a high score
of a classifier are found in `audit.query.texts`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

Span = tuple[int, int]
"""Characters `[start, end)` of a text."""

MAX_PASSAGES = 12
"""Passages that are marked in one text."""
SCANNED = 200_000
"""Characters of a text that are searched."""

_LINE = re.compile(r"[^\n]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_HANGUL = re.compile(r"[가-힣ㄱ-ㆎᄀ-ᇿ]")
_ENGLISH = frozenset(["the", "be", "to", "of", "and", "that", "have", "with"])
_WORD = re.compile(r"\S+")


def passages(column: str, text: str) -> list[Span]:
    """Return the spans of `text` that `column` comes from, in order; often empty."""
    text = text[:SCANNED]
    find = _FINDERS.get(column) or next(
        (finder for start, finder in _FAMILIES if column.startswith(start)), None
    )
    return sorted(find(text)[:MAX_PASSAGES]) if find else []


def _found(pattern: str, longest: bool = True) -> Callable[[str], list[Span]]:
    compiled = re.compile(pattern)

    def find(text: str) -> list[Span]:
        spans = [match.span() for match in compiled.finditer(text)]
        return sorted(spans, key=lambda s: (s[0] - s[1], s[0])) if longest else spans

    return find


def _lines(text: str) -> list[Span]:
    return [match.span() for match in _LINE.finditer(text)]


def _long_lines(text: str) -> list[Span]:
    return sorted(_lines(text), key=lambda s: (s[0] - s[1], s[0]))[:3]


def _short_lines(text: str) -> list[Span]:
    return [(a, b) for a, b in _lines(text) if len(text[a:b].strip()) <= 30]


def _repeated(parts: list[Span], text: str) -> list[Span]:
    """Return the parts that occurred before, the most frequent first."""
    times = Counter(text[a:b].strip() for a, b in parts)
    seen: set[str] = set()
    again = []
    for a, b in parts:
        key = text[a:b].strip()
        if key in seen and times[key] > 1:
            again.append((times[key], (a, b)))
        seen.add(key)
    return [span for _, span in sorted(again, key=lambda entry: (-entry[0], entry[1]))]


def _repeated_lines(text: str) -> list[Span]:
    return _repeated(_lines(text), text)


def _repeated_words(size: int) -> Callable[[str], list[Span]]:
    def find(text: str) -> list[Span]:
        words = [match.span() for match in _WORD.finditer(text)]
        grams = [(words[i][0], words[i + size - 1][1]) for i in range(len(words) - size + 1)]
        return _merged(sorted(_repeated(grams, text)))

    return find


def _repeated_chars(text: str) -> list[Span]:
    """Return runs of one character, then ten characters that occurred before."""
    runs = _found(r"(.)\1{9,}")(text)
    grams = [(i, i + 10) for i in range(0, min(len(text), 20_000) - 9)]
    return _merged(sorted(runs + _repeated(grams, text)))


def _merged(spans: list[Span]) -> list[Span]:
    out: list[Span] = []
    for start, end in spans:
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return sorted(out, key=lambda s: (s[0] - s[1], s[0]))


def _foreign_letters(text: str) -> list[Span]:
    words = [m.span() for m in _LETTERS.finditer(text) if not _HANGUL.search(m.group())]
    return sorted(words, key=lambda s: (s[0] - s[1], s[0]))


def _stop_words(text: str) -> list[Span]:
    words = (match for match in _LETTERS.finditer(text) if match.group().lower() in _ENGLISH)
    return [match.span() for match in words]


_MARKS = _found(r"[^\w\s]{2,}|(?:[^\w\s]\s?){3,}")
_FINDERS: dict[str, Callable[[str], list[Span]]] = {
    "max_line_length": _long_lines,
    "mean_line_length": _long_lines,
    "short_lines": _short_lines,
    "hangul_ratio": _foreign_letters,
    "hangul_share": _foreign_letters,
    "alnum_ratio": _MARKS,
    "mark_ratio": _MARKS,
    "symbol_ratio": _found(r"#|…|\.\.\.", longest=False),
    "unit_symbol_ratio": _found(r"#|…|\.\.\.", longest=False),
    "digit_ratio": _found(r"\d[\d.,:/-]*"),
    "digit_share": _found(r"\d[\d.,:/-]*"),
    "jamo_runs": _found(r"[ㄱ-ㅣ]{3,}"),
    "stop_words": _stop_words,
    "english_stop_words": _stop_words,
    "bullet_lines": _found(r"(?m)^\s*[-*•‣◦·] .*$", longest=False),
    "ellipsis_lines": _found(r"(?m)(?:\.\.\.|…)\s*$", longest=False),
    "visible_text": _found(r"<[^>\n]{1,400}>"),
    "visible_bytes": _found(r"<[^>\n]{1,400}>"),
    "markup": _found(r"<[^>\n]{1,400}>", longest=False),
    "encoded_runs": _found(r"[A-Za-z0-9+/=]{64,}"),
    "char_repetition": _repeated_chars,
    "char_duplicates": _repeated_chars,
    "comment_lines": _found(r"(?m)^\s*(?://|/\*|\*|#).*$", longest=False),
    "license_header": _found(r"(?i)[^\n]*(?:licen[cs]e|copyright)[^\n]*", longest=False),
}
_FAMILIES: tuple[tuple[str, Callable[[str], list[Span]]], ...] = (
    *((f"dup_{n}gram", _repeated_words(n)) for n in range(5, 11)),
    *((f"top_{n}gram", _repeated_words(n)) for n in range(2, 5)),
    ("dup_line", _repeated_lines),
    ("dup_paragraph", _repeated_lines),
)
