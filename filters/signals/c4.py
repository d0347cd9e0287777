"""C4's rules (Raffel et al. 2020, section 2.2) as signals.

C4 removes lines and then pages. Here documents are immutable, so the signals measure how much of a
page C4 would keep. C4 keeps a line that ends with a terminal mark (not an ellipsis), has three
words or more, none over 1000 characters, and mentions neither javascript nor policies nor cookies.
"""

from __future__ import annotations

import numpy as np

from filters.columnar.arrays import Bytes, Doubles, Mask, Offsets
from filters.columnar.kernels import SPACE, classify, kernel, next_codepoint
from filters.columnar.patterns import compile_patterns, found_between
from filters.signals.family import PROSE, Family

MIN_WORDS = 3
LONGEST_WORD = 1000
_LINE, _PAGE = 1, 2
_WANTED = compile_patterns(
    [
        *(
            (words, _LINE)
            for words in (
                "javascript", "terms of use", "privacy policy", "cookie policy", "uses cookies",
                "use of cookies", "use cookies",
            )
        ),
        ("lorem ipsum", _PAGE),
    ]
)  # fmt: skip


_EDIT, _NEEDED = (np.frombuffer(words, np.uint8) for words in (b"[edit]", b"[citation needed]"))


@kernel
def _is_at(data, at, end, words):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether `data[at:end]` is `words`."""
    same = 0
    while same < len(words) and at + same < end and data[at + same] == words[same]:
        same += 1
    return same == len(words) == end - at


@kernel
def _strip(data, begin, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return (begin, end) without white space at either edge."""
    while begin < end:
        cp, after = next_codepoint(data, begin)
        if classify(cp) != SPACE:
            break
        begin = after
    while begin < end:
        last = end - 1
        while data[last] & 0xC0 == 0x80:
            last -= 1
        if classify(next_codepoint(data, last)[0]) != SPACE:
            break
        end = last
    return begin, end


@kernel
def _without_citation(data, begin, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the end of the line without a trailing `[12]`, `[edit]` or `[citation needed]`."""
    while end > begin and data[end - 1] == 93:
        at = end - 2
        digits = True
        while at > begin and data[at] != 91 and end - at < 18:
            digits &= 48 <= data[at] <= 57
            at -= 1
        named = _is_at(data, at, end, _EDIT) or _is_at(data, at, end, _NEEDED)
        if data[at] != 91 or not (digits or named):
            return end
        end = at
    return end


@kernel
def _words(data, begin, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return (words of a line, characters of the longest)."""
    at = begin
    words = longest = length = 0
    while at < end:
        cp, at = next_codepoint(data, at)
        if classify(cp) == SPACE:
            words += length > 0
            length = 0
        else:
            length += 1
            longest = max(longest, length)
    return words + (length > 0), longest


@kernel
def _sentences(data, begin, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return how many sentences a line holds; one ends at a mark, a space and no small letter."""
    count = 1
    for at in range(begin, end - 2):
        if data[at] in (33, 46, 63) and data[at + 1] == 32:
            count += not 97 <= data[at + 2] <= 122
    return count


@kernel
def _measure(data, offsets, where, wanted):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return float64 [rows, 3], the columns of SIGNALS."""
    text, starts, kinds, begins = wanted
    rows = len(offsets) - 1
    out = np.zeros((rows, 3))
    for row in range(rows):
        if not where[row]:
            continue
        at, end = offsets[row], offsets[row + 1]
        lines = kept = sentences = banned = 0
        while at < end:
            start = at
            while at < end and data[at] != 10:
                at += 1
            stop = at
            at += 1
            start, stop = _strip(data, start, stop)
            if start == stop:
                continue
            lines += 1
            stop = _without_citation(data, start, stop)
            if stop == start or data[stop - 1] not in (33, 34, 39, 46, 63):
                continue
            if stop - start >= 3 and data[stop - 1] == data[stop - 2] == data[stop - 3] == 46:
                continue
            words, longest = _words(data, start, stop)
            if words < MIN_WORDS or longest > LONGEST_WORD:
                continue
            found = found_between(data, start, stop, text, starts, kinds, begins)
            for place in range(start, stop):
                found |= _PAGE * (data[place] == 123)
            banned |= found & _PAGE
            if found:
                continue
            kept += 1
            sentences += _sentences(data, start, stop)
        out[row, 0] = kept / max(lines, 1)
        out[row, 1] = sentences
        out[row, 2] = banned != 0
    return out


def compute(data: Bytes, offsets: Offsets, where: Mask) -> Doubles:
    """Return the columns of SIGNALS for each row."""
    return np.asarray(_measure(data, offsets, where, _WANTED))


SIGNALS = Family(
    columns={
        "c4_lines": "share of lines that C4 would keep",
        "c4_sentences": "sentences in the lines that C4 would keep (C4: at least 5)",
        "c4_banned": "1 where such a line holds a curly bracket or lorem ipsum (C4 drops the page)",
    },
    compute=compute,
    kind=PROSE,
    counts=frozenset({"c4_sentences"}),
)
