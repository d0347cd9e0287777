"""What would make a mixture possible: each change is solved before it is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

Planned = Callable[[Mapping[str, object]], int | None]
"""Returns the tokens of the mixture under changed settings; None if it cannot be met."""

MOST_EPOCHS: Final = 32_767
"""Passes that a side-car's 16 bits can number."""


def remedies(planned: Planned, tokens: int, max_epochs: float, hint: int | None = None) -> str:
    """Return the changes of the config that would each make a mixture of `tokens` possible.

    Fewer tokens: the most that can be met; `hint` is tried first. More epochs: the fewest, to a
    hundredth.
    """
    ways = []
    possible = hint if hint and planned({"tokens": hint}) else _most_tokens(planned, tokens)
    if possible:
        ways.append(f"mixture.tokens: {possible}")
    if hundredths := _fewest_epochs(planned, max_epochs):
        whole, part = divmod(hundredths, 100)
        ways.append(f"mixture.max_epochs: {f'{whole}.{part:02}'.rstrip('0').rstrip('.')}")
    if planned({"allow_short": True}):
        ways.append("mixture.allow_short: true (other shares than asked for)")
    return ", or ".join(ways) or (
        "no change of tokens, max_epochs or allow_short; the components that are short need more "
        "documents"
    )


def _most_tokens(planned: Planned, tokens: int) -> int:
    """Return the most tokens, below `tokens`, that can be met; 0 if none can.

    Parts are rounded to whole tokens, so within a few of the most a smaller mixture may be
    impossible; each number is solved, and the search keeps one that can be met.
    """
    low, high = 0, tokens
    while high - low > 1:
        middle = (low + high) // 2
        if planned({"tokens": middle}):
            low = middle
        else:
            high = middle
    return low


def _fewest_epochs(planned: Planned, max_epochs: float) -> int:
    """Return the fewest epochs, in hundredths, with which it can be met; 0 if none are enough."""
    low, high = int(max_epochs * 100), MOST_EPOCHS * 100
    if low >= high or not planned({"max_epochs": high / 100}):
        return 0
    while high - low > 1:
        middle = (low + high) // 2
        if planned({"max_epochs": middle / 100}):
            high = middle
        else:
            low = middle
    return high
