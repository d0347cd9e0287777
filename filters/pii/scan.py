"""One pass over the bytes of a column: where a value of any kind might be.

Every trigger here is a necessary condition for what the recognisers accept, so a place
without one holds nothing for them. The pass is linear: it looks back and ahead by bounded
amounts only. `prefilter` turns triggers into windows.
"""

from __future__ import annotations

import numpy as np

from filters.kernels import kernel
from filters.pii.entities import ADDRESS_IP, CODE, MAIL, NAME, NUMBER, PLACE, PLATE, SECRET

_MAIL, _NUMBER, _PLACE, _PLATE = 1 << MAIL, 1 << NUMBER, 1 << PLACE, 1 << PLATE
_CODE, _IP, _SECRET, _NAME = 1 << CODE, 1 << ADDRESS_IP, 1 << SECRET, 1 << NAME

NUMERAL, PLATE_MARK, PLACE_MARK, REGION_MARK = 1, 2, 4, 8
"""What a Hangul syllable can be: a numeral read out, a plate's letter, the end of a road or a
lot name, the end of a region's name."""
NEAR_BEFORE, NEAR_AFTER = 168, 88
"""Bytes around a trigger in which a context word counts: no less than the recognisers take."""
KEY_BLOCK = 40_000
"""Bytes that a private key block may have, BEGIN to END."""

AT_SIGN = ord("골") - 0xAC00
"""골뱅이, a snail, is how Koreans call the @."""

BLOCK = ord("동") - 0xAC00

_GROUPS = 8


@kernel
def _digit(byte):  # type: ignore[no-untyped-def]  # typed by Numba
    return 48 <= byte <= 57


@kernel
def _letter(byte):  # type: ignore[no-untyped-def]  # typed by Numba
    return 65 <= byte <= 90 or 97 <= byte <= 122


@kernel
def _word(byte):  # type: ignore[no-untyped-def]  # typed by Numba
    return 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122


@kernel
def _lower(byte):  # type: ignore[no-untyped-def]  # typed by Numba
    return byte + 32 if 65 <= byte <= 90 else byte


@kernel
def _separator(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the bytes of the separator at `at`, 0 if there is none.

    ASCII ones, and what `prefilter.PLAIN` turns into them: dashes, dots, wide spaces.
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
def _space(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the bytes of the blank at `at` (space, tab, no-break or wide space), 0 if none."""
    if data[at] in (32, 9):
        return 1
    size = _separator(data, at, end)
    if size == 2 and data[at + 1] == 0xA0:
        return 2
    if size == 3 and (
        (data[at] == 0xE2 and data[at + 1] == 0x80 and data[at + 2] <= 0x8A)
        or (data[at] == 0xE3 and data[at + 1] == 0x80)
    ):
        return 3
    return 0


@kernel
def _before(data, at, start):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return where the character before `at` begins; -1 at the start of the row."""
    at -= 1
    while at >= start and (data[at] & 0xC0) == 0x80:
        at -= 1
    return at if at >= start else -1


@kernel
def _skip_space_back(data, at, start):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return `at`, or where the one blank before it begins."""
    back = _before(data, at, start)
    if back >= 0 and _space(data, back, at) > 0:
        return back
    return at


@kernel
def _syllable(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the index of the Hangul syllable at `at` (0 for 가), -1 if there is none."""
    if at < 0 or at + 2 >= end or data[at] < 0xEA or data[at] > 0xED:
        return -1
    code = ((data[at] & 0x0F) << 12) | ((data[at + 1] & 0x3F) << 6) | (data[at + 2] & 0x3F)
    return code - 0xAC00 if 0xAC00 <= code <= 0xD7A3 else -1


@kernel
def _flags_at(data, at, end, flags):  # type: ignore[no-untyped-def]  # typed by Numba
    index = _syllable(data, at, end)
    return flags[index] if index >= 0 else 0


@kernel
def _starts_with(data, at, end, word, low, high):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether `word[low:high]` (lower case) stands at `at`, ASCII case aside."""
    if at + (high - low) > end:
        return False
    same = True
    for step in range(high - low):
        same = same and _lower(data[at + step]) == word[low + step]
    return same


@kernel
def _word_at(data, at, end, words):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether one of `words` stands at `at`."""
    text, places, firsts = words
    byte = _lower(data[at])
    if not firsts[byte]:
        return False
    for index in range(len(places) - 1):
        low, high = places[index], places[index + 1]
        if text[low] == byte and _starts_with(data, at, end, text, low, high):
            return True
    return False


@kernel
def _near(data, at, until, start, end, words):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether one of `words` stands near `data[at:until]`."""
    for place in range(max(start, at - NEAR_BEFORE), at):
        if _word_at(data, place, end, words):
            return True
    for place in range(at, min(end, until + NEAR_AFTER)):  # glued words lie inside too
        if _word_at(data, place, end, words):
            return True
    return False


@kernel
def _loose_run(data, at, end, flags):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return (end, numerals, of them Hangul or wide) of a number written with any numerals."""
    total, odd, until, gap = 0, 0, at, 0
    while at < end and total < 40:
        byte = data[at]
        if _digit(byte):
            at += 1
        elif _flags_at(data, at, end, flags) & NUMERAL or _wide_digit(data, at, end):
            at += 3
            odd += 1
        else:
            size = _separator(data, at, end)
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
def _wide_digit(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
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
    if size > 3:
        return False
    value = 0
    for step in range(size):
        value = value * 10 + int(data[at + step]) - 48
    return value <= 255


@kernel
def _phone_shape(data, at, count, sizes, before):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether the digit groups at `at` have the lengths of a telephone number."""
    first, second = data[at], data[at + 1] if sizes[0] > 1 else np.uint8(0)
    total = 0
    if before == 40 and sizes[0] == 3 and count > 2 and sizes[1] == 3 and sizes[2] == 4:
        return True  # (NXX) NXX-XXXX
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
    """Return whether the digit groups are an identity, business, licence or card number's."""
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
    """Return whether some first groups have 8 to 16 digits together."""
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
        at += _space(data, at, end)
    if at >= end or not _flags_at(data, at, end, flags) & PLATE_MARK:
        return False
    at += 3
    if at < end:
        at += _space(data, at, end)
    if at + 4 > end:
        return False
    for step in range(4):
        if not _digit(data[at + step]):
            return False
    return at + 4 == end or not _digit(data[at + 4])


@kernel
def _block_follows(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether the number at `at` is that of an apartment block: `104동 1001호`."""
    while at < end and _digit(data[at]):
        at += 1
    if _syllable(data, at, end) != BLOCK:
        return False
    at += 3
    if at < end:
        at += _space(data, at, end)
    return at < end and _digit(data[at])


@kernel
def _place(data, at, start, end, flags, words):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether a number at `at` may be a house number: a road before it, a region near."""
    place = _before(data, _skip_space_back(data, at, start), start)
    if place < 0:
        return False
    if not _flags_at(data, place, at, flags) & PLACE_MARK and not _block_follows(data, at, end):
        return False
    for back in range(max(start, at - 90), place):
        if _flags_at(data, back, at, flags) & REGION_MARK:
            return True
    return _near(data, max(start, at - 90), at + 4, start, end, words)


@kernel
def _number(data, at, start, end, flags, groups, sizes, number_words, place_words):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return (kinds as bits, end) of the number whose first digit is at `at`."""
    count, until, dotted = 0, at, 0
    place = at
    while True:
        groups[count] = place
        while place < end and _digit(data[place]):
            place += 1
        sizes[count] = place - groups[count]
        until = place
        count += 1
        if count == _GROUPS or sizes[count - 1] > 24:
            break
        units = 0
        while place < end and units < 3:
            size = _separator(data, place, end)
            if size == 0:
                break
            place += size
            units += 1
        if units == 0 or place >= end or not _digit(data[place]):
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
            octets = octets and _octet(data, groups[index], sizes[index])
        if octets:
            kinds |= _IP
    if sizes[0] >= 8 or count > 1:
        before = data[at - 1] if at > start else np.uint8(0)
        if (
            _phone_shape(data, at, count, sizes, before)
            or _id_shape(data, at, count, groups, sizes)
            or (_long_enough(count, sizes) and _near(data, at, until, start, end, number_words))
        ):
            kinds |= _NUMBER
    return kinds, until


@kernel
def _domain_follows(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether a label and then a dot, plain or spelled out, follow at `at`."""
    if at < end:
        at += _space(data, at, end)
    label = at
    while at < end and at - label < 64 and (_word(data[at]) or data[at] == 45):
        at += 1
    if at == label or at >= end:
        return False
    at += _space(data, at, end)
    if at >= end:
        return False
    if data[at] == 46:
        at += 1
        return at < end and (_word(data[at]) or _space(data, at, end) > 0)
    return data[at] in (40, 60, 68, 91, 100, 123) or data[at] >= 0xEA  # ( < D [ d { or Hangul


@kernel
def _inside_url(data, at, start):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether `://` stands before `at`, no blank between."""
    for back in range(at - 1, max(start, at - 200), -1):
        byte = data[back]
        if byte <= 32 or byte == 34:
            return False
        if byte == 47 and back - 2 >= start and data[back - 1] == 47 and data[back - 2] == 58:
            return True
    return False


@kernel
def _mail_at(data, at, size, start, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether the @ of `size` bytes at `at` may be an address's or a credential's."""
    if at == start or at + size >= end:
        return False
    before, after = data[at - 1], data[at + size]
    if _word(before) or before in (43, 45, 46, 95):
        if _word(after) and _domain_follows(data, at + size, end):
            return True
    elif before in (40, 60, 91, 123) or _space(data, at + size, end) > 0:  # "( @ )" and " @ "
        return True
    return _inside_url(data, at, start)


@kernel
def _key_block_end(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the end of the private key block that begins at `at`, 0 if none does."""
    limit = min(end, at + 80)
    place = at + 11
    while place + 11 <= limit and not (
        data[place] == 80  # PRIVATE KEY
        and data[place + 1] == 82
        and data[place + 2] == 73
        and data[place + 8] == 75
        and data[place + 9] == 69
    ):
        if data[place] == 10:
            return 0
        place += 1
    if place + 11 > limit:
        return 0
    first = place
    for place in range(first, min(end - 8, at + KEY_BLOCK)):
        if data[place] == 45 and data[place + 1] == 45 and data[place + 4] == 45:
            if data[place + 5] == 69 and data[place + 6] == 78 and data[place + 7] == 68:
                return min(end, place + 64)  # -----END
            if data[place + 5] == 66 and data[place + 6] == 69:
                break  # the next BEGIN
    return min(end, first + 16)


@kernel
def _secret_value(data, at, start, end, words):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the end of a long token at `at` with letters and digits and a telling name before."""
    until, digits, letters = at, 0, 0
    while until < end and until - at < 220:
        byte = data[until]
        if _digit(byte):
            digits += 1
        elif _letter(byte):
            letters += 1
        elif byte not in (43, 45, 46, 47, 61, 95, 126):  # + - . / = _ ~
            break
        until += 1
    if until - at < 20 or digits == 0 or letters == 0:
        return 0
    for place in range(max(start, at - NEAR_BEFORE), at):
        if _word_at(data, place, end, words):
            return until
    return 0


@kernel
def _name_token(data, at, until, end, passport_words, start):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return CODE's bit if the word may be an IBAN's start, a wallet or a passport number."""
    size = until - at
    first = data[at]
    if 26 <= size <= 62 and (first in (49, 51) or _lower(first) == 98):
        return _CODE
    if size == 9 and _lower(first) in (109, 115, 114, 111, 100, 103):
        tail = True
        for step in range(1, 9):
            tail = tail and (_digit(data[at + step]) or step == 4)
        if tail and _near(data, at, until, start, end, passport_words):
            return _CODE
    if (
        size >= 4
        and 65 <= first <= 90
        and 65 <= data[at + 1] <= 90
        and _digit(data[at + 2])
        and _digit(data[at + 3])
    ):
        if size >= 12:
            return _CODE
        if size in (4, 8) and until + 5 <= end and data[until] in (32, 45):
            group = True
            for step in range(1, 5):
                byte = data[until + step]
                group = group and (_digit(byte) or 65 <= byte <= 90)
            if group:
                return _CODE
    return 0


@kernel
def _look_alike(data, at, until, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether the word is a mobile code with O for 0 or l for 1, digits to follow."""
    size = until - at
    if size != 3 and (size < 10 or size > 11):
        return False
    odd = 0
    for step in range(size):
        byte = data[at + step]
        if byte in (79, 111, 108, 73):  # O o l I
            odd += 1
        elif not _digit(byte):
            return False
    if odd == 0 or data[at] not in (48, 79, 111) or data[at + 1] not in (49, 108, 73):
        return False
    if size > 3:
        return True
    if until + 1 < end:
        until += _separator(data, until, end)
    return until + 4 < end and (_digit(data[until]) or data[until] in (32, 79, 111))


@kernel
def triggers(data, offsets, wanted, classes, flags, words):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return int64 [n, 4]: row, start, end (bytes of `data`), kinds as bits, in order.

    `wanted` are the kinds to look for, as bits. `classes` is 256 byte classes (see
    `prefilter`), `flags` what each Hangul syllable can be, `words` packed lists: near
    numbers, near places, near passports, near secrets, key prefixes, name labels.
    """
    number_words, place_words, passport_words, secret_words, prefixes, labels = words
    found = np.empty((1024, 4), np.int64)
    count = 0
    groups = np.empty(_GROUPS, np.int64)
    sizes = np.empty(_GROUPS, np.int64)
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        at = start
        while at < end:
            byte = data[at]
            kind = classes[byte]
            if kind == 0:
                at += 1
                continue
            kinds, low, high, following = 0, at, at + 1, at + 1
            if kind == 1:  # a digit or a letter: the whole word
                until = at + 1
                digits = 1 if _digit(byte) else 0
                while until < end and _word(data[until]):
                    digits += _digit(data[until])
                    until += 1
                following = until
                size = until - at
                high = until
                if digits == size:
                    kinds, high = _number(
                        data, at, start, end, flags, groups, sizes, number_words, place_words
                    )
                    if 26 <= size <= 62:
                        kinds |= _CODE
                elif digits > 0:
                    tail = until
                    while _digit(data[tail - 1]):
                        tail -= 1
                    if tail < until and tail - at <= 6:
                        kinds, high = _number(
                            data, tail, start, end, flags, groups, sizes, number_words, place_words
                        )
                        kinds &= _NUMBER | _PLATE
                    if _digit(byte):
                        more, further = _number(
                            data, at, start, end, flags, groups, sizes, number_words, place_words
                        )
                        kinds |= more
                        high = max(high, further)
                    kinds |= _name_token(data, at, until, end, passport_words, start)
                    if _look_alike(data, at, until, end):
                        kinds |= _NUMBER
                elif (26 <= size <= 62) and _lower(byte) == 98:
                    kinds |= _CODE
                elif size == 3:
                    if (
                        _lower(byte) == 100
                        and data[at + 1] | 32 == 111
                        and data[at + 2] | 32 == 116
                    ):
                        for back in range(max(start, at - 72), at - 3):  # "kim at naver dot com"
                            if (
                                data[back] <= 32
                                and data[back + 1] | 32 == 97
                                and data[back + 2] | 32 == 116
                                and data[back + 3] <= 32
                            ):
                                kinds |= _MAIL
                    elif _look_alike(data, at, until, end):
                        kinds |= _NUMBER
                elif size <= 5 and at > start and data[at - 1] == 45:
                    last = data[until - 1] | 32
                    if (
                        (size == 2 and byte | 32 == 114 and last == 111)  # -ro
                        or (size == 5 and byte | 32 == 100 and last == 111)  # -daero
                    ):
                        kinds |= _PLACE
                if size == 3 and at > start and data[at - 1] == 45 and byte | 32 == 103:
                    kinds |= _PLACE  # -gil
                if _word_at(data, at, end, prefixes):
                    kinds |= _SECRET
                if size == 4 and 50 <= byte <= 51 and until < end and data[until] == 58:
                    kinds |= _IP  # 2000::/3, the global unicast addresses
            elif kind == 2:  # " ' =
                if wanted & _SECRET:
                    until = _secret_value(data, at + 1, start, end, secret_words)
                    if until > 0:
                        kinds, high = _SECRET, until
            elif kind == 3:  # Hangul
                mark = _flags_at(data, at, end, flags)
                following = at + 3
                high = at + 3
                if mark & NUMERAL:
                    until, total, odd = _loose_run(data, at, end, flags)
                    if odd >= 4 or (odd >= 2 and total >= 6):
                        kinds, high = _NUMBER, until
                        following = until
                if _syllable(data, at, end) == AT_SIGN and _syllable(data, at + 3, end) >= 0:
                    kinds |= _MAIL
                if wanted & _NAME and _word_at(data, at, end, labels):
                    kinds |= _NAME
            elif byte == 64:  # @
                if _mail_at(data, at, 1, start, end):
                    kinds = _MAIL
            elif byte == 37:  # %40
                if (
                    at + 2 < end
                    and data[at + 1] == 52
                    and data[at + 2] == 48
                    and _mail_at(data, at, 3, start, end)
                ):
                    kinds, high = _MAIL, at + 3
            elif byte == 45:  # -----BEGIN
                if (
                    at + 30 < end
                    and data[at + 1] == 45
                    and data[at + 4] == 45
                    and data[at + 5] == 66
                    and data[at + 6] == 69
                    and data[at + 7] == 71
                ):
                    until = _key_block_end(data, at, end)
                    if until > 0:
                        kinds, high = _SECRET, until
            elif byte == 0xEF:  # a wide digit or @
                following = at + 3
                if at + 2 < end and data[at + 1] == 0xBC and data[at + 2] == 0xA0:
                    kinds, high = _MAIL, at + 3
                elif _wide_digit(data, at, end):
                    until, total, odd = _loose_run(data, at, end, flags)
                    following = max(at + 3, until)
                    high = following
                    kinds = _PLACE | _PLATE
                    if total >= 4:
                        kinds |= _NUMBER | _IP | _CODE
            else:  # ( [ { <
                place = at + 1
                if place < end:
                    place += _space(data, place, end)
                if place + 2 < end and data[place] | 32 == 97 and data[place + 1] | 32 == 116:
                    place += 2
                    if place < end:
                        place += _space(data, place, end)
                    if place < end and data[place] in (41, 62, 93, 125):
                        kinds, high = _MAIL, place + 1
            kinds &= wanted
            if kinds:
                if count == len(found):
                    larger = np.empty((2 * count, 4), np.int64)
                    larger[:count] = found
                    found = larger
                found[count, 0] = row
                found[count, 1] = low
                found[count, 2] = high
                found[count, 3] = kinds
                count += 1
            at = following
    return found[:count].copy()
