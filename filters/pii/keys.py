"""Keys of services and private keys, mostly found in source code."""

from __future__ import annotations

import math
import re
from collections import Counter

from filters.pii.entities import API_KEY, SECRET_WORDS, STRONG, WEAK
from filters.pii.finder import Finder, Shape, Verdict

_T = r"[A-Za-z0-9_-]"
_END = r"(?![A-Za-z0-9_])"
_HEX = re.compile(r"(?:0x)?[0-9a-f]+", re.I)
_PUBLIC = re.compile(r"0x[0-9a-f]{40}", re.I)
"""An Ethereum account, which is public; its key has 64 digits."""
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
"""Usually an identifier, not a key; in quotes or directly after = it may be a key."""
_PLACEHOLDER = re.compile(
    r"example|sample|dummy|placeholder|changeme|your|xxxx|0000|12345|abcdef", re.I
)


def entropy(value: str) -> float:
    """Return the Shannon entropy of a value's characters, in bits per character."""
    size = len(value)
    return -sum(n / size * math.log2(n / size) for n in Counter(value).values())


def _known(value: str) -> Verdict:
    """Reject placeholders and values of few distinct characters."""
    tail = value[4:]
    if _PLACEHOLDER.search(value) or entropy(tail) < 3.0:
        return Verdict.REJECT
    return Verdict.SHAPE


def _assigned(value: str) -> Verdict:
    """Accept random-looking values: digits among letters, high entropy, not a path, not words.

    detect-secrets has thresholds of 3.0 bits per character for hex and 4.5 for base64, which few
    keys of 32 characters reach; 3.5 is ours. Of random base64 values of 40 characters one in twenty
    is rejected, because runs of its letters look like words.
    """
    threshold = 3.0 if _HEX.fullmatch(value) else 3.5
    if _PLACEHOLDER.search(value) or _PUBLIC.fullmatch(value) or entropy(value) < threshold:
        return Verdict.REJECT
    letters = sum(c.isalpha() for c in value)
    digits = sum(c.isdigit() for c in value)
    if digits < 3 or letters < 3 or value.count("/") > 3 or value.count(".") > 2:
        return Verdict.REJECT
    words = [len(word) for word in re.findall(r"[A-Z]?[a-z]{4,}|[A-Z]{6,}", value)]
    if len(words) > 2 or sum(size > 5 for size in words) > 1:
        return Verdict.REJECT  # words
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
            "OpenAI, Anthropic",
            rf"(?<![0-9A-Za-z/.])sk-(?:proj-|ant-)?(?=[a-z0-9_-]*[A-Z]){_T}{{32,200}}{_END}",
            STRONG,
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
            rf"(?:(?<=[\"'=>]|Bearer[ \t])|(?<=[=:][ \t])(?!{_UUID}))"
            r"[A-Za-z0-9+/_.~-]{20,200}={0,2}(?=[\"'\s,;)<&]|\\n|$|\0)",
            WEAK,
        ),
    ),
    SECRET_WORDS,
    _assigned,
    context_after=0,
)

PRIVATE_KEY_LINES = re.compile(
    r"(?:[\s\"'+,;*#/|>-]|\\[nr]|(?:Proc-Type|DEK-Info|Version|Comment):[^\n\0]{0,80}){0,40}"
    r"[A-Za-z0-9+/=]{32,128}(?:[\s\"'+,;*#/|>-]{1,16}[A-Za-z0-9+/=]{32,100}){0,3}"
)
"""The first lines of a key, also inside quotes or comments, within the length of a window."""
PRIVATE_KEY_HEAD = r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"

FINDERS = (SERVICE_KEYS, ASSIGNED_KEYS)
