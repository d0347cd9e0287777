"""Repair of text that encodings, editors and web pages broke, before any other stage reads it.

Every document is in NFC, with `\\n` line ends, without NUL and byte-order marks. Text that is not
code is repaired further, by kinds that the config can leave out:

- `controls`: control characters are removed (tab and newline stay), with the colours of terminals
  and the second strokes of manual pages; those that end a line or a page (VT, FF, FS to RS, NEL)
  become newlines;
- `zero_width`: zero-width marks, directional marks and soft hyphens are removed; a joiner stays
  between characters of the scripts and emoji that need it;
- `mojibake`: text that was decoded with another charset (`filters.text.mojibake`);
- `jamo`: half-width Hangul, and syllables that were typed or stored letter by letter
  (ㅎㅏㄴㄱㅡㄹ → 한글); ㅋㅋ and ㅠㅠ stay;
- `html`: character references and tags of formatting, in text that is neither Markdown nor read
  from a page (`filters.text.tags`).

The characters that each kind replaced are counted; `measure` makes the column `repaired` of the
counts.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection
from typing import Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from filters.columnar.arrays import Doubles
from filters.text.mojibake import restore
from filters.text.tags import without_html
from schemas.config import Repair

META: Final = "repaired"
"""Key of a document's `meta` under which its repairs are counted."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f]+")
_JOINING = "\u0600-\u08ff\u0900-\u0fff\u1780-\u18af\u2190-\u2bff\ufe0f\U0001f000-\U0001faff"
_VIRAMA = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca"
"""A joiner behind one makes another letter, at a word's end too (Malayalam's chillu)."""
_ZERO_WIDTH = re.compile(
    "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f]+"
    f"|(?<![{_JOINING}])[\u200c\u200d]+|(?<![{_VIRAMA}])[\u200c\u200d]+(?![{_JOINING}])"
)
_BREAKS = re.compile("[\x0b\x0c\x1c-\x1e\x85]")
_TERMINAL = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|[()][0AB]|[=>78NOM])"
)
"""Sequences by which terminals set colours, titles and cursors (ECMA-48)."""
_STRUCK = re.compile(r"(.)\x08\1|_\x08(.)")
"""Bold and underlined letters of manual pages: a letter is struck twice, or over an underscore."""
_LEADS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_TAILS = " ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
_SYLLABLE = f"[{_LEADS}][{_VOWELS}](?:[{_TAILS[1:]}](?![{_VOWELS}]))?"
_ONE_SYLLABLE = re.compile(_SYLLABLE)
_PAIR = re.compile("[ㄱ-ㅎ][ㅏ-ㅣ]")
_LETTERED = re.compile(f"(?<![ㄱ-ㅣ])(?:{_SYLLABLE}){{2,}}(?![ㄱ-ㅣ])")
_HALF_WIDTH = re.compile("[\uffa0-\uffdc]+")
_NARROW = {
    code: (unicodedata.decomposition(chr(code)).split() or ["", ""])[-1]
    for code in range(0xFFA0, 0xFFDD)
}
_WIDE = {code: chr(int(wide, 16)) for code, wide in _NARROW.items() if wide} | {0xFFA0: ""}

MANY_MARKS = 64
"""Marks in a row that are sorted before `unicodedata` does it, by insertion in quadratic time.
Languages put four on a letter."""
_MARKS = re.compile(
    f"[\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u1ab0-\u1aff"
    f"\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{{{MANY_MARKS},}}"
)
_SEEN = re.compile(
    "[^\\s\x00-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f"
    "\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffd\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""What is drawn: no space, mark without width, Hangul filler, Braille blank, U+FFFC or U+FFFD."""

ROUNDS = 12
"""How often a text is repaired at most: each repair may uncover what another one repairs.

Of 20,000 random texts made of what breaks texts, none took more than four rounds.
"""


def normalise(text: str) -> str:
    """Return `text` in NFC without NUL and byte-order marks, lines ended by `\\n`.

    Decomposed Hangul (NFD, as macOS writes it) composes, also where a mark stood between. To
    normalise twice changes nothing. Raises UnicodeEncodeError where `text` holds a lone surrogate,
    which no UTF-8 can.
    """
    if "\0" in text:
        text = text.replace("\0", "")
    if "\r" in text and text.isascii():
        return text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii():
        return text
    text.encode("utf-8")  # a lone surrogate raises here
    text = text.replace("\ufeff", "").replace("\r\n", "\n").replace("\r", "\n")
    # Last: what a mark kept apart is composed.
    if _MARKS.search(text):
        text = _MARKS.sub(_ordered, text)
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def _ordered(run: re.Match[str]) -> str:
    """Return a run of marks in canonical order: by class, stable, between those of class 0."""
    ordered: list[str] = []
    segment: list[str] = []
    for mark in "".join(unicodedata.normalize("NFD", one) for one in run[0]):
        if unicodedata.combining(mark):
            segment.append(mark)
        else:
            ordered += [*sorted(segment, key=unicodedata.combining), mark]
            segment = []
    return "".join([*ordered, *sorted(segment, key=unicodedata.combining)])


def has_text(text: str) -> bool:
    """Return whether a text holds a character that is seen: no space, filler, mark or control."""
    return _SEEN.search(text) is not None


def repair(text: str, kinds: Collection[Repair]) -> tuple[str, dict[str, int]]:
    """Return `text` normalised and repaired, and how many characters each repair replaced.

    Repairs are repeated until none changes anything, so a second call changes nothing. A text that
    is not done after ROUNDS rounds, such as references nested in references, is normalised only.
    Raises UnicodeEncodeError as `normalise` does.
    """
    text = normalise(text)
    total: Counter[str] = Counter()
    repaired = text
    for _ in range(ROUNDS):
        before = repaired
        repaired = _round(repaired, kinds, total)
        if repaired == before:
            return repaired, dict(total)
    return text, {}


def _round(text: str, kinds: Collection[Repair], total: Counter[str]) -> str:
    """Return `text` after each repair once, normalised; add what they replaced to `total`."""
    changed = False
    present = set(text)  # one fast pass finds the repairs that have nothing to do
    for kind, (signs, repair_kind) in _REPAIRS.items():
        if kind in kinds and not signs.isdisjoint(present):
            text, count = repair_kind(text)
            if count:
                total[kind] += count
                changed = True
                present = set(text)
    return normalise(text) if changed else text


def _controls(text: str) -> tuple[str, int]:
    text, coloured = _remove(_TERMINAL, text) if "\x1b" in text else (text, 0)
    struck = 0
    if "\x08" in text:
        text, struck = _replace(_STRUCK, text, lambda match: match[1] or match[2])
    text, broken = _replace(_BREAKS, text, lambda match: "\n")
    text, removed = _remove(_CONTROLS, text)
    return text, coloured + struck + broken + removed


def _zero_width(text: str) -> tuple[str, int]:
    return _remove(_ZERO_WIDTH, text)


def _jamo(text: str) -> tuple[str, int]:
    wide, narrow = _replace(_HALF_WIDTH, text, lambda match: match[0].translate(_WIDE))
    if not _PAIR.search(wide):
        return wide, narrow
    whole, lettered = _replace(_LETTERED, wide, _composed)
    return whole, max(narrow, lettered) if narrow and lettered else narrow + lettered


def _composed(match: re.Match[str]) -> str:
    return _ONE_SYLLABLE.sub(_syllable, match[0])


def _syllable(match: re.Match[str]) -> str:
    letters = match[0]
    tail = _TAILS.index(letters[2]) if len(letters) > 2 else 0
    return chr(0xAC00 + (_LEADS.index(letters[0]) * 21 + _VOWELS.index(letters[1])) * 28 + tail)


def _remove(pattern: re.Pattern[str], text: str) -> tuple[str, int]:
    return _replace(pattern, text, lambda match: "")


def _replace(
    pattern: re.Pattern[str], text: str, new: Callable[[re.Match[str]], str]
) -> tuple[str, int]:
    """Return `text` with each match replaced, and how many characters were replaced."""
    count = 0

    def counted(match: re.Match[str]) -> str:
        nonlocal count
        put = new(match)
        count += len(match[0]) if put != match[0] else 0
        return put

    return pattern.sub(counted, text), count


def _range(*pairs: tuple[int, int]) -> frozenset[str]:
    return frozenset(chr(code) for low, high in pairs for code in range(low, high + 1))


_HANJA = _range((0x4E00, 0x9FFF), (0xF900, 0xFAFF))
_REPAIRS: dict[Repair, tuple[frozenset[str], Callable[[str], tuple[str, int]]]] = {
    # Mojibake first: its bytes look like controls.
    "mojibake": (_HANJA | _range((0x80, 0x9F), (0xB0, 0xF4), (0x412, 0x413)), restore),
    "controls": (_range((0, 8), (11, 12), (14, 31), (0x7F, 0x9F)), _controls),
    "zero_width": (
        _range((0xAD, 0xAD), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F)),
        _zero_width,
    ),
    "jamo": (frozenset(_VOWELS) | _range((0xFFA0, 0xFFDC)), _jamo),
    "html": (frozenset("&<"), without_html),
}
"""Kind to (characters, repair): text without any of the characters needs no such repair."""


def repaired_share(meta: pa.StringArray, chars: Doubles) -> Doubles:
    """Return for each row the characters that were repaired, over `chars`; 0 without repairs.

    `meta` is the documents' column, `chars` the characters of each row.
    """
    share = np.zeros(len(meta))
    for row in np.flatnonzero(
        np.asarray(pc.fill_null(pc.match_substring(meta, f'"{META}"'), False))
    ).tolist():
        record = orjson.loads(meta[row].as_py())
        counts = record.get(META) if isinstance(record, dict) else None
        if isinstance(counts, dict):
            total = sum(value for value in counts.values() if isinstance(value, int))
            share[row] = total / max(chars[row], 1)
    return share
