"""Korean addresses, by road or by lot, down to the building; names only beside a label."""

from __future__ import annotations

from filters.pii.entities import ADDRESS, PERSON, PLACE_WORDS, STRONG, WEAK
from filters.pii.finder import Finder, Shape
from filters.pii.regions import PROVINCE_ENDINGS, PROVINCES, REGIONS

_B = r"[ \t]"
_PROVINCE = rf"(?:{'|'.join(PROVINCES)})(?:{'|'.join(PROVINCE_ENDINGS)})?"
_REGION = rf"(?:{'|'.join(REGIONS)})"
_TOWN = rf"(?:[가-힣]{{1,5}}(?:읍|면|동){_B}{{1,3}})?"
_WHERE = (
    rf"(?<![가-힣])(?:{_PROVINCE},?{_B}{{0,3}}(?:{_REGION}{_B}{{0,3}}){{0,2}}"
    rf"|(?:{_REGION}{_B}{{0,3}}){{1,2}}){_TOWN}"
)
_NOT_A_COUNT = (
    rf"(?![0-9])(?!{_B}?(?:시간|분|초|일|월|년|개|명|번째|차|층|위|호선|배|회|%|원|km|m[^a-z]|대|가지|"
    r"곳|세[^대]|만|천|억|점|인|건|장|권|차례|여|번[ 을은이가에의])|[.,:][0-9])"
)
_HOUSE = rf"(?:지하{_B}?)?[0-9]{{1,4}}(?:-[0-9]{{1,4}})?(?:번지)?"
_ROAD = (
    r"[가-힣]{1,10}[0-9]{0,3}(?:대로|(?<!으)로|길)"
    rf"(?:{_B}?[0-9]{{1,4}}(?:번|[가나다라마])?(?:안)?(?:길|로))?"
)
_LOT = r"(?:[가-힣]{1,6}(?:[0-9]{1,2})?(?:동|리)|[가-힣]{1,6}[0-9]가)"
_TAIL = (
    rf"(?:(?:,{_B}?|{_B})?(?:\([가-힣0-9][가-힣0-9,· \t]{{1,24}}\)"
    r"|[가-힣A-Za-z0-9]{1,12}(?:아파트|빌딩|타워|오피스텔|빌라|맨션|하우스|센터|프라자|플라자|주공|자이|힐스테이트"
    r"|캐슬|푸르지오|래미안)"
    rf"|(?:제)?[0-9A-Za-z]{{1,4}}동(?={_B}?[0-9])|(?:지하{_B}?|B)?[0-9]{{1,4}}(?:호|층)(?![가-힣]선)))"
    r"{0,5}"
)

ADDRESSES = Finder(
    ADDRESS,
    (
        Shape("road", rf"{_WHERE}{_ROAD}{_B}?{_HOUSE}{_NOT_A_COUNT}{_TAIL}", STRONG),
        Shape("lot", rf"{_WHERE}{_LOT}{_B}?(?:산{_B}?)?{_HOUSE}{_NOT_A_COUNT}{_TAIL}", STRONG),
        Shape(
            "flat",
            rf"{_WHERE}[가-힣A-Za-z0-9]{{1,12}}{_B}?[가-힣]{{0,6}}{_B}?[0-9]{{1,4}}동{_B}?[0-9]{{1,4}}호",
            STRONG,
        ),
        Shape(
            "road, no region",
            rf"(?<![가-힣0-9]){_ROAD}{_B}?{_HOUSE}{_NOT_A_COUNT}{_TAIL}",
            WEAK,
        ),
        Shape(
            "romanised",
            rf"(?<![0-9A-Za-z-])[0-9]{{1,4}}(?:-[0-9]{{1,4}})?,?{_B}"
            rf"(?:[A-Z][a-z]{{1,15}}(?:-?[a-z]{{1,12}})?(?:{_B}?[0-9]{{1,3}}(?:beon|ga)?)?-(?:daero|ro|gil),?{_B}?"
            rf"(?:[0-9]{{1,3}}(?:beon)?-gil,?{_B}?)?)"
            rf"(?:[A-Z][a-z]{{1,15}}(?:-[a-z]{{2,4}})?(?:,?{_B}|(?![A-Za-z]))){{1,4}}",
            STRONG,
        ),
    ),
    PLACE_WORDS,
    context_after=0,
)

_SURNAMES = (
    "김이박최정강조윤장임한오서신권황안송전홍유고문양손배백허남심노하곽성차주우구민류나진지엄채원천방공현함변염여추도소"
    "석선설마길연위표명기반왕금옥육인맹제모탁국어은편용"
)
_LABELS = "담당자|성함|성명|이름|예금주|대표자|작성자|신청자|수취인|수신인|보호자|환자|고객명"
NAMES = Finder(
    PERSON,
    (
        Shape(
            "behind a label",
            rf"(?<=(?:{_LABELS})(?:은|는)?{_B}?[:：]?{_B}?)[{_SURNAMES}][가-힣]{{1,2}}"
            r"(?=[^가-힣]|$|입니다|이고|이며|님|씨|\0)",
            STRONG,
        ),
        Shape(
            "before an honorific",
            rf"(?<![가-힣])[{_SURNAMES}][가-힣]{{2}}(?={_B}?(?:님|씨)(?![가-힣]{{2}}))",
            STRONG,
        ),
    ),
)

FINDERS = (ADDRESSES, NAMES)
