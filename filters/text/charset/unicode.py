"""UTF-8, UTF-16 and UTF-32 by their byte-order mark, or by where the zero bytes are."""

from __future__ import annotations

import codecs
from unicodedata import category

import numpy as np

from filters.text.charset.evidence import beyond_ascii, text_bits

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
COMMON = 12.0
"""Bits per character beyond ASCII at most; pairs of ASCII that are read as UTF-16 cost 15."""
ASCII_BITS = 5.0
"""Bits of a character of ASCII, where two readings of the same bytes are compared."""
SHORTEST = 64
"""Bytes of UTF-16 that show it without a mark though a byte is missing behind them."""
SHIFTED = 4
"""So many more zero bytes at the wrong place than at the right one show that a byte is missing."""
_HIGH_BYTES = bytes((0, 3, 4, 5, 6, 0x0E))
"""High bytes of Latin, Greek, Cyrillic, Hebrew, Arabic and Thai; ASCII text holds none of them."""
ALPHABETIC = 0.8
"""Text in one of these scripts has at least this share of them."""
_WIDTHS = (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2))
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
    if len(head.translate(None, _HIGH_BYTES)) == len(head):
        return None
    found = [
        codec
        for codec, width in _WIDTHS
        if _has_zeros_of(head, codec, width) and _reads(head, codec)
    ]
    if len(found) > 1:  # 一 is 4E 00
        return min(found, key=lambda codec: _bits(_text(head, codec)))
    return found[0] if found else _shifted(head)


def reads_as(data: bytes, codec: str) -> bool:
    """Return whether all of `data` is East Asian text in a codec of UTF-16, without zero bytes."""
    if not data or len(data) % 2:
        return False
    text = data.decode(codec, "replace")
    beyond = beyond_ascii(text)
    east = sum(char >= "\u2e80" for char in text)
    return (
        east >= 0.9 * beyond
        and "\ufffd" not in text
        and _odd_share(text) <= ODD
        and text_bits(text) <= COMMON * beyond
    )


def _shifted(head: bytes) -> str | None:
    """Return the codec of UTF-16 in which a byte is missing or was added: its front shows it."""
    front = head[: len(head) // 4 * 2]
    while len(front) >= SHORTEST:
        for codec, width in _WIDTHS[2:]:
            if _has_zeros_of(front, codec, width) and _reads(front, codec):
                return codec if _odd_share(decode_unicode(head, codec)) <= ODD else None
        front = front[: len(front) // 4 * 2]
    return None


def decode_unicode(data: bytes, codec: str) -> str:
    """Return the text of `data` in a codec of `unicode_codec`, with U+FFFD for damage.

    Where a byte of UTF-16 is missing or was added, every character behind it is shifted, and so are
    its zero bytes: from there on one byte is passed over.
    """
    if not codec.startswith("utf-16"):
        return data.decode(codec, "replace")
    little = codec == "utf-16-le" or data.startswith(codecs.BOM_UTF16_LE)
    lane = np.arange(len(data)) % 2 == (1 if little else 0)
    zero = np.frombuffer(data, np.uint8) == 0
    balance = np.cumsum(np.where(zero, np.where(lane, 1, -1), 0))
    at = int(np.argmax(balance)) if len(data) else 0
    if not len(data) or balance[at] - balance[-1] < SHIFTED:
        return data.decode(codec, "replace")
    at += 1 + (at + 1) % 2
    rest = data[at + 1 :].decode("utf-16-le" if little else "utf-16-be", "replace")
    plain, shifted = (
        data.decode(codec, "replace"),
        data[:at].decode(codec, "replace") + "\ufffd" + rest,
    )
    return min((plain, shifted), key=_bits)


def _bits(text: str) -> float:
    """Return the bits of a text in which ASCII is not free: swapped bytes of 一 are one of it."""
    return text_bits(text) + ASCII_BITS * len(text.encode("ascii", "ignore"))


def _has_zeros_of(head: bytes, codec: str, width: int) -> bool:
    """Return whether zeros stand at the high bytes of so many characters as a text has."""
    lanes = [head[lane::width] for lane in range(width)]
    if codec.endswith("le"):
        lanes.reverse()
    zeros = [lane.count(0) for lane in lanes]
    size = len(head) // width
    if width == 4:
        enough = size >= 1 and zeros[0] >= 0.98 * size and zeros[1] >= 0.9 * size
        return enough and zeros[3] <= 0.5 * size
    alphabetic = len(lanes[0]) - len(lanes[0].translate(None, _HIGH_BYTES))
    return zeros[0] >= max(1, SPACED * size) or alphabetic >= max(1, ALPHABETIC * size)


def _reads(head: bytes, codec: str) -> bool:
    """Return whether the bytes decode to characters of which hardly one is odd in a text."""
    text = _text(head, codec)
    return bool(text) and _odd_share(text) <= (ODD if len(text) <= 20 else max(ODD, 1 / len(text)))


def _text(head: bytes, codec: str) -> str:
    """Return the text of a head that may end inside a character."""
    return codecs.getincrementaldecoder(codec)("replace").decode(head)


def _odd_share(text: str) -> float:
    odd = sum(
        char == "\ufffd" or (char not in "\t\n\r\f" and category(char) in _ODD) for char in text
    )
    return odd / max(len(text), 1)


_ODD = frozenset({"Cc", "Cn", "Co", "Cs"})
