"""Signals of lines and paragraphs (Gopher, C4, FineWeb, StarCoder).

A line ends at a newline and holds some text; white space at its end does not belong to it. A
paragraph is a run of lines without an empty line inside.
"""

from __future__ import annotations

import numpy as np

from filters.columnar.kernels import (
    FNV_OFFSET,
    FNV_PRIME,
    SPACE,
    classify,
    find_slot,
    kernel,
    mix64,
    next_codepoint,
    table_size,
)
from filters.signals.family import Family

SHORT_LINE = 30
"""Characters; FineWeb's short-line length."""
# Unicode's Sentence_Terminal in the basic plane.
_TERMINALS = """
    21 2e 3f 589 61d 61e 61f 6d4 700 701 702 7f9 837 839 83d 83e 964 965 104a 104b 1362 1367 1368
    166e 1735 1736 17d4 17d5 17d6 17d9 17da 1803 1809 1944 1945 1aa8 1aa9 1aaa 1aab 1b5a 1b5b 1b5e
    1b5f 1b7d 1b7e 1c3b 1c3c 1c7e 1c7f 203c 203d 2047 2048 2049 2e2e 2e3c 2e53 2e54 3002 a4ff a60e
    a60f a6f3 a6f7 a876 a877 a8ce a8cf a92f a9c8 a9c9 aa5d aa5e aa5f aaf0 aaf1 abeb fe52 fe56 fe57
    ff01 ff0e ff1f ff61
"""
KOREAN_ENDINGS = "다요죠까네음임함됨슴지군나라"
"""Last syllables of Korean sentences in the plain, the polite and the clipped style."""
BULLETS = "•‣▶◀◦■□▪▫–"
"""Marks that begin a bullet line; `-`, `*` and `·` also do, before a space. Gopher lists none."""


def _set(codepoints: list[int]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    table = np.zeros(1 << 16, np.bool_)
    table[codepoints] = True
    return table


_TERMINAL = _set([int(code, 16) for code in _TERMINALS.split()])
_KOREAN = _set([ord(syllable) for syllable in KOREAN_ENDINGS])
_BULLET = _set([ord(mark) for mark in BULLETS])

(LINES, LINE_CHARS, LONGEST, BULLET_LINES, ELLIPSIS_LINES, PUNCTUATED, ENDED, SHORT, REPEATED,
 REPEATED_CHARS, PARAGRAPHS, REPEATED_PARAGRAPHS, REPEATED_PARAGRAPH_CHARS, NEWLINES,
 CHARS) = range(15)  # fmt: skip


@kernel
def _scan(data, begin, end, line_keys, paragraph_keys, total):  # type: ignore[no-untyped-def]  # typed by Numba
    """Count the lines and paragraphs of one text into `total` (int64 [15]).

    `line_keys` and `paragraph_keys` are empty hash tables (zeros).
    """
    total[:] = 0
    at = begin
    paragraph = np.uint64(0)
    paragraph_chars = 0
    while at <= end:
        head = last = before_last = np.uint32(0)
        after_head = np.uint32(0)
        value = FNV_OFFSET
        line_value = FNV_OFFSET
        length = visible = 0
        dots = final_dots = 0  # full stops side by side
        closed = False
        while at < end:
            cp, at = next_codepoint(data, at)
            if cp == 10:
                closed = True
                break
            length += 1
            value = (value ^ np.uint64(cp)) * FNV_PRIME
            if classify(cp) == SPACE:
                dots = 0
                continue
            dots = dots + 1 if cp == 46 else 0
            final_dots = dots
            if head == 0:
                head = cp
                after_head = np.uint32(data[at]) if at < end else np.uint32(0)
            before_last, last = last, cp
            visible = length
            line_value = value
        total[CHARS] += length + closed
        total[NEWLINES] += closed
        if head:
            total[LINES] += 1
            total[LINE_CHARS] += visible
            total[LONGEST] = max(total[LONGEST], visible)
            bullet = head in (42, 45, 0xB7) and after_head == 32
            total[BULLET_LINES] += bullet or (head < 0x10000 and _BULLET[head])
            total[ELLIPSIS_LINES] += last == 0x2026 or final_dots >= 3
            terminal = last < 0x10000 and _TERMINAL[last]
            total[PUNCTUATED] += terminal
            # A closing mark after the full stop, or none at all, ends a Korean sentence too.
            if last in (34, 39, 41, 93, 0x201D, 0x2019, 0x300D, 0x300F):
                last = before_last
                terminal = last < 0x10000 and _TERMINAL[last]
            total[ENDED] += terminal or last in (0x2026, 126) or (last < 0x10000 and _KOREAN[last])
            total[SHORT] += visible <= SHORT_LINE
            key = mix64(line_value) | np.uint64(1)
            slot = find_slot(line_keys, key)
            if line_keys[slot] == 0:
                line_keys[slot] = key
            else:
                total[REPEATED] += 1
                total[REPEATED_CHARS] += visible
            paragraph = mix64(paragraph * np.uint64(3) + key)
            paragraph_chars += visible + (paragraph_chars > 0)
        if paragraph_chars and (head == 0 or at >= end):
            total[PARAGRAPHS] += 1
            key = paragraph | np.uint64(1)
            slot = find_slot(paragraph_keys, key)
            if paragraph_keys[slot] == 0:
                paragraph_keys[slot] = key
            else:
                total[REPEATED_PARAGRAPHS] += 1
                total[REPEATED_PARAGRAPH_CHARS] += paragraph_chars
            paragraph, paragraph_chars = np.uint64(0), 0
        if at >= end:
            break


@kernel
def compute(data, offsets, where):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return float64 [rows, 15], the columns of SIGNALS."""
    rows = len(offsets) - 1
    out = np.zeros((rows, 15))
    total = np.empty(15, np.int64)
    room = 1 << 10
    line_keys, paragraph_keys = np.empty(room, np.uint64), np.empty(room, np.uint64)
    for row in range(rows):
        if not where[row]:
            continue
        begin, end = offsets[row], offsets[row + 1]
        newlines = 1
        for at in range(begin, end):
            newlines += data[at] == 10
        size = table_size(newlines)
        if size > room:
            room = size
            line_keys, paragraph_keys = np.empty(room, np.uint64), np.empty(room, np.uint64)
        line_keys[:size] = 0
        paragraph_keys[:size] = 0
        _scan(data, begin, end, line_keys[:size], paragraph_keys[:size], total)
        lines = max(total[LINES], 1)
        chars = max(total[CHARS], 1)
        out[row, 0] = total[LINES]
        out[row, 1] = total[LINE_CHARS] / lines
        out[row, 2] = total[LONGEST]
        out[row, 3] = total[BULLET_LINES] / lines
        out[row, 4] = total[ELLIPSIS_LINES] / lines
        out[row, 5] = total[PUNCTUATED] / lines
        out[row, 6] = total[ENDED] / lines
        out[row, 7] = total[SHORT] / lines
        out[row, 8] = total[REPEATED] / lines
        out[row, 9] = total[REPEATED_CHARS] / chars
        out[row, 10] = total[REPEATED_CHARS] / max(total[CHARS] - total[NEWLINES], 1)
        out[row, 11] = total[PARAGRAPHS]
        out[row, 12] = total[REPEATED_PARAGRAPHS] / max(total[PARAGRAPHS], 1)
        out[row, 13] = total[REPEATED_PARAGRAPH_CHARS] / chars
        out[row, 14] = total[NEWLINES] / chars
    return out


SIGNALS = Family(
    columns={
        "lines": "lines that hold some text",
        "mean_line_length": "characters per line (StarCoder: at most 100)",
        "max_line_length": "characters of the longest line (StarCoder: at most 1000)",
        "bullet_lines": "share of lines that begin with a bullet (Gopher: at most 0.9)",
        "ellipsis_lines": "share of lines that end with an ellipsis (Gopher: at most 0.3)",
        "line_punctuation": "share of lines that end with a sentence mark (FineWeb: at least 0.12)",
        "sentence_endings": "share of lines that end as a sentence, in Korean also without a mark",
        "short_lines": "share of lines of 30 characters or fewer (FineWeb: at most 0.67)",
        "dup_lines": "share of lines that repeat an earlier line (Gopher: at most 0.3)",
        "dup_line_chars": "share of characters in repeated lines (Gopher: at most 0.2)",
        "char_duplicates": "share of characters in repeated lines, without newlines "
        "(FineWeb: at most 0.01; FineWeb2: 0.1)",
        "paragraphs": "runs of lines without an empty line between them",
        "dup_paragraphs": "share of paragraphs that repeat an earlier one (Gopher: at most 0.3)",
        "dup_paragraph_chars": "share of characters in repeated paragraphs (Gopher: at most 0.2)",
        "newline_ratio": "newlines per character",
    },
    compute=compute,
    counts=frozenset({"lines", "max_line_length", "paragraphs"}),
)
