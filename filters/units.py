"""Units: pieces of text about as long as a morpheme, cut by rules, for counting.

FineWeb2's thresholds for Korean count Kiwi's morphemes, FineWeb's for English spaCy's tokens.
Either is far too slow to be made of every document. A unit is cut where the class of
characters changes; a run of Hangul then gives up its particles and endings, from the
back, and a syllable that holds two morphemes (한 = 하 + ㄴ) counts twice, as in Kiwi's spans.
docs/signals.md says how often verdicts over units agree with those over slow tokens.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from filters.kernels import (
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

FREE = """
    은 는 을 를 의 에 에서 에게 으로 까지 부터 처럼 보다 마다 조차 밖에 이나 라고 이라고 이라는
    라는 하 한 할 해 했 던 되 된 될 됐 봤 왔 났 졌 였 갔 줬 웠 운 습니다 세요 으면 으며 으니
    지만 는데 은데 는지 도록 거나 면서 려면 었 았 들 어서 아서 어야 아야 어요 아요 해야 하여
    네요 군요 거든 니까 십시오 적
"""
"""Particles and endings cut off whatever stands before them (one syllable is enough)."""
BOUND = """
    이 가 도 만 로 와 과 나 랑 서 고 며 면 지 게 자 니 네 요 죠 까 기 여 어 아 다 인 화 성 음 됨
    함 형 번째 수 시 라
"""
"""Cut off only after two syllables or a one-syllable verb: 추가 and 파일 end with none."""
VERBS = "하되있없같않보주들찾만좋"
DOUBLE = "한할해했된될됐됨함봤왔났졌였갔줬웠운"
"""Syllables that hold two morphemes."""
KOREAN_STOPS = "의 다 이 는 에 을 한 년 하 은 를 했 고 에서 가 있 으로 인 월 로 되"
"""FineWeb2's configuration for kor_Hang."""
ENGLISH_STOPS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""Gopher (Rae et al. 2021, appendix A1.1)."""
LONGEST_ENDING = 4
MOST_CUTS = 4
JOINING = "*`_|\\+^%$&~@#"
"""Marks that in Korean text run together into one unit, whichever they are (as Kiwi has it)."""
REPEATING = "-./:,!?;="
"""Marks that run together only with themselves."""
HANGUL_STYLE = 1000
"""A text with a Hangul syllable in so many bytes or fewer is cut as Kiwi cuts; others as spaCy:
digits, `_` and inner full stops belong to a word, and a mark of JOINING stands alone."""

_FREE, _BOUND, _DOUBLE = 1, 2, 4
_BASE, _LAST = 0xAC00, 0xD7A3
_IN_BLOCK = 28  # syllables that differ in their last consonant alone
_BIEUP = 17
_NI, _DA, _SEUP = ord("니"), ord("다"), ord("습")


def _code(word: str) -> int:
    """Return up to four syllables as one integer, 16 bits each, the last one lowest."""
    value = 0
    for syllable in word:
        value = value << 16 | ord(syllable)
    return value


def _slot(code: int, size: int) -> int:
    return ((code * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) >> 40) & (size - 1)


def _tables() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return codes (open addressing), what each one is, and lengths by last syllable."""
    kinds: dict[str, int] = {}
    for words, kind in ((FREE.split(), _FREE), (BOUND.split(), _BOUND), (DOUBLE, _DOUBLE)):
        for word in words:
            kinds[word] = kinds.get(word, 0) | kind
    for index, word in enumerate(KOREAN_STOPS.split()):
        kinds[word] = kinds.get(word, 0) | (index + 1) << 3
    codes, values = np.zeros(2048, np.uint64), np.zeros(2048, np.uint8)
    lengths = np.zeros(_LAST - _BASE + 1, np.uint8)
    for word, kind in kinds.items():
        slot = _slot(_code(word), len(codes))
        while codes[slot]:
            slot = (slot + 1) % len(codes)
        codes[slot], values[slot] = _code(word), kind
        lengths[ord(word[-1]) - _BASE] |= 1 << len(word)
    return codes, values, lengths


_CODES, _KINDS, _LENGTHS = _tables()
_VERB = np.zeros(_LAST - _BASE + 1, np.bool_)
_VERB[[ord(verb) - _BASE for verb in VERBS]] = True
_STOP_CODES = np.array([int.from_bytes(w.encode(), "big") for w in ENGLISH_STOPS], np.uint64)
_JOINS = np.zeros(128, np.bool_)
_JOINS[[ord(mark) for mark in JOINING]] = True
_REPEATS = np.zeros(128, np.bool_)
_REPEATS[[ord(mark) for mark in REPEATING]] = True

(UNITS, ALPHA_UNITS, NAMED_UNITS, NAMED_UNIT_CHARS, WORDS, ALPHA_WORDS, NAMED_WORDS,
 NAMED_WORD_CHARS, HASHES, ELLIPSES, CHARS, NEWLINES, ENGLISH, KOREAN) = range(14)  # fmt: skip
COUNTS = 14
"""Places in the array that `cut_units` fills. A word stands between white space. ALPHA: with a
letter; NAMED: with a letter or a digit, which is what datatrove counts as no symbol."""


@kernel
def _kind(code):  # type: ignore[no-untyped-def]  # typed by Numba
    slot = np.int64((code * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)) & 2047
    while _CODES[slot] != 0:
        if _CODES[slot] == code:
            return np.int64(_KINDS[slot])
        slot = (slot + 1) & 2047
    return 0


@kernel
def _syllable(data, at):  # type: ignore[no-untyped-def]  # typed by Numba
    return ((data[at] & 0x0F) << 12) | ((data[at + 1] & 0x3F) << 6) | (data[at + 2] & 0x3F)


@kernel
def cut_hangul(data, start, end, ends):  # type: ignore[no-untyped-def]  # typed by Numba
    """Cut the run of syllables `data[start:end]` (three bytes each); return the pieces.

    `ends` (int64 [2 * MOST_CUTS + 2, 2]) gets start and end of every piece, from the back. A piece
    that holds two morphemes stands there twice.
    """
    pieces = 0
    cuts = 0
    while cuts < MOST_CUTS:
        length = (end - start) // 3
        if length >= 3:
            third = np.int64(_syllable(data, end - 9))
            if (
                _syllable(data, end - 3) == _DA
                and _syllable(data, end - 6) == _NI
                and (third - _BASE) % _IN_BLOCK == _BIEUP
                and third != _SEUP
            ):  # 합니다 = 하 + ᆸ니다
                ends[pieces, 0], ends[pieces, 1] = end - 9, end
                ends[pieces + 1, 0], ends[pieces + 1, 1] = end - 9, end - 6
                pieces += 2
                cuts += 1
                end -= 9
                if end == start:
                    return pieces
                continue
        if length < 2:
            break
        fits = _LENGTHS[np.int64(_syllable(data, end - 3)) - _BASE]
        if fits == 0:
            break
        taken = 0
        for size in range(min(LONGEST_ENDING, length - 1), 0, -1):
            if not (fits >> size) & 1:
                continue
            code = np.uint64(0)
            for at in range(end - 3 * size, end, 3):
                code = (code << np.uint64(16)) | np.uint64(_syllable(data, at))
            kind = _kind(code)
            after_verb = length == size + 1 and _VERB[np.int64(_syllable(data, start)) - _BASE]
            if kind & _FREE or (kind & _BOUND and (length > size + 1 or after_verb)):
                taken = size
                ends[pieces, 0], ends[pieces, 1] = end - 3 * size, end
                pieces += 1
                if kind & _DOUBLE:
                    ends[pieces, 0], ends[pieces, 1] = end - 3 * size, end
                    pieces += 1
                break
        if taken == 0:
            break
        end -= 3 * taken
        cuts += 1
    if end > start:
        ends[pieces, 0], ends[pieces, 1] = start, end
        pieces += 1
    return pieces


@kernel
def _stop_of(data, start, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return 1 + the number of the Korean stop word that this piece is, or 0."""
    if end - start > 6:
        return 0
    code = np.uint64(_syllable(data, start))
    if end - start == 6:
        code = (code << np.uint64(16)) | np.uint64(_syllable(data, start + 3))
    return _kind(code) >> 3


@kernel
def cut_units(data, begin, end, hashes, sums, counts):  # type: ignore[no-untyped-def]  # Numba
    """Cut one text into units; return how many.

    `hashes` (uint64) gets a hash of each unit, `sums` (int64) the characters before it; both
    hold `end - begin + 1` or more. `counts` (int64 [COUNTS]) gets the totals;
    ENGLISH and KOREAN are bit sets of the stop words that occur.
    """
    counts[:] = 0
    ends = np.empty((2 * MOST_CUTS + 2, 2), np.int64)
    units = alpha_units = named_units = unit_chars = 0
    words = alpha_words = named_words = word_chars = 0
    hashmarks = ellipses = chars = newlines = 0
    english = korean = 0
    word_length = 0  # of the word that is open; 0: none
    word_letter = word_digit = False
    sums[0] = 0
    total = 0
    syllables = 0
    for at in range(begin, end):
        syllables += 0xEA <= data[at] <= 0xED
    korean_style = syllables * HANGUL_STYLE >= end - begin
    at = begin
    while at < end:
        start = at
        cp, at = next_codepoint(data, at)
        kind = classify(cp)
        if kind == SPACE:
            chars += 1
            newlines += cp == 10
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
            for piece in range(cut_hangul(data, start, at, ends) - 1, -1, -1):
                first, last = ends[piece, 0], ends[piece, 1]
                hashes[units] = hash_bytes(data, first, last)
                total += (last - first) // 3
                units += 1
                alpha_units += 1
                named_units += 1
                unit_chars += (last - first) // 3
                sums[units] = total
                stop = _stop_of(data, first, last)
                if stop:
                    korean |= 1 << (stop - 1)
            continue
        value = (FNV_OFFSET ^ np.uint64(cp)) * FNV_PRIME
        if kind == MARK:
            if cp == 35:
                hashmarks += 1
            elif cp == 0x2026:
                ellipses += 1
            if cp < 128 and (_JOINS[cp] or _REPEATS[cp]):
                joins = _JOINS[cp] and korean_style
                while at < end and data[at] < 128 and (joins or _REPEATS[cp]):
                    byte = data[at]
                    if byte != cp and not (joins and _JOINS[byte]):
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
            chars += length
            word_length += length
            word_digit = True
            named_units += 1
            unit_chars += length
        else:
            code = np.uint64(cp | 32) if cp < 128 else ~np.uint64(0)
            while at < end:
                byte = data[at]
                if byte < 128:
                    if CLASS_OF[byte] != kind:
                        if korean_style or kind != LATIN:
                            break
                        if byte == 46:  # inner full stop
                            if at + 1 >= end or CLASS_OF[data[at + 1]] != LATIN:
                                break
                        elif byte != 95 and not 48 <= byte <= 57:
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
