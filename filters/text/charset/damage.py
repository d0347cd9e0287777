"""Text of several bytes per character with damaged bytes: only what was damaged is lost.

A byte that is missing or was added shifts every pair up to the next space or line end, a paragraph
in Chinese. So a word in which bytes are undefined is read by the fewest bits (`evidence`): pairs
cost what their character costs, a byte that is passed over costs BAD and becomes U+FFFD.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

import numpy as np

from filters.text.charset.evidence import (
    BAD,
    WIDE,
    Bits,
    character_bits,
    wide_bits_of,
)

MAX_BYTES = 65_536
"""Bytes of a document that are read again; a document with more damage keeps U+FFFD as it is."""
_WORD = re.compile(rb"[^\x00-\x2f<>]+")
"""Bytes between ASCII characters that none of the charsets has as a second byte."""
_FOUR_BYTES = 17.0
ROW, RARE = 6, 13.3
"""So many characters in a row of more than so many bits each, on average, may have lost a byte:
common ones have 8 to 10, and those that are read from the halves of two 15."""


def decode_wide(data: bytes, codec: str) -> str:
    """Return the text of `data` in a codec of `WIDE`, with U+FFFD for each damaged byte."""
    text = data.decode(codec, "replace")
    lines = text.split("\n")
    odd = _odd_lines(text, codec)
    if not odd:
        return text
    left = MAX_BYTES
    raw = data.split(b"\n")
    if len(raw) != len(lines):  # a damaged byte took a line end with it
        lines = [line.decode(codec, "replace") for line in raw]
        odd = [at for at, line in enumerate(lines) if "\ufffd" in line]
    for at in odd:
        if len(raw[at]) <= left:
            left -= len(raw[at])
            lines[at] = _read_line(raw[at], codec)
    return "\n".join(lines)


def _odd_lines(text: str, codec: str) -> list[int]:
    """Return the numbers of the lines that hold U+FFFD or characters of rare use in a row."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    beyond = np.flatnonzero(codes > 127)
    odd = [np.flatnonzero(codes == 0xFFFD)]
    if len(beyond) > ROW:
        bits = np.cumsum(wide_bits_of(text, codec), dtype=np.float64)
        rare = np.flatnonzero(bits[ROW:] - bits[:-ROW] > RARE * ROW)
        odd += [beyond[rare + 1], beyond[rare + ROW]]
    lines = np.searchsorted(np.flatnonzero(codes == 10), np.concatenate(odd))
    found: list[int] = np.unique(lines).tolist()
    return found


def _is_odd(text: str, codec: str) -> bool:
    if text.isascii():
        return False
    if "\ufffd" in text:
        return True
    bits = np.cumsum(wide_bits_of(text, codec))
    return bool(len(bits) > ROW and (bits[ROW:] - bits[:-ROW]).max() > RARE * ROW)


def _read_line(line: bytes, codec: str) -> str:
    out: list[str] = []
    at = 0
    for match in _WORD.finditer(line):
        word = match[0].decode(codec, "replace")
        out.append(line[at : match.start()].decode(codec, "replace"))
        out.append(_fewest_bits(match[0], codec) if _is_odd(word, codec) else word)
        at = match.end()
    out.append(line[at:].decode(codec, "replace"))
    return "".join(out)


@lru_cache(8)
def _pair_bits(codec: str) -> Bits:
    """Return float32 [65536]: the bits of the character that two bytes are, infinite for none."""
    bits = np.full(65_536, np.inf, np.float32)
    tables = [character_bits(table) for table in WIDE[codec]]
    for lead in range(0x81, 0xFF):
        for trail in range(0x30, 0xFF):
            try:
                char = bytes((lead, trail)).decode(codec)
            except UnicodeDecodeError:
                continue
            if len(char) == 1:
                bits[lead * 256 + trail] = min(table[min(ord(char), 65_536)] for table in tables)
    return bits


def _fewest_bits(word: bytes, codec: str) -> str:
    """Return the reading of `word` that costs least, by dynamic programming over its bytes."""
    pairs = _pair_bits(codec)
    costs = pairs[[one * 256 + two for one, two in pairwise(word)]].tolist()
    best = [0.0] * (len(word) + 1)
    width = [1] * (len(word) + 1)
    for end in range(1, len(word) + 1):
        one = word[end - 1]
        best[end] = best[end - 1] + _single(one, codec)
        if end > 1 and (cost := best[end - 2] + costs[end - 2]) < best[end]:
            best[end], width[end] = cost, 2
        for more in (3, 4) if codec in {"gb18030", "euc_jp"} else ():
            start = max(end - more, 0)
            cost = best[start] + _FOUR_BYTES
            if cost < best[end] and _is_character(word[start:end], codec):
                best[end], width[end] = cost, end - start
    out = []
    end = len(word)
    while end:
        out.append(word[end - width[end] : end].decode(codec, "replace"))
        end -= width[end]
    return "".join(reversed(out))


def _single(byte: int, codec: str) -> float:
    """Return the bits of one byte alone: ASCII, half-width kana of cp932, else a damaged byte."""
    if byte < 0x80:
        return 0.0
    return 12.0 if codec == "cp932" and 0xA1 <= byte <= 0xDF else BAD


def _is_character(data: bytes, codec: str) -> bool:
    try:
        return len(data.decode(codec)) == 1
    except UnicodeDecodeError:
        return False
