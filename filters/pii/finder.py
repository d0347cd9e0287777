"""Recognisers as data: shapes with scores, context words, a check of the value.

`recognisers` makes Presidio's recognisers of these; this module does not need Presidio.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from filters.pii.entities import CONTEXT_AFTER, HANGUL_DIGITS


class Verdict(Enum):
    """The result of a check of a value that has the right shape."""

    REJECT = "reject"
    SHAPE = "shape"
    """Keeps the score of the shape."""
    CERTAIN = "certain"
    """Gives score 1; with a class of Presidio only if its validation agrees."""
    WEAK = "weak"
    """Needs a context word."""


Check = Callable[[str], Verdict]


def shape_only(value: str) -> Verdict:
    """Accept every value with the score of its shape."""
    return Verdict.SHAPE


@dataclass(frozen=True)
class Shape:
    """A pattern (`regex` syntax) and its score. Bounded in length; does not match NUL."""

    name: str
    pattern: str
    score: float


@dataclass(frozen=True)
class Finder:
    """A recogniser for one entity type."""

    entity: str
    shapes: tuple[Shape, ...]
    context: tuple[str, ...] = ()
    check: Check = shape_only
    presidio: str | None = None
    """Presidio's class whose validation (checksum, format) must agree."""
    clean: Callable[[str], str] | None = None
    """Turns the value into the plain writing that this validation reads."""
    case_sensitive: bool = False
    context_after: int = CONTEXT_AFTER
    """Characters after the value that are searched for a context word."""


_PLAIN_DIGITS = str.maketrans({**HANGUL_DIGITS, "O": "0", "o": "0", "l": "1", "I": "1"})


def digits_of(value: str) -> str:
    """Return the digits of a value in ASCII; numerals read out and look-alikes count as digits."""
    return "".join(c for c in value.translate(_PLAIN_DIGITS) if "0" <= c <= "9")


NOT_AFTER_NUMBER = r"(?<![0-9A-Za-z_])(?<![0-9][-.])"
"""Not directly after a digit, letter or underscore, nor inside a number that has marks."""
NOT_BEFORE_NUMBER = r"(?![0-9A-Za-z_])(?![-.][0-9])"


def words(text: str) -> frozenset[str]:
    """Return the words of a list written as one string."""
    return frozenset(text.split())


HANGUL_NUMERALS = "".join(HANGUL_DIGITS)
READ_OUT = rf"[0-9{HANGUL_NUMERALS}]"
"""A digit as written or as read out (공 for 0)."""
SPOKEN = rf"{READ_OUT}[ \t]?"
"""The same, with an optional blank after it."""


def is_read_out(value: str) -> bool:
    """Return whether a number contains enough Hangul numerals to be deliberate (see `scan`)."""
    hangul = sum(c in HANGUL_NUMERALS for c in value)
    first = next((i for i, c in enumerate(value) if c in HANGUL_NUMERALS), len(value))
    return hangul >= 4 or (hangul >= 2 and len(digits_of(value[first:])) >= 6)
