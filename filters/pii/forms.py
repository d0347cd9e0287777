"""The parts of a value that masking keeps: a dialling code, the domain of an address."""

from __future__ import annotations

import re

from filters.pii.entities import HANGUL_DIGITS

_PLAIN = str.maketrans(
    {
        **HANGUL_DIGITS,
        **{chr(0xFF10 + digit): str(digit) for digit in range(10)},
        "O": "0",
        "o": "0",
        "l": "1",
        "I": "1",
    }
)
_MAIL_MARK = re.compile(
    r"[\s]*[(\[{<][\s]*(?:at|@|골뱅이)[\s]*[)\]}>]|@|＠|%40|[\s]*골뱅이|[\s]at[\s]", re.IGNORECASE
)
_AREAS = re.compile(r"2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|50[2-8]|1[016-9]|[78]0")


def digit_positions(value: str) -> list[int]:
    """Return the positions of the digits of a number: ASCII, wide, read out, look-alikes."""
    plain = value.translate(_PLAIN)
    return [position for position, char in enumerate(plain) if "0" <= char <= "9"]


def plain_digits(value: str) -> str:
    """Return the digits of a number in ASCII."""
    return "".join(char for char in value.translate(_PLAIN) if "0" <= char <= "9")


def mail_mark(value: str) -> int:
    """Return the position of the @ of an address, plain or spelled out; -1 without one."""
    found = _MAIL_MARK.search(value)
    return found.start() if found else -1


def dialling_code(value: str) -> int:
    """Return how many digits of a telephone number are its dialling code.

    `010-…` and `02-…` 3 and 2, `+82 10-…` 4, `1588-…` 4, other countries' the country code.
    """
    digits = plain_digits(value)
    if value.lstrip(" (").startswith("+") and not digits.startswith("82"):
        return _country_code(value)
    start = 0
    if digits.startswith("0082"):
        start = 4
    elif digits.startswith("82") and len(digits) > 9:
        start = 2
    if digits[start : start + 1] == "0":
        start += 1
    elif start == 0:
        return 4 if len(digits) == 8 else 3
    area = _AREAS.match(digits, start)
    return area.end() if area else start + 2


def _country_code(value: str) -> int:
    """Return the digits of the country code after a plus: those before the first mark."""
    group = re.match(r"[ (]*\+[ (]*([0-9]{1,3})(?![0-9])", value)
    if group:
        return len(group.group(1))
    digits = plain_digits(value)
    return 1 if digits[0] in "17" else 2
