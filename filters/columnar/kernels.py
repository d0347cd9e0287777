"""Numba kernels over Arrow's own buffers: UTF-8 bytes and 64-bit offsets, without copies.

Kernels take `(data, offsets, where)`: the bytes of a whole column, `rows + 1` offsets, and
which rows to read. They release the GIL and are cached on disk after the first run.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from filters.columnar.arrays import Bytes, Mask, Offsets
from schemas.kernels import GOLDEN as GOLDEN  # noqa: PLC0414
from schemas.kernels import inlined as inlined  # noqa: PLC0414  (filters import it from here)
from schemas.kernels import kernel as kernel  # noqa: PLC0414

HANGUL, LATIN, HAN, KANA, DIGIT, SPACE, MARK, OTHER, JAMO = range(9)
"""Classes of codepoints. JAMO: compatibility and conjoining jamo, as in ㅋㅋㅋ and ㅠㅠ."""
CLASSES = 9

FNV_OFFSET = np.uint64(14695981039346656037)
FNV_PRIME = np.uint64(1099511628211)


def buffers(text: pa.Array) -> tuple[Bytes, Offsets]:
    """Return the bytes and the `rows + 1` offsets of a column, views where Arrow allows.

    A null row has no bytes, even where Arrow keeps some below it. A slice keeps its parent's
    buffers, so its offsets may begin above 0. Raises TypeError for a column that holds no strings.
    """
    if pa.types.is_string(text.type):
        text = text.cast(pa.large_string())
    if not pa.types.is_large_string(text.type):
        raise TypeError(f"a string column is needed, not {text.type}")
    if text.null_count:
        text = text.fill_null("")
    _, offsets, data = text.buffers()
    if data is None or offsets is None or len(text) == 0:
        return np.zeros(0, np.uint8), np.zeros(len(text) + 1, np.int64)
    rows = slice(text.offset, text.offset + len(text) + 1)
    return np.frombuffer(data, np.uint8), np.frombuffer(offsets, np.int64)[rows]


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


_RANGES = (
    # Later ranges win. Blocks and exceptions of Unicode 15.
    (0x00, 0xFFFF, OTHER),
    (0x00, 0x7F, MARK),
    (0x80, 0xBF, MARK),
    (0xC0, 0x24F, LATIN),
    (0x1E00, 0x1EFF, LATIN),
    (0x2010, 0x2BFF, MARK),
    (0x3001, 0x303F, MARK),
    (0x3041, 0x30FF, KANA),
    (0x31F0, 0x31FF, KANA),
    (0x3400, 0x4DBF, HAN),
    (0x4E00, 0x9FFF, HAN),
    (0xF900, 0xFAFF, HAN),
    (0xAC00, 0xD7A3, HANGUL),
    (0x1100, 0x11FF, JAMO),
    (0x3131, 0x318E, JAMO),
    (0xA960, 0xA97F, JAMO),
    (0xD7B0, 0xD7FF, JAMO),
    (0xE000, 0xF8FF, MARK),
    (0xFE00, 0xFE6F, MARK),
    (0xFF01, 0xFFFF, MARK),
    (0xFF10, 0xFF19, DIGIT),
    (0xFF21, 0xFF3A, LATIN),
    (0xFF41, 0xFF5A, LATIN),
    (0xFF66, 0xFF9D, KANA),
    (0xFFA1, 0xFFDC, JAMO),
    (0x30, 0x39, DIGIT),
    (0x41, 0x5A, LATIN),
    (0x61, 0x7A, LATIN),
    *((cp, cp, LATIN) for cp in (0xAA, 0xB5, 0xBA)),
    *((cp, cp, MARK) for cp in (0xD7, 0xF7, 0x30FB)),
    # Marks between the letters of other scripts, invisible characters, and ㈜ ㎡ ㏂ …
    *((cp, cp, MARK) for cp in (0x37E, 0x387, 0x589, 0x5BE, 0x5C0, 0x5C3, 0x6D4, 0x970, 0xE3F)),
    *((low, high, MARK) for low, high in ((0x55A, 0x55F), (0x5F3, 0x5F4), (0x600, 0x60D))),
    *((low, high, MARK) for low, high in ((0x61B, 0x61F), (0x66A, 0x66D), (0x964, 0x965))),
    *((low, high, MARK) for low, high in ((0xE5A, 0xE5B), (0x1360, 0x1368), (0x17D4, 0x17DA))),
    *((low, high, MARK) for low, high in ((0x200B, 0x200F), (0x3200, 0x33FF), (0xFEFF, 0xFEFF))),
    *((zero, zero + 9, DIGIT) for zero in (0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6)),
    *((zero, zero + 9, DIGIT) for zero in (0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xE50, 0xED0)),
    *((zero, zero + 9, DIGIT) for zero in (0xF20, 0x1040, 0x17E0, 0x1810)),
    *((cp, cp, SPACE) for cp in (0x20, 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)),
    (0x09, 0x0D, SPACE),
    (0x2000, 0x200A, SPACE),
)


def _table() -> Bytes:
    table = np.zeros(1 << 16, np.uint8)
    for low, high, kind in _RANGES:
        table[low : high + 1] = kind
    return table


CLASS_OF = _table()
"""Class of every codepoint of the basic plane, by number: uint8 [65536]."""


@kernel
def classify(cp):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the class of a codepoint."""
    if cp < 0x10000:
        return np.int64(CLASS_OF[cp])
    return np.int64(HAN if 0x20000 <= cp <= 0x3FFFF else MARK if cp >= 0x1F000 else OTHER)


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
def bucket(state, shift):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the upper 64 - `shift` bits of a mixed 64-bit state: a bucket of a hashed model."""
    mixed = (state ^ (state >> np.uint64(32))) * GOLDEN
    return np.int64(mixed >> np.uint64(shift))


@kernel
def table_size(items):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the power of two that keeps an open hash table at most half full."""
    size = 16
    while size < 2 * items:
        size *= 2
    return size


@kernel
def find_slot(keys, key):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the slot of `key` (never 0) in an open table, or the empty slot where it belongs."""
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
    """Return a mask of every row."""
    return np.ones(len(offsets) - 1, dtype=bool)


def compile_kernels(
    modules: Sequence[str] = ("filters.language.annotator", "filters.measure.annotator"),
) -> None:
    """Compile the kernels of `modules` (20 seconds), or load them from the cache (one second).

    Each module's `compile_kernels` calls its kernels on a few bytes. Called before workers start,
    it spares each of them the compilation. Modules are named, because they import this one.
    """
    for module in modules:
        importlib.import_module(module).compile_kernels()
