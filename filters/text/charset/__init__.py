"""Bytes of pages, texts, source files and JSONL lines to text: one decoder.

In this order: a byte-order mark or the zero bytes of UTF-16 and UTF-32; escape sequences of a
stateful charset; UTF-8, but for a few damaged bytes; then the charset with the fewest bits
(`evidence`): what is undefined in it costs most, letters cost by how the languages of that charset
use them, and a label takes bits off. So a label holds against a guess unless many letters
refute it, and damaged bytes become U+FFFD, as in browsers.
"""

from __future__ import annotations

import re

from filters.text.charset.damage import decode_wide
from filters.text.charset.evidence import PRIOR, WIDE, beyond_ascii, narrow_bits, wide_bits
from filters.text.charset.labels import page_labels, text_labels
from filters.text.charset.stateful import decode_stateful, stateful_codec
from filters.text.charset.unicode import decode_unicode, reads_as, unicode_codec
from schemas.charsets import codec_named, codec_of

__all__ = ["codec_named", "codec_of", "decode_page", "decode_text", "unicode_codec"]

DETECT_WINDOW = 65_536
"""Bytes of what is beyond ASCII, with its neighbours, that are weighed."""
INTACT_UTF_8 = 2
"""So many intact characters per damaged byte show UTF-8: in text of another charset nearly every
character beyond ASCII is damaged."""
FEW = 0.01
"""At most this share of the characters, or one of them, is damaged where the config's encoding is
believed against the evidence."""
TRUST = {
    "western": (14.0, 0.15),
    "other": (20.0, 0.15),
    "wide": (28.0, 0.15),
    "whole": (28.0, 0.8),
    "utf-8": (25.0, 0.0),
}
"""Bits that a label takes off its charset, once and per byte beyond ASCII. Many servers send
`iso-8859-1` or `utf-8` with every page; a charset of several bytes per character is trusted more
where it has a character for every byte. One damaged byte costs less than a label weighs. Ours."""
TYPICAL = 11.0
"""Bits per character at which a labelled charset of several bytes is not held against others."""
TYPICAL_KOREAN, ENOUGH = 9.5, 12
"""The same for Korean without a label: text in other charsets costs 13 and more when it is read as
Korean, so from so many characters on no other charset is weighed."""
_WESTERN = frozenset({"cp1252", "cp1254", "iso8859-15", "mac-roman"})
"""Charsets that decode nearly any bytes, and whose labels are often wrong."""
_BEYOND = re.compile(rb"[\x00-\x7f]{0,2}(?:[\x80-\xff]++[\x00-\x7f]{0,2})++")
_HIGH = bytes(range(128, 256))
_UTF_16 = frozenset({"utf-16-le", "utf-16-be"})


def decode_page(
    data: bytes, content_type: str | None = None, encoding: str | None = None
) -> tuple[str, str]:
    """Return (text, codec) of a page's bytes; never raises.

    `content_type` is the HTTP header; `encoding` is `sources.NAME.encoding`, believed where its
    charset leaves few bytes undefined. Valid UTF-8 is UTF-8 whatever a label claims.
    """
    labels = page_labels(data, content_type)
    if labels and labels[0] in _UTF_16 and not _is_utf8(data) and reads_as(data, labels[0]):
        return data.decode(labels[0]), labels[0]
    return _decode(data, [codec for codec in labels if codec not in _UTF_16], encoding)


def decode_text(data: bytes, encoding: str | None = None) -> tuple[str, str]:
    """Return (text, codec) of a plain text, a source file or a line of JSONL; never raises.

    `encoding` is `sources.NAME.encoding`, believed where its charset leaves few bytes undefined.
    Without it a line of PEP 263 or of an editor, an XML declaration or a meta tag is a label.
    """
    return _decode(data, None, encoding)


def _decode(data: bytes, labels: list[str] | None, encoding: str | None) -> tuple[str, str]:
    """Return (text, codec). `labels` of None: those of a text file, read when they are needed."""
    codec = unicode_codec(data)
    if codec == "utf-8-sig":
        text = _nearly_utf8(data[3:])
        return (text, codec) if text is not None else _decode(data[3:], labels, encoding)
    if codec:
        return decode_unicode(data, codec), codec
    configured = codec_named(encoding)
    if configured and (text := _believed(data, configured)) is not None:
        return text, configured
    if (codec := stateful_codec(data)) and (text := decode_stateful(data, codec)) is not None:
        return text, codec
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        pass
    text = _nearly_utf8(data)
    if text is not None:
        return text, "utf-8"
    labels = text_labels(data) if labels is None else labels
    if not labels and (codec := next((c for c in sorted(_UTF_16) if reads_as(data, c)), None)):
        return data.decode(codec), codec
    codec = _weighed(data, [configured, *labels] if configured else labels)
    return _replaced(data, codec), codec


def _replaced(data: bytes, codec: str) -> str:
    return decode_wide(data, codec) if codec in WIDE else data.decode(codec, "replace")


def _believed(data: bytes, codec: str) -> str | None:
    """Return the text by the config's encoding, None where it leaves more than a few undefined."""
    text = _replaced(data, codec)
    damaged = text.count("\ufffd")
    if damaged > max(1, FEW * len(text)) or (codec in WIDE and _is_rather_utf8(data, codec)):
        return None
    return text


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_rather_utf8(data: bytes, codec: str) -> bool:
    """Return whether the bytes are valid UTF-8 that costs less than a charset of several bytes."""
    if data.isascii() or not _is_utf8(data):
        return False
    shown = _shown(data)
    return wide_bits("utf-8", shown) < wide_bits(codec, shown)


def _nearly_utf8(data: bytes) -> str | None:
    """Return the text of UTF-8 of which few bytes are damaged, None for other bytes."""
    text = data.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    intact = beyond_ascii(text) - damaged
    return text if intact >= INTACT_UTF_8 * damaged else None


def _weighed(data: bytes, labels: list[str]) -> str:
    """Return the codec with the fewest bits, with what its prior adds and its label takes off."""
    shown = _shown(data)
    beyond = len(shown) - len(shown.translate(None, _HIGH))
    trust = _trust(labels, beyond, shown)
    likely, most = (labels[0], TYPICAL) if labels else ("cp949", TYPICAL_KOREAN)
    if likely in WIDE:
        characters = beyond_ascii(shown.decode(likely, "replace"))
        enough = bool(labels) or characters >= ENOUGH
        if enough and wide_bits(likely, shown) <= most * characters:
            return likely
    bits_of = narrow_bits(shown)
    bits_of |= {codec: wide_bits(codec, shown) for codec in ("utf-8", *WIDE)}
    for codec in trust.keys() - bits_of.keys():
        bits_of[codec] = _unmodelled(shown, codec)
    return min(
        bits_of, key=lambda codec: bits_of[codec] + PRIOR.get(codec, 10) - trust.get(codec, 0)
    )


def _shown(data: bytes) -> bytes:
    """Return what is beyond ASCII, with two bytes on either side, up to DETECT_WINDOW."""
    found: list[bytes] = []
    left = DETECT_WINDOW
    for match in _BEYOND.finditer(data):
        found.append(match[0][:left])
        left -= len(match[0]) + 1
        if left <= 0:
            break
    return b"\n".join(found)


def _trust(labels: list[str], beyond: int, shown: bytes) -> dict[str, float]:
    """Return the bits that each labelled codec gains."""
    gained: dict[str, float] = {}
    for codec in labels:
        sort = "utf-8" if codec == "utf-8" else "western" if codec in _WESTERN else "other"
        if codec in WIDE:
            sort = "wide" if "\ufffd" in shown.decode(codec, "replace") else "whole"
        once, per_byte = TRUST[sort]
        gained[codec] = gained.get(codec, 0.0) + once + per_byte * beyond
    return gained


def _unmodelled(shown: bytes, codec: str) -> float:
    """Return the bits of a charset without a language: those of common letters, or undefined."""
    text = shown.decode(codec, "replace")
    damaged = text.count("\ufffd")
    return 7.0 * beyond_ascii(text) + 17.0 * damaged
