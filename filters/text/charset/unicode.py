"""UTF-8, UTF-16 and UTF-32 by their byte-order mark, or by where the zero bytes are."""

from __future__ import annotations

import codecs
import unicodedata

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LOW = 0.3
"""At most so many characters end in a zero byte per one that begins with it: 가 does."""
LOOKED_AT = 4096
"""Bytes in which zeros are counted."""
ODD = 0.02
"""Text has at most this share of characters that occur in none: unassigned, private, controls."""
SPACED = 1 / 40
"""Text of any script has at least this share of spaces, line ends and ASCII; in UTF-16 each has a
zero byte. Chinese and Japanese without line ends and digits fall below and need a mark."""


def marked_codec(data: bytes) -> str | None:
    """Return the codec of the byte-order mark at the start of `data`; the codec skips the mark."""
    return next((codec for bom, codec in _BOMS if data.startswith(bom)), None)


def unicode_codec(head: bytes) -> str | None:
    """Return the codec of the first bytes of a file where they are UTF-16, UTF-32 or have a mark.

    `utf-8-sig`, `utf-16` and `utf-32` skip the mark that is there; `utf-16-le`, `utf-16-be`,
    `utf-32-le` and `utf-32-be` are found by their zero bytes. None for all other bytes, plain UTF-8
    included. `head` may end inside a character. A few kilobytes are enough.
    """
    if codec := marked_codec(head):
        return codec
    head = head[:LOOKED_AT]
    if 0 not in head:
        return None
    for codec, width in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        if _has_zeros_of(head, codec, width) and _reads(head, codec, width):
            return codec
    return None


def _has_zeros_of(head: bytes, codec: str, width: int) -> bool:
    """Return whether zeros stand at the high bytes of characters and hardly elsewhere."""
    lanes = [head[lane::width].count(0) for lane in range(width)]
    if codec.endswith("le"):
        lanes.reverse()
    size = len(head) // width
    if width == 4:
        return size >= 1 and lanes[0] >= 0.98 * size and lanes[3] <= 0.02 * size
    return lanes[0] >= max(1, SPACED * size) and lanes[1] <= LOW * lanes[0]


def _reads(head: bytes, codec: str, width: int) -> bool:
    """Return whether the bytes decode to characters of which hardly one is odd in a text."""
    text = codecs.getincrementaldecoder(codec)("replace").decode(head)
    if not text:
        return False
    odd = sum(
        char == "\ufffd" or (char not in "\t\n\r\f" and unicodedata.category(char) in _ODD)
        for char in text
    )
    return odd <= max(1 if len(text) > 20 else 0, ODD * len(text))


_ODD = frozenset({"Cc", "Cn", "Co", "Cs"})
