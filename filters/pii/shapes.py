"""Kernels for the scan: characters, nearby words, and shapes of numbers.

Positions are byte offsets into a column's buffer; `start` and `end` bound the row. Separators are
those of ASCII and those that `analyser.plain` turns into them.
"""

from __future__ import annotations

import numpy as np

from filters.columnar.kernels import kernel
from filters.pii.entities import ADDRESS_IP, NUMBER, PLACE, PLATE

_NUMBER, _PLACE, _PLATE, _IP = 1 << NUMBER, 1 << PLACE, 1 << PLATE, 1 << ADDRESS_IP

NUMERAL, PLATE_MARK, PLACE_MARK, REGION_MARK = 1, 2, 4, 8
"""Flags of a Hangul syllable: a numeral read out, the letter of a plate, the end of the name of a
road or lot, the end of the name of a region."""
NEAR_BEFORE, NEAR_AFTER = 168, 88
"""Bytes around a trigger that are searched for a context word, at least what recognisers search."""
GROUPS = 8
"""Groups of digits of a number, at most."""
BLOCK = ord("동") - 0xAC00


@kernel
def is_digit(byte):  # type: ignore[no-untyped-def]  # typed by Numba
    return 48 <= byte <= 57


@kernel
def is_letter(byte):  # type: ignore[no-untyped-def]  # typed by Numba
    return 65 <= byte <= 90 or 97 <= byte <= 122


@kernel
def is_word(byte):  # type: ignore[no-untyped-def]  # typed by Numba
    return 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122


@kernel
def lower(byte):  # type: ignore[no-untyped-def]  # typed by Numba
    return byte + 32 if 65 <= byte <= 90 else byte


@kernel
def separator_at(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the bytes of the separator at `at`, 0 if there is none.

    Those of ASCII, and dashes, dots and wide spaces that `analyser.plain` turns into them.
    """
    byte = data[at]
    if byte < 0x80:
        if byte in (32, 9, 45, 46, 40, 41, 47, 95, 42, 126):  # space tab - . ( ) / _ * ~
            return 1
        return 0
    if byte == 0xC2 and at + 1 < end and data[at + 1] in (0xA0, 0xB7):
        return 2
    if at + 2 >= end:
        return 0
    second, third = data[at + 1], data[at + 2]
    if byte == 0xE2:
        if second == 0x80 and (0x80 <= third <= 0x8A or 0x90 <= third <= 0x95):
            return 3
        if second == 0x88 and third == 0x92:
            return 3
    elif byte == 0xE3:
        if (second == 0x80 and third == 0x80) or (second == 0x83 and third == 0xBB):
            return 3
    elif byte == 0xEF and (
        (second == 0xBC and third in (0x88, 0x89, 0x8D, 0x8E)) or (second == 0xBD and third == 0x9E)
    ):
        return 3
    return 0


@kernel
def space_at(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the bytes of the blank at `at` (space, tab, no-break or wide space), 0 if none."""
    if data[at] in (32, 9):
        return 1
    size = separator_at(data, at, end)
    if size == 2 and data[at + 1] == 0xA0:
        return 2
    if size == 3 and (
        (data[at] == 0xE2 and data[at + 1] == 0x80 and data[at + 2] <= 0x8A)
        or (data[at] == 0xE3 and data[at + 1] == 0x80)
    ):
        return 3
    return 0


@kernel
def character_before(data, at, start):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the first byte of the character before `at`; -1 at the start of the row."""
    at -= 1
    while at >= start and (data[at] & 0xC0) == 0x80:
        at -= 1
    return at if at >= start else -1


@kernel
def skip_space_back(data, at, start):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the first byte of a blank directly before `at`, or `at`."""
    back = character_before(data, at, start)
    if back >= 0 and space_at(data, back, at) > 0:
        return back
    return at


@kernel
def syllable_at(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the index of the Hangul syllable at `at` (0 for 가), -1 if there is none."""
    if at < 0 or at + 2 >= end or data[at] < 0xEA or data[at] > 0xED:
        return -1
    code = ((data[at] & 0x0F) << 12) | ((data[at + 1] & 0x3F) << 6) | (data[at + 2] & 0x3F)
    return code - 0xAC00 if 0xAC00 <= code <= 0xD7A3 else -1


@kernel
def flags_at(data, at, end, flags):  # type: ignore[no-untyped-def]  # typed by Numba
    index = syllable_at(data, at, end)
    return flags[index] if index >= 0 else 0


@kernel
def _starts_with(data, at, end, word, low, high):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether `word[low:high]` (lower case) is at `at`, in any ASCII case."""
    if at + (high - low) > end:
        return False
    same = True
    for step in range(high - low):
        same = same and lower(data[at + step]) == word[low + step]
    return same


@kernel
def listed_at(data, at, end, words):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether one of `words` is at `at`."""
    text, places, firsts = words
    byte = lower(data[at])
    if not firsts[byte]:
        return False
    for index in range(len(places) - 1):
        low, high = places[index], places[index + 1]
        if text[low] == byte and _starts_with(data, at, end, text, low, high):
            return True
    return False


@kernel
def near(data, at, until, start, end, words):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether one of `words` is near `data[at:until]`."""
    for place in range(max(start, at - NEAR_BEFORE), at):
        if listed_at(data, place, end, words):
            return True
    for place in range(at, min(end, until + NEAR_AFTER)):  # also inside it, without a space
        if listed_at(data, place, end, words):
            return True
    return False


@kernel
def _behind(data, at, start, end, words):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether one of `words` is within 32 bytes before `at`."""
    found = False
    for place in range(max(start, at - 32), at):
        found = found or listed_at(data, place, end, words)
    return found


@kernel
def loose_run(data, at, end, flags):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return (end, numerals, how many of them are Hangul or wide) of a number in any numerals."""
    total, odd, until, gap = 0, 0, at, 0
    while at < end and total < 40:
        byte = data[at]
        if is_digit(byte):
            at += 1
        elif flags_at(data, at, end, flags) & NUMERAL or wide_digit_at(data, at, end):
            at += 3
            odd += 1
        else:
            size = separator_at(data, at, end)
            gap += 1
            if size == 0 or gap > 3:
                break
            at += size
            continue
        total += 1
        gap = 0
        until = at
    return until, total, odd


@kernel
def wide_digit_at(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    return (
        at + 2 < end and data[at] == 0xEF and data[at + 1] == 0xBC and 0x90 <= data[at + 2] <= 0x99
    )


@kernel
def _luhn(data, groups, sizes, count):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether the digits of the first `count` groups pass the Luhn check (ISO/IEC 7812)."""
    total, double = 0, False
    for index in range(count - 1, -1, -1):
        for step in range(sizes[index] - 1, -1, -1):
            value = int(data[groups[index] + step]) - 48
            if double:
                value = value * 2 - 9 if value > 4 else value * 2
            total += value
            double = not double
    return total % 10 == 0


@kernel
def _birth_date(data, at):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether six digits at `at` are YYMMDD."""
    month = (data[at + 2] - 48) * 10 + data[at + 3] - 48
    day = (data[at + 4] - 48) * 10 + data[at + 5] - 48
    return 1 <= month <= 12 and 1 <= day <= 31


@kernel
def _octet(data, at, size):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the number of up to three digits, -1 if there are more or it is above 255."""
    if size > 3:
        return -1
    value = 0
    for step in range(size):
        value = value * 10 + int(data[at + step]) - 48
    return value if value <= 255 else -1


@kernel
def _phone_shape(data, at, count, sizes, before):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether the digit groups at `at` have the lengths of a telephone number."""
    first, second = data[at], data[at + 1] if sizes[0] > 1 else np.uint8(0)
    total = 0
    if before == 40 and sizes[0] == 3 and count > 2 and sizes[1] == 3 and sizes[2] == 4:
        return True  # area code in brackets, then 3 and 4 digits
    if first == 48:  # 0
        if second == 48 and sizes[0] > 3 and data[at + 2] == 56 and data[at + 3] == 50:
            return True  # 0082
        if second == 49 and 10 <= sizes[0] <= 11:
            return True
        for index in range(count):
            total += sizes[index]
            if index > 0 and 9 <= total <= 12 and sizes[index] in (4, 7, 8):
                return True
    elif before == 43:  # +
        for index in range(count):
            total += sizes[index]
            if 8 <= total <= 15:
                return True
    elif first == 56 and second == 50:  # 82
        for index in range(count):
            total += sizes[index]
            if 10 <= total <= 14 and sizes[index] in (4, 7, 8, 11, 12, 13):
                return True
    elif first == 49 and second in (53, 54, 56):  # 15 16 18
        return sizes[0] == 4 and count > 1 and sizes[1] == 4
    return False


@kernel
def _id_shape(data, at, count, groups, sizes):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether the digit groups have the form of an identity, business, licence or card
    number."""
    if (sizes[0] == 6 and count > 1 and sizes[1] == 7) or sizes[0] == 13:
        seventh = data[groups[1]] if sizes[0] == 6 else data[at + 6]
        if 49 <= seventh <= 56 and _birth_date(data, at):
            return True
    if count > 2 and sizes[0] == 3 and sizes[1] == 2 and sizes[2] == 5:
        return True
    if count > 3 and sizes[0] == 2 and sizes[1] == 2 and sizes[2] == 6 and sizes[3] == 2:
        return True
    if count > 2 and sizes[0] == 2 and sizes[1] == 6 and sizes[2] == 2:
        return True
    if sizes[0] == 4 or sizes[0] >= 13:
        total = 0
        for index in range(count):
            total += sizes[index]
            if total > 19:
                break
            if total >= 13 and data[at] >= 50 and _luhn(data, groups, sizes, index + 1):
                return True
    return False


@kernel
def _long_enough(count, sizes):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether the first groups, some number of them, have 8 to 16 digits together."""
    total = 0
    for index in range(count):
        total += sizes[index]
        if 8 <= total <= 16:
            return True
    return False


@kernel
def _plate(data, at, end, flags):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether a plate's syllable and four digits follow at `at`."""
    if at < end:
        at += space_at(data, at, end)
    if at >= end or not flags_at(data, at, end, flags) & PLATE_MARK:
        return False
    at += 3
    if at < end:
        at += space_at(data, at, end)
    if at + 4 > end:
        return False
    for step in range(4):
        if not is_digit(data[at + step]):
            return False
    return at + 4 == end or not is_digit(data[at + 4])


@kernel
def _block_follows(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether the number at `at` is of an apartment block: `104동 1001호`."""
    while at < end and is_digit(data[at]):
        at += 1
    if syllable_at(data, at, end) != BLOCK:
        return False
    at += 3
    if at < end:
        at += space_at(data, at, end)
    return at < end and is_digit(data[at])


@kernel
def _place(data, at, start, end, flags, words):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether a number at `at` may be a house number: after a road, near a region."""
    place = character_before(data, skip_space_back(data, at, start), start)
    if place < 0:
        return False
    if flags_at(data, place, at, flags) & PLACE_MARK:
        if syllable_at(data, place, at) == 0 and not (place > start and is_digit(data[place - 1])):
            return False  # 가 ends the name of a lot only after a digit: 종로3가
    elif not _block_follows(data, at, end):
        return False
    for back in range(max(start, at - 90), place):
        if flags_at(data, back, at, flags) & REGION_MARK:
            return True
    return near(data, max(start, at - 90), at + 4, start, end, words)


@kernel
def number_kinds(data, at, start, end, flags, groups, sizes, words):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return (kinds as bits, end) of the number whose first digit is at `at`."""
    number_words, banks, place_words = words[0], words[1], words[2]
    count, until, dotted = 0, at, 0
    place = at
    while True:
        groups[count] = place
        while place < end and is_digit(data[place]):
            place += 1
        sizes[count] = place - groups[count]
        until = place
        count += 1
        if count == GROUPS or sizes[count - 1] > 24:
            break
        units = 0
        while place < end and units < 3:
            size = separator_at(data, place, end)
            if size == 0:
                break
            place += size
            units += 1
        if units == 0 or place >= end or not is_digit(data[place]):
            break
        if place == until + 1 and data[until] == 46 and dotted == count - 1:
            dotted = count
    kinds = 0
    first_end = at + sizes[0]
    if sizes[0] <= 4:
        if sizes[0] >= 2 and sizes[0] <= 3 and _plate(data, first_end, end, flags):
            kinds |= _PLATE
        if _place(data, at, start, end, flags, place_words):
            kinds |= _PLACE
    if dotted >= 3 and count >= 4:
        octets = True
        for index in range(4):
            octets = octets and _octet(data, groups[index], sizes[index]) >= 0
        first = _octet(data, at, sizes[0])
        if octets and first not in (0, 10, 127) and first < 224:
            kinds |= _IP
    if sizes[0] >= 8 or count > 1:
        before = data[at - 1] if at > start else np.uint8(0)
        if (
            _phone_shape(data, at, count, sizes, before)
            or _id_shape(data, at, count, groups, sizes)
            or (
                _long_enough(count, sizes)
                and (
                    near(data, at, until, start, end, number_words)
                    or (count > 1 and _behind(data, at, start, end, banks))
                )
            )
        ):
            kinds |= _NUMBER
    return kinds, until
