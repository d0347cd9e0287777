"""How many bytes of an HTML, XML or SVG file are text that a reader sees.

Tags are recognised as the tokenizer of the HTML standard does (WHATWG, section 13.2.5): `<` begins
one only before a letter, `/`, `!` or `?`; a quoted value may hold `>`; a comment ends at `-->`. In
XML a CDATA section is text, and a tag that ends with `/>` closes itself.
"""

from __future__ import annotations

import numpy as np

from filters.columnar.arrays import Bytes
from filters.columnar.kernels import kernel


def _ascii(text: str) -> Bytes:
    return np.frombuffer(text.encode("ascii"), np.uint8)


_HTML, _SVG, _SCRIPT, _STYLE = _ascii("html"), _ascii("svg"), _ascii("script"), _ascii("style")
_DOCTYPE, _XML, _OPEN_HTML, _OPEN_SVG = map(_ascii, ("<!doctype", "<?xml", "<html", "<svg"))
_COMMENT, _COMMENT_END, _COMMENT_END_BANG = map(_ascii, ("<!--", "-->", "--!>"))
_EMPTY_COMMENT, _DASH_COMMENT = _ascii(">"), _ascii("->")
_CDATA, _CDATA_END, _END = map(_ascii, ("<![cdata[", "]]>", ">"))


@kernel
def _begins(data, at, end, text):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether `text`, in lower case, is at `at`, in any case."""
    if at + len(text) > end:
        return False
    for index in range(len(text)):
        byte = np.int64(data[at + index])
        if 65 <= byte <= 90:
            byte += 32
        if byte != text[index]:
            return False
    return True


@kernel
def _past(data, at, end, text):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the position after the next `text` from `at` on, `end` where there is none."""
    while at < end:
        if _begins(data, at, end, text):
            return at + len(text)
        at += 1
    return end


@kernel
def _is_blank(byte):  # type: ignore[no-untyped-def]  # typed by Numba
    return byte in (9, 10, 12, 13, 32)


@kernel
def _is_letter(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    return at < end and 97 <= data[at] | 32 <= 122


@kernel
def _is_named(data, at, end, name):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether the name at `at` is `name`: white space, `/` or `>` ends it."""
    after = at + len(name)
    return _begins(data, at, end, name) and (
        after == end or _is_blank(data[after]) or data[after] in (47, 62)
    )


@kernel
def _after_blanks(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    while at < end and _is_blank(data[at]):
        at += 1
    return at


@kernel
def is_markup(data, begin, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether a text begins as HTML, XML or SVG does, white space aside."""
    at = _after_blanks(data, begin, end)
    return (
        _begins(data, at, end, _XML)
        or _begins(data, at, end, _DOCTYPE)
        or _is_named(data, at, end, _OPEN_HTML)
        or _is_named(data, at, end, _OPEN_SVG)
    )


@kernel
def _is_html(data, begin, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether a text begins as HTML, and not as XML or SVG."""
    at = _after_blanks(data, begin, end)
    if _begins(data, at, end, _DOCTYPE):
        return _is_named(data, _after_blanks(data, at + len(_DOCTYPE), end), end, _HTML)
    return _is_named(data, at, end, _OPEN_HTML)


@kernel
def _past_comment(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the position after the comment whose content begins at `at`."""
    if _begins(data, at, end, _EMPTY_COMMENT):
        return at + 1
    if _begins(data, at, end, _DASH_COMMENT):
        return at + 2
    while at < end:
        if _begins(data, at, end, _COMMENT_END):
            return at + 3
        if _begins(data, at, end, _COMMENT_END_BANG):
            return at + 4
        at += 1
    return end


@kernel
def _past_tag(data, at, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return (position after the tag whose name begins at `at`, whether it ends with `/>`)."""
    while at < end and not (_is_blank(data[at]) or data[at] in (47, 62)):
        at += 1
    named = False  # inside an attribute's name, or behind it
    while at < end:
        byte = data[at]
        at += 1
        if byte == 62:
            return at, data[at - 2] == 47
        if byte == 61 and named:
            named = False
            at = _after_blanks(data, at, end)
            if at < end and data[at] in (34, 39):
                quote = data[at]
                at += 1
                while at < end and data[at] != quote:
                    at += 1
                at = min(at + 1, end)
            else:
                while at < end and not (_is_blank(data[at]) or data[at] == 62):
                    at += 1
        elif byte == 47:
            named = False
        elif not _is_blank(byte):
            named = True
    return end, False


@kernel
def _before_end_tag(data, at, end, name):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return the position of the next end tag of `name`, `end` where there is none."""
    while at < end:
        closes = data[at] == 60 and at + 1 < end and data[at + 1] == 47
        if closes and _is_named(data, at + 2, end, name):
            return at
        at += 1
    return end


@kernel
def _past_declaration(data, at, end, html):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return (position after the `<!…` or `<?…` at `at`, its visible bytes)."""
    if _begins(data, at, end, _COMMENT):
        return _past_comment(data, at + len(_COMMENT), end), 0
    if html or not _begins(data, at, end, _CDATA):
        return _past(data, at, end, _END), 0
    at += len(_CDATA)
    visible = 0
    while at < end:
        if _begins(data, at, end, _CDATA_END):
            return at + len(_CDATA_END), visible
        visible += data[at] > 32
        at += 1
    return end, visible


@kernel
def visible_bytes(data, begin, end):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return how many bytes of markup (see `is_markup`) are text that a reader sees.

    Tags, comments, declarations, ASCII white space, and the content of `<script>` and `<style>` do
    not count. XML whose first tag is neither `<html>` nor `<svg>` may use these names for text, as
    Android's resources do: there such content counts.
    """
    visible = 0
    html = _is_html(data, begin, end)
    rooted = hides = html
    at = begin
    while at < end:
        after = data[at + 1] if at + 1 < end else np.uint8(0)
        if data[at] != 60:
            visible += data[at] > 32
            at += 1
        elif _is_letter(data, at + 1, end):
            name = at + 1
            at, closed = _past_tag(data, name, end)
            if not rooted:
                rooted = True
                hides = _is_named(data, name, end, _HTML) or _is_named(data, name, end, _SVG)
            if hides and (html or not closed):
                if _is_named(data, name, end, _SCRIPT):
                    at = _before_end_tag(data, at, end, _SCRIPT)
                elif _is_named(data, name, end, _STYLE):
                    at = _before_end_tag(data, at, end, _STYLE)
        elif after == 47 and _is_letter(data, at + 2, end):
            at = _past_tag(data, at + 2, end)[0]
        elif after == 47 and at + 2 < end:
            at = _past(data, at, end, _END)
        elif after in (33, 63):
            at, shown = _past_declaration(data, at, end, html)
            visible += shown
        else:
            visible += 1
            at += 1
    return visible
