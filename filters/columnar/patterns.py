"""Search for several fixed strings at once, ASCII in any case, inside Numba kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from filters.columnar.arrays import Bytes, Longs, Mask
from filters.columnar.kernels import inlined, kernel

_LOWER = np.arange(256, dtype=np.uint8)
_LOWER[ord("A") : ord("Z") + 1] += 32


Strings = tuple[Bytes, Longs, Longs]


class Patterns(NamedTuple):
    """Strings to look for, each with a kind (a bit); made by `compile_patterns`."""

    text: Bytes
    """The bytes of all strings, in lower case."""
    starts: Longs
    """Where each string starts, one more at the end."""
    kinds: Longs
    begins: Mask
    """[65536]: by hash, whether a string may begin with these four bytes (see `may_begin`)."""


def compile_patterns(words: Sequence[tuple[str, int]]) -> Patterns:
    """Return `words`, pairs of (string in lower case, kind), for `found_at` and `found_between`.

    Raises ValueError for a string under three bytes: nearly every position would be tested.
    """
    texts = [word.encode() for word, _ in words]
    begins = np.zeros(1 << 16, np.bool_)
    for text in texts:
        if len(text) < 3:
            raise ValueError(f"{text!r} is too short; a pattern needs three bytes or more")
        tails = [text[3:4]] if len(text) > 3 else [bytes([byte]) for byte in range(256)]
        for tail in tails:
            four = [int(_LOWER[byte]) for byte in text[:3] + tail]
            begins[((four[0] * 131 + four[1]) * 131 + four[2]) * 131 + four[3] & 0xFFFF] = True
    return Patterns(*strings(words), begins)


def strings(words: Sequence[tuple[str, int]]) -> Strings:
    """Return the first three fields of `Patterns`, for strings of any length.

    For kernels that test few positions and so need no `begins`.
    """
    texts = [word.encode() for word, _ in words]
    return (
        np.frombuffer(b"".join(texts), np.uint8),
        np.cumsum([0, *map(len, texts)]),
        np.array([kind for _, kind in words], np.int64),
    )


@inlined
def may_begin(data, at, end, begins):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether a pattern may begin at `at`; a hash of four bytes rules out most positions."""
    found = at + 4 > end
    if not found and data[at] & 0xC0 != 0x80:
        value = np.int64(_LOWER[data[at]]) * 131 + np.int64(_LOWER[data[at + 1]])
        value = (value * 131 + np.int64(_LOWER[data[at + 2]])) * 131
        found = begins[(value + np.int64(_LOWER[data[at + 3]])) & 0xFFFF]
    return found


@kernel
def found_at(data, at, end, text, starts, kinds):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the kinds, or-ed, of the patterns that begin at `at`, in any case.

    `text`, `starts` and `kinds` are fields of `Patterns`, taken out of it once per kernel: Numba
    counts references wherever a tuple is unpacked.
    """
    found = 0
    for pattern in range(len(kinds)):
        length = starts[pattern + 1] - starts[pattern]
        if at + length > end:
            continue
        same = 0
        while same < length and _LOWER[data[at + same]] == text[starts[pattern] + same]:
            same += 1
        if same == length:
            found |= kinds[pattern]
    return found


@kernel
def found_between(data, begin, end, text, starts, kinds, begins):  # type: ignore[no-untyped-def]  # Numba
    """Return the kinds, or-ed, of all patterns between `begin` and `end`."""
    found = 0
    for at in range(begin, end):
        if may_begin(data, at, end, begins):
            found |= found_at(data, at, end, text, starts, kinds)
    return found
