"""Windows of text for models that read n-grams: cut, folded and classed straight from UTF-8.

A window is a line or a few sentences, about as long as the comments that a toxicity model is
trained on. Folding lower-cases ASCII, makes full-width forms ASCII and digits 0, cuts a run of one
character to two and white space to one space, and leaves out zero-width characters, the rest of
a web address and the rest of a user name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from filters.columnar.arrays import Bytes, Ints, Longs, Offsets
from filters.columnar.kernels import buffers, kernel

SHORT_BYTES = 320
"""A text of at most so many bytes is one window. Labelled comments: median 27 (ko) and 81 (en)
characters, 95 of 100 under 87 and 146."""
TARGET_CHARS = 160
"""A window of a longer text ends at the first white space after so many characters, …"""
LINE_CHARS = 40
"""… or at the end of a line after so many, …"""
MAX_CHARS = 320
"""… or here, whatever the character."""
SPACE_CODE = 32


@dataclass(frozen=True)
class Windows:
    """The windows of texts, in order; every field is an array by window."""

    row: Longs
    begin: Longs
    """First byte in the column's buffer."""
    end: Longs
    """The byte after the last."""
    size: Longs
    """Characters that are not white space, 1 or more."""
    kind: Ints
    """0 where the window is in Hangul, else 1 (see `window_kind`)."""

    def texts(self, text: pa.Array) -> pa.Array:
        """Return the text of each window; `text` is the column that the windows were made from."""
        data, _ = buffers(text)
        return pa.array(
            [
                bytes(data[begin:end]).decode("utf-8", "replace")
                for begin, end in zip(self.begin, self.end, strict=True)
            ],
            pa.large_string(),
        )


def split_windows(text: pa.Array) -> Windows:
    """Return the windows of `text` (string or large_string), those of a text in its order.

    A window without a visible character is left out.
    """
    data, offsets = buffers(text)
    room = int((np.diff(offsets) // LINE_CHARS + 2).sum())
    table = np.zeros((5, room), np.int64)
    used = _windows(data, offsets, table)
    row, begin, end, size, kind = table[:, :used]
    return Windows(row, begin, end, size, kind.astype(np.int32))


@kernel
def _windows(data: Bytes, offsets: Offsets, table: Longs) -> int:
    """Fill the columns of `table` (rows: the fields of `Windows`); return how many."""
    chars = np.zeros(MAX_CHARS + 3, np.int32)
    used = 0
    for row in range(offsets.size - 1):
        at = offsets[row]
        end = offsets[row + 1]
        short = end - at <= SHORT_BYTES
        target = MAX_CHARS if short else TARGET_CHARS
        line = MAX_CHARS if short else LINE_CHARS
        while at < end:
            begin = at
            at, count = read_window(data, at, end, target, line, MAX_CHARS, chars)
            size = 0
            for index in range(count):
                size += chars[index] != SPACE_CODE
            if size > 0:
                table[0, used] = row
                table[1, used] = begin
                table[2, used] = at
                table[3, used] = size
                table[4, used] = window_kind(chars, count)
                used += 1
    return used


@kernel
def decode(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Return (code point, position after it) at `at`; a byte outside UTF-8 counts as itself."""
    byte = int(data[at])
    if byte < 0x80:
        return byte, at + 1
    if byte < 0xE0 and at + 1 < end:
        return ((byte & 0x1F) << 6) | (int(data[at + 1]) & 0x3F), at + 2
    if byte < 0xF0 and at + 2 < end:
        middle = int(data[at + 1]) & 0x3F
        return ((byte & 0x0F) << 12) | (middle << 6) | (int(data[at + 2]) & 0x3F), at + 3
    if at + 3 < end:
        high = (int(data[at + 1]) & 0x3F) << 12
        low = ((int(data[at + 2]) & 0x3F) << 6) | (int(data[at + 3]) & 0x3F)
        return ((byte & 0x07) << 18) | high | low, at + 4
    return byte, at + 1


@kernel
def fold(code: int) -> int:
    """Return the character that replaces `code`, 0 where it is left out (see the module)."""
    if 0xFF01 <= code <= 0xFF5E:
        code -= 0xFEE0
    if code < 128:
        if 65 <= code <= 90:
            return code + 32
        if 48 <= code <= 57:
            return 48
        return SPACE_CODE if code <= 32 else code
    if code in (0xA0, 0x3000) or 0x2000 <= code <= 0x200A or code in (0x2028, 0x2029):
        return SPACE_CODE
    if 0x200B <= code <= 0x200F or code in (0xFEFF, 0xAD, 0x2060, 0x3164):
        return 0
    return code


@kernel
def is_hangul(code: int) -> bool:
    """Return whether a codepoint is a Hangul syllable or a compatibility jamo."""
    return 0xAC00 <= code <= 0xD7A3 or 0x3131 <= code <= 0x318E


@kernel
def is_letter(code: int) -> bool:
    """Return whether a folded character counts as a letter; punctuation and pictures do not."""
    if code < 0xC0:
        return 97 <= code <= 122
    return not 0x2000 <= code <= 0x2BFF and code < 0x1F000


@kernel
def read_window(
    data: Bytes, start: int, end: int, target: int, line: int, limit: int, chars: Ints
) -> tuple[int, int]:
    """Fold one window into `chars`; return (position after it, characters written).

    `target`, `line` and `limit` are characters, as TARGET_CHARS, LINE_CHARS and MAX_CHARS. What is
    written begins and ends with a space; `chars` needs room for `limit` + 2.
    """
    chars[0] = SPACE_CODE
    count = 1
    seen = 0
    at = start
    previous = SPACE_CODE
    before = 0
    skip = False
    while at < end:
        raw, at = decode(data, at, end)
        seen += 1
        code = fold(raw)
        if code == SPACE_CODE:
            skip = False
            if previous != SPACE_CODE:
                chars[count] = SPACE_CODE
                count += 1
                before = previous
                previous = SPACE_CODE
            if seen >= target or (raw == 10 and seen >= line):
                break
        elif code != 0 and not skip and not (code == previous and code == before):
            chars[count] = code
            count += 1
            is_name = previous == SPACE_CODE and code == 64  # @
            slashes = code == 47 and previous == 47 and count > 4
            skip = is_name or (slashes and chars[count - 3] == 58)  # ://
            before = previous
            previous = code
        if seen >= limit:
            break
    if chars[count - 1] != SPACE_CODE:
        chars[count] = SPACE_CODE
        count += 1
    return at, count


@kernel
def window_kind(chars: Ints, count: int) -> int:
    """Return 0 where three letters in ten or more are Hangul, else 1."""
    letters = 0
    hangul = 0
    for index in range(count):
        if is_letter(chars[index]):
            letters += 1
            hangul += is_hangul(chars[index])
    return 0 if hangul > 0 and 10 * hangul >= 3 * letters else 1
