"""Lines and paragraphs that many documents hold: menus, footers, notices, templates.

Such lines are removed; the document is kept. Which lines stay follows pattern-aware line
deduplication (PLD, arXiv 2510.24139). Lines are classed by how many documents hold them: *unique*
(up to `rare`), *shared*, and *common* (above `common`). Two or more unique lines in a row stay,
with shared lines between unique ones. Ours: where nothing would stay, only the common lines are
removed, since many Korean web documents have a line or two; and paragraphs of two lines or more
have a limit of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from filters.columnar.arrays import Keys, Longs, Mask, Offsets
from filters.columnar.kernels import GOLDEN, buffers, is_space, kernel, mix64, next_codepoint
from filters.dedup.minhash import fold
from filters.text.removed_spans import build_removed_spans

PARAGRAPH = np.uint64(0xA24BAED4963EE407)
"""Start of a paragraph's hash, so that its key differs from a line's."""


@dataclass(frozen=True)
class Passages:
    """Lines or paragraphs of a batch, in order."""

    offsets: Offsets
    """The passages of row i are number `offsets[i]` to `offsets[i + 1]` (rows + 1)."""
    starts: Longs
    """First byte of each passage, counted from the row's beginning."""
    ends: Longs
    """The byte after the last; a newline at the end belongs to the passage."""
    keys: Keys
    """Hash of the text without white space and case."""

    @property
    def rows(self) -> Longs:
        """Return the row of each passage."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


@kernel
def _count_newlines(data, offsets):  # type: ignore[no-untyped-def]  # typed by Numba
    count = len(offsets) - 1
    for at in range(offsets[0], offsets[len(offsets) - 1]):
        count += data[at] == 10
    return count


@kernel
def _split(data, offsets, where, lines, paragraphs):  # type: ignore[no-untyped-def]  # typed by Numba
    line_at, line_start, line_end, line_key = lines
    par_at, par_start, par_end, par_key = paragraphs
    rows = len(offsets) - 1
    written = blocks = 0
    for row in range(rows):
        begin, end = offsets[row], offsets[row + 1]
        at = begin if where[row] else end
        inside = 0  # lines of the paragraph so far
        value = PARAGRAPH
        while at < end:
            start = at
            key = np.uint64(0)
            while at < end:
                cp, at = next_codepoint(data, at)
                if cp == 10:
                    break
                if not is_space(cp):
                    key = (key ^ np.uint64(fold(cp))) * GOLDEN + np.uint64(1)
            if key:
                line_start[written] = start - begin
                line_end[written] = at - begin
                line_key[written] = mix64(key)
                value = mix64(value ^ line_key[written])
                inside += 1
                written += 1
            if inside and (key == 0 or at >= end):
                if inside > 1:
                    par_start[blocks] = line_start[written - inside]
                    par_end[blocks] = line_end[written - 1]
                    par_key[blocks] = value
                    blocks += 1
                inside = 0
                value = PARAGRAPH
        line_at[row + 1] = written
        par_at[row + 1] = blocks
    return written, blocks


def split_passages(text: pa.LargeStringArray, where: Mask) -> tuple[Passages, Passages]:
    """Return the lines and the paragraphs (two or more lines) of the rows in `where`.

    A blank line is not a passage; it ends a paragraph.
    """
    data, offsets = buffers(text)
    room = _count_newlines(data, offsets)

    def columns() -> tuple[Longs, Longs, Longs, Keys]:
        return (
            np.zeros(len(offsets), np.int64),
            np.empty(room, np.int64),
            np.empty(room, np.int64),
            np.empty(room, np.uint64),
        )

    lines, paragraphs = columns(), columns()
    counts = _split(data, offsets, where, lines, paragraphs)
    found = [
        Passages(at, start[:count], end[:count], key[:count])
        for (at, start, end, key), count in zip((lines, paragraphs), counts, strict=True)
    ]
    return found[0], found[1]


def document_keys(lines: Passages, paragraphs: Passages) -> Keys:
    """Return the key of each distinct passage of each document, once per document."""
    keys = np.concatenate([lines.keys, paragraphs.keys])
    rows = np.concatenate([lines.rows, paragraphs.rows])
    order = np.lexsort((keys, rows))
    keys, rows = keys[order], rows[order]
    fresh = np.ones(len(keys), np.bool_)
    fresh[1:] = (keys[1:] != keys[:-1]) | (rows[1:] != rows[:-1])
    return keys[fresh]


UNIQUE, SHARED, COMMON = range(3)


@kernel
def _stays(offsets, kinds, stays):  # type: ignore[no-untyped-def]  # typed by Numba
    """Mark the lines that stay: UNIQUE{2,} (SHARED+ UNIQUE+)*, or else all that are not COMMON."""
    for row in range(len(offsets) - 1):
        first, last = offsets[row], offsets[row + 1]
        any_stays = False
        at = first
        while at < last:
            run = at
            while run < last and kinds[run] == UNIQUE:
                run += 1
            if run - at < 2:
                at = max(run, at + 1)
                continue
            stop = run
            while run < last and kinds[run] != COMMON:
                if kinds[run] == UNIQUE:
                    stop = run + 1
                run += 1
            stays[at:stop] = True
            any_stays = True
            at = stop
        if not any_stays:
            for line in range(first, last):
                stays[line] = kinds[line] != COMMON


def removed_repeats(
    lines: Passages,
    paragraphs: Passages,
    line_counts: Longs,
    paragraph_counts: Longs,
    rare: Longs,
    common: Longs,
    paragraphs_above: int | None,
) -> pa.ListArray:
    """Return a column of `filters.text.removed_spans.REMOVED_SPANS`, kinds `line` and `paragraph`.

    `line_counts`, `paragraph_counts`: documents that hold each passage. `rare`, `common`: the
    limits, by row. `paragraphs_above`: the limit for paragraphs, None for no limit. Blank lines
    between removed lines are removed too.
    """
    rows = lines.rows
    kinds = np.where(line_counts > common[rows], COMMON, SHARED)
    kinds[line_counts <= rare[rows]] = UNIQUE
    stays = np.zeros(len(rows), np.bool_)
    _stays(lines.offsets, kinds, stays)
    in_paragraph = np.zeros(len(rows), np.bool_)
    if paragraphs_above is not None:
        for block in np.flatnonzero(paragraph_counts > paragraphs_above).tolist():
            row = paragraphs.rows[block]
            of_row = slice(lines.offsets[row], lines.offsets[row + 1])
            inside = (lines.starts[of_row] >= paragraphs.starts[block]) & (
                lines.ends[of_row] <= paragraphs.ends[block]
            )
            in_paragraph[of_row] |= inside
    spans: list[tuple[int, int, str]] = []
    where: list[int] = []
    last = -2
    for line in np.flatnonzero(~stays | in_paragraph).tolist():
        kind = "paragraph" if in_paragraph[line] else "line"
        start, end, row = int(lines.starts[line]), int(lines.ends[line]), int(rows[line])
        if last == line - 1 and where[-1] == row and spans[-1][2] == kind:
            spans[-1] = (spans[-1][0], end, kind)
        else:
            if last == line - 1 and where[-1] == row:
                start = spans[-1][1]  # the blank lines between two kinds
            spans.append((start, end, kind))
            where.append(row)
        last = line
    return build_removed_spans(len(lines.offsets) - 1, where, spans)


def compile_kernels() -> None:
    """Compile (or load from the cache) the kernels of this module."""
    text = pa.array(["a\nb\n\nc"], pa.large_string())
    lines, paragraphs = split_passages(text, np.ones(1, np.bool_))
    ones = np.ones(1, np.int64)
    counts = [np.ones(len(passages.keys), np.int64) for passages in (lines, paragraphs)]
    removed_repeats(lines, paragraphs, counts[0], counts[1], ones, ones, 3)
