"""Charsets of seven bits that switch by escape sequences: ISO-2022-KR, -JP, -CN and HZ.

Their bytes are ASCII, so they are looked for before UTF-8. What is damaged costs its own character:
the state is read from the sequences, and every line begins in ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from filters.text.charset.damage import decode_wide
from filters.text.charset.evidence import BAD, WIDE, text_bits

_KOREAN = re.compile(rb"\x1b\$\)C")
_CHINESE = re.compile(rb"\x1b\$\)[AGE]|\x1b\$\*H")
_JAPANESE = re.compile(rb"\x1b(?:\$[@B]|\$\([DOPQ]|\([JI])")
_HZ = re.compile(rb"~\{([^\n]*?)(?:~\}|(?=\n)|\Z)|~\n")
_HIGH = bytes(range(128, 256))
DAMAGED = 0.01
"""At most this share of the bytes is beyond ASCII, or one byte."""
INTACT = 2
"""Characters that are intact per one that is damaged, beyond two, …"""
COMMON = 13.0
"""… and bits per character at most: letters of a program text between `~{` and `~}` cost more."""
REREAD = 1_000_000
"""Bytes of a damaged text at most that is read again for what stands behind a missing byte."""
LOOKED_AT = 65_536
"""Bytes that are searched for runs of HZ."""

_SWITCH = re.compile(
    rb"\x1b\$[@AB]|\x1b\$\([CDOPQ]|\x1b\([BJIHT]|\x1b\$\)[CAGE]|\x1b\$\*H|\x1b\.[AF]|\x1bN|[\x0e\x0f\n]"
)
_SETS = {
    b"\x1b$@": "euc_jp", b"\x1b$B": "euc_jp", b"\x1b$A": "gb18030", b"\x1b$(C": "cp949",
    b"\x1b$(D": "jisx0212", b"\x1b$(O": "euc_jisx0213", b"\x1b$(Q": "euc_jis_2004",
    b"\x1b$(P": "plane2", b"\x1b(I": "katakana",
}  # fmt: skip
"""Sequences that choose a set at once; `\x1b(B`, `\x1b(J` and others choose ASCII."""
_SHIFTED = {b"\x1b$)C": "cp949", b"\x1b$)A": "gb18030", b"\x1b$)E": "gb18030"}
"""Sequences that name the set between SO and SI."""


def stateful_codec(data: bytes) -> str | None:
    """Return Python's name of the stateful charset that `data` announces, or None.

    `iso2022_kr`, `iso2022_jp_ext`, `iso2022_cn` (which Python cannot decode itself) or `hz`. None
    for bytes with more than a few beyond ASCII, and for the escape sequences of terminals.
    """
    escaped = b"\x1b" in data
    if not escaped and b"~{" not in data:
        return None
    found = None
    if escaped and _KOREAN.search(data) and b"\x0e" in data:
        found = "iso2022_kr"
    elif escaped and _CHINESE.search(data) and b"\x0e" in data:
        found = "iso2022_cn"
    elif escaped and _JAPANESE.search(data):
        found = "iso2022_jp_ext"
    elif _reads_as_hz(data):
        found = "hz"
    beyond = len(data) - len(data.translate(None, _HIGH)) if found else 0
    return found if beyond <= max(1, DAMAGED * len(data)) else None


def _reads_as_hz(data: bytes) -> bool:
    """Return whether `~{ … ~}` holds mostly characters of the first level of GB 2312."""
    if b"~}" not in data:
        return False
    runs = [match[1] for match in _HZ.finditer(data[:LOOKED_AT]) if match[1]]
    leads = [byte for run in runs for byte in run[::2]]
    common = sum(0x30 <= byte <= 0x57 or byte in {0x21, 0x23} for byte in leads)
    others = sum(not 0x21 <= byte <= 0x7E for run in runs for byte in run)
    return (
        len(leads) >= 2 and common >= (0.8 if len(leads) < 50 else 0.6) * len(leads) and others <= 1
    )


def decode_stateful(data: bytes, codec: str) -> str | None:
    """Return the text of bytes in a codec of `stateful_codec`, with U+FFFD for damage.

    None where what follows the escape sequences is not text of that charset.
    """
    if codec == "hz":
        text = _HZ.sub(lambda run: _from_hz(run, False), data).decode("utf-8", "replace")
        if "\ufffd" in text and len(data) <= REREAD:
            text = _HZ.sub(lambda run: _from_hz(run, True), data).decode("utf-8", "replace")
        text = text.replace("~~", "~")
    else:
        text = "".join(_segments(data, False))
        if "\ufffd" in text and len(data) <= REREAD:
            text = "".join(_segments(data, True))
    damaged = text.count("\ufffd")
    intact = len(text) - len(text.encode("ascii", "ignore")) - damaged
    common = text_bits(text) <= COMMON * intact + BAD * damaged
    return text if intact and intact >= INTACT * (damaged - 2) and common else None


def _from_hz(match: re.Match[bytes], careful: bool) -> bytes:
    return _pairs(match[1] or b"", "gb18030", careful).encode()


def _segments(data: bytes, careful: bool) -> Iterator[str]:
    """Yield the text between the switches of an ISO-2022 charset; `careful`: see `damage`."""
    at, charset, shifted = 0, "", ""
    for match in _SWITCH.finditer(data):
        yield _decoded(data[at : match.start()], charset, careful)
        at = match.end()
        switch = match[0]
        if switch in _SHIFTED:
            shifted = _SHIFTED[switch]
        elif switch == b"\x0e":
            charset = shifted or "cp949"
        elif switch == b"\n":
            charset = ""
            yield "\n"
        else:
            charset = _SETS.get(switch, "")
    yield _decoded(data[at:], charset, careful)


def _decoded(data: bytes, charset: str, careful: bool) -> str:
    if not charset:
        return data.decode("ascii", "replace")
    if charset == "katakana":
        high = bytes(byte | 0x80 if 0x21 <= byte <= 0x5F else byte for byte in data)
        return high.decode("cp932", "replace")
    return _pairs(data, charset, careful)


def _pairs(data: bytes, charset: str, careful: bool) -> str:
    """Return the text of bytes in a set of two bytes per character; spaces stand for themselves."""
    eight = data.translate(_EIGHT_BITS)
    if charset in WIDE and careful:
        return decode_wide(eight, charset)
    codec = "euc_jp" if charset == "jisx0212" else "euc_jisx0213"
    if charset not in {"jisx0212", "plane2"}:
        return eight.decode(charset, "replace")
    return re.sub(rb"[\x80-\xff]{2}", lambda pair: b"\x8f" + pair[0], eight).decode(
        codec, "replace"
    )


_EIGHT_BITS = bytes(byte | 0x80 if 0x21 <= byte <= 0x7E else byte for byte in range(256))
