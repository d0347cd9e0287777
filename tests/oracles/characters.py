"""Classes of characters for the oracles: Unicode's, and the program's where the docs name none.

docs/signals.md speaks of letters, digits, punctuation and symbols, white space, Hangul, Latin, Han,
Kana and jamo, and not of combining marks, Roman numerals, digits of other scripts or code points
without a meaning. `agreed` says where Unicode's general category answers.
"""

from __future__ import annotations

import unicodedata
from functools import cache

from filters.columnar import kernels

SPACES = "\u0085\u1680\u202f\u205f\t\n\v\f\r \u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u3000"
LETTERS = ("hangul", "jamo", "latin", "han", "kana", "other")
NAMES = {
    getattr(kernels, name.upper()): name
    for name in (*LETTERS, "digit", "space", "mark")
}  # fmt: skip


def by_unicode(character: str) -> str | None:
    """Return the class by Unicode's name and category; None where the docs leave it open."""
    if character in SPACES:
        return "space"
    category, name = unicodedata.category(character), unicodedata.name(character, "")
    if "0" <= character <= "9" or "０" <= character <= "９":
        return "digit"
    if category[0] in "PS" and (ord(character) < 0x250 or 0x2010 <= ord(character) < 0x2E00):
        return "mark"
    if category not in ("Lu", "Ll", "Lo"):
        return None
    scripts = {
        "HANGUL SYLLABLE": "hangul", "HANGUL": "jamo", "CJK UNIFIED": "han",
        "HIRAGANA LETTER": "kana", "KATAKANA LETTER": "kana",
    }  # fmt: skip
    for prefix, script in scripts.items():
        if name.startswith(prefix):
            return script
    if name.startswith(("LATIN CAPITAL LETTER", "LATIN SMALL LETTER")) and ord(character) < 0x250:
        return "latin"
    return "other" if name.startswith(("CYRILLIC", "GREEK", "HEBREW", "ARABIC LETTER")) else None


@cache
def kind(character: str) -> str:
    """Return the class of one character: one of LETTERS, `digit`, `space` or `mark`."""
    return by_unicode(character) or NAMES[int(kernels.classify(ord(character)))]


def is_space(character: str) -> bool:
    return kind(character) == "space"


def is_letter(character: str) -> bool:
    return kind(character) in LETTERS


def is_syllable(character: str) -> bool:
    return "가" <= character <= "힣"


def split_words(text: str) -> list[str]:
    """Return the words: what white space delimits."""
    words, word = [], ""
    for character in text + " ":
        if is_space(character):
            if word:
                words.append(word)
            word = ""
        else:
            word += character
    return words


def strip_end(line: str) -> str:
    """Return a line without the white space at its end."""
    while line and is_space(line[-1]):
        line = line[:-1]
    return line


def strip_start(line: str) -> str:
    """Return a line without the white space at its start."""
    while line and is_space(line[0]):
        line = line[1:]
    return line
