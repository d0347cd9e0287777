"""Phrases by class, and an automaton that finds all of them in one pass over a window.

Written for this project. The role of a phrase: `offer` is used by sellers only; `topic` is used by
sellers and reporters; `report` is typical of news, law and encyclopedias; `slur` names the class
`hate`. `filters/toxicity/spam.py` weighs the roles.

Phrases are matched on folded text (`filters/columnar/windows.py`) without punctuation and the
values of digits. Phrases of three Hangul syllables or more may have gaps ("카 지 노"); an English
phrase must be whole words.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

CLASSES = ("gambling", "adult", "loan", "drugs", "advertising", "hate")
"""The values of the column `lexicon`, in its order."""
OFFER, TOPIC, REPORT, SLUR = range(4)

_LONG_RUN = re.compile(r"(.)\1{2,}")

_PHRASES: dict[tuple[str, int], str] = {
    ("gambling", OFFER): """
        먹튀검증, 먹튀없는, 먹튀제보, 안전놀이터, 메이저놀이터, 토토사이트추천, 토토사이트주소,
        꽁머니, 첫충, 매충, 가입머니, 무료머니, 환전빠른, 단폴가능, 무제재, 카지노사이트추천,
        카지노추천, 바카라사이트추천, 바카라추천, 카지노쿠폰, 슬롯추천, 파워볼사이트, 사다리사이트,
        충환전, 콤프지급, 가입코드, 추천인코드, 코드가입, 보증업체, 놀이터추천, 배당높은, 픽공유,
        총판모집, 입금보너스, free spins, no deposit bonus, casino bonus, welcome bonus,
        play now and win, best odds, best online casino, join our casino, deposit bonus, bonus code,
        betting tips, win real money, jackpot slots, claim your bonus
    """,
    ("gambling", TOPIC): """
        카지노, 바카라, 토토, 토토사이트, 스포츠토토, 사설토토, 슬롯머신, 슬롯게임, 온라인도박,
        도박사이트, 룰렛, 파워볼, 홀덤, 블랙잭, 베팅, 배팅, 판돈, 잭팟, casino, casinos, gambling,
        baccarat, roulette, slots, jackpot, betting, poker, sportsbook
    """,
    ("adult", OFFER): """
        출장마사지, 출장안마, 출장샵, 출장만남, 콜걸, 애인대행, 조건만남, 후불제, 와꾸,
        이십사시출장, 오피추천, 오피사이트, 하이퍼블릭, 텐프로, 건마추천, 유흥알바, 밤알바, 키스방,
        휴게텔, 립카페, 성인용품할인, 야동사이트, 야동추천, 섹파, 일탈계, 만남어플추천,
        매니저프로필, escort service, escorts available, call girls, call girl, hot singles,
        meet singles, sexy girls near you, live sex, sex cam, sex cams, adult dating, free porn,
        xxx videos, hookup tonight, incall, outcall
    """,
    ("adult", TOPIC): """
        출장, 마사지, 안마, 유흥, 야동, 성인용품, 성매매, 룸살롱, 풀싸롱, escort, escorts, porn,
        xxx, nude, massage, sexy, hookup
    """,
    ("loan", OFFER): """
        폰테크, 당일대출, 무직자대출, 무서류대출, 비상금대출, 소액대출, 급전대출, 개인돈대출,
        연체자대출, 신용불량자대출, 대출문의, 무방문대출, 즉시입금, 당일입금, 누구나가능, 승인률,
        휴대폰소액결제현금화, 소액결제현금화, 상품권현금화, 정보이용료현금화, 작업대출,
        instant approval, no credit check, bad credit ok, apply now, guaranteed approval,
        cash advance, same day loan, same day loans, quick cash
    """,
    ("loan", TOPIC): """
        대출, 대출상담, 대출가능, 한도조회, 급전, 현금화, 무직자, 신용불량, 연체, 저금리, 사채,
        일수, loan, loans, payday loan, payday loans, lender, lenders, credit score, debt
    """,
    ("drugs", OFFER): """
        비아그라구매, 비아그라판매, 시알리스구매, 시알리스판매, 정품비아그라, 약국최저가, 물뽕판매,
        작대기판매, 작대기팝니다, 아이스판매, 떨판매, 떨팝니다, 텔레문의, 발기부전치료제구매,
        buy viagra, buy cialis, cheap viagra, generic viagra, generic cialis, no prescription,
        without prescription, weight loss pills, male enhancement
    """,
    ("drugs", TOPIC): """
        비아그라, 시알리스, 최음제, 물뽕, 필로폰, 흥분제, viagra, cialis, pharmacy, online pharmacy,
        pills, steroids
    """,
    ("advertising", OFFER): """
        지금바로문의, 지금바로신청, 카톡문의, 카톡상담, 카톡추가, 카카오톡문의, 텔레그램문의,
        오픈채팅문의, 상담환영, 문의환영, 선착순할인, 최저가보장, 파격할인, 특가할인,
        한정특가, 구매링크, 재택알바, 고수익알바, 월수익보장, 원금보장, 수익보장, 리딩방,
        무료체험신청, 급등주추천, 광고문의, 체험단모집, 협찬문의, 당일배송무료, 클릭하세요,
        링크클릭, 백링크, 상위노출, 팔로워구매, 팔로워판매, 좋아요구매, 조회수구매, 위조신분증,
        신분증위조, buy now, order now, act now, limited time offer,
        limited offer, call now, best price, lowest price, money back guarantee, free trial,
        risk free, work from home, make money fast, earn money online, special offer,
        discount code, visit our website, free shipping, seo service, seo services,
        cheap backlinks, dm for promo, whatsapp us, dm me on whatsapp, dm me on telegram,
        replica rolex, replica watches, bitcoin doubler, double your bitcoin
    """,
    ("advertising", TOPIC): """
        할인, 특가, 최저가, 무료배송, 무료상담, 흥신소, 부업, 고수익, discount, discounts, promo,
        coupon, coupons, click here
    """,
    ("hate", SLUR): """
        씨발, 씨팔, 시발놈, 시발년, 시바새끼, 병신, 개새끼, 개색끼, 개년, 미친놈, 미친년, 지랄,
        좆, 존나, 한남충, 김치녀, 된장녀, 맘충, 틀딱, 급식충, 짱깨, 쪽바리, 깜둥이, 똥꼬충,
        홍어새끼, 보슬아치, ㅅㅂ, ㅆㅂ, ㅄ, ㅂㅅ, fuck, fucking, fucker, motherfucker, bitch,
        bitches, cunt, cunts, whore, whores, slut, sluts, faggot, faggots, fag, fags, nigger,
        niggers, nigga, niggas, retard, retarded, tranny, spic, kike, chink
    """,
    ("gambling", REPORT): """
        경찰, 검찰, 검거, 혐의, 기소, 구속, 입건, 법원, 판결, 선고, 처벌, 단속, 수사, 기자, 보도,
        밝혔다, 규제, 법률, 조항, 연구, 통계, 중독, 예방, 피해자, 위반, 금지, 따르면, 역사, 불법,
        적발, 당부, 주의보, 징역, 벌금, 금융감독원, 금감원, 관세청, 위원회, 공단, 진흥원, 유사수신,
        police, arrested, prosecutors, court, convicted, sentenced, law, lawmakers, regulation,
        regulators, according to, researchers, study, reported, investigation, charged, fined,
        illegal, addiction, history, legislation
    """,
}


@dataclass(frozen=True)
class Automaton:
    """An Aho-Corasick automaton over folded characters, as arrays for a kernel.

    `symbol`: uint16 (65536,), the column of each character, 0 for one in no phrase. `step`:
    int16 (states, columns), the next state. `output`: int16 (states,), the first phrase that
    ends in the state, or -1; `suffix`: int16 (states,), the next state to look at for shorter
    phrases, 0 for none. By phrase: `length` in characters, `kind` (index into CLASSES), `role`, and
    `gaps` (how many gaps it may have).
    """

    symbol: npt.NDArray[np.uint16]
    step: npt.NDArray[np.int16]
    output: npt.NDArray[np.int16]
    suffix: npt.NDArray[np.int16]
    length: npt.NDArray[np.int16]
    kind: npt.NDArray[np.int16]
    role: npt.NDArray[np.int16]
    gaps: npt.NDArray[np.int16]


def phrases() -> list[tuple[str, int, int]]:
    """Return (folded phrase, class, role), sorted; an English phrase has a space at both ends."""
    found = []
    for (name, role), text in _PHRASES.items():
        for phrase in (part.strip() for part in " ".join(text.split()).split(",")):
            folded = _LONG_RUN.sub(r"\1\1", phrase)
            edged = f" {folded} " if phrase.isascii() else folded
            found.append((edged, CLASSES.index(name), role))
    return sorted(set(found))


@lru_cache
def automaton() -> Automaton:
    """Return the automaton of all phrases (Aho and Corasick 1975), made once per process."""
    rows = phrases()
    symbol = np.zeros(1 << 16, np.uint16)
    for column, letter in enumerate(sorted({c for phrase, _, _ in rows for c in phrase}), 1):
        symbol[ord(letter)] = column
    columns = int(symbol.max()) + 1

    children: list[dict[int, int]] = [{}]
    ends: list[int] = [-1]
    for index, (phrase, _, _) in enumerate(rows):
        state = 0
        for letter in phrase:
            column = int(symbol[ord(letter)])
            if column not in children[state]:
                children.append({})
                ends.append(-1)
                children[state][column] = len(children) - 1
            state = children[state][column]
        ends[state] = index

    step = np.zeros((len(children), columns), np.int16)
    fail = np.zeros(len(children), np.int16)
    suffix = np.zeros(len(children), np.int16)
    waiting = deque([0])
    while waiting:
        state = waiting.popleft()
        if state:
            step[state] = step[fail[state]]
        for column, child in children[state].items():
            fail[child] = step[fail[state], column] if state else 0
            step[state, column] = child
            waiting.append(child)
        link = int(fail[state])
        suffix[state] = link if ends[link] >= 0 or link == 0 else suffix[link]
    return Automaton(
        symbol,
        step,
        np.array(ends, np.int16),
        suffix,
        np.array([len(phrase) for phrase, _, _ in rows], np.int16),
        np.array([kind for _, kind, _ in rows], np.int16),
        np.array([role for _, _, role in rows], np.int16),
        np.array([_gaps(phrase) for phrase, _, _ in rows], np.int16),
    )


def _gaps(phrase: str) -> int:
    return 0 if phrase.isascii() or len(phrase) < 3 else len(phrase)
