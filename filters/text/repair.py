"""Repair of text that encodings, editors and web pages broke, before any other stage reads it.

Every document is in NFC, with `\\n` line ends, without NUL and byte-order marks. Text that is not
code is repaired further, by kinds that the config can leave out:

- `controls`: control characters are removed (tab and newline stay); those that end a line or a
  page (VT, FF, FS to RS) become newlines;
- `zero_width`: zero-width marks, directional marks and soft hyphens are removed; a joiner stays
  between characters of the scripts and emoji that need it;
- `mojibake`: UTF-8 that was read as Latin-1 or Windows-1252, also twice, and Windows-1252 that was
  read as Latin-1 beside letters of English (`ftfy`); EUC-KR that was read as Latin-1 (ÇÑ±Û → 한글),
  which ftfy leaves;
- `jamo`: half-width Hangul, and syllables that were typed or stored letter by letter
  (ㅎㅏㄴㄱㅡㄹ → 한글); ㅋㅋ and ㅠㅠ stay;
- `html`: character references and tags of formatting, in text that is not Markdown.

The characters that each kind replaced are counted; `measure` makes the column `repaired` of the
counts.
"""

from __future__ import annotations

import html
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
_SUSPECT_LINE = re.compile(
    "[\u00c2-\u00f4\u0413\u0412][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc"
    "\u2013\u2014\u2018-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122]"
)
_WINDOWS_1252 = re.compile(
    "[\x80\x82-\x8c\x8e\x91-\x9c\x9e\x9f](?=[A-Za-z])"
    "|(?<=[A-Za-z.,?!])[\x80\x82-\x8c\x8e\x91-\x9c\x9e\x9f]|(?<= )[\x91\x93\x96\x97](?= )"
)
"""Controls that stand for quotes, dashes and an ellipsis in Windows-1252."""
_BREAKS = re.compile(r"[\x0b\x0c\x1c-\x1e]")
_EUC_KR = re.compile("[\u00a1-\u00fe]{4,}")
MIN_SYLLABLES = 3
"""A line is decoded from EUC-KR read as Latin-1 only if that gives so many Hangul syllables."""

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

_MARKDOWN = re.compile(r"`|\]\(|^#{1,6} |^\s*\|", re.M)
_REFERENCE = re.compile(r"&(?:amp;)*((?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});)")
"""A reference, however often it was escaped."""
_BREAK = re.compile(r"<(?:br|/p|/div|/li|/tr|/h[1-6])\s{0,3}/?>", re.I)
_TAG = re.compile(
    r"</?(?:a|b|i|u|p|hr|em|li|ol|ul|td|th|tr|div|img|big|del|ins|sub|sup|font|span|small|center"
    r"|table|tbody|strong|strike|h[1-6])(?:\s[^<>]{0,300})?/?>",
    re.I,
)


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
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


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


def _mojibake(text: str) -> tuple[str, int]:
    if not any(form.search(text) for form in (_SUSPECT_LINE, _WINDOWS_1252, _EUC_KR)):
        return text, 0
    count = 0
    lines = text.split("\n")
    for number, line in enumerate(lines):
        repaired = _repair_line(line)
        if repaired != line:
            lines[number] = repaired
            count += len(line) - _unchanged(line, repaired)
    return "\n".join(lines), count


def _repair_line(line: str) -> str:
    if line.isascii():
        return line
    candidates = [line]
    if _SUSPECT_LINE.search(line) or _WINDOWS_1252.search(line):
        import ftfy

        candidates.append(ftfy.fix_encoding(line))
    if _EUC_KR.search(line):
        decoded, found = _from_euc_kr(line)
        if found >= MIN_SYLLABLES:
            candidates.append(decoded)
    return min(candidates, key=_accented)  # each repair sometimes misreads the other's mojibake


def _accented(line: str) -> int:
    """Return how many Latin letters beyond ASCII a line holds; mojibake has many."""
    return sum("\x80" <= char <= "\u024f" for char in line)


def _from_euc_kr(line: str) -> tuple[str, int]:
    """Return the line with its runs of EUC-KR decoded, and how many Hangul syllables that gave.

    A run is decoded if all of it decodes and at least four in five characters are Hangul.
    """
    found = 0

    def decode(match: re.Match[str]) -> str:
        nonlocal found
        try:
            text = match[0].encode("latin-1").decode("euc-kr")
        except UnicodeDecodeError:
            return match[0]
        syllables = sum("가" <= char <= "힣" for char in text)
        if syllables < 0.8 * len(text) or len(set(text)) < 2:  # ······ is a row of dots
            return match[0]
        found += syllables
        return text

    return _EUC_KR.sub(decode, line), found


def _unchanged(before: str, after: str) -> int:
    """Return how many characters both share at their beginning and at their end."""
    shorter = min(len(before), len(after))
    head = next((i for i in range(shorter) if before[i] != after[i]), shorter)
    tail = next(
        (i for i in range(shorter - head) if before[-1 - i] != after[-1 - i]), shorter - head
    )
    return head + tail


def _controls(text: str) -> tuple[str, int]:
    text, broken = _replace(_BREAKS, text, lambda match: "\n")
    text, removed = _remove(_CONTROLS, text)
    return text, broken + removed


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


def _html(text: str) -> tuple[str, int]:
    marked = "<" in text and (_BREAK.search(text) or _TAG.search(text))
    if not (marked or ("&" in text and _REFERENCE.search(text))) or _MARKDOWN.search(text):
        return text, 0
    total = 0
    for _ in range(3):  # a reference may stand for a tag
        text, broken = _replace(_BREAK, text, lambda match: "\n")
        text, tags = _remove(_TAG, text)
        text, named = _replace(_REFERENCE, text, _character)
        total += broken + tags + named
        if not named:
            break
    return text, total


def _character(match: re.Match[str]) -> str:
    char = html.unescape(f"&{match[1]}")
    return " " if char == "\xa0" else char


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


_REPAIRS: dict[Repair, tuple[frozenset[str], Callable[[str], tuple[str, int]]]] = {
    # Mojibake first: its bytes look like controls.
    "mojibake": (_range((0x80, 0x9F), (0xB0, 0xF4), (0x412, 0x413)), _mojibake),
    "controls": (_range((0, 8), (11, 12), (14, 31), (0x7F, 0x9F)), _controls),
    "zero_width": (
        _range((0xAD, 0xAD), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F)),
        _zero_width,
    ),
    "jamo": (frozenset(_VOWELS) | _range((0xFFA0, 0xFFDC)), _jamo),
    "html": (frozenset("&<"), _html),
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
