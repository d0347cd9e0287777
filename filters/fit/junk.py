"""Junk made from good text, as negative rows for a quality model.

Each maker takes a text and a NumPy generator and returns text of about the same length with one
defect. Templates are written for this project. Repetition is not a defect here: a sum of n-grams
cannot see it, and heuristic signals measure it.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Callable

import numpy as np

Make = Callable[[str, np.random.Generator], str]


def make_junk(kind: str, text: str, seed: int) -> str:
    """Return junk of `kind` (a key of KINDS) made from `text`; the same for the same arguments."""
    return KINDS[kind](text, np.random.default_rng(seed))


def _shuffled_words(text: str, rng: np.random.Generator) -> str:
    words = text.split()
    order = rng.permutation(len(words))
    lines = max(text.count("\n"), 1)
    width = max(len(words) // lines, 1)
    mixed = [words[index] for index in order]
    return "\n".join(" ".join(mixed[at : at + width]) for at in range(0, len(mixed), width))


def _shuffled_letters(text: str, rng: np.random.Generator) -> str:
    def mix(word: str) -> str:
        return "".join(word[index] for index in rng.permutation(len(word)))

    return "\n".join(" ".join(mix(word) for word in line.split(" ")) for line in text.split("\n"))


def _word_salad(text: str, rng: np.random.Generator) -> str:
    """Return a walk over the text's characters by what followed two of them (Markov, order 2)."""
    followers: dict[str, list[str]] = defaultdict(list)
    for at in range(len(text) - 2):
        followers[text[at : at + 2]].append(text[at + 2])
    state = text[:2]
    out = [state]
    for _ in range(len(text)):
        choices = followers.get(state)
        if not choices:
            state = text[:2]
            if not followers.get(state):
                break
            continue
        letter = choices[int(rng.integers(len(choices)))]
        out.append(letter)
        state = state[1:] + letter
    return "".join(out)


def _mojibake(text: str, rng: np.random.Generator) -> str:
    """Return UTF-8 decoded with a wrong charset; mostly ASCII text is made Korean first."""
    if sum(ord(c) > 127 for c in text) < len(text) // 20:
        text = "".join(chr(0xAC00 + (ord(c) * 7919) % 11172) if c.isalpha() else c for c in text)
    wrong = ("latin-1", "cp1252", "cp949", "utf-16-le")[int(rng.integers(4))]
    return text.encode().decode(wrong, "replace").replace("\0", "")


def _scanned(text: str, rng: np.random.Generator) -> str:
    """Return text with a quarter of its characters misread, lost or split, as by poor OCR."""
    noise = "~`'.,|/\\l1I!0OoㅣㅡㅇㄱㄴA#*^_-:;"
    out = []
    for letter in text:
        draw = rng.random()
        if draw < 0.12:
            out.append(noise[int(rng.integers(len(noise)))])
        elif draw < 0.18:
            continue
        elif draw < 0.28:
            out.append(letter + " ")
        else:
            out.append(letter)
    return "".join(out)


def _stuffed(text: str, rng: np.random.Generator) -> str:
    """Return a few of the text's words repeated, as in search spam."""
    words = [word for word in text.split() if len(word) > 1][:400] or ["word"]
    chosen = [words[int(rng.integers(len(words)))] for _ in range(int(rng.integers(3, 9)))]
    extra = rng.choice(_listed(_STUFFING), 4).tolist()
    out: list[str] = []
    size = 0
    while size < len(text):
        phrase = " ".join(rng.permutation(chosen + extra)[: int(rng.integers(3, 7))].tolist())
        out.append(phrase)
        size += len(phrase)
    return (" " if rng.random() < 0.5 else "\n").join(out)


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")]


def _menu(text: str, rng: np.random.Generator) -> str:
    """Return a page of navigation, sharing buttons and notices, with a few words of the text."""
    words = [word for word in text.split() if len(word) > 1][:200]
    items = _listed(_MENU)
    joint = ("\n", " | ", " > ", " · ", " ")[int(rng.integers(5))]
    out: list[str] = []
    size = 0
    while size < len(text):
        if words and rng.random() < 0.25:
            item = words[int(rng.integers(len(words)))]
        else:
            item = items[int(rng.integers(len(items)))]
        if rng.random() < 0.15:
            item += f" ({int(rng.integers(1, 3000))})"
        out.append(item)
        size += len(item) + len(joint)
    return joint.join(out)


def _advert(text: str, rng: np.random.Generator) -> str:
    out: list[str] = []
    size = 0
    while size < min(len(text), 1500):
        line = _ADVERTS[int(rng.integers(len(_ADVERTS)))]
        line = line.replace("#", str(int(rng.integers(10, 99999))))
        out.append(line)
        size += len(line)
    return (" " if rng.random() < 0.5 else "\n").join(out)


def _blob(text: str, rng: np.random.Generator) -> str:
    """Return base64, hexadecimal digits or log lines of the text's length."""
    size = max(len(text), 40)
    raw = rng.bytes(size)
    draw = int(rng.integers(3))
    if draw == 0:
        line = base64.b64encode(raw).decode()
        return "\n".join(line[at : at + 76] for at in range(0, len(line), 76))
    if draw == 1:
        return " ".join(raw.hex()[at : at + 4] for at in range(0, 2 * size, 4))
    out: list[str] = []
    for at in range(0, size, 60):
        hour, minute, code = rng.integers(24), rng.integers(60), rng.integers(1 << 30)
        level = ("INFO", "DEBUG", "WARN", "ERROR")[int(rng.integers(4))]
        out.append(
            f"2024-03-0{at % 9 + 1} {hour:02d}:{minute:02d}:07,{code % 1000:03d} {level} "
            f"[{code:08x}] {raw[at : at + 6].hex()} status={code % 600} t={code % 97}ms"
        )
    return "\n".join(out)


KINDS: dict[str, Make] = {
    "shuffled_words": _shuffled_words,
    "shuffled_letters": _shuffled_letters,
    "word_salad": _word_salad,
    "mojibake": _mojibake,
    "scanned": _scanned,
    "stuffed": _stuffed,
    "menu": _menu,
    "advert": _advert,
    "blob": _blob,
}
"""Maker by kind."""

_MENU = """
홈, 로그인, 회원가입, 마이페이지, 장바구니, 고객센터, 공지사항, 이전글, 다음글, 목록, 검색,
전체메뉴, 바로가기, 더보기, 닫기, 인쇄, 공유하기, 스크랩, 댓글쓰기, 추천, 신고, 이용약관,
개인정보처리방침, 사이트맵, 최신순, 인기순, 구독, 좋아요, 조회수, 카테고리, 태그, 글쓰기,
첨부파일, 다운로드, 오시는길, 회사소개, 채용, English, 맨위로, Home, Login, Sign up,
My account, Cart, Contact us, About, Search, Menu, Previous, Next, Share, Tweet, Facebook,
Instagram, Print, Subscribe, Newsletter, Privacy policy, Sitemap, Terms of use,
Cookie settings, Accept all, Read more, View all, Back to top, Categories, Tags, Comments,
Reply, Related posts, Archives, Follow us, Download, Skip to content, Language,
All rights reserved
"""
_STUFFING = """
최저가, 추천, 후기, 가격, 순위, 비교, 무료, 할인, 이벤트, 인기, 베스트, 사이트, 업체, 저렴한,
잘하는곳, 유명한, 당일, cheap, best, buy, online, free, price, review, top, discount, near me,
sale, 2024, official, store
"""
_ADVERTS = (
    "지금 가입하면 #원 즉시 지급! 추천인 코드 입력하고 혜택 받으세요",
    "신규 회원 첫 충전 #% 추가 지급, 먹튀 없는 안전한 놀이터",
    "무직자 당일 대출 가능, 누구나 #만원까지 무방문 승인 상담 환영",
    "강남 출장 #시간 연중무휴 후불제 카톡 문의 주세요",
    "단 #일 한정 특가!! 선착순 #명 무료 배송 지금 바로 클릭하세요",
    "★☆ 재택 부업 월 #만원 보장 ☆★ 초보 환영 문의는 오픈채팅",
    "♥최저가 보장♥ 전국 당일 배송 ♥ 후기 #건 ♥ 상담 #",
    "원금 보장 수익률 #% 리딩방 무료 체험 신청하세요",
    "CLICK HERE to claim your FREE $# gift card now!!! Limited time only",
    "Buy cheap meds online, no prescription, save #% today, fast shipping",
    "Best online casino bonus $# free spins no deposit play now and win",
    "Earn $# per day working from home, no experience needed, act now",
    "Hot singles near you want to meet tonight, join free #",
    "!!! SALE !!! #% OFF everything, best price guaranteed, order now",
    "Get # followers instantly, cheap SEO backlinks, money back guarantee",
    "Need cash? Loans up to $# guaranteed approval bad credit ok apply now",
)
