"""Bytes of a page to text, by byte-order mark, UTF-8, HTTP header, meta tag, then detection.

Labels follow the WHATWG Encoding Standard: the label `euc-kr` means cp949, `iso-8859-1` means
cp1252. A label whose charset cannot decode the bytes is ignored.
"""

from __future__ import annotations

import codecs
import re

META_WINDOW = 4096
"""Bytes that are searched for a meta tag. The standard demands 1,024; real pages have it later."""
DETECT_WINDOW = 65_536

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WHATWG = {
    "ascii": "cp1252",
    "euc-kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso-8859-1": "cp1252",
    "iso-8859-9": "cp1254",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "johab": "johab",
    "korean": "cp949",
    "ks_c_5601-1987": "cp949",
    "ksc5601": "cp949",
    "ksc_5601": "cp949",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "ms949": "cp949",
    "shift-jis": "cp932",
    "shift_jis": "cp932",
    "sjis": "cp932",
    "tis-620": "cp874",
    "uhc": "cp949",
    "us-ascii": "cp1252",
    "windows-949": "cp949",
    "x-sjis": "cp932",
    "x-windows-949": "cp949",
}
_META = re.compile(rb"""<meta[^>]{0,256}?charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.I)
_XML = re.compile(rb"""^\s*<\?xml[^>]{0,256}?encoding\s*=\s*["']([A-Za-z0-9_.:-]{2,40})""", re.I)
_HEADER = re.compile(r"""charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.I)
_ANY_BYTES = frozenset({"cp1252", "cp1254"})
"""Charsets that decode nearly any bytes, so that decoding without an error proves nothing."""


def codec_of(label: str | None) -> str | None:
    """Return Python's codec for a web charset label, or None for an unknown label."""
    if not label:
        return None
    name = _WHATWG.get(label.strip().lower(), label.strip().lower())
    try:
        return codecs.lookup(name).name
    except LookupError:
        return None


def _decode(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except (UnicodeDecodeError, LookupError):
        return None


def decode_page(data: bytes, content_type: str | None = None) -> tuple[str, str]:
    """Return (text, codec) of a page's bytes.

    `content_type` is the HTTP header. Bytes that are valid UTF-8 are UTF-8 whatever a label claims:
    text in other charsets is hardly ever valid UTF-8. Else the first label wins that decodes
    without an error, a charset of `_ANY_BYTES` only after detection; at last UTF-8 with replacement
    characters.
    """
    for bom, codec in _BOMS:
        if data.startswith(bom):
            return data.decode(codec, "replace"), codec
    text = _decode(data, "utf-8")
    if text is not None:
        return text, "utf-8"
    header = _HEADER.search(content_type or "")
    inside = _META.search(data[:META_WINDOW]) or _XML.search(data[:META_WINDOW])
    labels = [
        codec_of(header.group(1) if header else None),
        codec_of(inside.group(1).decode("ascii") if inside else None),
    ]
    labelled = [codec for codec in labels if codec and codec != "utf-8"]
    for codec in sorted(labelled, key=lambda codec: codec in _ANY_BYTES):
        if codec not in _ANY_BYTES and (text := _decode(data, codec)) is not None:
            return text, codec
    detected = _detect(data)
    if detected is not None:
        return detected
    for codec in labelled:
        return data.decode(codec, "replace"), codec
    return data.decode("utf-8", "replace"), "utf-8"


def _detect(data: bytes) -> tuple[str, str] | None:
    """Return (text, codec) of bytes without a label, or None.

    Korean first: bytes are Korean if cp949 decodes them and most letters are Hangul syllables.
    cp949 also decodes much Chinese and Japanese, but to hanja.
    """
    text = _decode(data, "cp949")
    if text is not None:
        letters = [ch for ch in text[:20_000] if ch > "\x7f"]
        hangul = sum("가" <= ch <= "힣" for ch in letters)
        if letters and hangul >= 0.6 * len(letters):
            return text, "cp949"
    from charset_normalizer import from_bytes

    best = from_bytes(data[:DETECT_WINDOW], threshold=0.3).best()
    if best is None:
        return None
    codec = codec_of(best.encoding) or "utf-8"
    text = _decode(data, codec)
    return (text, codec) if text is not None else (data.decode(codec, "replace"), codec)
