"""How well bytes read as a language in a charset: bits of each candidate, fewest first.

A codec maps bytes to characters one to one, so the bits that a language model gives the characters
are bits for the bytes, and those of two codecs can be compared. Letters of 8-bit charsets cost by
the letter before them (`LANGUAGES`), characters of Korean, Chinese and Japanese by themselves. Only
what is beyond ASCII, and its neighbours, is counted. `filters/fit/charsets.py` makes the model.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

MODEL = Path(__file__).parents[2] / "models" / "charsets.npz"
STEPS = 8
"""Costs are stored in eighths of a bit."""
ABSENT = 255
"""Cost of a character that the language's texts do not hold."""


class Language(NamedTuple):
    """The 8-bit charsets that a language is written in, and whether its letters are Latin."""

    codecs: tuple[str, ...]
    latin: bool = True


_WESTERN = ("cp1252", "mac-roman", "iso8859-15", "cp850", "cp437")
_CENTRAL = ("cp1250", "iso8859-2", "cp852")
_BALTIC = ("cp1257", "iso8859-13", "iso8859-4")
_CYRILLIC = ("cp1251", "koi8-r", "iso8859-5", "cp866", "cp855", "mac-cyrillic")
LANGUAGES = {
    **dict.fromkeys(
        ("en", "fr", "de", "es", "pt", "it", "nl", "sv", "da", "nb", "fi", "is", "ca"),
        Language(_WESTERN),
    ),
    **dict.fromkeys(("pl", "cs", "sk", "hu", "sl", "sh"), Language(_CENTRAL)),
    "ro": Language((*_CENTRAL, "iso8859-16")),
    "tr": Language(("cp1254",)),
    **dict.fromkeys(("lt", "lv"), Language(_BALTIC)),
    "vi": Language(("cp1258",)),
    **dict.fromkeys(("ru", "bg", "mk", "sr"), Language(_CYRILLIC, False)),
    "uk": Language((*_CYRILLIC, "koi8-u"), False),
    "el": Language(("cp1253", "iso8859-7"), False),
    "he": Language(("cp1255", "iso8859-8"), False),
    "ar": Language(("cp1256", "iso8859-6"), False),
    **dict.fromkeys(("fa", "ur"), Language(("cp1256",), False)),
    "th": Language(("cp874",), False),
}
WIDE = {
    "cp949": ("ko",),
    "johab": ("ko",),
    "gb18030": ("zh_hans", "zh_hant"),
    "big5hkscs": ("zh_hant",),
    "cp932": ("ja",),
    "euc_jp": ("ja",),
}
"""Codecs of several bytes per character, and the tables of characters they are held against."""
PRIOR = {
    "utf-8": 3, "cp1252": 0, "mac-roman": 10, "iso8859-15": 10, "cp850": 16, "cp437": 16,
    "cp949": 3, "cp932": 5, "gb18030": 5, "big5hkscs": 6, "euc_jp": 6, "johab": 14,
    "cp1250": 7, "iso8859-2": 8, "iso8859-16": 14, "cp852": 16, "cp1254": 8, "cp1258": 10,
    "cp1257": 9, "iso8859-13": 11, "iso8859-4": 12, "cp1251": 8, "koi8-r": 11, "koi8-u": 14,
    "iso8859-5": 13, "cp866": 14, "cp855": 17, "mac-cyrillic": 16, "cp1253": 11, "iso8859-7": 12,
    "cp1255": 12, "iso8859-8": 13, "cp1256": 12, "iso8859-6": 14, "cp874": 12,
}  # fmt: skip
"""Bits by which a charset is rarer among texts without a label than Windows-1252. Ours."""

BAD = 24.0
"""Bits of a byte, or of a character, that the charset leaves undefined."""
_FOREIGN = 14.0
_MARK = 9.0
_MIXED = 8.0
_NO_LETTER, _ALONE, _ISOLATED, _AGAIN = 12.0, 6.0, 7.0, 5.0
"""Bits of a letter that the language lacks, of a mark above one, of two scripts in a word; of a
text without a letter of the language's script, of an East Asian character amid ASCII letters, of a
letter of another script between two bytes of ASCII, and of a symbol after itself."""

_OTHER, _LETTER, _DIGIT, _SPACE = range(4)
_KINDS = (
    "",
    "\u201c\u2018\u00ab\u201e\u201a\u00bf\u00a1",
    "\u201d\u00bb",
    "\u2019",
    "\u00b0\u00b2\u00b3\u00ba\u00aa\u00bd\u00bc\u00be\u2030",
    "\u00a3\u20ac\u00a7\u2116\u00a9",
    "\u2013\u2014\u2026\u00b7\u2022\u00ae\u2122\u00a0\u00b1\u00d7",
    "\u00f7\u00b5\u00b4\u00ac\u00b6\u00a5\u00a2\u00a6\u00ad\u00a8\u00b8\u00b9\u2020\u2039\u203a\u0192",
)
"""Symbols that open, close, are an apostrophe, stand after a number, before one, or anywhere,
often or now and then."""
_RARE, _DRAWN, _UNDEFINED = 8, 9, 10
_BEFORE = np.array(
    # other, letter, digit, space
    [[0, 0, 0, 0], [5, 9, 9, 4], [4, 4, 5, 6], [5, 3.5, 7, 7], [8, 8, 4, 8], [5, 10, 7, 6],
     [5, 7, 5, 5], [9, 11, 8, 9], [12, 13, 12, 12], [11, 13, 12, 11], [BAD] * 4]
)  # fmt: skip
"""Bits of each kind of symbol by what stands before it; `_AFTER` adds those of what follows. Ours:
rough, since what decides is the hundreds of letters, or a neighbour of the wrong sort."""
_AFTER = np.array(
    [[0, 0, 0, 0], [1, 0, 1, 2], [0, 5, 2, 0], [1, 0, 2, 1], [0, 3, 1, 0], [2, 2, 0, 1],
     [0, 2, 0, 0], [1, 5, 1, 0], [0, 4, 0, 0], [0, 5, 1, 0], [0, 0, 0, 0]]
)  # fmt: skip
_OLD_LETTERS = {"\u015f": "\u0219", "\u0163": "\u021b"}
"""Romanian letters with a cedilla, which most charsets have for those with a comma."""
_LOWER, _UPPER, _UNCASED = 1, 2, 3
_CASE = np.array(
    # none, lower, upper, uncased
    [[0, 0.3, 2.5, 0], [0, 0.1, 8, 6], [0, 0.5, 1.5, 6], [0, 6, 6, 0]]
)
"""Bits of a letter's case by that of the letter before it."""

Bits = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Steps = npt.NDArray[np.uint8]


@lru_cache(1)
def _model() -> dict[str, npt.NDArray[np.generic]]:
    with np.load(MODEL) as file:
        return {name: file[name] for name in file.files}


class _Charset(NamedTuple):
    """An 8-bit codec's 256 characters: lower case, and what they are; arrays [256]."""

    lower: list[str]
    sort: Numbers  # _OTHER, _LETTER, _DIGIT, _SPACE
    case: Numbers
    kind: Numbers  # of symbol beyond ASCII; 0 for ASCII and letters
    mark: npt.NDArray[np.bool_]


@lru_cache(64)
def _charset(codec: str) -> _Charset:
    chars = [bytes([byte]).decode(codec, "replace") for byte in range(256)]
    sort = np.array([_sort(char) for char in chars])
    case = np.array(
        [0 if at != _LETTER else _case(char) for char, at in zip(chars, sort, strict=True)]
    )
    kind = np.array([_kind(char) for char in chars])
    mark = np.array([unicodedata.category(char) == "Mn" for char in chars])
    lower = ["i" if char == "\u0130" else char.lower() for char in chars]
    return _Charset(lower, sort, case, kind, mark)


def _sort(char: str) -> int:
    category = unicodedata.category(char)
    if char in "\u00aa\u00ba" or category in {"Zs", "Cc"}:
        return _SPACE if char not in "\u00aa\u00ba" else _OTHER
    return _LETTER if category[0] in "LM" else _DIGIT if category == "Nd" else _OTHER


def _case(char: str) -> int:
    return _UPPER if char.isupper() else _LOWER if char.islower() else _UNCASED


def _kind(char: str) -> int:
    if char < "\x80" or _sort(char) in {_LETTER, _DIGIT}:
        return 0
    for kind, symbols in enumerate(_KINDS):
        if char in symbols:
            return kind
    if char == "\ufffd" or unicodedata.category(char) in {"Cc", "Cn", "Co"}:
        return _UNDEFINED
    return _DRAWN if "\u2500" <= char <= "\u259f" else _RARE


@lru_cache(1)
def _pair_bits() -> tuple[list[str], list[bool], Steps, npt.NDArray[np.bool_]]:
    """Return by row, a codec in a language: the codec, whether its letters are Latin, uint8
    [rows, 65536] of `_pairs`, and bool [rows, 256]: the bytes that show the language's script."""
    rows = [(codec, lang) for lang, language in LANGUAGES.items() for codec in language.codecs]
    steps = [np.minimum(np.round(_pairs(codec, lang) * STEPS), 255) for codec, lang in rows]
    high = np.arange(256) >= 128
    shown = [high & ((_charset(c).sort == _LETTER) | LANGUAGES[lang].latin) for c, lang in rows]
    latin = [LANGUAGES[lang].latin for _, lang in rows]
    return [codec for codec, _ in rows], latin, np.array(steps, np.uint8), np.array(shown)


def _pairs(codec: str, lang: str) -> Bits:
    """Return float32 [65536]: the bits of the second byte after the first, 0 for two of ASCII."""
    charset = _charset(codec)
    letters = {str(char): at for at, char in enumerate(_model()[f"letters_{lang}"].tolist(), 1)}
    letters |= {old: letters[new] for old, new in _OLD_LETTERS.items() if new in letters}
    table = _model()[f"bits_{lang}"].astype(np.float32) / STEPS
    high = np.arange(256) >= 128
    number = np.array([letters.get(char, 0) for char in charset.lower])
    letter = charset.sort == _LETTER
    if not LANGUAGES[lang].latin:
        number[~high] = 0
    bits = table[number[:, None], number[None, :]] + _CASE[charset.case][:, charset.case]
    unknown = np.where(charset.mark, _MARK, _FOREIGN) * (letter & high & (number == 0))
    bits = np.where(unknown[None, :] > 0, unknown[None, :], bits)
    if not LANGUAGES[lang].latin:
        ascii_letter = letter & ~high
        mixed = (ascii_letter[:, None] & (letter & high)) | (
            (letter & high)[:, None] & ascii_letter
        )
        bits = bits + _MIXED * mixed
    kind = charset.kind
    ended = np.where((letter & high & (number > 0))[:, None], table[number, 0][:, None], 0)
    bits = np.where(kind[None, :] > 0, _BEFORE[kind][:, charset.sort].T + ended, bits)
    bits = np.where(
        kind[:, None] > 0, np.where(high, bits, 0) + _AFTER[kind][:, charset.sort], bits
    )
    repeated = np.eye(256, dtype=bool) | (kind[:, None] == _DRAWN) & (kind == _DRAWN)
    bits = np.where(repeated & (kind > 0) & (kind != _UNDEFINED), _AGAIN, bits)
    bits[np.ix_(~high, ~high)] = 0
    return bits.astype(np.float32).ravel()


@lru_cache(8)
def character_bits(table: str) -> Bits:
    """Return float32 [65537]: bits by code in a table of `WIDE`; the last are for all above."""
    bits = _model()[table].astype(np.float32) / STEPS
    absent = bits == ABSENT / STEPS
    codes = np.arange(65_536)
    default = np.full(65_536, 15.0, np.float32)
    for low, high, cost in (
        (0x3000, 0x303F, 8), (0x3040, 0x30FF, 14), (0x3130, 0x318F, 10), (0x4E00, 0x9FFF, 16),
        (0xAC00, 0xD7A3, 17), (0xE000, 0xF8FF, 20), (0xFF00, 0xFF5E, 8), (0xFF61, 0xFF9F, 12),
        (0x2010, 0x203B, 9), (0x2190, 0x25FF, 11), (0x80, 0x9F, 20), (0xA0, 0xBF, 11),
    ):  # fmt: skip
        default[low : high + 1] = cost
    bits = np.where(absent, default, np.minimum(bits, default))
    bits[codes < 128] = 0
    bits[0xFFFD] = BAD
    return np.append(bits, np.float32(17)).astype(np.float32, copy=False)


@lru_cache(1)
def _any_script() -> Bits:
    """Return the bits of characters in UTF-8: what one of the tables gives, or 8 for letters."""
    tables = [character_bits(table) for table in ("ko", "ja", "zh_hans", "zh_hant")]
    bits: Bits = np.minimum.reduce(tables)
    bits[0xA0:0x2100] = 8
    return bits


def narrow_bits(data: bytes) -> dict[str, float]:
    """Return the bits of a text under each 8-bit codec, in the language that suits it best."""
    array = np.frombuffer(b" " + data + b" ", np.uint8).astype(np.int64)
    both = array[:-1] * 256 + array[1:]
    both = both[(array[:-1] > 127) | (array[1:] > 127)]
    counts = np.bincount(both, minlength=65_536)
    pairs = np.flatnonzero(counts)
    codecs, latin, steps, shown = _pair_bits()
    totals = (steps[:, pairs] @ counts[pairs].astype(np.float64)) / STEPS
    totals += _NO_LETTER * ~(shown @ (np.bincount(array, minlength=256) > 0))
    high = array > 127
    isolated = int((high[1:-1] & ~high[:-2] & ~high[2:]).sum())
    totals += _ISOLATED * isolated * ~np.array(latin)
    found: dict[str, float] = {}
    for codec, total in zip(codecs, totals.tolist(), strict=True):
        found[codec] = min(total, found.get(codec, total))
    return found


def wide_bits(codec: str, data: bytes) -> float:
    """Return the bits of a text in UTF-8 or a codec of `WIDE`."""
    text = data.decode(codec, "replace")
    if codec == "utf-8":
        return text_bits(text)
    return float(wide_bits_of(text, codec).sum()) + _ALONE * _alone(_codes(text))


def wide_bits_of(text: str, codec: str) -> Bits:
    """Return the bits of each character beyond ASCII, by the best table of a codec of `WIDE`."""
    codes = _codes(text)
    found = np.minimum(codes[codes > 127], 65_536)
    return min((character_bits(table)[found] for table in WIDE[codec]), key=np.sum)


def beyond_ascii(text: str) -> int:
    """Return how many characters of a text are not ASCII."""
    return len(text) - len(text.encode("ascii", "ignore"))


def text_bits(text: str) -> float:
    """Return the bits of a text of Unicode in any language; ASCII costs nothing."""
    codes = _codes(text)
    return float(_any_script()[np.minimum(codes[codes > 127], 65_536)].sum())


def _codes(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _alone(codes: npt.NDArray[np.uint32]) -> int:
    """Return how many characters of East Asia stand alone between two ASCII letters or digits."""
    word = ((codes | 32) - 97 < 26) | (codes - 48 < 10)
    return int((word[:-2] & (codes[1:-1] > 0x2E80) & word[2:]).sum())
