"""Numba helpers on Arrow's own buffers: UTF-8 bytes and 64-bit offsets, no copies.

Kernels take `(data, offsets, where)`: the bytes of a whole column, `rows + 1` offsets, and
which rows to look at. They release the GIL and are cached on disk after the first run.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

HANGUL, LATIN, HAN, KANA, DIGIT, SPACE, MARK, OTHER, JAMO = range(9)
"""Classes of codepoints. JAMO: compatibility and conjoining jamo, as in ㅋㅋㅋ and ㅠㅠ."""
CLASSES = 9

FNV_OFFSET = np.uint64(14695981039346656037)
FNV_PRIME = np.uint64(1099511628211)


def kernel(function: Any) -> Any:
    """Compile `function` without the GIL and keep the machine code for the next process."""
    return numba.njit(nogil=True, cache=True, boundscheck=False)(function)


def buffers(text: pa.LargeStringArray) -> tuple[Bytes, Offsets]:
    """Return the bytes and the `rows + 1` offsets of a column, views where Arrow allows.

    A null row has no bytes. A slice keeps its parent's buffers, so offsets need not start
    at 0.
    """
    text = text.cast(pa.large_string())
    _, offsets, data = text.buffers()
    if data is None or offsets is None or len(text) == 0:
        return np.zeros(0, np.uint8), np.zeros(len(text) + 1, np.int64)
    places = np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1]
    return np.frombuffer(data, np.uint8), places


@kernel
def next_codepoint(data, at):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return (codepoint, position after it) of valid UTF-8 at `at`."""
    first = data[at]
    if first < 0x80:
        return np.uint32(first), at + 1
    if first < 0xE0:
        return np.uint32(((first & 0x1F) << 6) | (data[at + 1] & 0x3F)), at + 2
    if first < 0xF0:
        return (
            np.uint32(
                ((first & 0x0F) << 12) | ((data[at + 1] & 0x3F) << 6) | (data[at + 2] & 0x3F)
            ),
            at + 3,
        )
    return (
        np.uint32(
            ((first & 0x07) << 18)
            | ((data[at + 1] & 0x3F) << 12)
            | ((data[at + 2] & 0x3F) << 6)
            | (data[at + 3] & 0x3F)
        ),
        at + 4,
    )


@kernel
def classify(cp):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the class of a codepoint. Ranges: Unicode 15 blocks."""
    if cp < 0x80:
        if 97 <= cp <= 122 or 65 <= cp <= 90:
            return LATIN
        if 48 <= cp <= 57:
            return DIGIT
        if cp == 32 or 9 <= cp <= 13:
            return SPACE
        return MARK
    if 0xAC00 <= cp <= 0xD7A3:
        return HANGUL
    if 0x3131 <= cp <= 0x318E or 0x1100 <= cp <= 0x11FF or 0xA960 <= cp <= 0xA97F:
        return JAMO
    if 0xD7B0 <= cp <= 0xD7FF or 0xFFA1 <= cp <= 0xFFDC:
        return JAMO
    if cp == 0xA0 or cp == 0x3000 or 0x2000 <= cp <= 0x200A or cp == 0x2028 or cp == 0x2029:
        return SPACE
    if cp < 0xC0:
        return LATIN if cp in (0xAA, 0xB5, 0xBA) else MARK
    if cp < 0x250:
        return MARK if cp in (0xD7, 0xF7) else LATIN
    if 0x1E00 <= cp <= 0x1EFF or 0xFF21 <= cp <= 0xFF3A or 0xFF41 <= cp <= 0xFF5A:
        return LATIN
    if 0x3041 <= cp <= 0x30FF or 0x31F0 <= cp <= 0x31FF or 0xFF66 <= cp <= 0xFF9D:
        return MARK if cp == 0x30FB else KANA
    if 0x4E00 <= cp <= 0x9FFF or 0x3400 <= cp <= 0x4DBF or 0xF900 <= cp <= 0xFAFF:
        return HAN
    if 0x20000 <= cp <= 0x3FFFF:
        return HAN
    if 0xFF10 <= cp <= 0xFF19:
        return DIGIT
    if 0x2010 <= cp <= 0x2BFF or 0x3001 <= cp <= 0x303F or 0xFE00 <= cp <= 0xFE6F:
        return MARK
    if 0xFF01 <= cp <= 0xFFEF or 0xE000 <= cp <= 0xF8FF or cp >= 0x1F000:
        return MARK
    return OTHER


@kernel
def is_space(cp):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether a codepoint separates words."""
    return classify(cp) == SPACE


@kernel
def mix64(value):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return a 64-bit hash of a 64-bit integer (the finaliser of MurmurHash3)."""
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xFF51AFD7ED558CCD)
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xC4CEB9FE1A85EC53)
    value ^= value >> np.uint64(33)
    return value


@kernel
def hash_bytes(data, start, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return a 64-bit hash of `data[start:end]` (FNV-1a, finalised)."""
    value = FNV_OFFSET
    for at in range(start, end):
        value = (value ^ np.uint64(data[at])) * FNV_PRIME
    return mix64(value)


@kernel
def table_size(items):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the power of two that keeps an open hash table at most half full."""
    size = 16
    while size < 2 * items:
        size *= 2
    return size


@kernel
def find_slot(keys, key):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the slot of `key` (never 0) in an open table, or the empty one where it goes."""
    mask = np.uint64(len(keys) - 1)
    slot = key & mask
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@kernel
def class_counts(data, offsets, where):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return int64 [rows, CLASSES]: how many codepoints of each class a row has."""
    rows = len(offsets) - 1
    counts = np.zeros((rows, CLASSES), np.int64)
    for row in range(rows):
        if not where[row]:
            continue
        at, end = offsets[row], offsets[row + 1]
        while at < end:
            cp, at = next_codepoint(data, at)
            counts[row, classify(cp)] += 1
    return counts


def everywhere(offsets: Offsets) -> Mask:
    """Return the mask that takes every row."""
    return np.ones(len(offsets) - 1, dtype=bool)
