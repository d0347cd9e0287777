"""MinHash signatures on Arrow buffers.

Signatures follow datasketch's scheme `affine32`: with the same permutations, and our base hash as
its `hashfunc`, they are equal bit for bit. The share of equal values estimates the similarity
(Broder 1997).

Shingle units: `chars` counts letters and digits, white space and marks left out, ASCII in lower
case and full-width forms as ASCII, because spacing and punctuation of Korean are unreliable;
`words` counts words between white space; `morphemes` counts Kiwi's.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.columnar.arrays import Keys, Longs
from filters.columnar.kernels import (
    GOLDEN,
    MARK,
    SPACE,
    buffers,
    classify,
    hash_bytes,
    is_space,
    kernel,
    mix64,
    next_codepoint,
)

Signatures = npt.NDArray[np.uint32]
EMPTY = np.uint32(0xFFFFFFFF)
"""Every value of the signature of a text without units."""


@lru_cache(4)
def permutations(count: int, seed: int) -> tuple[Signatures, Signatures]:
    """Return datasketch's `count` permutations (a, b) of `affine32` for `seed`."""
    from datasketch import MinHash

    a, b = MinHash(num_perm=count, seed=seed).permutations
    return np.asarray(a, np.uint32), np.asarray(b, np.uint32)


@kernel
def fold(cp):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return a codepoint without its case (ASCII) and without its full width."""
    if 0xFF01 <= cp <= 0xFF5E:
        cp = np.uint32(cp - 0xFEE0)
    if 65 <= cp <= 90:
        cp = np.uint32(cp + 32)
    return cp


@kernel
def char_units(data, begin, end, units):  # type: ignore[no-untyped-def]  # typed by Numba
    """Write the folded letters and digits of a text; return how many.

    A text without letters and digits gives all codepoints that are not white space.
    """
    count = 0
    at = begin
    while at < end:
        cp, at = next_codepoint(data, at)
        kind = classify(cp)
        if kind != SPACE and kind != MARK:  # noqa: PLR1714  # compiles to two tests
            units[count] = np.uint64(fold(cp))
            count += 1
    if count:
        return count
    at = begin
    while at < end:
        cp, at = next_codepoint(data, at)
        if not is_space(cp):
            units[count] = np.uint64(fold(cp))
            count += 1
    return count


@kernel
def word_units(data, begin, end, units):  # type: ignore[no-untyped-def]  # typed by Numba
    """Write a hash of each word between white space; return how many."""
    count = 0
    at = begin
    while at < end:
        start = at
        cp, at = next_codepoint(data, at)
        if is_space(cp):
            continue
        stop = at
        while at < end:
            cp, at = next_codepoint(data, at)
            if is_space(cp):
                break
            stop = at
        units[count] = hash_bytes(data, start, stop)
        count += 1
    return count


@kernel
def text_units(data, begin, end, units, by_word):  # type: ignore[no-untyped-def]  # typed by Numba
    """Write the units of one text; return how many."""
    if by_word:
        return word_units(data, begin, end, units)
    return char_units(data, begin, end, units)


@kernel
def shingle_hashes(units, count, n, out):  # type: ignore[no-untyped-def]  # typed by Numba
    """Write the 32-bit base hash of every n-gram of `units`; return how many.

    A text of fewer than n units gives one shingle, a text without units none. The hash is a
    rolling polynomial modulo 2^64, mixed and cut to its upper half.
    """
    if count == 0:
        return 0
    n = min(n, count)
    power = np.uint64(1)
    for _ in range(n):
        power = power * GOLDEN
    value = np.uint64(0)
    written = 0
    for at in range(count):
        value = value * GOLDEN + (units[at] + np.uint64(1))
        if at >= n:
            value = value - (units[at - n] + np.uint64(1)) * power
        if at >= n - 1:
            out[written] = np.uint32(mix64(value) >> np.uint64(32))
            written += 1
    return written


@kernel
def fmix32(value):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return MurmurHash3's 32-bit finaliser of `value`, the first step of affine32."""
    value = np.uint32(value ^ (value >> np.uint32(16)))
    value = np.uint32(value * np.uint32(0x85EBCA6B))
    value = np.uint32(value ^ (value >> np.uint32(13)))
    value = np.uint32(value * np.uint32(0xC2B2AE35))
    return np.uint32(value ^ (value >> np.uint32(16)))


@kernel
def _sign(data, offsets, by_word, n, a, b):  # type: ignore[no-untyped-def]  # typed by Numba
    rows = len(offsets) - 1
    width = len(a)
    out = np.full((rows, width), EMPTY, np.uint32)
    longest = 0
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    units = np.empty(longest + 1, np.uint64)
    hashes = np.empty(longest + 1, np.uint32)
    for row in range(rows):
        count = text_units(data, offsets[row], offsets[row + 1], units, by_word)
        shingles = shingle_hashes(units, count, n, hashes)
        signature = out[row]
        for index in range(shingles):
            value = fmix32(hashes[index])
            for k in range(width):
                signature[k] = min(signature[k], np.uint32(a[k] * value + b[k]))
    return out


def sign(text: pa.LargeStringArray, unit: str, n: int, count: int, seed: int) -> Signatures:
    """Return uint32 [rows, count]: the MinHash signature of each text's `n`-gram shingles.

    `unit` is `chars` or `words` (for `morphemes`, give texts of morphemes joined by spaces).
    """
    data, offsets = buffers(text)
    a, b = permutations(count, seed)
    return np.asarray(_sign(data, offsets, unit != "chars", n, a, b))


@kernel
def _sets(data, offsets, by_word, n):  # type: ignore[no-untyped-def]  # typed by Numba
    rows = len(offsets) - 1
    ends = np.zeros(rows + 1, np.int64)
    longest = total = 0
    for row in range(rows):
        length = offsets[row + 1] - offsets[row]
        longest = max(longest, length)
        total += length
    units = np.empty(longest + 1, np.uint64)
    hashes = np.empty(longest + 1, np.uint32)
    out = np.empty(total + rows, np.uint32)
    filled = 0
    for row in range(rows):
        count = text_units(data, offsets[row], offsets[row + 1], units, by_word)
        shingles = shingle_hashes(units, count, n, hashes)
        ordered = np.sort(hashes[:shingles])
        for index in range(shingles):
            if index == 0 or ordered[index] != ordered[index - 1]:
                out[filled] = ordered[index]
                filled += 1
        ends[row + 1] = filled
    return out[:filled].copy(), ends


def shingle_sets(text: pa.LargeStringArray, unit: str, n: int) -> tuple[Signatures, Longs]:
    """Return each text's set of shingle hashes, sorted: flat values and `rows + 1` offsets."""
    data, offsets = buffers(text)
    values, ends = _sets(data, offsets, unit != "chars", n)
    return np.asarray(values), np.asarray(ends)


@kernel
def _content_hash(data, offsets):  # type: ignore[no-untyped-def]  # typed by Numba
    rows = len(offsets) - 1
    out = np.zeros((rows, 2), np.uint64)
    for row in range(rows):
        at, end = offsets[row], offsets[row + 1]
        first, second = np.uint64(0x243F6A8885A308D3), np.uint64(0x13198A2E03707344)
        while at < end:
            cp, at = next_codepoint(data, at)
            if is_space(cp):
                continue
            value = np.uint64(fold(cp))
            first = mix64(first ^ value) + GOLDEN
            second = (second ^ value) * np.uint64(0xC2B2AE3D27D4EB4F)
            second ^= second >> np.uint64(29)
        out[row, 0], out[row, 1] = first, mix64(second)
    return out


def content_hashes(text: pa.LargeStringArray) -> Keys:
    """Return uint64 [rows, 2]: a 128-bit hash of each text without white space and case."""
    data, offsets = buffers(text)
    return np.asarray(_content_hash(data, offsets))


def compile_kernels() -> None:
    """Compile (or load from the cache) the kernels of this module."""
    text = pa.array(["가나다라마바 abc"], pa.large_string())
    sign(text, "chars", 5, 16, 1)
    shingle_sets(text, "words", 2)
    content_hashes(text)
