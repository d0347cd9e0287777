"""Made-up personal values of every type and writing, sentences to plant them in, and decoys.

All is drawn from a seed. No value belongs to anybody: numbers are random, check digits computed.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Draw = random.Random

READ = "공일이삼사오육칠팔구"
READ_ALSO = "영일이삼사오륙칠팔구"


@dataclass(frozen=True)
class Value:
    """A made-up value: its entity type, how it is written, and whether that is an obfuscation."""

    entity: str
    writing: str
    text: str
    obfuscated: bool = False


@dataclass(frozen=True)
class Planted:
    """A text with values in it: what, and where in UTF-8 bytes."""

    text: str
    component: str
    spans: tuple[tuple[int, int, Value], ...]


def digits(draw: Draw, count: int) -> str:
    return "".join(draw.choice(string.digits) for _ in range(count))


def grouped(text: str, sizes: tuple[int, ...], mark: str) -> str:
    parts, at = [], 0
    for size in sizes:
        parts.append(text[at : at + size])
        at += size
    return mark.join(parts)


def read_out(text: str, numerals: str = READ) -> str:
    return "".join(numerals[int(c)] if c.isdigit() else c for c in text)


def wide(text: str) -> str:
    return text.translate({**{0x30 + d: 0xFF10 + d for d in range(10)}, 0x2D: 0xFF0D})


def luhn(body: str) -> str:
    total = 0
    for index, char in enumerate(reversed(body)):
        value = int(char) * (2 if index % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return body + str(-total % 10)


def birth(draw: Draw) -> str:
    return f"{draw.randint(0, 99):02}{draw.randint(1, 12):02}{draw.randint(1, 28):02}"


def resident_number(draw: Draw, first: str, constant: int) -> str:
    """Return 13 digits; every other one with the checksum used until October 2020."""
    body = birth(draw) + draw.choice(first) + f"{draw.randint(0, 95):02}" + digits(draw, 3)
    if draw.random() < 0.5:
        return body + digits(draw, 1)
    weights = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
    total = sum(int(c) * w for c, w in zip(body, weights, strict=True))
    return body + str((constant - total % 11) % 10)


def business_number(draw: Draw) -> str:
    body = digits(draw, 9)
    weights = (1, 3, 7, 1, 3, 7, 1, 3)
    total = sum(int(c) * w for c, w in zip(body[:8], weights, strict=True))
    last = int(body[8]) * 5
    return body + str((10 - (total + last // 10 + last) % 10) % 10)


def iban(draw: Draw) -> str:
    country, body = draw.choice(
        [
            ("DE", digits(draw, 18)),
            (
                "GB",
                "".join(draw.choice(string.ascii_uppercase) for _ in range(4)) + digits(draw, 14),
            ),
            ("FR", digits(draw, 10) + digits(draw, 13)),
        ]
    )
    number = "".join(str(int(c, 36)) for c in body + country + "00")
    return f"{country}{98 - int(number) % 97:02}{body}"


def bitcoin(draw: Draw) -> str:
    import hashlib

    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    body = bytes([0]) + draw.randbytes(20)
    body += hashlib.sha256(hashlib.sha256(body).digest()).digest()[:4]
    number, text = int.from_bytes(body, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = alphabet[rest] + text
    return "1" * (len(body) - len(body.lstrip(b"\0"))) + text


def token(draw: Draw, count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(draw.choice(alphabet) for _ in range(count))


def host(draw: Draw) -> str:
    return draw.choice(
        [
            "naver.com",
            "gmail.com",
            "daum.net",
            "hanmail.net",
            "kakao.com",
            "snu.ac.kr",
            "mail.go.kr",
        ]
    )


def local(draw: Draw) -> str:
    name = draw.choice(["kim", "lee", "hong.gildong", "mina_park", "js-choi", "dev", "y.jung"])
    return name + digits(draw, draw.randint(0, 4))


def email(draw: Draw) -> Iterator[Value]:
    a, b = local(draw), host(draw)
    dotted = b.split(".")
    for writing, text in (
        ("plain", f"{a}@{b}"),
        ("tagged", f"{a}+news@{b}"),
        ("upper", f"{a.upper()}@{b}"),
    ):
        yield Value("EMAIL_ADDRESS", writing, text)
    for writing, text in (
        ("[at]", f"{a} [at] {' [dot] '.join(dotted)}"),
        ("(at)", f"{a}(at){b}"),
        ("at dot", f"{a} at {' dot '.join(dotted)}"),
        ("snail", f"{a}골뱅이{'닷'.join(dotted)}"),
        ("snail, blanks", f"{a} 골뱅이 {b}"),
        ("blanks", f"{a} @ {b}"),
        ("wide @", f"{a}＠{b}"),
        ("percent", f"{a}%40{b}"),
    ):
        yield Value("EMAIL_ADDRESS", writing, text, obfuscated=True)


def mobile(draw: Draw) -> Iterator[Value]:
    a, b = digits(draw, 4), digits(draw, 4)
    a = draw.choice("23456789") + a[1:]
    number = f"010{a}{b}"
    for writing, text in (
        ("hyphens", f"010-{a}-{b}"),
        ("dots", f"010.{a}.{b}"),
        ("blanks", f"010 {a} {b}"),
        ("bare", number),
        ("parentheses", f"(010) {a}-{b}"),
        ("one parenthesis", f"010){a}-{b}"),
        ("half", f"010-{a}{b}"),
        ("+82", f"+82 10-{a}-{b}"),
        ("+82, hyphens", f"+82-10-{a}-{b}"),
        ("+82 (0)", f"+82-(0)10-{a}-{b}"),
        ("+82, bare", f"+8210{a}{b}"),
        ("old", f"01{draw.choice('16789')}-{a[:3]}-{b}"),
    ):
        yield Value("PHONE_NUMBER", f"mobile, {writing}", text)
    for writing, text in (
        ("read out", read_out(f"010-{a}-{b}")),
        ("read out, blanks", read_out(f"010 {a} {b}")),
        ("read out, glued", read_out(number)),
        ("read out, zero as 영", read_out(f"010-{a}-{b}", READ_ALSO)),
        ("code read out", f"{read_out('010')}-{a}-{b}"),
        ("middle read out", f"010-{read_out(a)}-{b}"),
        ("letter O", f"O1O-{a}-{b}"),
        ("wide", wide(f"010-{a}-{b}")),
        ("spaced hyphens", f"010 - {a} - {b}"),
        ("underscores", f"010_{a}_{b}"),
        ("middle dots", f"010·{a}·{b}"),
        ("long dashes", f"010–{a}–{b}"),
    ):
        yield Value("PHONE_NUMBER", f"mobile, {writing}", text, obfuscated=True)


def landline(draw: Draw) -> Iterator[Value]:
    area = draw.choice(["02", "031", "032", "042", "051", "053", "062", "064", "070"])
    a, b = draw.choice("3456789") + digits(draw, draw.choice([2, 3])), digits(draw, 4)
    for writing, text in (
        ("hyphens", f"{area}-{a}-{b}"),
        ("parentheses", f"({area}) {a}-{b}"),
        ("one parenthesis", f"{area}){a}-{b}"),
        ("dots", f"{area}.{a}.{b}"),
        ("+82", f"+82-{area[1:]}-{a}-{b}"),
    ):
        yield Value("PHONE_NUMBER", f"landline, {writing}", text)
    prefix = draw.choice(["1588", "1544", "1577", "1599", "1644", "1661", "1800", "1899"])
    yield Value(
        "PHONE_NUMBER", "service, hyphen", f"{prefix}-{digits(draw, 3)}{draw.randint(1, 9)}"
    )
    yield Value("PHONE_NUMBER", "landline, read out", read_out(f"{area}-{a}-{b}"), obfuscated=True)


def identity(draw: Draw) -> Iterator[Value]:
    for entity, first, constant in (("KR_RRN", "1234", 11), ("KR_FRN", "5678", 13)):
        number = resident_number(draw, first, constant)
        yield Value(entity, "hyphen", f"{number[:6]}-{number[6:]}")
        yield Value(entity, "spaced hyphen", f"{number[:6]} - {number[6:]}", obfuscated=True)
        yield Value(entity, "wide", wide(f"{number[:6]}-{number[6:]}"), obfuscated=True)
        yield Value(entity, "read out", read_out(f"{number[:6]}-{number[6:]}"), obfuscated=True)
        yield Value(entity, "dot", f"{number[:6]}.{number[6:]}", obfuscated=True)


def licences(draw: Draw) -> Iterator[Value]:
    number = business_number(draw)
    yield Value("KR_BRN", "hyphens", grouped(number, (3, 2, 5), "-"))
    yield Value("KR_BRN", "bare", number)
    region = draw.choice(["11", "12", "13", "21", "26", "28"])
    yield Value(
        "KR_DRIVER_LICENSE",
        "hyphens",
        f"{region}-{digits(draw, 2)}-{digits(draw, 6)}-{digits(draw, 2)}",
    )
    yield Value("KR_PASSPORT", "old", f"{draw.choice('MSR')}{digits(draw, 8)}")
    yield Value(
        "KR_PASSPORT",
        "new",
        f"M{digits(draw, 3)}{draw.choice(string.ascii_uppercase)}{digits(draw, 4)}",
    )


def money(draw: Draw) -> Iterator[Value]:
    card = luhn(draw.choice(["4", "51", "53", "55"]).ljust(1) + digits(draw, 20))[:16]
    card = luhn(card[:15])
    yield Value("CREDIT_CARD", "hyphens", grouped(card, (4, 4, 4, 4), "-"))
    yield Value("CREDIT_CARD", "blanks", grouped(card, (4, 4, 4, 4), " "))
    yield Value("CREDIT_CARD", "bare", card)
    sizes = draw.choice([(3, 3, 6), (3, 2, 6), (6, 2, 6), (4, 2, 7), (3, 4, 4, 2)])
    account = digits(draw, sum(sizes) - 1) + "7"
    if account.startswith(("19", "20", "01")):
        account = "3" + account[1:]
    yield Value("KR_BANK_ACCOUNT", "hyphens", grouped(account, sizes, "-"))
    yield Value("KR_BANK_ACCOUNT", "bare", "3" + account[1:])
    code = iban(draw)
    yield Value("IBAN_CODE", "bare", code)
    yield Value("IBAN_CODE", "blanks", " ".join(code[i : i + 4] for i in range(0, len(code), 4)))
    yield Value("CRYPTO", "Bitcoin", bitcoin(draw))


def places(draw: Draw) -> Iterator[Value]:
    province, city = draw.choice(
        [
            ("서울특별시", "강남구"),
            ("서울", "마포구"),
            ("경기도", "수원시 영통구"),
            ("부산광역시", "해운대구"),
            ("강원특별자치도", "춘천시"),
            ("제주특별자치도", "서귀포시"),
        ]
    )
    road = draw.choice(["테헤란로", "월드컵로", "광교중앙로", "중앙대로", "한들로", "새마을길"])
    number = str(draw.randint(1, 400))
    lane = f"{draw.randint(1, 90)}번길 " if draw.random() < 0.3 else ""
    unit = draw.choice(
        [
            "",
            f", {draw.randint(1, 9)}층",
            f", {draw.randint(101, 130)}동 {draw.randint(101, 1900)}호",
        ]
    )
    yield Value("KR_ADDRESS", "road", f"{province} {city} {road} {lane}{number}{unit}")
    yield Value("KR_ADDRESS", "road, short", f"{city} {road} {number}")
    town = draw.choice(["역삼동", "원천동", "우동", "합정동", "애월읍 하귀리"])
    yield Value("KR_ADDRESS", "lot", f"{province} {city} {town} {number}-{draw.randint(1, 40)}")
    yield Value("KR_ADDRESS", "lot, 번지", f"{province} {city} {town} {number}번지")
    syllable = draw.choice("가나다라마거너더러머버서어저고노도로모보소오조구누두루무부수우주하허호")
    yield Value("KR_VEHICLE", "new", f"{digits(draw, 3)}{syllable} {digits(draw, 4)}")
    yield Value("KR_VEHICLE", "old", f"{digits(draw, 2)}{syllable}{digits(draw, 4)}")


def net(draw: Draw) -> Iterator[Value]:
    octets = f"{draw.choice([125, 175, 211, 218, 112])}.{draw.randint(100, 250)}"
    yield Value("IP_ADDRESS", "v4", f"{octets}.{draw.randint(1, 250)}.{draw.randint(1, 250)}")
    groups = ":".join(f"{draw.randint(4096, 65535):x}" for _ in range(6))
    yield Value("IP_ADDRESS", "v6", f"2001:{draw.randint(16, 4095) + 0x1000:x}:{groups}")


def secrets(draw: Draw) -> Iterator[Value]:
    upper = string.ascii_uppercase + string.digits
    yield Value("API_KEY", "AWS", "AKIA" + token(draw, 16, upper))
    yield Value("API_KEY", "GitHub", "ghp_" + token(draw, 36))
    yield Value("API_KEY", "Google", "AIza" + token(draw, 35))
    yield Value("API_KEY", "Slack", f"xoxb-{digits(draw, 12)}-{token(draw, 24)}")
    body = "\n".join(token(draw, 64) for _ in range(draw.randint(3, 24)))
    kind = draw.choice(["RSA ", "EC ", "OPENSSH ", ""])
    yield Value(
        "PRIVATE_KEY",
        "PEM",
        f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----",
    )
    yield Value("URL_CREDENTIALS", "user and password", f"{local(draw)}:{token(draw, 12)}")


MAKERS: tuple[Callable[[Draw], Iterator[Value]], ...] = (
    email,
    mobile,
    landline,
    identity,
    licences,
    money,
    places,
    net,
    secrets,
)

CARRIERS: dict[str, tuple[str, ...]] = {
    "EMAIL_ADDRESS": (
        "자세한 사항은 {v}로 메일 보내 주세요.",
        "이메일은{v}입니다. 답장이 늦을 수 있습니다.",
        "담당: {v} (평일 오전 10시~오후 6시)",
        "Write to {v}, and we will answer within 3 days.",
        "# maintainer: {v}",
    ),
    "PHONE_NUMBER": (
        "궁금하면 {v}로 연락 주세요.",
        "연락처는{v}입니다.",
        "문의: {v}, 평일 9시부터 18시까지",
        "Call us at {v} before 2024-05-01.",
        "이번 모임에 올 사람은 {v} 이쪽으로 문자 줘요",
        "SUPPORT = '{v}'  # phone",
    ),
    "KR_RRN": (
        "주민등록번호 {v}를 적으세요.",
        "신청인은 {v}이며 세대주입니다.",
        "{v}이야. 아무한테도 말하지 마.",
        "RRN: {v}",
    ),
    "KR_FRN": (
        "외국인등록번호는{v}입니다.",
        "등록증에 {v}라고 적혀 있다.",
        "FRN {v} (issued 2019-03-02)",
    ),
    "KR_BRN": ("사업자등록번호 {v}, 대표 전화는 없음.", "사업자번호: {v}"),
    "KR_DRIVER_LICENSE": ("운전면허번호 {v}를 확인했습니다.", "면허번호는 {v}이고 2종 보통이다."),
    "KR_PASSPORT": ("여권번호 {v}로 예약했습니다.", "His passport number is {v}, issued in Seoul."),
    "CREDIT_CARD": (
        "카드번호는{v}이고 유효기간은 12/27입니다.",
        "결제 카드: {v}",
        "Please charge my card {v} for 3 nights.",
    ),
    "KR_BANK_ACCOUNT": (
        "국민은행 {v} 예금주 홍길동으로 입금해 주세요.",
        "계좌번호는{v}입니다. 오늘 안에 보내 주세요.",
        "후원 계좌: {v} (신한은행)",
    ),
    "IBAN_CODE": ("송금은 {v} 계좌로 부탁드립니다.", "Our IBAN is {v}, thank you."),
    "CRYPTO": ("비트코인 지갑 {v}로 보내 주세요.", "Donate BTC: {v}"),
    "KR_ADDRESS": (
        "주소는 {v}입니다.",
        "지난주에 {v}에 있는 가게에 다녀왔다.",
        "보내실 곳: {v}",
        "회사는 {v}에서 2019년에 문을 열었다.",
    ),
    "KR_VEHICLE": ("차량번호 {v} 차주분은 차를 빼 주세요.", "주차장에 {v} 차량이 서 있다."),
    "IP_ADDRESS": (
        "어제 {v}에서 접속한 기록이 있습니다.",
        "Failed password for root from {v} port 50231 ssh2",
        "server_address = '{v}'",
    ),
    "API_KEY": ('api_key = "{v}"', "export TOKEN={v}", "키는 {v} 입니다. 절대 올리지 마세요."),
    "PRIVATE_KEY": ("cert = '''\n{v}\n'''", "{v}\n"),
    "URL_CREDENTIALS": (
        "DATABASE_URL=postgres://{v}@db.internal:5432/app",
        "git clone https://{v}@git.host.net/team/repo.git",
    ),
}

FILLERS = (
    "오늘은 2023-11-05이고 버전 3.12.4를 씁니다. 오른쪽으로 3번 움직이세요.",
    "The build took 1234567 ms; see RFC 5737 and ISBN 978-3-16-148410-0.",
    "for (int i = 0; i < 1048576; i++) { sum += table[i] * 0x1f3d; }",
    "서울에서 부산까지 3시간, 경기도 수원시는 인구가 119만 명이다.",
    "값은 3.141592653589793이며 오차는 1e-12보다 작다.",
    "커밋 9fceb02d0ae598e95dc970b74767f19372d61af8을 보세요.",
    "",
)

DECOYS: tuple[tuple[str, str], ...] = (
    ("ko", "회의는 2024-01-15 10:30에 시작해 2024-01-16에 끝난다."),
    ("ko", "버전 10.0.19041.1과 v1.2.3.4, 그리고 4.0.30319.42000을 지원한다."),
    ("ko", "ISBN 979-11-5839-123-4와 978-89-6848-123-7을 참고하라."),
    ("ko", "임진왜란은 1592-1598년의 일이고 1600-1644년은 그 다음이다."),
    ("ko", "기본값으로 3을 쓰고 다음으로 12개를 더하며 서울로 3번 갔다."),
    ("ko", "강남구 인구는 2020년 53만 명이고 수원시 영통구는 36만 명이다."),
    ("ko", "12시 30분부터 3000명이 왔고 기온은 12도 3000미터 지점이었다."),
    ("ko", "영화는 5점 만점에 4.5, 상영 시간은 0120-0145 정도로 적혀 있다."),
    ("ko", "이 제품은 RTX 4090-24와 i9-13900K, 모델 SM-G991N이다."),
    ("ko", "삼성전자, 네이버, 개인정보 보호법 제15조, 해운대와 제주도."),
    ("en", "Ping 127.0.0.1, 0.0.0.0, 10.1.2.3, 192.168.0.10 or 198.51.100.7 in examples."),
    ("en", "Mail someone@example.com, admin@localhost or test@corp.example for a sample."),
    ("en", "Version 1.2.3.4 of the assembly, Version=4.0.0.0, was built on 2021/03/04."),
    ("en", "ISSN 1533-4406, DOI 10.1000/182, part number 12-345678-90."),
    ("en", "MD5 d41d8cd98f00b204e9800998ecf8427e and UUID 123e4567-e89b-12d3-a456-426614174000."),
    ("en", "Call the function at 0x01012345678 or use 3.0102345678 as the limit."),
    ("code", "id_01012345678 = 1600000000000  # timestamp in ms"),
    ("code", "git clone git@github.com:owner/project.git && npm i @types/node lodash@4.17.21"),
    ("code", "@app.route('/x')\n@Override\nthis@MainActivity.name()\nreturn@forEach.run()"),
    ("code", "password = os.environ['PASSWORD']  # token: <your-token-here>"),
    ("code", "url = 'http://user:password@localhost:8080/' + '${USER}:${PASS}@host'"),
    ("code", "constexpr long table[] = {4503599627370496, 9007199254740991, 0212345678};"),
    (
        "code",
        "image: registry/app@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ),
    ("code", "bits = 0b01010101011; octal = 01011010101; icon@2x.png; x@y.T"),
    ("code", "<version>3.2.1.100</version> std::vector<fe::add> de::cafe ab::cd"),
    ("code", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"),
    ("code", "const KEY = 'AKIAIOSFODNN7EXAMPLE'; // from the documentation"),
    ("code", "y = x @ W.to(device); h = h @ self.weight.to(h.dtype); k = q@k.gt(0); v.at[i]"),
    ("code", 'TOKEN_CONTRACT = "0x' + "6b175474e8909" * 3 + '1"; api_key = "0123456789ABCDEFGHIJ"'),
    ("code", 'token_field = "billing_service_customer_2023_010"'),
    ("ko", "서울 강남구 대치동 59㎡와 잠실 강남구 대치동 84제곱미터, 강남구 신사동 10평 상가"),
    (
        "ko",
        "용산구 한남동 3구역, 서울 송파구 잠실동 2단지, 은평구 불광동 1지구, 은평구 진관동 2호점",
    ),
    ("ko", "서울 종로 2가 YMCA 앞, 부산 출근길 5중 추돌, 용산구 한남동 30세대"),
    ("ko", "한국은행 자료 2018 2019 2020 2021, 신한은행 2018-2019 2019-2020, 은행 10 20 30 40 50"),
    ("ko", "법인등록번호 110111-1234567, 주문번호 210305-3123456, 우체국 송장번호 6892012345678"),
    ("ko", "기사는 https://news.com/sk-hynix-begins-mass-production-of-hbm3e-memory 에 있다."),
    ("ko", "오라클 DB 서버 11.2.0.4와 톰캣 서버 9.0.0.1, 펌웨어 4.2.150.3을 설치했다."),
    ("en", "There are 4 off-road vehicles and 12 non-root hosts there for 3 intro-ro and others."),
)
"""Texts without personal data that look like some, by component."""


def values(seed: int, rounds: int) -> Iterator[Value]:
    """Yield `rounds` values of every type and writing."""
    draw = random.Random(seed)
    for _ in range(rounds):
        for make in MAKERS:
            yield from make(draw)


def plant(value: Value, draw: Draw) -> Planted:
    """Return a few sentences with `value` in the middle of one."""
    carrier = draw.choice(CARRIERS[value.entity])
    before, after = draw.choice(FILLERS), draw.choice(FILLERS)
    head = f"{before}\n" + carrier[: carrier.index("{v}")]
    text = head + value.text + carrier[carrier.index("{v}") + 3 :] + f"\n{after}"
    start = len(head.encode())
    span = (start, start + len(value.text.encode()), value)
    component = "en" if carrier.isascii() else "ko"
    return Planted(text, component, (span,))


def planted(seed: int, rounds: int) -> list[Planted]:
    """Return planted texts for `rounds` values of every type and writing."""
    draw = random.Random(seed + 1)
    return [plant(value, draw) for value in values(seed, rounds)]
