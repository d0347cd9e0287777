"""Made-up values in the form of real ones: keyed, and stable inside a document.

Digits become digits, letters letters, and marks stay, so the form of the value is kept. The same
value, in any writing, gives the same pseudonym throughout a document and another in other
documents: pseudonyms do not link documents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from filters.pii.entities import (
    ADDRESS,
    API_KEY,
    BRN,
    CARD,
    CRYPTO,
    EMAIL,
    FRN,
    IBAN,
    IP,
    PASSPORT,
    PERSON,
    PHONE,
    PRIVATE_KEY,
    RRN,
    URL_CREDENTIALS,
    VEHICLE,
)
from filters.pii.forms import dialling_code, digit_positions, mail_mark, plain_digits

_CONSONANTS, _VOWELS = "bdghjkmnprst", "aeiou"
_SURNAMES, _GIVEN = "가나다라마바사아자차카타파하", "가나다라마바사아자차카타파하"
_NO_DAYS = ("0230", "0231", "0431", "0631", "0931", "1131")
"""Days that do not exist: resident numbers issued since October 2020 have no other check."""
_READ = "공일이삼사오육칠팔구"
_NO_FORM = frozenset({API_KEY, PRIVATE_KEY, ADDRESS, URL_CREDENTIALS, CRYPTO, IBAN, PASSPORT})
"""Types that are replaced by their tag. Their form is not worth keeping or would name a real place;
where letters are part of the number, they alone would link documents."""


class Pseudonyms:
    """The pseudonyms of one document.

    `key` is the config's secret, `document` the bytes of the document. With an empty key anybody
    who has the document can compute the pseudonyms. The length of a pseudonym does not depend on
    the key, so that an audit, which has no key, can count bytes.
    """

    def __init__(self, key: str, document: bytes | memoryview) -> None:
        secret = hashlib.blake2b(key.encode(), digest_size=32).digest()
        self._key = hashlib.blake2b(document, digest_size=32, key=secret).digest()

    def of(self, value: str, entity: str) -> str:
        """Return the pseudonym of a value."""
        if entity in _NO_FORM:
            return f"<{entity}>"
        if entity == EMAIL:
            mark = mail_mark(value)
            return self._name(value[:mark], entity) + value[mark:]
        if entity == PERSON:
            draw = self._draws(value, entity)
            return _SURNAMES[next(draw) % 14] + "".join(_GIVEN[next(draw) % 14] for _ in value[1:])
        if entity == IP:
            draw = self._draws(value, entity)
            if ":" in value:
                return f"2001:db8::{next(draw):04x}"  # RFC 3849
            ends = [100 + next(draw) % 156 for _ in range(2)]
            return f"198.{18 + next(draw) % 2}.{ends[0]}.{ends[1]}"  # RFC 2544
        return self._number(value, entity)

    def _number(self, value: str, entity: str) -> str:
        """Return `value` with other digits; dates and checks of the type are made invalid."""
        old = plain_digits(value)
        kept = dialling_code(value) if entity == PHONE else 0
        draw = self._draws(old[kept:] if kept else value.casefold(), entity)
        new = old[:kept] + "".join(str(next(draw) % 10) for _ in old[kept:])
        if entity == PHONE:
            new = new[:kept] + "0" + new[kept + 1 :]  # subscriber numbers do not begin with 0
        elif entity in (RRN, FRN):
            new = f"{new[:2]}{_NO_DAYS[next(draw) % len(_NO_DAYS)]}{old[6]}{new[7:]}"
        elif entity == CARD:
            new = _off_by_one(old[0] + new[1:])
        elif entity == BRN:
            new = _no_business(new)
        result = list(value)
        for position, digit in zip(digit_positions(value), new, strict=True):
            char = value[position]
            if char in "OolI" or (entity == VEHICLE and char >= "가"):  # 오 of a plate is a letter
                continue
            result[position] = _READ[int(digit)] if char >= "가" and char <= "힣" else digit
        return "".join(result)

    def _name(self, value: str, entity: str) -> str:
        """Return eight letters, consonants and vowels in turn."""
        draw = self._draws(value.casefold(), entity)
        return "".join(
            _VOWELS[next(draw) % 5] if index % 2 else _CONSONANTS[next(draw) % 12]
            for index in range(8)
        )

    def _draws(self, value: str, entity: str) -> Iterator[int]:
        """Yield numbers below 2**16 without end, derived from the value."""
        seed = f"{entity}\0{value}".encode()
        block = 0
        while True:
            digest = hashlib.blake2b(
                seed + block.to_bytes(4, "big"), digest_size=64, key=self._key
            ).digest()
            for at in range(0, 64, 2):
                yield int.from_bytes(digest[at : at + 2], "big")
            block += 1


def _off_by_one(digits: str) -> str:
    """Return `digits` with the last one changed to fail the Luhn check: no card has such a
    number."""
    total = 0
    for index, digit in enumerate(reversed(digits[:-1])):
        value = int(digit) * (2 if index % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return digits[:-1] + str((10 - total % 10 + 1) % 10)


def _no_business(digits: str) -> str:
    """Return `digits` with the last one changed to fail the check of business numbers.

    The National Tax Service's check: weights 1 3 7 1 3 7 1 3 5, and the tens of the last product.
    """
    weighed = sum(int(d) * w for d, w in zip(digits, (1, 3, 7, 1, 3, 7, 1, 3, 5), strict=False))
    right = (10 - (weighed + int(digits[8]) * 5 // 10) % 10) % 10
    return digits[:-1] + str((right + 1) % 10)
