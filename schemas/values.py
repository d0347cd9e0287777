"""Values of a configuration: counts, sizes, shares and secrets, and the base of its sections.

`60M`, `64MB` and `1/3` are read here. Each kind of value also has a JSON schema of what may be
written, so that an editor accepts `60M` where the model holds 60,000,000.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from schemas.secret import Secret, parse_secret

_SCALE: Final = {"k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}
_BYTE_SCALE: Final = {
    **{"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12},
    **{"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40},
}


def parse_count(value: Any) -> Any:
    """Return 60_000_000 for "60M"; whole numbers pass through. Suffixes: k, M, B, T."""
    if isinstance(value, str):
        text = value.strip().lower().replace("_", "").replace(",", "")
        factor = _SCALE.get(text[-1:], 1)
        number = text[:-1] if factor > 1 else text
        try:
            return int(Fraction(number) * factor)
        except (ValueError, ZeroDivisionError):
            raise ValueError(f"{value!r} is not a count; write 60M, 1.5B or 60000000") from None
    return value


def parse_bytes(value: Any) -> Any:
    """Return 64_000_000 for "64MB" and 67_108_864 for "64MiB"; whole numbers pass through."""
    if isinstance(value, str):
        text = value.strip().lower().replace("_", "")
        for suffix in sorted(_BYTE_SCALE, key=len, reverse=True):
            if text.endswith(suffix):
                try:
                    return int(Fraction(text[: -len(suffix)].strip()) * _BYTE_SCALE[suffix])
                except (ValueError, ZeroDivisionError):
                    break
        if not text.isdigit():
            raise ValueError(f"{value!r} is not a size; write 64MB, 64MiB or 67108864")
        return int(text)
    return value


def parse_share(value: Any) -> Any:
    """Return Fraction(1, 3) for "1/3"; numbers become exact fractions of their decimal form."""
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a share; write 1/3 or 0.33")
    if isinstance(value, int | float | str):
        try:
            return Fraction(str(value))
        except (ValueError, ZeroDivisionError):
            raise ValueError(f"{value!r} is not a share; write 1/3 or 0.33") from None
    return value


def written_as(pattern: str, example: str, least: dict[str, int]) -> WithJsonSchema:
    """Return the JSON schema of a number within `least`, or a text of `pattern` such as `example`.

    `least`: JSON Schema's bound, such as {"exclusiveMinimum": 0}.
    """
    text = {"type": "string", "pattern": pattern}
    return WithJsonSchema({"anyOf": [{"type": "number", **least}, text], "examples": [example]})


_ABOVE_ZERO: Final = {"exclusiveMinimum": 0}
_FROM_ZERO: Final = {"minimum": 0}
_FRACTION: Final = r"^[0-9.]+(/[0-9]+)?$"

Count = Annotated[
    int,
    BeforeValidator(parse_count),
    Field(gt=0),
    written_as(r"^[0-9._,/]+ ?[kKmMbBtT]?$", "60M", _ABOVE_ZERO),
]
Bytes = Annotated[
    int,
    BeforeValidator(parse_bytes),
    Field(gt=0),
    written_as(r"^[0-9._/]+ ?([kKmMgGtT][iI]?[bB])?$", "64MB", _ABOVE_ZERO),
]
Share = Annotated[
    Fraction,
    BeforeValidator(parse_share),
    Field(ge=0),
    written_as(_FRACTION, "1/3", _FROM_ZERO),
]
PositiveShare = Annotated[
    Fraction,
    BeforeValidator(parse_share),
    Field(gt=0),
    written_as(_FRACTION, "1/3", _ABOVE_ZERO),
]
Unit = Annotated[float, Field(ge=0, le=1)]
SecretText = Annotated[
    Secret,
    BeforeValidator(parse_secret),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]


class Section(BaseModel):
    """A section of the file. A key that it does not know is an error, never ignored.

    The string below a field is its description, in `docs/config.md` and in the JSON schema.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
        use_attribute_docstrings=True,
    )
