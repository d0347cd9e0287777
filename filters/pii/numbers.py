"""Numbers that identify a person, without telephones: identity, business, card, account, plate."""

from __future__ import annotations

import re
from datetime import date

from filters.pii.entities import (
    ACCOUNT,
    ACCOUNT_WORDS,
    BANKS,
    BRN,
    BRN_WORDS,
    CARD,
    CARD_WORDS,
    FAIR,
    FRN,
    FRN_WORDS,
    LICENCE,
    LICENCE_WORDS,
    PLATE_SYLLABLES,
    RRN,
    RRN_WORDS,
    STRONG,
    VEHICLE,
    VEHICLE_WORDS,
    WEAK,
)
from filters.pii.finder import (
    NOT_AFTER_NUMBER,
    NOT_BEFORE_NUMBER,
    READ_OUT,
    SPOKEN,
    Finder,
    Shape,
    Verdict,
    digits_of,
    is_read_out,
    words,
)


def _resident(value: str) -> Verdict:
    """Reject impossible dates; a valid checksum (issued before October 2020) makes it certain."""
    digits = digits_of(value)
    century = {"1": 1900, "2": 1900, "5": 1900, "6": 1900}.get(digits[6], 2000)
    try:
        date(century + int(digits[:2]), int(digits[2:4]), int(digits[4:6]))
    except ValueError:
        return Verdict.REJECT
    return Verdict.CERTAIN


def _resident_read_out(value: str) -> Verdict:
    return _resident(value) if is_read_out(value) else Verdict.REJECT


def _business(value: str) -> Verdict:
    """Ask for context around ten bare digits; Presidio rejects wrong checksums."""
    return Verdict.WEAK if value.isdigit() else Verdict.CERTAIN


_LICENCE_REGIONS = words("11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 28")


def _licence(value: str) -> Verdict:
    """Reject unknown region codes; without hyphens it may be a time stamp and needs context."""
    if not value[0].isdigit():
        return Verdict.SHAPE
    if digits_of(value)[:2] not in _LICENCE_REGIONS:
        return Verdict.REJECT
    return Verdict.CERTAIN if value.count("-") >= 3 else Verdict.WEAK


_ISSUERS = re.compile(
    r"(?:4(?:.{15}|.{18})|5[1-5].{14}|2(?:22[1-9]|2[3-9].|[3-6]..|7[01].|720).{12}|3[47].{13}"
    r"|3(?:0[0-5].|[68]..|5(?:2[89]|[3-8].)).{12}|3(?:0[0-5]|[68].).{11}|6(?:011|4[4-9].|5..).{12}"
    r"|62.{14,17}|9.{15})$"
)
"""Issuer ranges and lengths of ISO/IEC 7812 in use (Visa, Mastercard, Amex, JCB and Diners,
Discover, UnionPay; 9 is Korea's own)."""


def _card(value: str) -> Verdict:
    """Reject numbers of no issuer; Presidio checks Luhn. Bare digits keep the score of their
    shape."""
    digits = digits_of(value)
    if not _ISSUERS.match(digits) or len(set(digits)) < 2:
        return Verdict.REJECT
    if value.isdigit():
        return Verdict.REJECT if digits[0] == "9" else Verdict.SHAPE
    return Verdict.CERTAIN


_DATE = re.compile(r"(?:19|20)[0-9]{2}[-./ ]?(?:0[1-9]|1[0-2])[-./ ]?(?:0[1-9]|[12][0-9]|3[01])")


_YEAR = re.compile(r"(?:19|20)[0-9]{2}")


def _account(value: str) -> Verdict:
    """Accept 10 to 16 digits that are not a date, a list of years or a row of pairs."""
    digits = digits_of(value)
    if not 10 <= len(digits) <= 16 or _DATE.match(value) or len(set(digits)) < 3:
        return Verdict.REJECT
    groups = re.split(r"[- \t]", value)
    if len(groups) > 1 and (all(_YEAR.fullmatch(g) for g in groups) or {*map(len, groups)} == {2}):
        return Verdict.REJECT  # years, or a row of a table
    return Verdict.SHAPE


_UNITS = frozenset("도배호자구수로무고다보주아조나오부서거")


def _vehicle(value: str) -> Verdict:
    """Ask for context where the syllable is also a counter (12도 3000)."""
    return Verdict.WEAK if value.strip("0123456789 \t") in _UNITS else Verdict.SHAPE


_BIRTH = r"[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"


_NOT_OF_A_PERSON = (
    r"(?<!(?:법인(?:등록)?|계약|주문|접수|발주|증권|문서|송장|등기|사건|관리|상품)(?:번호|코드)"
    r"[ \t:：\[(]{0,4})"
)
"""Numbers of corporations begin with their registry (110111 is Seoul), others with a date."""


def _resident_shapes(first: str) -> tuple[Shape, ...]:
    head = rf"{_NOT_OF_A_PERSON}{NOT_AFTER_NUMBER}{_BIRTH}[ \t]?"
    tail = rf"[{first}][0-9]{{6}}{NOT_BEFORE_NUMBER}"
    return (
        Shape("marked", rf"{head}[-~_./][ \t]?{tail}", STRONG),
        Shape("bare", rf"{head}{tail}", WEAK),
    )


def _resident_read_shapes(first: str) -> tuple[Shape, ...]:
    return (
        Shape(
            "read out",
            rf"(?<![0-9])(?:{SPOKEN}){{6}}(?:[-~.][ \t]?|다시[ \t]?)?(?=[{first}])"
            rf"(?:{SPOKEN}){{6}}{READ_OUT}(?![0-9])",
            STRONG,
        ),
    )


RESIDENT = Finder(RRN, _resident_shapes("1-4"), RRN_WORDS, _resident, "KrRrnRecognizer", digits_of)
RESIDENT_READ_OUT = Finder(
    RRN,
    _resident_read_shapes("1-4일이삼사"),
    RRN_WORDS,
    _resident_read_out,
    "KrRrnRecognizer",
    digits_of,
)
FOREIGNER = Finder(
    FRN,
    _resident_shapes("5-8"),
    (*FRN_WORDS, *RRN_WORDS),
    _resident,
    "KrFrnRecognizer",
    digits_of,
)
FOREIGNER_READ_OUT = Finder(
    FRN,
    _resident_read_shapes("5-8오육륙칠팔"),
    (*FRN_WORDS, *RRN_WORDS),
    _resident_read_out,
    "KrFrnRecognizer",
    digits_of,
)
BUSINESS = Finder(
    BRN,
    (
        Shape(
            "marked",
            rf"{NOT_AFTER_NUMBER}[0-9]{{3}}([ \t]?[-.][ \t]?|[ \t])[0-9]{{2}}\1[0-9]{{5}}"
            + NOT_BEFORE_NUMBER,
            FAIR,
        ),
        Shape("bare", rf"{NOT_AFTER_NUMBER}[0-9]{{10}}{NOT_BEFORE_NUMBER}", WEAK),
    ),
    BRN_WORDS,
    _business,
    "KrBrnRecognizer",
    digits_of,
)
DRIVER = Finder(
    LICENCE,
    (
        Shape(
            "number",
            rf"{NOT_AFTER_NUMBER}[0-9]{{2}}[- \t]?[0-9]{{2}}[- \t]?[0-9]{{6}}[- \t]?[0-9]{{2}}"
            + NOT_BEFORE_NUMBER,
            WEAK,
        ),
    ),
    LICENCE_WORDS,
    _licence,
    "KrDriverLicenseRecognizer",
    digits_of,
)
OLD_DRIVER = Finder(
    LICENCE,
    (
        Shape(
            "with province",
            r"(?:서울|부산|대구|인천|광주|대전|울산|경기|강원|충북|충남|전북|전남|경북|경남|제주)"
            rf"[ \t-]?[0-9]{{2}}-[0-9]{{6}}-[0-9]{{2}}{NOT_BEFORE_NUMBER}",
            STRONG,
        ),
    ),
    LICENCE_WORDS,
)
CARDS = Finder(
    CARD,
    (
        Shape(
            "grouped",
            rf"{NOT_AFTER_NUMBER}(?:[2-69][0-9]{{3}}([- \t])[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}"
            r"|3[0-9]{3}([- \t])[0-9]{6}\2[0-9]{4,5})"
            rf"{NOT_BEFORE_NUMBER}(?![ \t][0-9])",
            FAIR,
        ),
        Shape(
            "grouped, spaced marks",
            rf"{NOT_AFTER_NUMBER}[2-69][0-9]{{3}}([ \t]?[-._/][ \t]?)"
            r"[0-9]{4}\1[0-9]{4}\1[0-9]{4}"
            rf"{NOT_BEFORE_NUMBER}",
            FAIR,
        ),
        Shape("bare", rf"{NOT_AFTER_NUMBER}[2-6][0-9]{{12,18}}{NOT_BEFORE_NUMBER}", FAIR),
    ),
    CARD_WORDS,
    _card,
    "CreditCardRecognizer",
    digits_of,
)
_HYPHENED = r"[0-9]{2,6}(?:-[0-9]{2,11}){1,4}+(?:-[0-9])?+"
"""Groups of an account; at some banks the last is a single check digit."""
ACCOUNTS = Finder(
    ACCOUNT,
    (
        Shape(
            "grouped",
            rf"{_NOT_OF_A_PERSON}{NOT_AFTER_NUMBER}{_HYPHENED}{NOT_BEFORE_NUMBER}",
            WEAK,
        ),
        Shape(
            "grouped by blanks",
            rf"{NOT_AFTER_NUMBER}[0-9]{{2,6}}(?:[ \t][0-9]{{2,8}}){{1,4}}"
            rf"{NOT_BEFORE_NUMBER}(?![ \t,][0-9])",
            WEAK,
        ),
        Shape(
            "bare", rf"{_NOT_OF_A_PERSON}{NOT_AFTER_NUMBER}[0-9]{{10,14}}{NOT_BEFORE_NUMBER}", WEAK
        ),
    ),
    ACCOUNT_WORDS,
    _account,
)
ACCOUNTS_BY_BANK = Finder(
    ACCOUNT,
    (
        Shape(
            "behind a bank's name",
            rf"(?<=(?<![가-힣])(?:{'|'.join(BANKS)})(?:은행|뱅크)?[ \t:,()\[\]/-]{{1,3}})"
            rf"{_HYPHENED}{NOT_BEFORE_NUMBER}",
            STRONG,
        ),
    ),
    (),
    _account,
)
PLATES = Finder(
    VEHICLE,
    (
        Shape(
            "plate",
            rf"(?<![0-9_.,-])[0-9]{{2,3}}[{PLATE_SYLLABLES}][ \t]?[0-9]{{4}}"
            r"(?![0-9A-Za-z_]|[-.,][0-9])",
            FAIR,
        ),
        Shape(
            "plate, blanks",
            rf"(?<![0-9A-Za-z_.,-])[0-9]{{2,3}}[ \t][{PLATE_SYLLABLES}][ \t][0-9]{{4}}"
            r"(?![0-9A-Za-z_]|[-.,][0-9])",
            WEAK,
        ),
    ),
    VEHICLE_WORDS,
    _vehicle,
)

FINDERS = (
    RESIDENT,
    RESIDENT_READ_OUT,
    FOREIGNER,
    FOREIGNER_READ_OUT,
    BUSINESS,
    DRIVER,
    OLD_DRIVER,
    CARDS,
    ACCOUNTS,
    ACCOUNTS_BY_BANK,
    PLATES,
)
