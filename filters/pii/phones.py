"""Telephone numbers: Korean ones in all usual writings, others with a plus."""

from __future__ import annotations

from filters.pii.entities import FAIR, PHONE, PHONE_WORDS, STRONG, WEAK
from filters.pii.finder import (
    NOT_AFTER_NUMBER,
    READ_OUT,
    SPOKEN,
    Finder,
    Shape,
    Verdict,
    digits_of,
    is_read_out,
)

_SEP = r"(?:[ \t]?[-./~_*][ \t]?|[ \t]{1,2})"
_HARD = r"[ \t]?[-~_*][ \t]?"
_LABEL = (
    r"(?:(?<![0-9A-Za-z_])|(?<=(?<![A-Za-z])(?:tel|phone|hp|fax|mobile|cell|[tmfpch])))"
    r"(?<![0-9][-.])"
)
"""A telephone number may directly follow its label: TEL010-…"""
_END = r"(?![0-9A-Za-z_])(?![-.][0-9])"
_AREA = r"(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70|80|50[2-8])"
"""Area and service codes without their 0 (Korean numbering plan, TTA/MSIT notice)."""
_SERVICE = (
    r"(?:15(?:22|33|44|51|55|66|77|88|99)|16(?:00|11|22|33|44|60|61|66|68|70|88|99)"
    r"|18(?:00|11|22|33|44|55|66|77|88|99))"
)
"""Nationwide service numbers, 15xx, 16xx and 18xx, as assigned."""


def _phone(value: str) -> Verdict:
    """Reject bit strings, tables of digits and blanks to fill in."""
    digits = digits_of(value)
    if set(digits[3:]) == {"0"} or (value.isdigit() and set(digits) <= {"0", "1"}):
        return Verdict.REJECT
    return Verdict.SHAPE


def _phone_read_out(value: str) -> Verdict:
    return _phone(value) if is_read_out(value) else Verdict.REJECT


def _service_number(value: str) -> Verdict:
    """Ask for context where 1588-1234 may be a range of years, pages or sizes."""
    digits = digits_of(value)
    low, high = int(digits[:4]), int(digits[4:])
    if low % 100 == high % 100 == 0 or low < high <= 2100:
        return Verdict.WEAK
    return Verdict.SHAPE


def _international(value: str) -> Verdict:
    """Reject numbers that libphonenumber (a dependency of Presidio) classes as impossible."""
    import phonenumbers

    text = value if value.startswith("+") else f"+1 {value}"
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return Verdict.REJECT
    if not phonenumbers.is_valid_number(number):
        return Verdict.REJECT
    national = str(number.national_number)
    if number.country_code == 1 and national[3:8] == "55501":
        return Verdict.REJECT  # 555-0100 to 555-0199 are reserved for fiction (NANPA)
    return Verdict.SHAPE


PHONES = Finder(
    PHONE,
    (
        Shape(
            "mobile",
            rf"{_LABEL}(?:\(01[016789]\)|01[016789]\)?){_SEP}?[0-9]{{3,4}}{_SEP}[0-9]{{4}}{_END}",
            STRONG,
        ),
        Shape(
            "mobile, middle open",
            rf"{_LABEL}(?:\(01[016789]\)|01[016789](?:\)|{_SEP}))[ \t]?[0-9]{{7,8}}{_END}",
            STRONG,
        ),
        Shape("mobile, bare", rf"{_LABEL}010[0-9]{{8}}{_END}", FAIR),
        Shape("old mobile, bare", rf"{_LABEL}01[16789][0-9]{{7,8}}{_END}", WEAK),
        Shape(
            "look-alike",
            rf"(?<![0-9A-Za-z_])(?=[01OolI]{{0,2}}[OolI])[0Oo][1lI][0Oo6-9]{_SEP}?"
            rf"[0-9Oo]{{3,4}}{_SEP}?[0-9Oo]{{4}}(?![0-9A-Za-z_])",
            STRONG,
        ),
        Shape(
            "Korean, abroad",
            r"(?<![0-9A-Za-z_])(?:\+|\(\+|00)82\)?(?:[ \t]?[-.][ \t]?|[ \t])?(?:\(0\)|0)?[ \t-]?"
            rf"(?:\({_AREA}\)|\(?1[016789]\)?|{_AREA}){_SEP}?[0-9]{{3,4}}{_SEP}?[0-9]{{4}}{_END}",
            STRONG,
        ),
        Shape(
            "Korean, abroad, no plus",
            rf"{NOT_AFTER_NUMBER}\(?82\)?[- \t.](?:\(0\)|0)?(?:1[016789]|{_AREA})"
            rf"{_SEP}[0-9]{{3,4}}{_SEP}[0-9]{{4}}{_END}",
            FAIR,
        ),
        Shape(
            "landline",
            rf"{_LABEL}(?:\(0{_AREA}\)[ \t]?|0{_AREA}(?:\)[ \t]?|{_HARD}))"
            rf"[0-9]{{3,4}}(?:{_HARD}|[ \t.])[0-9]{{4}}{_END}",
            STRONG,
        ),
        Shape(
            "landline, dots or blanks",
            rf"{_LABEL}(?<![0-9][ \t])0{_AREA}([ \t.])[0-9]{{3,4}}\1[0-9]{{4}}(?![ \t][0-9]){_END}",
            FAIR,
        ),
        Shape(
            "landline, any", rf"{_LABEL}0{_AREA}{_SEP}?[0-9]{{3,4}}{_SEP}?[0-9]{{4}}{_END}", WEAK
        ),
        Shape(
            "service, any",
            rf"{_LABEL}1[568][0-9]{{2}}(?:[ \t]?[-.~][ \t]?|[ \t])?[0-9]{{4}}{_END}",
            WEAK,
        ),
        Shape(
            "blanks between digits",
            r"(?<![0-9])(?<![0-9][ \t])0[ \t]1[ \t][016789]"
            r"(?:[ \t]?[-.]?[ \t]?[0-9]){7,8}(?![ \t]?[0-9])",
            WEAK,
        ),
    ),
    PHONE_WORDS,
    _phone,
)
SERVICE_NUMBERS = Finder(
    PHONE,
    (Shape("service", rf"{_LABEL}(?<!ISSN[ :]{{0,2}}){_SERVICE}-[0-9]{{4}}{_END}", FAIR),),
    PHONE_WORDS,
    _service_number,
)
_LINK = rf"(?:{_SEP}|에[ \t]?)?"
PHONES_READ_OUT = Finder(
    PHONE,
    (
        Shape(
            "mobile or landline",
            rf"(?<![0-9])[0공영][ \t]?(?:[1일][ \t]?{READ_OUT}|[2이]"
            rf"|[3-6삼사오육륙][ \t]?{READ_OUT}"
            rf"|[78칠팔][ \t]?[0공영]){_LINK}(?:{SPOKEN}){{2,3}}{READ_OUT}"
            rf"{_LINK}(?:{SPOKEN}){{3}}{READ_OUT}(?![0-9])",
            STRONG,
        ),
        Shape(
            "service",
            rf"(?<![0-9])[1일][5오6육8팔](?:[ \t]?{READ_OUT}){{2}}"
            rf"{_LINK}(?:{SPOKEN}){{3}}{READ_OUT}(?![0-9])",
            FAIR,
        ),
    ),
    PHONE_WORDS,
    _phone_read_out,
)
INTERNATIONAL = Finder(
    PHONE,
    (
        Shape(
            "international",
            r"(?<![0-9A-Za-z_+])\+(?!82)[1-9][0-9]{0,2}"
            r"(?:[ \t.-]{0,2}\(?[0-9]{1,5}\)?){2,6}(?![0-9A-Za-z_])",
            STRONG,
        ),
        Shape(
            "North American",
            r"(?<![0-9A-Za-z_.-])\([2-9][0-9]{2}\)[ \t]?[2-9][0-9]{2}[-. ][0-9]{4}"
            r"(?![0-9A-Za-z_-])",
            STRONG,
        ),
        Shape(
            "North American, weak",
            r"(?<![0-9A-Za-z_.-])[2-9][0-9]{2}([-.])[2-9][0-9]{2}\1[0-9]{4}(?![0-9A-Za-z_-])",
            WEAK,
        ),
    ),
    PHONE_WORDS,
    _international,
)

FINDERS = (PHONES, PHONES_READ_OUT, SERVICE_NUMBERS, INTERNATIONAL)
