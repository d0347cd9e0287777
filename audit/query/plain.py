"""Values that JSON can hold."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def plain(values: Json) -> Json:
    """Return values that JSON can hold: ids in hex, floats short, spans left out."""
    return {
        name: value.hex()
        if isinstance(value, bytes)
        else short(value)
        if isinstance(value, float)
        else None
        if isinstance(value, list)
        else value
        for name, value in values.items()
    }


def short(value: float) -> float:
    """Return `value` with six significant digits."""
    return float(f"{value:.6g}")
