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

from filters.text.charset.evidence import BAD, WIDE, Bits, character_bits

MAX_BYTES = 65_536
"""Bytes of a document that are read again; a document with more damage keeps U+FFFD as it is."""
_WORD = re.compile(rb"[^\x00-\x2f<>]+")
"""Bytes between ASCII characters that are no second byte in any of the charsets."""
_FOUR_BYTES = 17.0


def decode_wide(data: bytes, codec: str) -> str:
    """Return the text of `data` in a codec of `WIDE`, with U+FFFD for each damaged byte."""
    text = data.decode(codec, "replace")
    if "\ufffd" not in text:
        return text
    left = MAX_BYTES
    out: list[str] = []
    at = 0
    for match in _WORD.finditer(data):
        if match[0].isascii():
            continue
        out.append(data[at : match.start()].decode(codec, "replace"))
        word = match[0].decode(codec, "replace")
        if "\ufffd" in word and left >= len(match[0]):
            left -= len(match[0])
            word = _fewest_bits(match[0], codec)
        out.append(word)
        at = match.end()
    out.append(data[at:].decode(codec, "replace"))
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
