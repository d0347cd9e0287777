"""What a file says of its own charset: meta tags, XML and CSS declarations, lines of editors."""

from __future__ import annotations

import re

from schemas.charsets import codec_named, codec_of

META_WINDOW = 4096
"""Bytes that are searched for a meta tag. The standard demands 1,024; real pages have it later."""
_UTF_16 = frozenset({"utf-16-le", "utf-16-be", "utf-16", "utf-32", "utf-32-le", "utf-32-be"})

_NAME = rb"""["']?\s*([A-Za-z0-9_.:-]{2,40})"""
_META = re.compile(rb"""<meta[^>]{0,256}?charset\s*=\s*""" + _NAME, re.I)
_XML = re.compile(rb"""^\s*<\?xml[^>]{0,256}?encoding\s*=\s*""" + _NAME, re.I)
_CSS = re.compile(rb"""^@charset\s+""" + _NAME, re.I)
_HEADER = re.compile(r"""charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.I)
_EDITOR = re.compile(
    rb"(?:coding[:=]|\b(?:fenc|fileencoding|encoding)=)[ \t]*['\"]?([A-Za-z0-9_.-]{2,40})", re.I
)
"""PEP 263's pattern, which Emacs' `-*- coding: … -*-` and Vim's `fileencoding=` suit too."""
_EDGE = 400
"""Characters of a line that are read; a declaration stands at the front of a short one."""
_LINE_END = re.compile(r"-(?:unix|dos|mac)$")


def page_labels(data: bytes, content_type: str | None) -> list[str]:
    """Return the codecs that the HTTP header and the page name, the header's first.

    Only labels of the Encoding Standard count. UTF-16 inside a page is ignored: bytes in which a
    tag can be read are not UTF-16.
    """
    header = _HEADER.search(content_type or "")
    head = data[:META_WINDOW]
    inside = _META.search(head) or _XML.search(head)
    outer = codec_of(header.group(1) if header else None)
    inner = codec_of(inside.group(1).decode("ascii") if inside else None)
    return [codec for codec in (outer, None if inner in _UTF_16 else inner) if codec]


def text_labels(data: bytes) -> list[str]:
    """Return the codecs that a text or source file names: at most one.

    Read are PEP 263's lines and those of editors among the first two lines and the last five, an
    XML declaration, a `@charset` rule and a meta tag.
    """
    head = data[:META_WINDOW]
    for form in (_XML, _CSS, _META):
        if found := form.search(head):
            return _known(found.group(1))
    lines = [*head.split(b"\n", 2)[:2], *data[-META_WINDOW:].split(b"\n")[-5:]]
    for line in lines:
        if found := _EDITOR.search(line[:_EDGE]):
            return _known(found.group(1))
    return []


def _known(name: bytes) -> list[str]:
    codec = codec_named(_LINE_END.sub("", name.decode("ascii").lower()))
    return [codec] if codec and codec not in _UTF_16 else []
