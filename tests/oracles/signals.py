"""Signals of docs/signals.md in plain Python, from their sentences: slow and obvious.

Each function's docstring is the sentence that it implements; a function returns the value, or (least,
most) where the sentence leaves it open in between.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable

from tests.oracles.characters import (
    LETTERS,
    SPACES,
    is_letter,
    is_space,
    is_syllable,
    kind,
    split_words,
    strip_end,
    strip_start,
)

SENTENCE_MARKS = ".?!。？！‼⁉．｡"
CLOSERS = "\"'”’)]」』》〉】*_`"
BULLETS_ALONE, BULLETS_BEFORE_SPACE = "•‣", "-*"
C4_PHRASES = (
    "javascript", "terms of use", "privacy policy", "cookie policy", "uses cookies",
    "use of cookies", "use cookies",
)  # fmt: skip
Value = float | tuple[float, float]


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def count(text: str, *kinds: str) -> int:
    return sum(kind(character) in kinds for character in text)


def visible(text: str) -> str:
    return "".join(character for character in text if not is_space(character))


def lines_of(text: str) -> list[str]:
    """a *line* holds some text and ends before its trailing white space"""
    return [stripped for line in text.split("\n") if (stripped := strip_end(line))]


def paragraphs_of(text: str) -> list[str]:
    """runs of lines without an empty line between them"""
    found: list[list[str]] = [[]]
    for line in text.split("\n"):
        if stripped := strip_end(line):
            found[-1].append(stripped)
        elif found[-1]:
            found.append([])
    return ["\n".join(lines) for lines in found if lines]


def repeated(items: list[str]) -> list[str]:
    """Return the items that repeat an earlier one."""
    seen: set[str] = set()
    found = []
    for item in items:
        if item in seen:
            found.append(item)
        seen.add(item)
    return found


def length(items: list[str]) -> int:
    return sum(len(item) for item in items)


# All documents.


def bytes_(text: str) -> Value:
    """bytes of UTF-8"""
    return len(text.encode())


def chars(text: str) -> Value:
    """codepoints"""
    return len(text)


def hangul_ratio(text: str) -> Value:
    """share of Hangul in the letters (marks and digits do not count)"""
    return share(count(text, "hangul", "jamo"), count(text, *LETTERS))


def alnum_ratio(text: str) -> Value:
    """share of letters and digits in all characters (StarCoder)"""
    return share(count(text, *LETTERS, "digit"), len(text))


def mark_ratio(text: str) -> Value:
    """share of punctuation and symbols in the visible characters"""
    return share(count(text, "mark"), len(visible(text)))


def digit_ratio(text: str) -> Value:
    """share of digits in the visible characters"""
    return share(count(text, "digit"), len(visible(text)))


def jamo_runs(text: str) -> Value:
    """share of visible characters in runs of three or more jamo (ㅋㅋㅋ, ㅠㅠㅠ)"""
    in_runs = run = 0
    for character in text + " ":
        if kind(character) == "jamo":
            run += 1
        else:
            in_runs += run if run >= 3 else 0
            run = 0
    return share(in_runs, len(visible(text)))


def lost_chars(text: str) -> Value:
    """marks of characters that a wrong charset lost per visible character"""
    marks = re.findall("\ufffd|占쏙옙|锟斤拷|\u00ef\u00bf\u00bd", text)
    return share(len(marks), len(visible(text)))


def lines(text: str) -> Value:
    """lines that hold some text"""
    return len(lines_of(text))


def mean_line_length(text: str) -> Value:
    """characters per line (StarCoder: at most 100)"""
    return share(length(lines_of(text)), len(lines_of(text)))


def max_line_length(text: str) -> Value:
    """characters of the longest line (StarCoder: at most 1000)"""
    return max(map(len, lines_of(text)), default=0)


def is_bullet(line: str) -> bool | None:
    """also `*`, `‣`, …; `-` needs a space after it

    None: another mark, which "…" may name, or a bullet alone, whose space may be the line's end.
    """
    line = strip_start(line)
    if line[0] in BULLETS_ALONE:
        return True
    if line[0] in BULLETS_BEFORE_SPACE:
        return line[1] in " \t" if len(line) > 1 else None
    return None if (kind(line[0]) == "mark" and ord(line[0]) > 127) or line[0] == "+" else False


def bullet_lines(text: str) -> Value:
    """share of lines that begin with a bullet (Gopher: at most 0.9)"""
    found = [is_bullet(line) for line in lines_of(text)]
    return share(found.count(True), len(found)), share(len(found) - found.count(False), len(found))


def ellipsis_lines(text: str) -> Value:
    """share of lines that end with an ellipsis (Gopher: at most 0.3)"""
    return share(sum(line.endswith(("...", "…")) for line in lines_of(text)), len(lines_of(text)))


def line_punctuation(text: str) -> Value:
    """share of lines that end with a sentence mark (FineWeb: at least 0.12)"""
    found = lines_of(text)
    return share(sum(line[-1] in SENTENCE_MARKS for line in found), len(found))


def sentence_endings(text: str) -> Value:
    """share of lines that end as a sentence, in Korean also without a mark"""
    found = lines_of(text)
    marked = sum(line[-1] in SENTENCE_MARKS for line in found)
    closed = sum(
        (bare := line.rstrip(CLOSERS + SPACES)) == "" or bare[-1] in SENTENCE_MARKS + "…" or kind(bare[-1]) == "mark"
        or is_syllable(bare[-1]) for line in found
    )  # fmt: skip
    return share(marked, len(found)), share(closed, len(found))


def short_lines(text: str) -> Value:
    """share of lines of 30 characters or fewer (FineWeb: at most 0.67)"""
    return share(sum(len(line) <= 30 for line in lines_of(text)), len(lines_of(text)))


def dup_lines(text: str) -> Value:
    """share of lines that repeat an earlier line (Gopher: at most 0.3)"""
    return share(len(repeated(lines_of(text))), len(lines_of(text)))


def dup_line_chars(text: str) -> Value:
    """share of characters in repeated lines (Gopher: at most 0.2)"""
    return share(length(repeated(lines_of(text))), len(text))


def char_duplicates(text: str) -> Value:
    """share of characters in repeated lines, without newlines (FineWeb: at most 0.01; FineWeb2: 0.1)"""
    return share(length(repeated(lines_of(text))), len(text.replace("\n", "")))


def paragraphs(text: str) -> Value:
    """runs of lines without an empty line between them"""
    return len(paragraphs_of(text))


def dup_paragraphs(text: str) -> Value:
    """share of paragraphs that repeat an earlier one (Gopher: at most 0.3)"""
    return share(len(repeated(paragraphs_of(text))), len(paragraphs_of(text)))


def dup_paragraph_chars(text: str) -> Value:
    """share of characters in repeated paragraphs (Gopher: at most 0.2)"""
    return share(length(repeated(paragraphs_of(text))), len(text))


def newline_ratio(text: str) -> Value:
    """newlines per character"""
    return share(text.count("\n"), len(text))


# Prose.


def c4_kept(text: str) -> tuple[int, list[str], int]:
    """Return (lines, those that C4 keeps, banned), as datatrove computes them."""
    kept, banned = [], 0
    for line in lines_of(text):
        whole = strip_start(line)
        words = split_words(whole)
        bare = re.sub(r"(?:\[\d*\]|\[edit\]|\[citation needed\])+$", "", whole, flags=re.ASCII)
        if len(words) < 3 or any(len(word) > 1000 for word in words):
            continue
        if not bare.endswith((".", "?", "!", '"', "'")) or bare.endswith("..."):
            continue
        low = "".join(c.lower() if c.isascii() else c for c in bare)
        if "lorem ipsum" in low or "{" in low:
            banned = 1
        elif not any(phrase in low for phrase in C4_PHRASES):
            kept.append(bare)
    return len(lines_of(text)), kept, banned


def c4_lines(text: str) -> Value:
    """share of lines that C4 would keep"""
    total, kept, _ = c4_kept(text)
    return share(len(kept), total)


def c4_sentences(text: str) -> Value:
    """sentences in the lines that C4 would keep (C4: at least 5); sentences are counted by marks"""
    kept = c4_kept(text)[1]
    return len(kept), sum(1 + len(re.findall(r"[.?!。？！]+", line)) for line in kept)


def c4_banned(text: str) -> Value:
    """1 where such a line holds a curly bracket or lorem ipsum (C4 drops the page)"""
    return c4_kept(text)[2]


def knowledge(text: str) -> Value:
    """0 to 1: density of definitions, numbers with units, citations and headings"""
    return 0, 1


def char_repetition(text: str) -> Value:
    """share of the most frequent character 10-grams (ROOTS: at most 0.2)

    ROOTS: the √(distinct windows) largest counts over all; windows that occur once add nothing.
    """
    windows = Counter(text[at : at + 10] for at in range(len(text) - 9))
    largest = sorted(windows.values(), reverse=True)[: math.isqrt(len(windows))]
    return share(sum(number for number in largest if number > 1), sum(windows.values()))


def unspaced_hangul(text: str) -> Value:
    """share of Hangul syllables in words of twelve or more syllables"""
    per_word = [sum(map(is_syllable, word)) for word in split_words(text)]
    return share(sum(number for number in per_word if number >= 12), sum(per_word))


def spaced_out_hangul(text: str) -> Value:
    """share of Hangul syllables in rows of four or more one-syllable words"""
    words = split_words(text)
    syllables = sum(map(is_syllable, text))
    strict = rows([len(word) == 1 and is_syllable(word) for word in words])
    loose = rows([sum(map(is_syllable, word)) == 1 for word in words])
    return share(strict, syllables), share(loose, syllables)


def rows(marks: list[bool]) -> int:
    """Return how many of `marks` are true in rows of four or more."""
    found = row = 0
    for mark in [*marks, False]:
        if mark:
            row += 1
        else:
            found += row if row >= 4 else 0
            row = 0
    return found


def is_named(word: str) -> bool:
    return any(is_letter(character) or kind(character) == "digit" for character in word)


def words(text: str) -> Value:
    """words, delimited by white space"""
    return len(split_words(text))


def mean_word_length(text: str) -> Value:
    """characters per word with a letter or digit (Gopher: 3 to 10)"""
    named = [word for word in split_words(text) if is_named(word)]
    return share(length(named), len(named))


def alpha_words(text: str) -> Value:
    """share of words with a letter (Gopher: at least 0.8)"""
    found = split_words(text)
    return share(sum(any(map(is_letter, word)) for word in found), len(found))


def symbols(text: str) -> int:
    return max(text.count("#"), text.count("...") + text.count("…"))


def symbol_ratio(text: str) -> Value:
    """hash signs or ellipses per word, the larger (Gopher: at most 0.1)"""
    return share(symbols(text), len(split_words(text)))


SIGNALS: dict[str, Callable[[str], Value]] = {
    function.__name__.rstrip("_"): function
    for function in (
        bytes_, chars, hangul_ratio, alnum_ratio, mark_ratio, digit_ratio, jamo_runs, lost_chars, lines,
        mean_line_length, max_line_length, bullet_lines, ellipsis_lines, line_punctuation,
        sentence_endings, short_lines, dup_lines, dup_line_chars, char_duplicates, paragraphs,
        dup_paragraphs, dup_paragraph_chars, newline_ratio,
    )
}  # fmt: skip
PROSE: dict[str, Callable[[str], Value]] = {
    function.__name__: function
    for function in (
        c4_lines, c4_sentences, c4_banned, knowledge, char_repetition, unspaced_hangul,
        spaced_out_hangul, words, mean_word_length, alpha_words, symbol_ratio,
    )
}  # fmt: skip
