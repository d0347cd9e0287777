"""One pass over the bytes of a column: triggers, where a value of some kind may be.

Every trigger is a necessary condition of what the recognisers accept, so they find nothing where
there is no trigger. The pass is linear: it looks back and ahead by bounded amounts. `prefilter`
turns triggers into windows.
"""

from __future__ import annotations

import numpy as np

from filters.columnar.kernels import kernel
from filters.pii.entities import ADDRESS_IP, CODE, MAIL, NAME, NUMBER, PLACE, PLATE, SECRET
from filters.pii.shapes import (
    GROUPS,
    NEAR_BEFORE,
    NUMERAL,
    character_before,
    flags_at,
    is_digit,
    is_letter,
    is_word,
    listed_at,
    loose_run,
    lower,
    near,
    number_kinds,
    separator_at,
    skip_space_back,
    space_at,
    syllable_at,
    wide_digit_at,
)

_MAIL, _NUMBER, _PLACE, _PLATE = 1 << MAIL, 1 << NUMBER, 1 << PLACE, 1 << PLATE
_CODE, _IP, _SECRET, _NAME = 1 << CODE, 1 << ADDRESS_IP, 1 << SECRET, 1 << NAME

KEY_BLOCK = 40_000
"""Bytes of a private key block, BEGIN to END, at most."""
AT_SIGN = ord("골") - 0xAC00
"""Of 골뱅이 (snail), the Korean name of the @."""


@kernel
def _domain_follows(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether a label and then a dot, plain or spelled out, follow at `at`."""
    if at < end:
        at += space_at(data, at, end)
    label = at
    while at < end and at - label < 64 and (is_word(data[at]) or data[at] == 45):
        at += 1
    if at == label or at >= end:
        return False
    at += space_at(data, at, end)
    if at >= end:
        return False
    if data[at] == 46:
        at += 1
        return at < end and (is_word(data[at]) or space_at(data, at, end) > 0)
    return data[at] in (40, 60, 68, 91, 100, 123) or data[at] >= 0xEA  # ( < D [ d { or Hangul


@kernel
def _inside_url(data, at, start):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether `://` precedes `at`, without a blank between."""
    for back in range(at - 1, max(start, at - 200), -1):
        byte = data[back]
        if byte <= 32 or byte == 34:
            return False
        if byte == 47 and back - 2 >= start and data[back - 1] == 47 and data[back - 2] == 58:
            return True
    return False


@kernel
def _mail_at(data, at, size, start, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether the @ of `size` bytes at `at` may belong to an address or a credential."""
    if at == start or at + size >= end:
        return False
    before, after = data[at - 1], data[at + size]
    if is_word(before) or before in (43, 45, 46, 95):
        if is_word(after) and _domain_follows(data, at + size, end):
            return True
    else:  # "( @ )" and " @ "
        back = character_before(data, skip_space_back(data, at, start), start)
        place = at + size + space_at(data, at + size, end)
        if back >= 0 and place < end:
            if data[back] in (40, 60, 91, 123) and data[place] in (41, 62, 93, 125):
                return True
            if back < at - 1 and place > at + size and (is_word(data[back]) or data[back] == 95):
                return _domain_follows(data, place, end)
    return _inside_url(data, at, start)


@kernel
def _key_block_end(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the end of the private key block that begins at `at`, 0 if there is none."""
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
    """Return the end of a long token at `at`, of letters and digits, with one of `words` before
    it."""
    until, digits, letters = at, 0, 0
    while until < end and until - at < 220:
        byte = data[until]
        if is_digit(byte):
            digits += 1
        elif is_letter(byte):
            letters += 1
        elif byte not in (43, 45, 46, 47, 61, 95, 126):  # + - . / = _ ~
            break
        until += 1
    if until - at < 20 or digits == 0 or letters == 0:
        return 0
    for place in range(max(start, at - NEAR_BEFORE), at):
        if listed_at(data, place, end, words):
            return until
    return 0


@kernel
def _wallet(data, at, size):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether a word has the form of a Bitcoin address, in base58 or bech32."""
    first = data[at]
    if first | 32 == 98:
        return 28 <= size <= 62 and data[at + 1] | 32 == 99 and data[at + 2] == 49  # bc1
    if first not in (49, 51) or not 26 <= size <= 35:
        return False
    base58 = True
    for step in range(size):
        base58 = base58 and data[at + step] not in (48, 73, 79, 108)  # 0 I O l
    return base58


@kernel
def _name_token(data, at, until, end, passport_words, start):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the bit of CODE if the word may begin an IBAN, or be a wallet or a passport number."""
    size = until - at
    first = data[at]
    if _wallet(data, at, size):
        return _CODE
    if size == 9 and lower(first) in (109, 115, 114, 111, 100, 103):
        tail = True
        for step in range(1, 9):
            tail = tail and (is_digit(data[at + step]) or step == 4)
        if tail and near(data, at, until, start, end, passport_words):
            return _CODE
    if (
        size >= 4
        and 65 <= first <= 90
        and 65 <= data[at + 1] <= 90
        and is_digit(data[at + 2])
        and is_digit(data[at + 3])
    ):
        if size >= 12:
            return _CODE
        if size in (4, 8) and until + 5 <= end and data[until] in (32, 45):
            group = True
            for step in range(1, 5):
                byte = data[until + step]
                group = group and (is_digit(byte) or 65 <= byte <= 90)
            if group:
                return _CODE
    return 0


@kernel
def _look_alike(data, at, until, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether the word is a mobile code with O for 0 or l for 1, before digits."""
    size = until - at
    if size != 3 and (size < 10 or size > 11):
        return False
    odd = 0
    for step in range(size):
        byte = data[at + step]
        if byte in (79, 111, 108, 73):  # O o l I
            odd += 1
        elif not is_digit(byte):
            return False
    if odd == 0 or data[at] not in (48, 79, 111) or data[at + 1] not in (49, 108, 73):
        return False
    if size > 3:
        return True
    if until + 1 < end:
        until += separator_at(data, until, end)
    return until + 4 < end and (is_digit(data[until]) or data[until] in (32, 79, 111))


@kernel
def triggers(data, offsets, wanted, classes, flags, words):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return int64 [n, 4]: row, start, end (bytes of `data`), kinds as bits, in order.

    `wanted` are the kinds to look for, as bits. `classes` is 256 byte classes (see
    `prefilter`), `flags` what each Hangul syllable can be, `words` packed lists:
    context of numbers, banks, context of places, of passports, of secrets, key prefixes, labels of
    names.
    """
    passport_words, secret_words, prefixes, labels = words[3], words[4], words[5], words[6]
    found = np.empty((1024, 4), np.int64)
    count = 0
    groups = np.empty(GROUPS, np.int64)
    sizes = np.empty(GROUPS, np.int64)
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
                digits = 1 if is_digit(byte) else 0
                while until < end and is_word(data[until]):
                    digits += is_digit(data[until])
                    until += 1
                following = until
                size = until - at
                high = until
                if digits == size:
                    kinds, high = number_kinds(data, at, start, end, flags, groups, sizes, words)
                    if _wallet(data, at, size):
                        kinds |= _CODE
                elif digits > 0:
                    tail = until
                    while is_digit(data[tail - 1]):
                        tail -= 1
                    if tail < until and tail - at <= 6:
                        kinds, high = number_kinds(
                            data, tail, start, end, flags, groups, sizes, words
                        )
                        kinds &= _NUMBER | _PLATE
                    if is_digit(byte):
                        more, further = number_kinds(
                            data, at, start, end, flags, groups, sizes, words
                        )
                        kinds |= more
                        high = max(high, further)
                    kinds |= _name_token(data, at, until, end, passport_words, start)
                    if _look_alike(data, at, until, end):
                        kinds |= _NUMBER
                elif size == 3:
                    if lower(byte) == 100 and data[at + 1] | 32 == 111 and data[at + 2] | 32 == 116:
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
                if listed_at(data, at, end, prefixes):
                    kinds |= _SECRET
                if size == 4 and 50 <= byte <= 51 and until < end and data[until] == 58:
                    kinds |= _IP  # 2000::/3, the global unicast addresses
            elif kind == 2:  # " ' = : >
                blank = at + 1 < end and data[at + 1] in (32, 9)
                # a blank may follow = and :, and must follow : (else it may be a URL's)
                if wanted & _SECRET and (byte == 61 or blank == (byte == 58)):
                    until = _secret_value(data, at + 1 + blank, start, end, secret_words)
                    if until > 0:
                        kinds, high = _SECRET, until
            elif kind == 3:  # Hangul
                mark = flags_at(data, at, end, flags)
                following = at + 3
                high = at + 3
                if mark & NUMERAL:
                    until, total, odd = loose_run(data, at, end, flags)
                    if odd >= 4 or (odd >= 2 and total >= 6):
                        kinds, high = _NUMBER, until
                        following = until
                if syllable_at(data, at, end) == AT_SIGN and syllable_at(data, at + 3, end) >= 0:
                    kinds |= _MAIL
                if wanted & _NAME and listed_at(data, at, end, labels):
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
                elif wide_digit_at(data, at, end):
                    until, total, odd = loose_run(data, at, end, flags)
                    following = max(at + 3, until)
                    high = following
                    kinds = _PLACE | _PLATE | _NUMBER | _IP | _CODE
            else:  # ( [ { <
                place = at + 1
                if place < end:
                    place += space_at(data, place, end)
                if place + 2 < end and data[place] | 32 == 97 and data[place + 1] | 32 == 116:
                    place += 2
                    if place < end:
                        place += space_at(data, place, end)
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
