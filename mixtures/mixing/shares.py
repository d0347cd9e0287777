"""Dividing tokens by shares: exact, in integers and fractions, the same on any machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction

from schemas.errors import InputError
from schemas.mixture import Mixture


def component_shares(sizes: Mapping[str, int], settings: Mixture) -> dict[str, Fraction]:
    """Return the share of each component of `sizes` (in tokens, or bytes); they sum to 1.

    For `unimax` even shares, as when no component is at `max_epochs`.
    Raises InputError where no source has a token.
    """
    if settings.strategy == "fixed":
        raw = {name: settings.weights[name].share for name in sizes}
    elif settings.strategy == "proportional":
        raw = {name: Fraction(size) for name, size in sizes.items()}
    elif settings.strategy == "unimax":
        raw = {name: Fraction(1 if size else 0) for name, size in sizes.items()}
    else:
        # Decimal arithmetic is the same on every machine; a library's powers are not.
        with localcontext(prec=40):
            power = 1 / Decimal(str(settings.temperature))
            raw = {name: Fraction(Decimal(size) ** power) for name, size in sizes.items()}
    total = sum(raw.values(), Fraction(0))
    if not total:
        raise InputError("the mixture is empty: no source of its components has a token")
    return {name: value / total for name, value in raw.items()}


def apportion(total: int, shares: Mapping[str, Fraction]) -> dict[str, int]:
    """Divide `total` by `shares` (they sum to 1) into whole numbers that add up to it.

    Largest remainders first (Hamilton's method); ties in order.
    """
    return dict(
        zip(shares, round_parts([total * share for share in shares.values()], total), strict=True)
    )


def fill(total: int, weights: Sequence[Fraction], limits: Sequence[int]) -> list[int]:
    """Divide `total` by `weights`, no part over its limit; return the parts.

    What a part at its limit lacks goes to the others by weight. Parts of weight 0 get nothing.
    The parts add up to `total`, or to the limits of all weighted parts where that is less.
    """
    exact = [Fraction(0)] * len(weights)
    full = {index for index, weight in enumerate(weights) if not weight or not limits[index]}
    left = Fraction(total)
    while left and len(full) < len(weights):
        free = sum((w for index, w in enumerate(weights) if index not in full), Fraction(0))
        over = [
            index
            for index, weight in enumerate(weights)
            if index not in full and left * weight / free >= limits[index]
        ]
        if not over:
            for index, weight in enumerate(weights):
                if index not in full:
                    exact[index] = left * weight / free
            break
        for index in over:
            exact[index] = Fraction(limits[index])
        left -= sum((exact[index] for index in over), Fraction(0))
        full.update(over)
    return round_parts(exact, min(total, int(sum(exact, Fraction(0)))))


def max_tokens(caps: Mapping[str, int], shares: Mapping[str, Fraction]) -> int:
    """Return the tokens of the largest mixture with these shares within every component's cap."""
    return min((int(caps[name] / share) for name, share in shares.items() if share), default=0)


def unimax(caps: Mapping[str, int], tokens: int) -> dict[str, int]:
    """Return the tokens of each component under UniMax: even parts, none above its cap.

    Where all caps lack, none is below its cap, and what is missing raises the smallest to even
    parts; the solver reports it as short.
    """
    lacking = tokens > sum(caps.values())
    left = Fraction(tokens)
    exact: dict[str, Fraction] = {}
    ordered = sorted(caps, key=lambda name: (caps[name], name), reverse=lacking)
    for index, name in enumerate(ordered):
        even = left / (len(ordered) - index)
        exact[name] = (max if lacking else min)(Fraction(caps[name]), even)
        left -= exact[name]
    return dict(zip(caps, round_parts([exact[name] for name in caps], tokens), strict=True))


def round_parts(exact: Sequence[Fraction], total: int) -> list[int]:
    """Return whole numbers that sum to `total`, near `exact`: largest remainders first."""
    whole = [int(value) for value in exact]
    rest = total - sum(whole)
    order = sorted(range(len(exact)), key=lambda index: (whole[index] - exact[index], index))
    for index in order[:rest]:
        whole[index] += 1
    return whole
