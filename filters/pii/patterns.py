"""Patterns of personal data, and the cheap triggers that every one of them contains.

Boundaries are lookarounds, not `\\b`: Hangul counts as a word character, so a particle glued
to a value (`kim@naver.com입니다`) would hide it.
"""

from __future__ import annotations

from dataclasses import dataclass

_SEP = r"[-. ]"
_NUMERAL = "[공영일이삼사오육칠팔구]"
_REGION = (
    "(?:서울|부산|대구|인천|광주|대전|울산|세종|경기|강원|충북|충남|충청북|충청남|전북|전남|"
    "전라북|전라남|경북|경남|경상북|경상남|제주)"
)


@dataclass(frozen=True)
class Pattern:
    """One writing of an entity. Below the config's threshold only `context` lifts it.

    `score` holds without context; with one of the `context` words near it is 0.85.
    """

    entity: str
    name: str
    regex: str
    score: float
    context: tuple[str, ...] = ()


PHONE_CONTEXT = (
    "전화",
    "연락",
    "휴대폰",
    "핸드폰",
    "문의",
    "tel",
    "phone",
    "mobile",
    "call",
    "☎",
    "팩스",
    "fax",
)
ACCOUNT_CONTEXT = ("계좌", "은행", "입금", "송금", "예금주", "농협", "신한", "국민", "우리", "하나",
                   "카카오뱅크", "토스", "새마을금고", "우체국", "수협", "bank", "account")  # fmt: skip

PATTERNS = (
    Pattern(
        "EMAIL_ADDRESS",
        "address",
        r"(?<![A-Za-z0-9._%+\-*/:@$])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@"
        r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,4}[A-Za-z]{2,18}(?![A-Za-z0-9])",
        0.9,
    ),
    Pattern(
        "KR_PHONE",
        "mobile",
        rf"(?<![\d.-])01[016789]{_SEP}?\d{{3,4}}{_SEP}?\d{{4}}(?!\d|[-.]\d)",
        0.8,
    ),
    Pattern(
        "KR_PHONE",
        "mobile, bracketed or spaced",
        rf"(?<!\d)\(?01[016789]\)?\s?{_SEP}?\s?\d{{3,4}}\s?{_SEP}\s?\d{{4}}(?!\d|[-.]\d)",
        0.8,
    ),
    Pattern(
        "KR_PHONE",
        "landline",
        rf"(?<![\d.-])\(?0(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70|50\d)\)?\s?[-.)]\s?\d{{3,4}}[-.]\d{{4}}(?!\d|[-.]\d)",
        0.7,
        PHONE_CONTEXT,
    ),
    Pattern(
        "KR_PHONE",
        "with country code",
        rf"(?<![\d.-])\+82{_SEP}?\(?0?\)?{_SEP}?(?:1[016789]|2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70){_SEP}?\d{{3,4}}{_SEP}?\d{{4}}(?!\d)",
        0.85,
    ),
    Pattern(
        "KR_PHONE",
        "service number",
        r"(?<![\d.-])1[568]\d{2}-\d{4}(?!\d|-)",
        0.4,
        PHONE_CONTEXT,
    ),
    Pattern(
        "KR_PHONE",
        "in Hangul numerals",
        rf"[공영]일[공영일육칠팔구]{_SEP}?{_NUMERAL}{{3,4}}{_SEP}?{_NUMERAL}{{4}}",
        0.8,
    ),
    Pattern(
        "KR_RRN",
        "with a space or a dash of another kind",
        r"(?<![\d.-])\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\s?[-–—]\s?[0-49]\d{6}(?!\d|-\d)",
        0.7,
    ),
    Pattern(
        "KR_FRN",
        "with a space or a dash of another kind",
        r"(?<![\d.-])\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\s?[-–—]\s?[5-8]\d{6}(?!\d|-\d)",
        0.7,
    ),
    Pattern(
        "KR_BANK_ACCOUNT",
        "grouped",
        r"(?<![\d.-])\d{2,6}-\d{2,6}-\d{2,7}(?:-\d{1,3})?(?!\d|-\d)",
        0.1,
        ACCOUNT_CONTEXT,
    ),
    Pattern(
        "KR_PASSPORT",
        "number",
        r"(?<![A-Za-z0-9])[MSRODmsrod](?:\d{3}[A-Za-z]\d{4}|\d{8})(?![A-Za-z0-9])",
        0.1,
        ("여권", "passport"),
    ),
    Pattern(
        "KR_DRIVER_LICENSE",
        "number",
        r"(?<![\d.-])\d{2}-\d{2}-\d{6}-\d{2}(?!\d|-)",
        0.3,
        ("면허", "license", "licence"),
    ),
    Pattern(
        "KR_ADDRESS",
        "by road",
        rf"{_REGION}(?:특별시|광역시|특별자치시|특별자치도|시|도)?\s(?:[가-힣]{{1,6}}(?:시|군|구)\s){{0,2}}"
        r"(?:[가-힣]{1,6}(?:읍|면)\s)?[가-힣0-9·.]{1,15}(?:로|길)\s?\d{1,4}(?:-\d{1,4})?"
        r"(?:번길\s?\d{1,4}(?:-\d{1,4})?)?",
        0.8,
    ),
    Pattern(
        "KR_ADDRESS",
        "by road, without the province",
        r"(?:[가-힣]{1,6}(?:시|군|구)\s){1,2}(?:[가-힣]{1,6}(?:읍|면)\s)?[가-힣0-9·.]{1,15}(?:로|길)\s?"
        r"\d{1,4}(?:-\d{1,4})?(?:번길\s?\d{1,4}(?:-\d{1,4})?)?(?![가-힣\d])",
        0.4,
        ("주소", "사는", "거주", "살고", "배송", "위치", "address"),
    ),
    Pattern(
        "KR_ADDRESS",
        "by lot",
        rf"{_REGION}(?:특별시|광역시|특별자치시|특별자치도|시|도)?\s(?:[가-힣]{{1,6}}(?:시|군|구)\s){{0,2}}"
        r"(?:[가-힣]{1,6}(?:읍|면)\s)?[가-힣0-9]{1,8}(?:동|리|가)\s(?:산\s?)?\d{1,4}(?:-\d{1,4})(?:번지)?",
        0.8,
    ),
    Pattern(
        "KR_PLATE",
        "vehicle",
        r"(?<![\d가-힣])\d{2,3}[가나다라마거너더러머버서어저고노도로모보소오조구누두루무부수우주하허호배]\s?\d{4}(?!\d)",
        0.4,
        ("차량", "번호판", "자동차", "주차", "plate"),
    ),
    Pattern(
        "URL_CREDENTIALS",
        "user and password",
        r"(?<=://)[^\s/:@<>\"'{}$\[\]]{1,64}:[^\s/:@<>\"'{}$\[\]]{1,64}(?=@[A-Za-z0-9])",
        0.8,
    ),
    Pattern("API_KEY", "AWS", r"(?<![A-Z0-9])(?:AKIA|ASIA)[0-9A-Z]{16}(?![A-Z0-9])", 0.9),
    Pattern("API_KEY", "GitHub", r"(?<!\w)gh[pousr]_[A-Za-z0-9]{36,}(?!\w)", 0.95),
    Pattern("API_KEY", "Google", r"(?<!\w)AIza[0-9A-Za-z_-]{35}(?!\w)", 0.95),
    Pattern("API_KEY", "Slack", r"(?<!\w)xox[abprs]-[0-9A-Za-z-]{10,72}", 0.95),
    Pattern("API_KEY", "OpenAI and alike", r"(?<!\w)sk-(?:[a-z]{2,8}-)?[A-Za-z0-9_-]{32,}", 0.9),
    Pattern(
        "PRIVATE_KEY",
        "PEM block",
        r"-----BEGIN (?:[A-Z]{1,12} ){0,2}PRIVATE KEY-----[A-Za-z0-9+/=\s\\n\"',:-]{0,8000}?"
        r"-----END (?:[A-Z]{1,12} ){0,2}PRIVATE KEY-----",
        0.99,
    ),
)  # fmt: skip

TRIGGER = "|".join(
    (
        r"[A-Za-z0-9._%+-]@[A-Za-z0-9-]+\.[A-Za-z]",
        r"(?:[0-9][-. ()–—]{0,3}){8}[0-9]",
        r"1[568][0-9]{2}-[0-9]{4}",
        r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}",
        r"[공영]일[공영일육칠팔구][-. ]?[공영일이삼사오육칠팔구]{3}",
        r"(?:시|군|구|도|서울|부산|대구|인천|광주|대전|울산|세종|경기|강원|충북|충남|전북|전남|경북|경남|제주) "
        r"[^\n]{0,40}(?:로|길|동|리|가) ?(?:산 ?)?[0-9]",
        r"[0-9]{2}[가나다라마거너더러머버서어저고노도로모보소오조구누두루무부수우주하허호배] ?[0-9]{4}",
        r"[MSRODmsrod][0-9]{3}[A-Za-z0-9][0-9]{4}",
        r"://[^ /:@\n]{1,64}:[^ /:@\n]{1,64}@",
        r"AKIA[0-9A-Z]|ASIA[0-9A-Z]|gh[pousr]_[A-Za-z0-9]|AIza[0-9A-Za-z_-]{8}|xox[abprs]-|sk-[A-Za-z]",
        r"-----BEGIN ",
        r"[A-Z]{2}[0-9]{2} ?[A-Z0-9]{4} ?[0-9]{4}",
        r"bc1[a-z0-9]{25}|[13][a-km-zA-HJ-NP-Z1-9]{25}",
    )
)
"""What every value contains, in RE2's syntax and Python's: a text without it has no span."""
