"""Korean addresses, by road or by lot, down to the building; names of persons beside a label."""

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
_COUNTER = (
    r"(?:시간|분|초|일|월|년|개|명|번째|번(?!지|길)|차|층|위|호선|호점|호기|배|회|%|원|km|m(?![a-z])|미터|대|가지|곳"
    r"|세|살|만|천|억|조|점|인|건|장|권|여|평|㎡|제곱|단지|구역|구간|지구|코스|도(?![가-힣])|시(?![가-힣])"
    r"|가(?![가-힣]*[0-9]))"
)
_PARTICLE = (
    r"(?:[을를은는이가의에로와과도만씩쯤째]|으로|까지|부터|에서|간|정도|이상|이하|입니다|이다)"
)
_NOT_A_COUNT = (
    # after a blank a counter ends its word: 152 대 counts, 152 대우빌딩 is a building
    rf"(?![0-9])(?!{_COUNTER}|{_B}{_COUNTER}{_PARTICLE}?(?![가-힣])|[.,:][0-9])"
)
_HOUSE = rf"(?:지하{_B}?)?[0-9]{{1,4}}+(?:-[0-9]{{1,4}})?+(?:번지)?+"
_ROAD = (
    r"[가-힣]{1,10}[0-9]{0,3}(?:대로|(?<!으)로|(?<!출근|퇴근|등굣|하굣|귀성|골목|원정|갈림|지름)길)"
    rf"(?:{_B}?[0-9]{{1,4}}(?:번|[가나다라마])?(?:안)?(?:길|로))?+"
)
_LOT = (
    rf"(?:[가-힣]{{1,6}}(?:[0-9]{{1,2}}(?:가[0-9]?)?)?(?:동|리)(?:{_B}?[0-9]가)?+"
    rf"|[가-힣]{{1,6}}{_B}?[0-9]가)"
)
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
            rf"(?-i:(?<![0-9A-Za-z-])[0-9]{{1,4}}(?:-[0-9]{{1,4}})?,?{_B}"
            rf"[A-Z][a-z]{{1,15}}(?:-?[a-z]{{1,12}})?(?:{_B}?[0-9]{{1,3}}(?:beon|ga)?)?"
            rf"-(?:daero|ro|gil)(?![A-Za-z])(?:,?{_B}?[0-9]{{1,3}}(?:beon|ga)?-gil(?![A-Za-z]))?"
            rf"(?:,?{_B}[A-Z][a-z]{{1,15}}(?:-[a-z]{{2,4}})?(?![A-Za-z])){{1,4}})",
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
_ROLES = (
    "(?:주인장|구매자|구독자|위원장|이사장|원장|여러분|신청자|작성자|지원자|기부자|우승자|이용자|변호사|변리사|조합원|임직원"
    "|공무원|전문가|연구원|지휘자|진행자|조련사|노무사|배우자|선생|고객|기사|문의자|홍보대|변경)"
)
"""Words before an honorific that begin like a surname."""
NAMES = Finder(
    PERSON,
    (
        Shape(
            "behind a label",
            rf"(?<=(?:{_LABELS})(?:(?:은|는){_B}?[:：]?|{_B}?[:：]){_B}?)[{_SURNAMES}][가-힣]{{1,2}}"
            r"(?=[^가-힣]|$|입니다|이고|이며|님|씨|\0)",
            STRONG,
        ),
        Shape(
            "behind a label, no mark",  # not 담당자 변경
            rf"(?<=(?:{_LABELS}){_B})[{_SURNAMES}][가-힣]{{2}}(?=[^가-힣]|$|입니다|이고|이며|님|씨|\0)",
            STRONG,
        ),
        Shape(
            "before an honorific",
            rf"(?<![가-힣])(?!{_ROLES})[{_SURNAMES}][가-힣]{{2}}(?={_B}?(?:님|씨)(?![가-힣]{{2}}))",
            STRONG,
        ),
    ),
)

FINDERS = (ADDRESSES, NAMES)
