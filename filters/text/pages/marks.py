"""What the tag, class, id and role of an element say about its part in a page."""

from __future__ import annotations

import re
from functools import lru_cache

from filters.text.pages.words import words

HIDDEN = 1
"""Not shown, or a mark of the page's own (edit links, line numbers)."""
AROUND = 2
"""Stands around the content: menus, side bars, banners, related pages."""
COMMENTS = 4
"""Readers' comments."""
DETAIL = 8
"""A short detail: dates, authors, counts, tags, credits."""
CONTENT = 16
"""Named as the content."""
REPLIES = 128
"""Comments below an article, posts of a thread elsewhere."""
RELATED = 64
"""Links to other pages, by the first part of a name: of an article, not of documentation."""
PERHAPS = 32
"""Stands around the content, unless it is prose."""

_VALUES = re.compile(r'\b(class|id|role|itemprop|style|hidden|aria-hidden)="([^"]*)"')
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)

_HIDDEN = words("""
    mw-editsection headerlink anchorjs-link sr-only visually-hidden screen-reader-text
    screen-reader a11y-hidden lineno linenos line-numbers-rows rouge-gutter
    theme-doc-version-banner vector-page-tools blob-num hljs-ln-numbers katex-html MathJax_Preview
    mwe-math-fallback-image-inline mwe-math-fallback-image-display skip-to-content skip-link
    u-hidden d-none is-hidden visuallyhidden copybtn copy-button code-copy edit-page-link
""")
_AROUND = words("""
    adsbygoogle adbox breadcrumb breadcrumbs breadcrum crumb crumbs navi navbar gnb lnb snb tnb
    fnb submenu topmenu sitemap sidebar aside share sharing shares sharer sns addthis related
    relation recommend recommended recommendation recommendations newsletter subscribe
    subscription cookie cookies consent gdpr popup login signin signup searchbox pagination pager
    paging paginate pagenav promo promotion sponsored sponsors outbrain taboola disclaimer
    copyright footer foot masthead toc trending ranking mostread similar upsell crosssell donation
    donate prevnext navheader navfooter recent colophon dropdown commentform privacy paywall
    nocontent textwidget teasers location satisfaction survey quick quickmenu kogl family util
    utils utility skipnav skip navbox catlinks stub ambox mbox signature likeit sympathy clap
    claps reaction reactions follow attach attachment attachments crumb delivery shipping refund
    refunds returns seller vendor cart quantity price stock soldout onsale wishlist suggested
    suggestions online stats journalist channel categorize prev next card cards rec sort sorting
    tagbar pop popularity notices ccl opencontent license copyrights report badge rank back2top
""")
_PERHAPS = words("""
    ad ads adv advert advertisement advertising banner nav navigation menu menus side widget
    widgets social modal overlay lightbox search toolbar topbar sponsor teaser popular hot latest
    feedback rating ratings vote tooltip entries notice carousel slider links most more
    box-related
""")
"""Words for what stands around the content, which also name parts of it."""
_REPLIES = words("reply replies response responses")
_COMMENT_NAMES = words("bo_vc bo_vc_w")
_COMMENTS = words("""
    comment comments commentlist cmt disqus respond talkback talkbacks trackback trackbacks
    feedback guestbook livere utterances giscus cbox rsp resp review reviews postscript qanda
""")
_DETAIL = words("""
    author authors byline by date datetime time timestamp published posted updated meta metadata
    info postinfo hit hits views view count counts tag tags keywords category categories cat
    credit credits caption-credit source license reporter writer buttons button btn btns btn-group
    print permalink edit actions action act tools tool file files tab tabs top options option
    label labels badge status avatar profile bio biography hidden hide blind gutter noprint
    reference like likes backtop sub_menu person
""")
_LAYOUT = words("has with no without layout not")
"""Words that make a name one of the page's layout: `has-sidebar`."""
_CONTENT = words("""
    articlebody article-body article_body articlecontent article-content article_content
    entry-content post-content post-body postbody entry-body story-body storybody story-content
    bo_v_con xe_content rd_body rhymix_content se-main-container postviewarea tt_article_useless
    contents_style news_body newsct_article dic_area article_view view_content board_view
    mw-parser-output mw-content-text markdown-body page-content main-content maincontent
    content-body body-content document-content wiki-content wiki-body theme-doc-markdown
    articlecontentbox
""")
_PAGES = words("article post entry view board story news read bbs se wiki document")
_BODIES = words("content contents body text viewer renderer container cont con txt")
"""A name with a word of each is the content: `article-body`, `view_cont`."""
_ROLES = {
    "main": CONTENT,
    "article": CONTENT,
    "navigation": AROUND,
    "banner": AROUND,
    "contentinfo": AROUND,
    "search": AROUND,
    "complementary": AROUND,
    "dialog": AROUND,
    "alertdialog": AROUND,
    "menu": AROUND,
    "menubar": AROUND,
    "toolbar": AROUND,
    "tooltip": HIDDEN,
}
_PROPS = {
    "articlebody": CONTENT,
    "text": CONTENT,
    "comment": COMMENTS,
    "breadcrumb": AROUND,
    "author": DETAIL,
    "datepublished": DETAIL,
}


_STARTS = tuple(
    words("""
    recommend breadcrumb newsletter sidebar cookie footer popular paywall subscri pagination
    sharing sharebutton sharebar addtoany mostread
""")
)
"""Beginnings of words for what stands around the content: `popularArticles`, `sidebarleft`."""


@lru_cache(16384)
def marks(attributes: str) -> int:
    """Return the marks of an element, given the text of its attributes as the parser writes it."""
    found = 0
    for name, value in _VALUES.findall(attributes):
        if name in ("class", "id"):
            if value:
                found |= _named(value)
        elif name == "style":
            if _STYLE.search(value):
                found |= HIDDEN
        elif name == "role":
            found |= _ROLES.get(value, 0)
        elif name == "itemprop":
            found |= _PROPS.get(value.lower(), 0)
        elif name == "hidden":
            found |= PERHAPS  # a tab, a platform's variant: a reader can show it
        elif value == "true":
            found |= HIDDEN
    return found


def _starts(word: str) -> bool:
    return word.startswith(_STARTS)


@lru_cache(16384)
def _named(value: str) -> int:
    """Return the marks of the value of a class or an id."""
    found = 0
    for name in value.split():
        lowered = name.lower()
        if lowered in _HIDDEN:
            found |= HIDDEN
        if lowered in _CONTENT:
            found |= CONTENT
        words = {word.lower() for word in _WORDS.findall(name)}
        words.add(lowered)
        if words & _COMMENTS or lowered in _COMMENT_NAMES:
            found |= COMMENTS
        if words & _REPLIES:
            found |= REPLIES
        if words & _PAGES and words & _BODIES:
            found |= CONTENT
        if not words & _LAYOUT:
            if words & _AROUND or any(map(_starts, words)):
                found |= AROUND
            elif any(word.startswith("related") for word in words):
                found |= RELATED
            elif words & _PERHAPS:
                found |= PERHAPS
        if words & _DETAIL:
            found |= DETAIL
    return found
