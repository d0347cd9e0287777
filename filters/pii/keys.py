"""Keys of services and private keys, mostly found in source code."""

from __future__ import annotations

import math
import re
from collections import Counter

from filters.pii.entities import API_KEY, SECRET_WORDS, STRONG, WEAK
from filters.pii.finder import Finder, Shape, Verdict

_T = r"[A-Za-z0-9_-]"
_END = r"(?![A-Za-z0-9_])"
_PLACEHOLDER = re.compile(r"example|sample|dummy|placeholder|changeme|your|xxxx|0000", re.I)


def entropy(value: str) -> float:
    """Return the Shannon entropy of a value's characters, in bits a character."""
    size = len(value)
    return -sum(n / size * math.log2(n / size) for n in Counter(value).values())


def _known(value: str) -> Verdict:
    """Reject placeholders and values that repeat themselves."""
    tail = value[4:]
    if _PLACEHOLDER.search(value) or entropy(tail) < 3.0:
        return Verdict.REJECT
    return Verdict.SHAPE


def _assigned(value: str) -> Verdict:
    """Random-looking only: 3.5 bits a character, digits among letters, no path and no name.

    detect-secrets draws its line for base64 strings at 4.5 and for hex at 3.0 bits.
    """
    if _PLACEHOLDER.search(value) or entropy(value) < 3.5:
        return Verdict.REJECT
    letters = sum(c.isalpha() for c in value)
    digits = sum(c.isdigit() for c in value)
    if digits < 3 or letters < 3 or value.count("/") > 3 or value.count(".") > 2:
        return Verdict.REJECT
    if len(re.findall(r"[A-Za-z]{5,}", value)) > 1:
        return Verdict.REJECT  # words, not noise
    return Verdict.SHAPE


SERVICE_KEYS = Finder(
    API_KEY,
    (
        Shape("AWS", rf"(?<![0-9A-Za-z])(?:AKIA|ASIA)[A-Z0-9]{{16}}{_END}", STRONG),
        Shape("Google", rf"(?<![0-9A-Za-z])AIza{_T}{{35}}{_END}", STRONG),
        Shape("GitHub", rf"(?<![0-9A-Za-z])gh[opusr]_[A-Za-z0-9]{{36,76}}{_END}", STRONG),
        Shape(
            "GitHub, fine-grained",
            rf"(?<![0-9A-Za-z])github_pat_[A-Za-z0-9_]{{60,100}}{_END}",
            STRONG,
        ),
        Shape("GitLab", rf"(?<![0-9A-Za-z])glpat-{_T}{{20,60}}{_END}", STRONG),
        Shape("Slack", rf"(?<![0-9A-Za-z])xox[abprs]-[0-9A-Za-z-]{{20,120}}{_END}", STRONG),
        Shape("Stripe", rf"(?<![0-9A-Za-z])[rs]k_live_[0-9A-Za-z]{{20,100}}{_END}", STRONG),
        Shape(
            "OpenAI, Anthropic", rf"(?<![0-9A-Za-z])sk-(?:proj-|ant-)?{_T}{{32,200}}{_END}", STRONG
        ),
        Shape("npm", rf"(?<![0-9A-Za-z])npm_[A-Za-z0-9]{{36}}{_END}", STRONG),
        Shape("PyPI", rf"(?<![0-9A-Za-z])pypi-{_T}{{50,200}}{_END}", STRONG),
        Shape("Hugging Face", rf"(?<![0-9A-Za-z])hf_[A-Za-z0-9]{{30,40}}{_END}", STRONG),
        Shape("SendGrid", rf"(?<![0-9A-Za-z])SG\.{_T}{{16,32}}\.{_T}{{32,64}}{_END}", STRONG),
        Shape(
            "JSON web token",
            rf"(?<![0-9A-Za-z])eyJ{_T}{{10,200}}\.eyJ{_T}{{10,200}}\.{_T}{{16,100}}(?![A-Za-z0-9_-])",
            STRONG,
        ),
    ),
    (),
    _known,
    case_sensitive=True,
)
ASSIGNED_KEYS = Finder(
    API_KEY,
    (
        Shape(
            "assigned",
            r"(?<=[\"'=])[A-Za-z0-9+/_.~-]{20,200}={0,2}(?=[\"'\s,;)<]|\\n|$|\0)",
            WEAK,
        ),
    ),
    SECRET_WORDS,
    _assigned,
)

PRIVATE_KEY_LINES = re.compile(
    r"(?:[\s\"'+,;*#/|>-]|\\[nr]|(?:Proc-Type|DEK-Info|Version|Comment):[^\n\0]{0,80}){1,40}"
    r"[A-Za-z0-9+/=]{32,128}(?:[\s\"'+,;*#/|>-]{1,16}[A-Za-z0-9+/=]{32,100}){0,3}"
)
"""The first lines of a key, also inside quotes or comments; no further than a window shows."""
PRIVATE_KEY_HEAD = r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"

FINDERS = (SERVICE_KEYS, ASSIGNED_KEYS)
