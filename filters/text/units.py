"""Units: pieces of text about as long as a morpheme, for counting.

FineWeb2's thresholds for Korean count Kiwi's morphemes, FineWeb's for English spaCy's tokens. Both
tokenizers are too slow to run on every document. Units are cut where the class of characters
changes; a run of Hangul is cut by `filters/text/boundaries.py`, a small model of where Kiwi cuts. A
syllable that holds two morphemes (한 = 하 + ᆫ) counts in both, as in Kiwi's spans. docs/signals.md
reports how often rules over units agree with rules over those tokenizers.
"""

from __future__ import annotations

import numpy as np

from filters.columnar.arrays import Bytes
from filters.columnar.kernels import (
    CLASS_OF,
    DIGIT,
    FNV_OFFSET,
    FNV_PRIME,
    HANGUL,
    LATIN,
    MARK,
    SPACE,
    classify,
    hash_bytes,
    kernel,
    mix64,
    next_codepoint,
)
from filters.text.boundaries import FEATURES, judge

KOREAN_STOPS = "의 다 이 는 에 을 한 년 하 은 를 했 고 에서 가 있 으로 인 월 로 되"
"""FineWeb2's configuration for kor_Hang."""
ENGLISH_STOPS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""Gopher (Rae et al. 2021, appendix A1.1)."""
JOINING = "*`_|\\+^%$&~@#"
"""Marks of which any sequence is one unit in Korean text (as Kiwi cuts)."""
REPEATING = "-./:,!?;="
"""Marks of which a sequence is one unit if all are the same mark."""
MAX_SUFFIX, LONG = 5, 6
"""Letters behind an inner full stop, at most, in Korean text and in other text: `page.md` and
`example.com` are one unit, as in Kiwi."""
HANGUL_STYLE = 1000
"""A text with one Hangul syllable per so many bytes, or more, is cut as Kiwi cuts. Other text is
cut as spaCy cuts: digits, `_` and inner full stops belong to a word, and a mark of JOINING is a
unit alone."""


def _stop_table() -> Bytes:
    """Return by codepoint 1 + the number of the one-syllable stop word that it is, or 0."""
    table = np.zeros(1 << 16, np.uint8)
    for index, word in enumerate(KOREAN_STOPS.split()):
        if len(word) == 1:
            table[ord(word)] = index + 1
    return table


_STOPS = _stop_table()
_LONG_STOPS = np.array(
    [
        (ord(word[0]) << 16 | ord(word[1]), index + 1)
        for index, word in enumerate(KOREAN_STOPS.split())
        if len(word) == 2
    ],
    np.int64,
)
_STOP_CODES = np.array([int.from_bytes(w.encode(), "big") for w in ENGLISH_STOPS], np.uint64)
_JOINS = np.zeros(128, np.bool_)
_JOINS[[ord(mark) for mark in JOINING]] = True
_ENDS_ADDRESS = np.zeros(128, np.bool_)
_ENDS_ADDRESS[[ord(mark) for mark in "()[]<>{}\"'`|*"]] = True
_REPEATS = np.zeros(128, np.bool_)
_REPEATS[[ord(mark) for mark in REPEATING]] = True

(UNITS, ALPHA_UNITS, NAMED_UNITS, NAMED_UNIT_CHARS, WORDS, ALPHA_WORDS, NAMED_WORDS,
 NAMED_WORD_CHARS, HASHES, ELLIPSES, CHARS, NEWLINES, ENGLISH, KOREAN) = range(14)  # fmt: skip
COUNTS = 14
"""Length of the array that `cut_units` fills. Words are delimited by white space. ALPHA: with a
letter. NAMED: with a letter or a digit, which datatrove does not count as symbols."""


@kernel
def _syllable(data, at):  # type: ignore[no-untyped-def]  # typed by Numba
    return ((data[at] & 0x0F) << 12) | ((data[at + 1] & 0x3F) << 6) | (data[at + 2] & 0x3F)


@kernel
def _ascii_class(byte):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the class of an ASCII byte, and -1 for a byte of any other character."""
    return np.int64(CLASS_OF[byte]) if byte < 128 else np.int64(-1)


@kernel
def _ascii_letters(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return how many ASCII letters follow from `at` on, LONG at most."""
    count = 0
    while at + count < end and count < LONG and _ascii_class(data[at + count]) == LATIN:
        count += 1
    return count


@kernel
def _address_length(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the bytes of a web address (`http://…`, `https://…`) that begins at `at`, 0 for none.

    It ends before white space, brackets, quotes and characters beyond ASCII.
    """
    stop = at + 4
    if stop + 3 >= end or data[at] != 104 or data[at + 1] != 116 or data[at + 2] != 116:
        return 0
    if data[at + 3] != 112:
        return 0
    stop += data[stop] == 115
    if stop + 3 >= end or data[stop] != 58 or data[stop + 1] != 47 or data[stop + 2] != 47:
        return 0
    stop += 3
    while stop < end and 32 < data[stop] < 127 and not _ENDS_ADDRESS[data[stop]]:
        stop += 1
    return stop - at


@kernel
def _tag_length(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the bytes of a tag that follows `#` at `at`, as in `#include` (Kiwi), 0 for none."""
    if at >= end or _ascii_class(data[at]) != LATIN:
        return 0
    stop = at
    while stop < end and (
        _ascii_class(data[stop]) in (LATIN, DIGIT) or data[stop] == 95 or data[stop] == 45
    ):
        stop += 1
    return stop - at


@kernel
def _stop_of(data, start, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return 1 + the number of the Korean stop word that this piece is, or 0."""
    if end - start == 3:
        return np.int64(_STOPS[_syllable(data, start)])
    if end - start == 6:
        both = np.int64(_syllable(data, start)) << 16 | np.int64(_syllable(data, start + 3))
        for index in range(len(_LONG_STOPS)):
            if _LONG_STOPS[index, 0] == both:
                return _LONG_STOPS[index, 1]
    return 0


@kernel
def cut_units(data, begin, end, weights, hashes, sums, counts):  # type: ignore[no-untyped-def]  # Numba
    """Cut one text into units; return how many.

    `weights` are of `boundaries.load_weights`. Written: `hashes` (uint64), a hash of each unit;
    `sums` (int64), the characters before it, and after the last; `counts` (int64 [COUNTS]), the
    totals, of which ENGLISH and KOREAN are bit sets of the stop words that occur. `hashes` and
    `sums` need room for `end - begin + 1`.
    """
    counts[:] = 0
    slots = np.empty(FEATURES, np.int64)
    units = alpha_units = named_units = unit_chars = 0
    words = alpha_words = named_words = word_chars = 0
    hashmarks = ellipses = chars = newlines = 0
    english = korean = 0
    word_length = 0  # characters of the current word; 0 between words
    word_letter = word_digit = False
    line_begins = True
    sums[0] = 0
    total = 0
    syllables = 0
    for at in range(begin, end):
        syllables += 0xEA <= data[at] <= 0xED
    korean_style = syllables * HANGUL_STYLE >= end - begin
    longest_suffix = MAX_SUFFIX if korean_style else LONG
    at = begin
    while at < end:
        start = at
        cp, at = next_codepoint(data, at)
        kind = classify(cp)
        if kind == SPACE:
            chars += 1
            newlines += cp == 10
            line_begins = line_begins or cp == 10
            if word_length:
                words += 1
                alpha_words += word_letter
                if word_letter or word_digit:
                    named_words += 1
                    word_chars += word_length
                word_length = 0
                word_letter = word_digit = False
            continue
        length = 1
        begins_line, line_begins = line_begins, False
        if kind == HANGUL:
            while at < end and 0xEA <= data[at] <= 0xED:
                cp, after = next_codepoint(data, at)
                if classify(cp) != HANGUL:
                    break
                at = after
                length += 1
            chars += length
            word_length += length
            word_letter = True
            first = place = start
            while place < at:
                ends, meets = judge(data, start, at, place, weights, slots)
                place += 3
                for again in range(2):  # once where two morphemes meet, once where one ends
                    if not (meets if again == 0 else ends):
                        continue
                    hashes[units] = hash_bytes(data, first, place)
                    total += (place - first) // 3
                    units += 1
                    alpha_units += 1
                    named_units += 1
                    unit_chars += (place - first) // 3
                    sums[units] = total
                    stop = _stop_of(data, first, place)
                    if stop:
                        korean |= 1 << (stop - 1)
                    first = place if again else place - 3
            continue
        value = (FNV_OFFSET ^ np.uint64(cp)) * FNV_PRIME
        if kind == MARK:
            if cp == 35:
                hashmarks += 1
            elif cp == 0x2026:
                ellipses += 1
            if cp == 35 and korean_style and _tag_length(data, at, end):
                stop = at + _tag_length(data, at, end)
                for place in range(at, stop):
                    value = (value ^ np.uint64(data[place])) * FNV_PRIME
                length += stop - at
                at = stop
                word_letter = True
                alpha_units += 1
                named_units += 1
                unit_chars += length
            elif cp < 128 and (_JOINS[cp] or _REPEATS[cp]):
                joins = _JOINS[cp] and korean_style
                while at < end and data[at] < 128 and (joins or _REPEATS[cp]):
                    byte = data[at]
                    if byte != cp and not (joins and _JOINS[byte]):
                        break
                    if byte == 35 and joins and _tag_length(data, at + 1, end):
                        break
                    value = (value ^ np.uint64(byte)) * FNV_PRIME
                    hashmarks += byte == 35
                    length += 1
                    at += 1
                if cp == 46:
                    ellipses += length // 3
            chars += length
            word_length += length
        elif kind == DIGIT:
            while at < end:
                byte = data[at]
                inner = 44 <= byte <= 47 or byte == 58  # , - . / :
                if not 48 <= byte <= 57 and not (
                    inner and at + 1 < end and 48 <= data[at + 1] <= 57
                ):
                    break
                value = (value ^ np.uint64(byte)) * FNV_PRIME
                length += 1
                at += 1
            numbered = korean_style and begins_line and at + 1 < end
            if numbered and data[at] == 46 and data[at + 1] == 32:  # 1. of a list is one unit
                value = (value ^ np.uint64(46)) * FNV_PRIME
                length += 1
                at += 1
            chars += length
            word_length += length
            word_digit = True
            named_units += 1
            unit_chars += length
        else:
            code = np.uint64(cp | 32) if cp < 128 else ~np.uint64(0)
            address = _address_length(data, start, end)
            if address:
                code = ~np.uint64(0)
                dots = 0
                for place in range(at, start + address):
                    value = (value ^ np.uint64(data[place])) * FNV_PRIME
                    hashmarks += data[place] == 35
                    dots = dots + 1 if data[place] == 46 else 0
                    ellipses += dots > 0 and dots % 3 == 0
                length = address
                at = start + address
            while at < end and address == 0:
                byte = data[at]
                if byte < 128:
                    if CLASS_OF[byte] != kind:
                        if kind != LATIN:
                            break
                        if byte == 46:  # inner full stop
                            letters = _ascii_letters(data, at + 1, end)
                            if letters < 1 + korean_style or letters > longest_suffix:
                                break
                        elif korean_style or (byte != 95 and not 48 <= byte <= 57):
                            break
                    value = (value ^ np.uint64(byte)) * FNV_PRIME
                    code = (code << np.uint64(8)) | np.uint64(byte | 32)
                    at += 1
                else:
                    cp, after = next_codepoint(data, at)
                    if classify(cp) != kind:
                        break
                    value = (value ^ np.uint64(cp)) * FNV_PRIME
                    code = ~np.uint64(0)
                    at = after
                length += 1
            chars += length
            word_length += length
            word_letter = True
            alpha_units += 1
            named_units += 1
            unit_chars += length
            if kind == LATIN and 2 <= length <= 4:
                for index in range(len(_STOP_CODES)):
                    if _STOP_CODES[index] == code:
                        english |= 1 << index
        hashes[units] = mix64(value)
        total += length
        units += 1
        sums[units] = total
    if word_length:
        words += 1
        alpha_words += word_letter
        if word_letter or word_digit:
            named_words += 1
            word_chars += word_length
    counts[UNITS] = units
    counts[ALPHA_UNITS] = alpha_units
    counts[NAMED_UNITS] = named_units
    counts[NAMED_UNIT_CHARS] = unit_chars
    counts[WORDS] = words
    counts[ALPHA_WORDS] = alpha_words
    counts[NAMED_WORDS] = named_words
    counts[NAMED_WORD_CHARS] = word_chars
    counts[HASHES] = hashmarks
    counts[ELLIPSES] = ellipses
    counts[CHARS] = chars
    counts[NEWLINES] = newlines
    counts[ENGLISH] = english
    counts[KOREAN] = korean
    return units
