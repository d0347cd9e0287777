"""Parts of a written page that one regular expression each turns into text: mathematics, ruby."""

from __future__ import annotations

import re

_RAW = re.compile(
    r"<!--.*?-->|<(script|style|xmp|iframe|noembed|noframes|plaintext|textarea|title)\b([^>]*)>"
    r"(.*?)</\1>",
    re.DOTALL,
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
    written = _RAW.sub(_raw, written)
    if "<math" in written:
        written = _MATH.sub(_mathematics, written)
    if "<img" in written and ("math" in written or "tex" in written or "equation" in written):
        written = _IMAGE.sub(lambda match: f" ${match[1]}$ ", written)
    if "<rt" in written:
        written = _PARENTHESIS.sub("", written).replace("<rtc>", "").replace("</rtc>", "")
        written = written.replace("<rt>", "(").replace("</rt>", ")")
    if "<sup>" in written:
        written = _EXPONENT.sub("^", written)
    return written


def _raw(match: re.Match[str]) -> str:
    """Return what stands for a comment or an element of raw text."""
    name, attributes, text = match.groups()
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
