"""Blocks that are known by their own words: buttons, heads of boards, credits, invitations."""

from __future__ import annotations

import re

from filters.text.front_matter import is_front_matter
from filters.text.pages.tree import SEPARATOR
from filters.text.pages.words import words

HEADINGS = words("h1 h2 h3 h4 h5 h6")

_CREDIT = re.compile(r"©|\(c\)|ⓒ|getty|reuters|\bdpa\b|\bAFP\b|foto:|photo:|bild:|credit", re.I)
_INVITATION = re.compile(
    r"^\W*(?:(?:read|see|lesen sie|mehr|auch|also|lea|leer|lire|leggi|czytaj|weitere?|more|"
    r"weiterlesen|ähnliche|share|follow|teilen|anzeige|advertisement|reklama|publicidad|"
    r"tags?|schlagw|themen|quelle|foto|sign up|subscribe|newsletter|jetzt|hier)\b|"
    r"관련|추천|인기|함께\s?(?:볼|본|보는)|공유|광고|구독|좋아요|댓글|목록|이전글|다음글|스크랩|신고|무단|저작권)",
    re.I,
)
_BOARD_ROW = re.compile(
    r"작성일|등록일|게시일|조회\s?수?\s?\||작성자|글쓴이|담당\s?부서|첨부\s?파일|번호 \| 제목|"
    r"글\s?제목 \| 작성일"
)
_BOARD_CAPTION = re.compile(r"상세|목록|보기|게시판|후기")
_LEGAL = re.compile(
    r"무단\s?전재|저작권자\s?[©ⓒ(]|all rights reserved|"
    r"^\W*(?:copyright|©|ⓒ|\(c\))\s*(?:©|\d{4})|사업자\s?등록\s?번호|"
    r"(?:이용\s?약관|회사\s?소개).*개인정보\s?(?:처리|취급)\s?방침|"
    r"개인정보\s?(?:처리|취급)\s?방침.*이용\s?약관",
    re.I,
)
_ENTRY = re.compile(
    r"^\W*(?:this (?:entry|post|article|item) (?:was|is) (?:posted|written|published|filed|tagged)|"
    r"(?:filed|posted|published|categori[sz]ed|tagged)[^.]{0,40}\b(?:under|in|with|as|on)\b|"
    r"you can (?:follow|leave|skip|use)[^.]*\b(?:response|comment|feed|trackback)|"
    r"(?:tags?|labels|categories|category|keywords|filed under) ?:)|"
    r"\b(?:are|is an?) (?:registered )?trademarks? of\b|all rights reserved",
    re.I,
)
"""A line of a blog's template or of rights."""
_RULES = re.compile(
    r"^\W*(?:(?:forum|house|board|community|site) rules\b|pages that refer to|recently viewed|"
    r"게시판 (?:이용 )?(?:규칙|안내))|^\S{1,20}\s?님의? (?:답변|글|댓글)$",
    re.I,
)
"""Rules of a board, labels of its posts."""
_ADVERT = re.compile(r"^\W*(?:AD|광고|ADVERTISEMENT|Sponsored)\b")
_READ_TIME = re.compile(r"\b\d{1,3} min(?:ute)?s? read\b", re.I)
_DAY = re.compile(r"\b(?:19|20)\d\d[.-] ?\d\d?[.-] ?\d\d?\b")
_BUTTONS = re.compile(
    r"^(?=.*[^\W\d])\W*+(?:(?:\d{1,6} ?)?(?:신고|공유|URL\s?복사|이웃\s?추가|본문\s?바로\s?가기|"
    r"본문|기타\s?기능|수정|삭제|목록|인쇄|스크랩|댓글\s?추가|댓글|비추천|추천순|추천|질문하기|"
    r"개\s?답변|답변하기|답변을 달아 주세요|답변|나도\s?궁금해요|최신순|과거순|활동순|오래된순|"
    r"최적|맨\s?위로|이전|다음|더보기|게시물\s?본문|펼치기|접기|광고|add a comment|likes?|claps?|"
    r"share|save|follow|listen|reply|report(?: this ad)?|print|back to top|top|copy|your answer|"
    r"answers?|replies|advertisement|ad|sort(?:ed)? by:?|reset to default|oldest|newest|"
    r"most helpful|tweet|like|e-?mail|previous|next|read|edit|talk|discussion|tools|view history|"
    r"view source|skip navigation|article|page|of|좋아요|싫어요|조회|\d+)\b\s*+\d*+\W*+)++$",
    re.I,
)
"""A line of names of buttons."""
_LABEL = re.compile(r"[^:.]{2,30}: ?\S")
_OTHER_SECTION = re.compile(
    r"^(?:(?:전체\s?)?댓글|답글|덧글|관련\s?(?:기사|글|뉴스|문서|상품|게시)|추천\s?(?:기사|글|뉴스|상품)|이전\s?글|다음\s?글|"
    r"최근\s?(?:글|댓글|본)|인기\s?(?:글|기사|검색)|많이\s?본|실시간|다른\s?(?:글|기사|고객|상품)|함께\s?(?:본|볼|보는)|"
    r"이\s?(?:블로그|카페|카테고리|글을|기사를|상품을)|상품평|상품\s?(?:사용\s?)?후기|구매\s?후기|리뷰|배송\s?(?:정보|안내)|교환|반품|"
    r"상품\s?(?:결제|구매)|판매자|첨부\s?파일|공유|구독|사이트\s?정보|자주\s?찾는|"
    r"\d+ (?:comments?|thoughts?|responses?|replies)|comments?\b|responses?\b|leave a|"
    r"related\b(?! (?:topics|pages|sections|concepts|commands|functions))|"
    r"recommended|you (?:may|might)|more (?:from|stories|on|in)\b|read (?:more|next)|"
    r"see also on|customer reviews|reviews?\b|share\b|subscribe|newsletter|sign up|follow us|"
    r"written by|about the author|popular|trending|most read|latest|recent|forum rules|"
    r"shipping (?:&|and) returns|shipping$|returns$|featured (?:posts?|videos?|stories)|"
    r"(?:links we like|blogroll|archives|categories|other sections|stay connected)$|posts by|"
    r"pages that refer to|who is online|staff picks|sponsored|sponsor links|partners$|"
    r"around the web|what (?:do you|to) (?:think|read)|in other news|elsewhere on|"
    r"top (?:stories|news)|(?:more|other|breaking|world|local|latest) (?:news|headlines|stories)|"
    r"headlines$)",
    re.I,
)
"""Headings of parts that are not the page's own text."""


_COMMENTS = re.compile(
    r"\W*(?:\(?\d+\)?\s+|post(?:ed)? |reader |user |add |leave |view |all |your )*(?:a )?"
    r"(?:comments?|responses?|trackbacks?(?:/pingbacks?)?|trackback pings|kommentare?|"
    r"commentaires?|comentarios?|komentarze|комментарии|全部评论|コメント|댓글|덧글|의견)"
    r"(?:\s?(?:to this (?:post|entry)|\(?\d+\)?\s?개?|목록|쓰기))?\W*",
    re.I,
)


def opens_comments(line: str) -> bool:
    """Return whether a short line opens the readers' comments."""
    return bool(_COMMENTS.fullmatch(line))


def names_other_section(heading: str) -> bool:
    """Return whether a heading opens a part that is not the page's own text."""
    return len(heading) < 60 and bool(_OTHER_SECTION.match(heading))


def is_furniture(text: str, tag: str, link_share: float) -> bool:
    """Return whether a block is a row of links or buttons, the head of a board's table, a legal
    line or front matter.

    `tag` is the element that owns the block, `link_share` the share of its text in links.
    """
    parts = text.count("\n") + text.count(SEPARATOR) + text.count("] [")
    if (parts > 1 and link_share > 0.6) or is_front_matter(text):
        return True
    if len(text) < 160 and _LEGAL.search(text):
        return True
    if len(text) < 600 and _ENTRY.search(text) and (link_share > 0 or len(text) < 120):
        return True
    if len(text) < 110:
        return bool(
            _ADVERT.match(text)
            or _RULES.search(text)
            or _READ_TIME.search(text)
            or (parts > 1 and link_share and _DAY.search(text))
            or (parts and _BOARD_ROW.search(text))
            or (tag == "caption" and _BOARD_CAPTION.search(text))
            or _BUTTONS.match(text)
        )
    return False


def is_stray(text: str, tag: str, link_share: float) -> bool:
    """Return whether a block in an article leads to another page, or is a credit."""
    if link_share >= 0.8 and tag not in HEADINGS:
        return True
    if link_share > 0.5 and _LABEL.match(text):
        return True
    if len(text) < 120 and _INVITATION.match(text) and (link_share > 0.5 or len(text) < 40):
        return True
    if tag == "figure" and len(text) < 40:
        return True
    return tag == "figcaption" and len(text) < 300 and bool(_CREDIT.search(text))
