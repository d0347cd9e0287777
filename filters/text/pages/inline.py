"""Parts of a written page that one regular expression each turns into text: mathematics, ruby."""

from __future__ import annotations

import re

_RAW = re.compile(
    r"<(?:!--|(script|style|xmp|iframe|noembed|noframes|plaintext|textarea|title)\b([^>]*)>)"
)
_MATH = re.compile(r"<math\b([^>]*)>(.*?)</math>", re.DOTALL)
_TEX = re.compile(r'<annotation\b[^>]*encoding="[^"]*[tT]e[xX][^"]*"[^>]*>(.*?)</annotation>', re.DOTALL)
_OTHER_FORM = re.compile(r"<annotation(-xml)?\b.*?</annotation\1>", re.DOTALL)
_ALTTEXT = re.compile(r'\balttext="([^"]*)"')
_IMAGE = re.compile(r'<img\b(?=[^>]*\bclass="[^"]*\b(?:tex|latex|math|equation)\b)[^>]*\balt="([^"]+)"[^>]*>')
_STYLED = re.compile(r"^\{\\(?:display|text)style (.*)\}$", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_SPACE = re.compile(r"\s+")
_PARENTHESIS = re.compile(r"<rp>.*?</rp>", re.DOTALL)
_EXPONENT = re.compile(r"(?<=\d)<sup>(?=[-−]?\d+</sup>)")


def resolve(written: str) -> str:
    """Return the page without raw text (scripts, styles), mathematics and ruby written as text."""
    written = _without_raw(written)
    if "<math" in written:
        written = _MATH.sub(_mathematics, written)
    if "<img" in written and any(word in written for word in ("math", "latex", '"tex', "equation")):
        written = _IMAGE.sub(lambda match: f" ${match[1]}$ ", written)
    if "<rt" in written:
        written = _PARENTHESIS.sub("", written).replace("<rtc>", "").replace("</rtc>", "")
        written = written.replace("<rt>", "(").replace("</rt>", ")")
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


def _mathematics(match: re.Match[str]) -> str:
    """Return a formula: its TeX where the page holds it, else its symbols in a line."""
    attributes, inside = match.groups()
    tex = _TEX.search(inside) or _ALTTEXT.search(attributes)
    if tex and tex[1].strip():
        sign = "$$" if 'display="block"' in attributes else "$"
        return sign + _SPACE.sub(" ", _STYLED.sub(r"\1", tex[1].strip())) + sign
    inside = _OTHER_FORM.sub("", inside)
    for tag, sign in (("</mfrac>", ""),):
        inside = inside.replace(tag, sign)
    return _SPACE.sub(" ", _TAG.sub(" ", inside)).strip()
