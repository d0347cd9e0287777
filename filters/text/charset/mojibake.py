"""UTF-8 that was read as CP949: 踰덉㎏ for 번째, and 占쏙옙 for U+FFFD that was read so.

Restored is what no step lost, word by word; `lost_marks` counts what was lost. Most Korean words
lose bytes on that way: an odd number of syllables leaves a byte that joins with a space to nothing.
"""

from __future__ import annotations

import re

import numpy as np

from filters.text.charset.evidence import character_bits

MIN_CHARACTERS = 2
"""A word is restored only if that gives so many Korean or Chinese characters, …"""
GAIN = 0.7
"""… and at most this share of the bits that the word has as it is: 踰덉㎏ 45, 번째 19."""

_LOST = re.compile("\ufffd|占쏙옙|锟斤拷|\u00ef\u00bf\u00bd")
"""U+FFFD, and its three bytes (or six of two) read again as CP949, GBK and Latin-1."""
_AFTER_LOST = re.compile("占[{}]".format(bytes(
    byte for trail in range(0xA1, 0xFF) for byte in (0xBD, trail)
).decode("cp949", "ignore")))  # fmt: skip
"""U+FFFD and the first byte of what stood behind it: 占 and a syllable whose first byte is BD."""


def from_cp949(line: str) -> str | None:
    """Return `line` with the words restored that are UTF-8 read as CP949, None where none is.

    A word is what stands between spaces. It is restored if all its bytes are there, that is if
    CP949 can write it and the bytes are UTF-8, and if characters of rare use become common ones.
    """
    if line.isascii():
        return None
    words = re.split(r"(\s+)", line)
    restored = [_restored(word) or word for word in words]
    return "".join(restored) if restored != words else None


def _restored(word: str) -> str | None:
    if word.isascii() or "\ufffd" in word:
        return None
    try:
        text = word.encode("cp949").decode("utf-8")
    except UnicodeError:
        return None
    wide = sum(char >= "\u2e80" for char in text)
    return text if wide >= MIN_CHARACTERS and _bits(text) <= GAIN * _bits(word) else None


def _bits(text: str) -> float:
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    return float(character_bits("ko")[np.minimum(codes, 65_536)].sum())


def lost_marks(text: str) -> int:
    """Return how many places of `text` hold characters that a wrong charset destroyed.

    Counted are U+FFFD and what a second wrong reading makes of it: 占쏙옙 (of two) and 占 before
    another syllable in CP949, 锟斤拷 in GBK, \u00ef\u00bf\u00bd in Latin-1. 占 alone is Chinese.
    """
    if text.isascii():
        return 0
    found = len(_LOST.findall(text))
    return found + (len(_AFTER_LOST.findall(text.replace("占쏙옙", ""))) if "占쏙옙" in text else 0)
