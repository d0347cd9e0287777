"""Function words of Latin text, counted in one pass over the bytes.

A third of the words of prose are function words; names, code and tables hold few. They identify
plain English without the language model, find lines of English prose inside a Korean document, and
help the model with short texts.
"""

from __future__ import annotations

import numpy as np

from filters.columnar.arrays import Bytes, Keys
from filters.columnar.kernels import GOLDEN, HANGUL, JAMO, LATIN, classify, kernel, next_codepoint

# Keywords of programming languages (for, if, is, in, and, or, with, as, this) are left out.
ENGLISH = """
    the of to that be are was were been you your it its which an on can will has have had by at we
    our they their these those there would should may must more other some such than then about
    into also only using used how what who does do not no all any each they them he she his her
    but so because while before after between through without however within where
"""
OTHER = """
    der die das und ist nicht mit fur auf den dem ein eine einer zu von wird werden sie auch bei
    oder im zum zur des le la les du est et dans pour que qui une sur pas avec vous ce cette il
    sont el los las por con para es lo como se su al del una mas esta son di che per della nel
    non sono gli dei si puo uma nao com dos das os ou em ao sao het een van niet voor zijn op
    te dat worden och att som inte av ett kan til af ikke med er det skal eller og cu este din pe
    sau nu care yang dan untuk dengan ini dari tidak pada atau anda adalah se na nie jest pro je
    by va los amb els
"""
WORDS, ENGLISH_WORDS, OTHER_WORDS, ENGLISH_KINDS, ENGLISH_LETTERS, FOREIGN_LETTERS = range(6)
COUNTS = 6
_ENGLISH, _OTHER = 1, 2
_SIZE = 4096
_LONGEST = 8


def _slot(code: int) -> int:
    return ((code * int(GOLDEN) & 0xFFFFFFFFFFFFFFFF) >> 40) & (_SIZE - 1)


def _table() -> tuple[Keys, Bytes]:
    codes, kinds = np.zeros(_SIZE, np.uint64), np.zeros(_SIZE, np.uint8)
    english = ENGLISH.split()
    for words, kind in ((english, _ENGLISH), (OTHER.split(), _OTHER)):
        for word in words:
            if kind == _OTHER and word in english:
                continue
            code = int.from_bytes(word.encode(), "big")
            slot = _slot(code)
            while codes[slot] not in (0, code):
                slot = (slot + 1) % _SIZE
            codes[slot], kinds[slot] = code, kind
    return codes, kinds


_CODES, _KINDS = _table()


@kernel
def _kind(code):  # type: ignore[no-untyped-def]  # typed by Numba
    slot = np.int64((code * GOLDEN) >> np.uint64(40)) & (_SIZE - 1)
    while _CODES[slot] != 0:
        if _CODES[slot] == code:
            return np.int64(_KINDS[slot]), slot
        slot = (slot + 1) & (_SIZE - 1)
    return 0, 0


@kernel
def function_words(data, offsets, where):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return int64 [rows, COUNTS] of the Latin words of each row.

    WORDS: all of them. ENGLISH_WORDS and OTHER_WORDS: function words of English and of other
    languages in Latin letters; ENGLISH_KINDS: distinct ones of English. ENGLISH_LETTERS: letters in
    lines of English prose, which hold no Hangul, three function words or more, and a tenth of
    function words. FOREIGN_LETTERS: Latin letters beyond ASCII.
    """
    rows = len(offsets) - 1
    out = np.zeros((rows, COUNTS), np.int64)
    met = np.full(_SIZE, -1, np.int64)  # the last row that had the word
    for row in range(rows):
        if not where[row]:
            continue
        at, end = offsets[row], offsets[row + 1]
        words = english = other = kinds = prose = foreign = 0
        line_words = line_english = line_letters = line_hangul = 0
        while at < end:
            byte = data[at]
            lower = byte | 32
            if 97 <= lower <= 122:
                code = np.uint64(lower)
                start = at
                at += 1
                plain = True
                while at < end:
                    byte = data[at]
                    lower = byte | 32
                    if 97 <= lower <= 122:
                        code = (code << np.uint64(8)) | np.uint64(lower)
                        at += 1
                        continue
                    if byte == 95 or 48 <= byte <= 57:
                        plain = False
                    elif byte >= 0x80:
                        cp, after = next_codepoint(data, at)
                        if classify(cp) != LATIN:
                            break
                        foreign += 1
                        plain = False
                        at = after
                        continue
                    else:
                        break
                    at += 1
                words += 1
                line_words += 1
                line_letters += at - start
                if plain and at - start <= _LONGEST:
                    kind, slot = _kind(code)
                    if kind == _ENGLISH:
                        english += 1
                        line_english += 1
                        if met[slot] != row:
                            met[slot] = row
                            kinds += 1
                    elif kind == _OTHER:
                        other += 1
                continue
            if byte == 10:
                if line_english >= 3 and line_english * 10 >= line_words and line_hangul == 0:
                    prose += line_letters
                line_words = line_english = line_letters = line_hangul = 0
            if byte < 0x80:
                at += 1
                continue
            cp, at = next_codepoint(data, at)
            group = classify(cp)
            if group in (HANGUL, JAMO):
                line_hangul += 1
            elif group == LATIN:
                foreign += 1
        if line_english >= 3 and line_english * 10 >= line_words and line_hangul == 0:
            prose += line_letters
        out[row, WORDS] = words
        out[row, ENGLISH_WORDS] = english
        out[row, OTHER_WORDS] = other
        out[row, ENGLISH_KINDS] = kinds
        out[row, ENGLISH_LETTERS] = prose
        out[row, FOREIGN_LETTERS] = foreign
    return out
