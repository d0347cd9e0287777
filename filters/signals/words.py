"""Signals of words: a word is what stands between white space (in Korean, an eojeol)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from filters.kernels import (
    HAN,
    HANGUL,
    KANA,
    LATIN,
    OTHER,
    SPACE,
    Bytes,
    Mask,
    Offsets,
    classify,
    find_slot,
    hash_bytes,
    kernel,
    mix64,
    next_codepoint,
    table_size,
)
from filters.signals.family import PROSE, Family

ENGLISH = ("the", "be", "to", "of", "and", "that", "have", "with")
"""Gopher's stop words (Rae et al. 2021, table A1)."""
KOREAN = ("의", "은", "는", "이", "가", "을", "를", "에", "에서", "로", "으로", "와", "과", "도",
          "만", "다", "고", "한", "하는", "요", "지만", "까지", "부터", "으며", "니다")  # fmt: skip
"""Particles and endings: what most eojeol end with. They follow FineWeb2's kor_Hang list, whose
entries are bound morphemes, so it is the end of an eojeol that is compared."""
LONGEST_ENDING = 2
TOP = (2, 3, 4)
DUPLICATE = (5, 6, 7, 8, 9, 10)


def _ending(word: str) -> int:
    value = 0
    for cp in word:
        value = value * 0x110000 + ord(cp)
    return value


_ENGLISH_CODES = np.array(
    [int.from_bytes(word.encode(), "big") for word in ENGLISH], dtype=np.uint64
)
_KOREAN_CODES = np.array([_ending(word) for word in KOREAN], dtype=np.uint64)


@kernel
def _scan(data, begin, end, hashes, lengths):  # type: ignore[no-untyped-def]  # typed by Numba
    """Hash the words of one text into `hashes`, their characters into `lengths`.

    Returns words, words with a letter, characters, hash signs, ellipses, and bit sets of the
    English stop words and Korean endings that occur.
    """
    at = begin
    words = alpha = chars = hashmarks = ellipses = 0
    english = korean = np.uint64(0)
    while at < end:
        start = at
        cp, at = next_codepoint(data, at)
        kind = classify(cp)
        if kind == SPACE:
            continue
        length = 0
        letter = False
        code = np.uint64(0)
        last = before = np.uint64(0)
        stop = at
        while True:
            length += 1
            if kind in (HANGUL, LATIN, HAN, KANA, OTHER):
                letter = True
            if kind == HANGUL:
                before, last = last, np.uint64(cp)
            elif kind == LATIN or kind == HAN:
                before = last = np.uint64(0)
            if cp < 128:
                lower = cp + 32 if 65 <= cp <= 90 else cp
                code = (code << np.uint64(8)) | np.uint64(lower)
            else:
                code = ~np.uint64(0)
            if cp == 35:
                hashmarks += 1
            elif cp == 0x2026:
                ellipses += 1
            elif cp == 46 and at + 1 < end and data[at] == 46 and data[at + 1] == 46:
                ellipses += 1
            stop = at
            if at >= end:
                break
            cp, at = next_codepoint(data, at)
            kind = classify(cp)
            if kind == SPACE:
                break
        if length <= 5:
            for index in range(len(_ENGLISH_CODES)):
                if _ENGLISH_CODES[index] == code:
                    english |= np.uint64(1) << np.uint64(index)
        if last and length > 1:
            pair = before * np.uint64(0x110000) + last
            for index in range(len(_KOREAN_CODES)):
                if _KOREAN_CODES[index] == last or _KOREAN_CODES[index] == pair:
                    korean |= np.uint64(1) << np.uint64(index)
        hashes[words] = hash_bytes(data, start, stop)
        lengths[words] = length
        words += 1
        alpha += letter
        chars += length
    return words, alpha, chars, hashmarks, ellipses, english, korean


@kernel
def _bits(value):  # type: ignore[no-untyped-def]  # typed by Numba
    count = 0
    while value:
        value &= value - np.uint64(1)
        count += 1
    return count


@kernel
def _combined(hashes, start, n):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the hash of the `n` words from `start`; order counts, never 0."""
    value = np.uint64(n)
    for index in range(start, start + n):
        value = mix64(value * np.uint64(0x9E3779B97F4A7C15) + hashes[index])
    return value | np.uint64(1)


@kernel
def _measure(data, offsets, where):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return float64 [rows, 16]; see SIGNALS."""
    rows = len(offsets) - 1
    out = np.zeros((rows, 16))
    longest = 0
    for row in range(rows):
        if where[row]:
            longest = max(longest, offsets[row + 1] - offsets[row])
    hashes = np.empty(longest // 2 + 2, np.uint64)
    lengths = np.empty(longest // 2 + 2, np.int64)
    size = table_size(longest // 2 + 2)
    keys = np.zeros(size, np.uint64)
    counts = np.zeros(size, np.int64)
    for row in range(rows):
        if not where[row]:
            continue
        words, alpha, chars, hashmarks, ellipses, english, korean = _scan(
            data, offsets[row], offsets[row + 1], hashes, lengths
        )
        n = max(words, 1)
        total = max(chars, 1)
        out[row, 0] = words
        out[row, 1] = chars / n
        out[row, 2] = alpha / n
        out[row, 3] = max(hashmarks, ellipses) / n
        out[row, 4] = _bits(english)
        out[row, 5] = _bits(korean)
        width = table_size(words)
        for index in range(3):
            gram = index + 2
            if words < gram:
                continue
            keys[:width] = 0
            best_count, best_chars = 0, 0
            for start in range(words - gram + 1):
                key = _combined(hashes, start, gram)
                slot = find_slot(keys[:width], key)
                if keys[slot] == 0:
                    keys[slot] = key
                    counts[slot] = 0
                counts[slot] += 1
                if counts[slot] >= best_count and counts[slot] > 1:
                    size_here = 0
                    for word in range(start, start + gram):
                        size_here += lengths[word]
                    if counts[slot] > best_count or size_here > best_chars:
                        best_count, best_chars = counts[slot], size_here
            out[row, 6 + index] = min(1.0, best_count * best_chars / total)
        for index in range(6):
            gram = index + 5
            if words < gram:
                continue
            keys[:width] = 0
            repeated = 0
            start = 0
            while start <= words - gram:
                key = _combined(hashes, start, gram)
                slot = find_slot(keys[:width], key)
                if keys[slot] == 0:
                    keys[slot] = key
                    start += 1
                else:
                    for word in range(start, start + gram):
                        repeated += lengths[word]
                    start += gram
            out[row, 9 + index] = repeated / total
        keys[:width] = 0
        unique = 0
        for start in range(words):
            key = hashes[start] | np.uint64(1)
            slot = find_slot(keys[:width], key)
            if keys[slot] == 0:
                keys[slot] = key
                unique += 1
        out[row, 15] = unique / n
    return out


def compute(data: Bytes, offsets: Offsets, where: Mask) -> npt.NDArray[np.float64]:
    """Return the columns of SIGNALS for each row."""
    out = _measure(data, offsets, where)
    # One column for both languages: rules are by component, so each asks for its own.
    stop_words = np.maximum(out[:, 4], out[:, 5])
    return np.column_stack([out[:, :4], stop_words, out[:, 4:]])


SIGNALS = Family(
    columns={
        "words": "words between white space",
        "mean_word_length": "characters a word (Gopher: 3 to 10 in English)",
        "alpha_words": "share of words that hold a letter (Gopher: at least 0.8)",
        "symbol_ratio": "hash signs or ellipses a word, the larger (Gopher: at most 0.1)",
        "stop_words": "different English stop words or Korean endings, the larger number",
        "english_stop_words": "of Gopher's eight English stop words, how many occur",
        "korean_endings": "of 25 Korean particles and endings, how many end an eojeol",
        **{
            f"top_{n}gram": f"share of characters in the most frequent {n}-gram of words (Gopher)"
            for n in TOP
        },
        **{
            f"dup_{n}gram": f"share of characters in repeated {n}-grams of words (Gopher)"
            for n in DUPLICATE
        },
        "unique_words": "share of words that are different",
    },
    compute=compute,
    components=PROSE,
)
