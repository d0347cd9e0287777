"""What a recogniser is, as data: shapes with scores, context words, a check of the value.

`analyser` makes Presidio recognisers of these; nothing here needs Presidio.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from filters.pii.entities import CONTEXT_AFTER, HANGUL_DIGITS


class Verdict(Enum):
    """What a check says of a value that has the right shape."""

    REJECT = "reject"
    SHAPE = "shape"
    """The score of the shape stands."""
    CERTAIN = "certain"
    """Score 1; with one of Presidio's own recognisers, if its validation agrees."""
    WEAK = "weak"
    """Right only beside a context word."""


Check = Callable[[str], Verdict]


def shape_only(value: str) -> Verdict:
    """Leave the score to the shape."""
    return Verdict.SHAPE


@dataclass(frozen=True)
class Shape:
    """A pattern (`regex` syntax) and its score. Bounded in length; never crosses NUL."""

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
    """The class of Presidio whose validation is used as well (checksums, formats)."""
    clean: Callable[[str], str] | None = None
    """What that validation gets to see: the value in its plain writing."""
    case_sensitive: bool = False
    context_after: int = CONTEXT_AFTER
    """Characters behind the value in which a context word counts."""


_PLAIN_DIGITS = str.maketrans({**HANGUL_DIGITS, "O": "0", "o": "0", "l": "1", "I": "1"})


def digits_of(value: str) -> str:
    """Return the ASCII digits of a value, with numerals read out and look-alikes resolved."""
    return "".join(c for c in value.translate(_PLAIN_DIGITS) if "0" <= c <= "9")


NOT_AFTER_NUMBER = r"(?<![0-9A-Za-z_])(?<![0-9][-.])"
"""No digit, letter or underscore right before, and no number that goes on over a mark."""
NOT_BEFORE_NUMBER = r"(?![0-9A-Za-z_])(?![-.][0-9])"


def words(text: str) -> frozenset[str]:
    """Return the words of a list written as one string."""
    return frozenset(text.split())


HANGUL_NUMERALS = "".join(HANGUL_DIGITS)
READ_OUT = rf"[0-9{HANGUL_NUMERALS}]"
"""A digit as written or as read out (공 for 0)."""
SPOKEN = rf"{READ_OUT}[ \t]?"
"""The same, a blank behind it perhaps."""


def is_read_out(value: str) -> bool:
    """Return whether a number has numerals in Hangul enough to be no chance (see `scan`)."""
    odd = sum(c in HANGUL_NUMERALS for c in value)
    first = next((i for i, c in enumerate(value) if c in HANGUL_NUMERALS), len(value))
    return odd >= 4 or (odd >= 2 and len(digits_of(value[first:])) >= 6)
