"""MathML as one line of text: its TeX where the page holds it, else its symbols."""

from __future__ import annotations

import re

from filters.text.pages.words import words

_MATH = re.compile(r"<math\b([^>]*)>(.*?)</math>", re.DOTALL)
_TEX = re.compile(
    r'<annotation\b[^>]*encoding="[^"]*[tT]e[xX][^"]*"[^>]*>(.*?)</annotation>', re.DOTALL
)
_OTHER_FORMS = re.compile(r"<annotation(-xml)?\b.*?</annotation\1>", re.DOTALL)
_ALTTEXT = re.compile(r'\balttext="([^"]*)"')
_STYLED = re.compile(r"^\{\\(?:display|text)style (.*)\}$", re.DOTALL)
_TAG = re.compile(r"<([^>]*)>")
_BINARY = words("= + - − × · ÷ ± < > ≤ ≥ ≠ ≈ → ⇒ ∈ &lt; &gt;")
"""Operators with a space on both sides."""


def write_formulas(written: str) -> str:
    """Return the page with every <math> replaced with its text, references still escaped."""
    return _MATH.sub(_formula, written)


def _formula(match: re.Match[str]) -> str:
    attributes, inside = match.groups()
    tex = _TEX.search(inside) or _ALTTEXT.search(attributes)
    if tex and tex[1].strip():
        sign = "$$" if 'display="block"' in attributes else "$"
        return sign + " ".join(_STYLED.sub(r"\1", tex[1].strip()).split()) + sign
    return symbols(_OTHER_FORMS.sub("", inside))


def symbols(inside: str) -> str:
    """Return the symbols of MathML in a line: powers as a^b, indices as a_b, fractions as a/b."""
    rows: list[list[str]] = [[]]
    names: list[str] = []
    parts = _TAG.split(inside)
    for text, tag in zip(parts[0::2], [*parts[1::2], ""], strict=True):
        shown = " ".join(text.split())
        if shown:
            in_operator = bool(names) and names[-1] == "mo" and shown in _BINARY
            rows[-1].append(f" {shown} " if in_operator else shown)
        if tag[:1] == "/":
            if names and names[-1] == tag[1:]:
                names.pop()
                children = rows.pop()
                rows[-1].append(_joined(tag[1:], children))
        elif tag:
            names.append(tag.partition(" ")[0])
            rows.append([])
    while len(rows) > 1:
        children = rows.pop()
        rows[-1].append("".join(children))
    return " ".join("".join(rows[0]).split())


def _joined(name: str, children: list[str]) -> str:
    """Return an element of MathML as text, given the texts of its children."""
    if name in ("msup", "mover") and len(children) == 2:
        return f"{children[0]}^{_grouped(children[1])}"
    if name in ("msub", "munder") and len(children) == 2:
        return f"{children[0]}_{_grouped(children[1])}"
    if name in ("msubsup", "munderover") and len(children) == 3:
        return f"{children[0]}_{_grouped(children[1])}^{_grouped(children[2])}"
    if name == "mfrac" and len(children) == 2:
        return f"{_grouped(children[0])}/{_grouped(children[1])}"
    if name == "msqrt":
        return f"√{_grouped(''.join(children))}"
    if name in ("mtd", "mtr"):
        return "".join(children) + " "
    return "".join(children)


def _grouped(text: str) -> str:
    return text if len(text) == 1 or text.isalnum() else f"({text.strip()})"
