"""Signals of lines: length, endings, bullets, repetition (Gopher, C4, FineWeb, StarCoder)."""

from __future__ import annotations

import numpy as np

from filters.kernels import (
    find_slot,
    hash_bytes,
    is_space,
    kernel,
    next_codepoint,
    table_size,
)
from filters.signals.family import Family

SHORT_LINE = 30
"""Characters; FineWeb's short-line length."""


@kernel
def compute(data, offsets, where):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return float64 [rows, 10], the columns of SIGNALS, for lines that hold any text."""
    rows = len(offsets) - 1
    out = np.zeros((rows, 10))
    for row in range(rows):
        if not where[row]:
            continue
        begin, end = offsets[row], offsets[row + 1]
        total = 1
        for at in range(begin, end):
            total += data[at] == 10
        keys = np.zeros(table_size(total), np.uint64)
        lines = bullets = ellipses = punctuated = short = 0
        longest = chars_in_lines = all_chars = newlines = 0
        repeated_lines = repeated_chars = 0
        at = begin
        while at < end:
            first = at  # of the line's text
            seen = False
            last_end = at
            last = np.uint32(0)
            before_last = np.uint32(0)
            third_last = np.uint32(0)
            head = np.uint32(0)
            length = visible_length = 0
            ended = False
            while at < end:
                here = at
                cp, at = next_codepoint(data, at)
                all_chars += 1
                if cp == 10:
                    newlines += 1
                    ended = True
                    break
                length += 1
                if is_space(cp):
                    continue
                if not seen:
                    seen, first, head = True, here, cp
                third_last, before_last, last = before_last, last, cp
                last_end = at
                visible_length = length
            longest = max(longest, length)
            if not seen:
                if not ended:
                    break
                continue
            lines += 1
            chars_in_lines += length
            if head in (0x2022, 0x2023, 0x25B6, 0x25C0, 0x25E6, 0x25A0, 0x25A1, 0x25AA, 0x25AB):
                bullets += 1
            elif head in (0x2013, 0x00B7, 45, 42) and first + 1 < end and data[first + 1] == 32:
                bullets += 1
            elif head == 0x2013 or head == 0x2022:
                bullets += 1
            if last == 0x2026 or (last == 46 and before_last == 46 and third_last == 46):
                ellipses += 1
            if last in (46, 63, 33, 34, 39, 0x2026, 0x3002, 0xFF01, 0xFF1F, 0x201D, 0x2019, 126):
                punctuated += 1
            elif last == 0xB2E4 or last == 0xC694 or last == 0xC8E0 or last == 0xAE4C:
                punctuated += 1  # 다 요 죠 까 end a sentence without a mark
            if visible_length <= SHORT_LINE:
                short += 1
            key = hash_bytes(data, first, last_end) | np.uint64(1)
            slot = find_slot(keys, key)
            if keys[slot] == 0:
                keys[slot] = key
            else:
                repeated_lines += 1
                repeated_chars += length
        n = max(lines, 1)
        out[row, 0] = lines
        out[row, 1] = chars_in_lines / n
        out[row, 2] = longest
        out[row, 3] = bullets / n
        out[row, 4] = ellipses / n
        out[row, 5] = punctuated / n
        out[row, 6] = short / n
        out[row, 7] = repeated_lines / n
        out[row, 8] = repeated_chars / max(all_chars, 1)
        out[row, 9] = newlines / max(all_chars, 1)
    return out


SIGNALS = Family(
    columns={
        "lines": "lines that hold any text",
        "mean_line_length": "characters a line, over lines that hold any text (StarCoder)",
        "max_line_length": "characters of the longest line (StarCoder)",
        "bullet_lines": "share of lines that begin with a bullet (Gopher)",
        "ellipsis_lines": "share of lines that end with an ellipsis (Gopher)",
        "line_punctuation": "share of lines ended by a sentence mark or a Korean ending (FineWeb)",
        "short_lines": "share of lines of 30 characters or fewer (FineWeb)",
        "dup_line_share": "share of lines that repeat an earlier line (Gopher)",
        "dup_line_chars": "share of characters in lines that repeat an earlier one (Gopher)",
        "newline_ratio": "newlines a character",
    },
    compute=compute,
)
