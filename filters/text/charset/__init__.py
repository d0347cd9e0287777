"""Bytes of a page to text, by byte-order mark, UTF-8, HTTP header, meta tag, then detection.

Labels are those of the WHATWG Encoding Standard (section 4.2): `euc-kr` means cp949, `iso-8859-1`
means cp1252, and any other name, such as `undefined`, is ignored. A few damaged bytes do not refute
a label; they become U+FFFD, as in browsers.
"""

from __future__ import annotations

import codecs
import re

from filters.text.charset.unicode import unicode_codec
from schemas.charsets import codec_named, codec_of

__all__ = ["codec_named", "codec_of", "decode_page", "decode_text", "unicode_codec"]

META_WINDOW = 4096
"""Bytes that are searched for a meta tag. The standard demands 1,024; real pages have it later."""
DETECT_WINDOW = 65_536
DAMAGED = 0.01
"""A label holds where at most this share of the characters, or one of them, is damaged, …"""
INTACT = 10
"""… or where so many characters beyond ASCII are intact per damaged one; …"""
INTACT_UTF_8 = 2
"""… in UTF-8 so many: in text of another charset nearly every such character is damaged."""
SYLLABLES = 20
"""So many Hangul syllables, or Hangul in HANGUL of the letters, show a page that bears the label of
a Western charset to be Korean: many servers send `iso-8859-1` with every page. Ours."""
HANGUL = 0.3

_META = re.compile(rb"""<meta[^>]{0,256}?charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.I)
_XML = re.compile(rb"""^\s*<\?xml[^>]{0,256}?encoding\s*=\s*["']([A-Za-z0-9_.:-]{2,40})""", re.I)
_HEADER = re.compile(r"""charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.I)
_TAG = re.compile(rb"<[^<>]*>")
_KS_SYLLABLE = re.compile(rb"[\x00-\x7f]+|([\xb0-\xc8][\xa1-\xfe])|[\x80-\xff]{1,2}")
"""ASCII, a syllable of KS X 1001, or other bytes. The other 8,822 syllables of cp949 have a second
byte that is an ASCII letter or a control: `°C` is one, so they show nothing."""
_WESTERN = frozenset({"cp1252", "cp1254", "iso8859-15"})
"""Charsets that decode nearly any bytes, and whose labels are often wrong."""
_ASCII = bytes(range(128))
_ASCII_LETTERS = bytes(byte for byte in _ASCII if chr(byte).isalpha())
_UTF_16 = frozenset({"utf-16-le", "utf-16-be"})


def _decode(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except UnicodeError:
        return None


def _damage(text: str) -> tuple[int, int]:
    """Return (damaged, intact) characters beyond ASCII of a text that has U+FFFD for damage."""
    damaged = text.count("\ufffd")
    return damaged, len(text) - len(text.encode("ascii", "ignore")) - damaged


def _decode_damaged(data: bytes, codec: str) -> str | None:
    """Return the text with U+FFFD for damaged bytes, None where too much is damaged."""
    text = data.decode(codec, "replace")
    damaged, intact = _damage(text)
    few = damaged <= max(1, DAMAGED * len(text)) or intact >= INTACT * damaged
    return text if few else None


def decode_page(
    data: bytes, content_type: str | None = None, encoding: str | None = None
) -> tuple[str, str]:
    """Return (text, codec) of a page's bytes; never raises.

    `content_type` is the HTTP header, `encoding` is `sources.NAME.encoding`. Bytes that are valid
    UTF-8, but for a few, are UTF-8 whatever a label claims: text in other charsets is hardly ever
    valid UTF-8. Else the first label holds that decodes without an error, or that few damaged bytes
    refute, or, for a label of `_WESTERN`, unless the bytes show another script. Then the charset is
    detected; at last it is UTF-8 with replacement characters.
    """
    if (found := _announced(data, encoding)) is not None:
        return found
    labels = _labels(data, content_type)
    for codec in labels:
        if codec in _UTF_16 or (codec == "iso2022_jp" and b"\x1b" in data):
            text = _decode(data, codec)
            if text is not None and (codec not in _UTF_16 or data.count(0) * 8 >= len(data)):
                return text, codec
    text = _nearly_utf8(data)
    if text is not None:
        return text, "utf-8"
    labels = [codec for codec in labels if codec not in _UTF_16]
    return _by_label(data, labels) or _detect(data) or _replaced(data, labels)


def decode_text(data: bytes, encoding: str | None = None) -> tuple[str, str]:
    """Return (text, codec) of a plain text, a source file or a line of JSONL; never raises.

    `encoding` is `sources.NAME.encoding`; damaged bytes become U+FFFD.
    """
    if (found := _announced(data, encoding)) is not None:
        return found
    text = _nearly_utf8(data)
    return (text, "utf-8") if text is not None else _detect(data) or _replaced(data, [])


def _announced(data: bytes, encoding: str | None) -> tuple[str, str] | None:
    """Return (text, codec) by a byte-order mark, by zero bytes, or by the config; else None."""
    codec = unicode_codec(data) or codec_named(encoding)
    return (data.decode(codec, "replace"), codec) if codec else None


def _labels(data: bytes, content_type: str | None) -> list[str]:
    """Return the codecs that the header and the page name, the header's first.

    UTF-16 inside a page is ignored: bytes in which a tag can be read are not UTF-16.
    """
    header = _HEADER.search(content_type or "")
    inside = _META.search(data[:META_WINDOW]) or _XML.search(data[:META_WINDOW])
    outer = codec_of(header.group(1) if header else None)
    inner = codec_of(inside.group(1).decode("ascii") if inside else None)
    found = [outer, None if inner in _UTF_16 else inner]
    return [codec for codec in found if codec]


def _nearly_utf8(data: bytes) -> str | None:
    """Return the text of UTF-8 of which few bytes are damaged, None for other bytes."""
    text = data.decode("utf-8", "replace")
    damaged, intact = _damage(text)
    return text if intact >= INTACT_UTF_8 * damaged else None


def _by_label(data: bytes, labels: list[str]) -> tuple[str, str] | None:
    """Return (text, codec) of the first label that holds (see `decode_page`), or None."""
    sure = [codec for codec in labels if codec not in _WESTERN and codec != "utf-8"]
    for decode in (_decode, _decode_damaged):
        for codec in sure:
            if (text := decode(data, codec)) is not None:
                return text, codec
    if labels and _shows_korean(data) and (text := _korean(data)) is not None:
        return text, "cp949"
    for codec in labels:
        if codec in _WESTERN and not _shows_another_script(data):
            return data.decode(codec, "replace"), codec
    if "utf-8" in labels and (text := _decode_damaged(data, "utf-8")) is not None:
        return text, "utf-8"
    return None


def _replaced(data: bytes, labels: list[str]) -> tuple[str, str]:
    codec = labels[0] if labels else "utf-8"
    return data.decode(codec, "replace"), codec


def _shown(data: bytes) -> bytes:
    """Return the first bytes of a page without its tags."""
    return _TAG.sub(b" ", data[:DETECT_WINDOW])


def _ascii_letters(shown: bytes) -> int:
    return len(shown) - len(shown.translate(None, _ASCII_LETTERS))


def _korean_syllables(shown: bytes) -> int:
    """Return the syllables of KS X 1001; 0 where they are not six in ten of the non-ASCII text."""
    found = [match for match in _KS_SYLLABLE.finditer(shown) if shown[match.start()] > 127]
    syllables = sum(match.group(1) is not None for match in found)
    return syllables if syllables >= 0.6 * len(found) else 0


def _shows_korean(data: bytes) -> bool:
    """Return whether syllables of KS X 1001 are enough of the page to refute a label."""
    shown = _shown(data)
    syllables = _korean_syllables(shown)
    return syllables >= SYLLABLES or syllables > HANGUL * (_ascii_letters(shown) + syllables)


def _shows_another_script(data: bytes) -> bool:
    """Return whether most letters are beyond ASCII, as in no language of a Western charset."""
    shown = _shown(data)
    beyond = len(shown.translate(None, _ASCII))
    return beyond > _ascii_letters(shown) and beyond >= SYLLABLES


def _korean(data: bytes) -> str | None:
    """Return the text of cp949 bytes most of whose characters beyond ASCII are Hangul, or None.

    cp949 also decodes much Chinese and Japanese, but to hanja.
    """
    text = _decode(data, "cp949") or _decode_damaged(data, "cp949") or ""
    beyond = [char for char in text[:20_000] if char > "\x7f"]
    hangul = sum("가" <= char <= "힣" for char in beyond)
    return text if beyond and hangul >= 0.6 * len(beyond) else None


def _detect(data: bytes) -> tuple[str, str] | None:
    """Return (text, codec) of bytes without a label that holds, or None; Korean first."""
    if _korean_syllables(_shown(data)) and (text := _korean(data)) is not None:
        return text, "cp949"
    from charset_normalizer import from_bytes

    best = from_bytes(data[:DETECT_WINDOW], threshold=0.3).best()
    if best is None:
        return None
    codec = codecs.lookup(best.encoding).name
    return data.decode(codec, "replace"), codec
