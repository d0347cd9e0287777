"""UTF-8 that was read as CP949: 踰덉㎏ for 번째.

Restored is what no step lost, word by word; `filters.columnar.lost` counts what was lost. Most
Korean words lose bytes on that way: an odd number of syllables leaves a byte that joins with a
space to nothing.
"""

from __future__ import annotations

import re

import numpy as np

from filters.text.charset.evidence import character_bits

MIN_CHARACTERS = 2
"""A word is restored only if that gives so many Korean or Chinese characters, …"""
GAIN = 0.7
"""… and at most this share of the bits that the word has as it is: 踰덉㎏ 45, 번째 19."""


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
