"""Entity types, the kinds of trigger that lead to them, and their context words.

The prefilter, which searches for triggers, and the recognisers, which decide, both use this module.
Names of types are Presidio's where it has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from schemas.config import Action, Entity, Pii

EMAIL = "EMAIL_ADDRESS"
URL_CREDENTIALS = "URL_CREDENTIALS"
PHONE = "PHONE_NUMBER"
RRN = "KR_RRN"
FRN = "KR_FRN"
BRN = "KR_BRN"
LICENCE = "KR_DRIVER_LICENSE"
CARD = "CREDIT_CARD"
ACCOUNT = "KR_BANK_ACCOUNT"
ADDRESS = "KR_ADDRESS"
VEHICLE = "KR_VEHICLE"
IBAN = "IBAN_CODE"
CRYPTO = "CRYPTO"
PASSPORT = "KR_PASSPORT"
IP = "IP_ADDRESS"
API_KEY = "API_KEY"
PRIVATE_KEY = "PRIVATE_KEY"
PERSON = "PERSON"


@dataclass(frozen=True)
class Kind:
    """A kind of trigger: the entities it can lead to, and the reach of a value around it, in bytes.

    A value starts at most `before` bytes before its trigger and ends at most `after` bytes after
    it. A window has `margin` more bytes on each side, for context words.
    """

    name: str
    entities: tuple[str, ...]
    before: int
    after: int
    margin: int


CONTEXT_BEFORE, CONTEXT_AFTER = 40, 20
"""Characters before and after a value that are searched for a context word."""
CONTEXT_BYTES = 4 * CONTEXT_BEFORE
"""The same in UTF-8 bytes, at four per character."""

_MARGIN = CONTEXT_BYTES + 16
KINDS = (
    Kind("mail", (EMAIL, URL_CREDENTIALS), 160, 216, 16),
    Kind("number", (PHONE, RRN, FRN, BRN, LICENCE, CARD, ACCOUNT), 64, 120, _MARGIN),
    Kind("place", (ADDRESS,), 180, 260, _MARGIN),
    Kind("plate", (VEHICLE,), 32, 24, _MARGIN),
    Kind("code", (IBAN, CRYPTO, PASSPORT), 12, 80, _MARGIN),
    Kind("ip", (IP,), 48, 60, _MARGIN),
    Kind("secret", (API_KEY, PRIVATE_KEY), 8, 640, _MARGIN),
    Kind("name", (PERSON,), 40, 60, 64),
)
MAIL, NUMBER, PLACE, PLATE, CODE, ADDRESS_IP, SECRET, NAME = range(len(KINDS))

ENTITIES = tuple(entity for kind in KINDS for entity in kind.entities)
"""Every entity type, in the order of the kinds."""


def action_of(settings: Pii, entity: str) -> Action:
    """Return what the config does with an entity type."""
    return settings.entities.get(cast(Entity, entity), settings.action)


def drop_types(settings: Pii) -> list[str]:
    """Return the entity types whose action is `drop`, sorted."""
    return sorted(entity for entity in ENTITIES if action_of(settings, entity) == "drop")


CONTEXT_GAIN = 0.4
"""What a context word adds to a score (Presidio's own enhancer adds 0.35)."""
CODE_THRESHOLD = 0.6
"""The threshold in source code, where a shape alone (0.5) is not enough."""

WEAK, FAIR, STRONG = 0.2, 0.5, 0.8
"""Scores of shapes: enough only beside a context word; enough in prose; enough everywhere."""

PHONE_WORDS = (
    "전화",
    "연락처",
    "연락",
    "휴대폰",
    "핸드폰",
    "휴대전화",
    "폰번호",
    "번호는",
    "문의",
    "팩스",
    "콜센터",
    "고객센터",
    "대표번호",
    "상담",
    "예약",
    "문자",
    "tel",
    "phone",
    "mobile",
    "cell",
    "fax",
    "contact",
    "call me",
    "call us",
    "call at",
    "hotline",
    "☎",
    "☏",
    "📞",
)
ACCOUNT_WORDS = (
    "계좌",
    "은행",
    "입금",
    "송금",
    "이체",
    "예금주",
    "농협",
    "신협",
    "수협",
    "새마을금고",
    "우체국",
    "뱅크",
    "후원금",
    "환불",
    "bank account",
    "account no",
    "account number",
    "bank",
)
BANKS = (
    "국민",
    "신한",
    "우리",
    "하나",
    "기업",
    "농협",
    "수협",
    "신협",
    "제일",
    "씨티",
    "카카오",
    "카뱅",
    "토스",
    "케이",
    "부산",
    "대구",
    "광주",
    "전북",
    "경남",
    "제주",
    "우체국",
    "새마을금고",
)
"""Names that directly precede an account number: `신한 110-…`."""
RRN_WORDS = ("주민", "resident registration", "rrn", "생년월일")
FRN_WORDS = ("외국인", "foreigner registration", "frn", "alien registration")
BRN_WORDS = ("사업자", "등록번호", "business registration", "business number", "brn")
LICENCE_WORDS = ("면허", "driver's license", "driver license", "driving licence")
PASSPORT_WORDS = ("여권", "passport")
CARD_WORDS = ("카드", "card", "visa", "mastercard", "amex", "결제")
VEHICLE_WORDS = (
    "차량",
    "차번호",
    "번호판",
    "자동차",
    "주차",
    "차주",
    "운전",
    "승용차",
    "트럭",
    "plate",
)
PLACE_WORDS = (
    "주소:",
    "주소 :",
    "주소는",
    "주소가",
    "소재지",
    "배송지",
    "도로명",
    "지번",
    "오시는",
    "찾아오",
    "본점",
    "거주",
    "자택",
    "우편",
)
IP_WORDS = (
    "ip",
    "ipv4",
    "ipv6",
    "아이피",
    "주소",
    "접속",
    "서버",
    "server",
    "host",
    "ping",
    "ssh",
    "dns",
    "http://",
    "https://",
)
SECRET_WORDS = (
    "secret",
    "token",
    "passwd",
    "password",
    "api_key",
    "apikey",
    "api-key",
    "api key",
    "access_key",
    "accesskey",
    "access key",
    "client_key",
    "auth_key",
    "private_key",
    "encryption_key",
    "accountkey",
    "appkey",
    "app_key",
    "rest_key",
    "credential",
    "authorization",
    "api 키",
    "비밀번호",
    "인증키",
    "토큰",
)

NUMBER_WORDS = tuple(
    dict.fromkeys(
        (
            *PHONE_WORDS,
            *ACCOUNT_WORDS,
            *RRN_WORDS,
            *FRN_WORDS,
            *BRN_WORDS,
            *LICENCE_WORDS,
            *CARD_WORDS,
        )
    )
)
"""A number without a clear shape is a candidate beside one of these."""

HANGUL_DIGITS = {
    "공": "0",
    "영": "0",
    "일": "1",
    "이": "2",
    "삼": "3",
    "사": "4",
    "오": "5",
    "육": "6",
    "륙": "6",
    "칠": "7",
    "팔": "8",
    "구": "9",
}
"""Numerals read out digit by digit: 공일공 for 010."""

PLATE_SYLLABLES = (
    "가나다라마거너더러머버서어저고노도로모보소오조구누두루무부수우주하허호아바사자배국합육해공"
)
"""The syllables of a Korean number plate (Ministry of Land notice on vehicle registration)."""

KEY_PREFIXES = (
    "AKIA",
    "ASIA",
    "AIza",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxa-",
    "xoxb-",
    "xoxp-",
    "xoxr-",
    "xoxs-",
    "sk-",
    "sk_live_",
    "rk_live_",
    "eyJ",
    "npm_",
    "pypi-",
    "hf_",
    "SG.",
    "Bearer ",
)
"""Prefixes of keys of well-known services (from the services' documentation), and the word before a
key in a header (RFC 6750)."""
