"""Bytes of a page to text, by byte-order mark, UTF-8, HTTP header, meta tag, then detection.

Labels are those of the WHATWG Encoding Standard (section 4.2): `euc-kr` means cp949, `iso-8859-1`
means cp1252, and any other name, such as `undefined`, is ignored. A few damaged bytes do not refute
a label; they become U+FFFD, as in browsers.
"""

from __future__ import annotations

import codecs
import re

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

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LABELS = """
    utf-8: unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8
    cp866: 866 cp866 csibm866 ibm866
    iso8859-2: csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2
      latin2
    iso8859-3: csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3
      latin3
    iso8859-4: csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4
      latin4
    iso8859-5: csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5
      iso_8859-5:1988
    iso8859-6: arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6
      iso-8859-6-e iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987
    iso8859-7: csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7
      iso88597 iso_8859-7 iso_8859-7:1987 sun_eu_greek
    iso8859-8: csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8
      iso88598 iso_8859-8 iso_8859-8:1988 visual csiso88598i iso-8859-8-i logical
    iso8859-10: csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6
    iso8859-13: iso-8859-13 iso8859-13 iso885913
    iso8859-14: iso-8859-14 iso8859-14 iso885914
    iso8859-15: csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9
    iso8859-16: iso-8859-16
    koi8-r: cskoi8r koi koi8 koi8-r koi8_r
    koi8-u: koi8-ru koi8-u
    mac-roman: csmacintosh mac macintosh x-mac-roman
    mac-cyrillic: x-mac-cyrillic x-mac-ukrainian
    cp874: dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874
    cp1250: cp1250 windows-1250 x-cp1250
    cp1251: cp1251 windows-1251 x-cp1251
    cp1252: ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1
      iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252
    cp1253: cp1253 windows-1253 x-cp1253
    cp1254: cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989
      l5 latin5 windows-1254 x-cp1254
    cp1255: cp1255 windows-1255 x-cp1255
    cp1256: cp1256 windows-1256 x-cp1256
    cp1257: cp1257 windows-1257 x-cp1257
    cp1258: cp1258 windows-1258 x-cp1258
    gb18030: chinese csgb2312 csiso58gb231280 gb18030 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk
    big5hkscs: big5 big5-hkscs cn-big5 csbig5 x-x-big5
    euc_jp: cseucpkdfmtjapanese euc-jp x-euc-jp
    iso2022_jp: csiso2022jp iso-2022-jp
    cp932: csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis
    cp949: cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601
      ksc_5601 windows-949
    utf-16-be: unicodefffe utf-16be
    utf-16-le: csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le
    cp949: cp949 ms949 uhc x-windows-949
    cp1252: latin-1
    johab: johab
"""
"""Python's codec, then its labels. The last three lines are not the standard's: names that Korean
pages and Python use."""


def _codecs() -> dict[str, str]:
    codec, found = "", {}
    for word in _LABELS.split():
        if word.endswith(":"):
            codec = word[:-1]
        else:
            found[word] = codecs.lookup(codec).name
    return found


_CODECS = _codecs()
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


def codec_of(label: str | None) -> str | None:
    """Return Python's codec for a web charset label, or None for an unknown label."""
    return _CODECS.get(label.strip().lower()) if label else None


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


def decode_page(data: bytes, content_type: str | None = None) -> tuple[str, str]:
    """Return (text, codec) of a page's bytes.

    `content_type` is the HTTP header. Bytes that are valid UTF-8, but for a few, are UTF-8 whatever
    a label claims: text in other charsets is hardly ever valid UTF-8. Else the first label holds
    that decodes without an error, or that few damaged bytes refute, or, for a label of `_WESTERN`,
    unless the bytes show another script. Then the charset is detected; at last it is UTF-8 with
    replacement characters.
    """
    for bom, codec in _BOMS:
        if data.startswith(bom):
            return data.decode(codec, "replace"), codec
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
    """Return (text, codec) of a plain text, a source file or a line of JSONL.

    `encoding` is `sources.NAME.encoding`. Raises UnicodeDecodeError where the bytes do not fit
    it, or, without it, not UTF-8.
    """
    codec = encoding or "utf-8"
    return data.decode(codec), codec


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
