"""Parts of a written page that one regular expression each turns into text: mathematics, ruby."""

from __future__ import annotations

import re

from filters.text.pages.mathematics import write_formulas

_RAW = re.compile(
    r"<(?:!--|(script|style|xmp|iframe|noembed|noframes|plaintext|textarea|title)\b([^>]*)>)"
)
_IMAGE = re.compile(
    r'<img\b(?=[^>]*\bclass="[^"]*\b(?:tex|latex|math|equation)\b)[^>]*\balt="([^"]+)"[^>]*>'
)
_PARENTHESIS = re.compile(r"<rp>.*?</rp>", re.DOTALL)
_READINGS = re.compile(r"</rt>\s*<rt>")
_EXPONENT = re.compile(r"(?<=\d)<sup>(?=[-−]?\d+</sup>)")


def resolve(written: str) -> str:
    """Return the page without raw text (scripts, styles), mathematics and ruby written as text."""
    written = _without_raw(written)
    if "<math" in written:
        written = write_formulas(written)
    if "<img" in written and any(word in written for word in ("math", "latex", '"tex', "equation")):
        written = _IMAGE.sub(lambda match: f" ${match[1]}$ ", written)
    if "<rt" in written:
        written = _PARENTHESIS.sub("", written).replace("<rtc>", "").replace("</rtc>", "")
        written = _READINGS.sub("", written).replace("<rt>", "(").replace("</rt>", ")")
    if "<sup>" in written:
        written = _EXPONENT.sub("^", written)
    return written


def _without_raw(written: str) -> str:
    """Return the page without comments and elements of raw text, or what stands for them."""
    pieces = []
    done = 0
    match = _RAW.search(written)
    while match:
        pieces.append(written[done : match.start()])
        name = match[1]
        end = written.find("-->" if name is None else f"</{name}>", match.end())
        if end < 0:
            end = len(written)
        if name is not None:
            pieces.append(_raw(name, match[2], written[match.end() : end]))
        done = written.find(">", end + 2) + 1 or len(written)
        match = _RAW.search(written, done)
    return "".join(pieces) + written[done:] if pieces else written


def _raw(name: str, attributes: str, text: str) -> str:
    """Return what stands for an element of raw text."""
    if name == "script" and "math/tex" in attributes:
        sign = "$$" if "display" in attributes else "$"
        return f"{sign}{_escaped(text.strip())}{sign}"
    if name in ("xmp", "plaintext"):
        return f"<pre>{_escaped(text)}</pre>"
    return ""


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
