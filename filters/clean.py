"""Text as documents hold it: NFC, no NUL, `\\n` line ends, no byte-order mark."""

from __future__ import annotations

import unicodedata


def clean_text(text: str) -> str:
    """Return `text` in NFC without NUL and byte-order marks, lines ended by `\\n`.

    Decomposed Hangul (NFD, as macOS writes it) composes. Raises UnicodeEncodeError where
    `text` holds a lone surrogate, which no UTF-8 can.
    """
    if not text.isascii():
        text.encode("utf-8")  # a lone surrogate raises here
        if not unicodedata.is_normalized("NFC", text):
            text = unicodedata.normalize("NFC", text)
        text = text.replace("\ufeff", "")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\0", "") if "\0" in text else text
