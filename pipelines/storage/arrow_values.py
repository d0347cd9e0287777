"""Arrow columns as Python values, whatever they hold: a value that Python lacks loses no row.

Dates and times beyond Python's years are text, as are fractions of microseconds; a time zone that
the machine does not know is UTC; bytes that are not UTF-8 become U+FFFD in strings. Bytes, and what
cannot be converted, are UNREAD. Nothing depends on whether pandas is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.json_lines import UNREAD

_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_PLAIN = (
    pa.types.is_null,
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
)


_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_BYTES = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
)
_LIST = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)


def is_text(kind: pa.DataType) -> bool:
    """Return whether a type holds strings."""
    return any(test(kind) for test in _TEXT)


def is_bytes(kind: pa.DataType) -> bool:
    """Return whether a type holds bytes."""
    return any(test(kind) for test in _BYTES)


def is_list(kind: pa.DataType) -> bool:
    """Return whether a type holds lists; maps are not meant."""
    return any(test(kind) for test in _LIST)


def stored(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values below dictionaries and extension types."""
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif pa.types.is_dictionary(kind):
            kind = kind.value_type
        else:
            return kind


def texts(array: pa.Array) -> list[str | bytes | None]:
    """Return the strings of a column of strings or bytes; bytes where they are not UTF-8."""
    array = _unwrapped(array)
    if is_text(array.type):
        try:
            return list(array.to_pylist())
        except UnicodeDecodeError:
            array = array.cast(pa.large_binary())
    return [_decoded(value) for value in array.to_pylist()]


def _decoded(value: bytes | None) -> str | bytes | None:
    try:
        return value.decode("utf-8") if value is not None else None
    except UnicodeDecodeError:
        return value


def _unwrapped(array: pa.Array) -> pa.Array:
    while True:
        if isinstance(array.type, pa.BaseExtensionType):
            array = array.storage
        elif pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        elif pa.types.is_run_end_encoded(array.type):
            array = pc.run_end_decode(array)
        else:
            return array


def values(array: pa.Array) -> list[Any]:
    """Return the values of a column, UNREAD for each that is bytes or cannot be converted."""
    try:
        return _values(array)
    except Exception:  # damage that only shows here, such as an index beyond its dictionary
        if len(array) == 1:
            return [UNREAD]
        return [values(array.slice(row, 1))[0] for row in range(len(array))]


def _values(array: pa.Array) -> list[Any]:
    if array.type == pa.uuid():
        return list(array.to_pylist())
    array = _unwrapped(array)
    kind = array.type
    if any(test(kind) for test in _PLAIN):
        return list(array.to_pylist())
    if is_text(kind):
        return [_replaced(value) for value in texts(array)]
    if is_bytes(kind):
        return [UNREAD if valid else None for valid in array.is_valid().to_pylist()]
    if pa.types.is_temporal(kind):
        return _times(array)
    if pa.types.is_struct(kind):
        return _structs(array)
    if pa.types.is_map(kind):
        return [_pairs(one) for one in array]
    if is_list(kind):
        return list(_lists(array))
    return [_other(one) for one in array]


def _replaced(value: str | bytes | None) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _structs(array: pa.StructArray) -> list[dict[str, Any] | None]:
    """Return the records of a struct column. A name's second field is `name.2`."""
    names: list[str] = []
    for field in array.type:
        count = sum(known.split(".")[0] == field.name for known in names)
        names.append(f"{field.name}.{count + 1}" if field.name in names else field.name)
    # Not `flatten`, which gives children the nulls of their parents: that aborts for unions.
    columns = [values(array.field(number)) for number in range(array.type.num_fields)]
    valid = array.is_valid().to_pylist()
    rows = zip(*columns, strict=True) if columns else [()] * len(array)
    return [
        dict(zip(names, row, strict=True)) if there else None
        for row, there in zip(rows, valid, strict=True)
    ]


def _pairs(one: pa.MapScalar) -> list[tuple[Any, Any]] | None:
    if not one.is_valid:
        return None
    return [tuple(pair.values()) for pair in _structs(one.values)]  # type: ignore[union-attr]  # never null


def _lists(array: pa.Array) -> Iterator[list[Any] | None]:
    try:
        flat = array.flatten()
    except pa.ArrowException:  # it cannot join slices of every type
        yield from (values(one.values) if one.is_valid else None for one in array)
        return
    inner = values(flat)
    at = 0
    for length in pc.list_value_length(array).to_pylist():
        if length is None:
            yield None
        else:
            yield inner[at : at + length]
            at += length


def _other(one: pa.Scalar) -> Any:
    """Return a value of a union, an interval or a type that is not known here."""
    try:
        if isinstance(one, pa.UnionScalar):
            return values(pa.repeat(one.value, 1))[0] if one.is_valid else None
        value = one.as_py()
    except Exception:  # a type's own conversion may raise anything; one field is at stake
        return UNREAD
    return str(value) if isinstance(value, tuple) else value


def _times(array: pa.Array) -> list[Any]:
    """Return dates, times and durations as Python's, or as text where Python has none such."""
    kind = array.type
    if getattr(kind, "tz", None) is not None and not _known_zone(kind.tz):
        array = array.cast(pa.timestamp(kind.unit, "UTC"))
    elif pa.types.is_interval(kind):
        return [_other(one) for one in array]
    try:
        if getattr(kind, "unit", None) == "ns":
            array = array.cast(_in_microseconds(array.type))
        return list(array.to_pylist())
    except Exception:  # Arrow, datetime and the package of time zones raise errors of their own
        return [_time(array.slice(row, 1)) for row in range(len(array))]


def _known_zone(name: str) -> bool:
    try:
        pa.array([0], pa.timestamp("s", name)).to_pylist()
    except Exception:  # of the package of time zones that is installed, or of Arrow
        return False
    return True


def _time(one: pa.Array) -> Any:
    """Return the only value of an array of times."""
    kind = one.type
    try:
        if getattr(kind, "unit", None) == "ns":
            one = one.cast(_in_microseconds(kind))
        return one.to_pylist()[0]
    except Exception:  # as above: the value is written by its number
        width = pa.int32() if kind.bit_width == 32 else pa.int64()
        return _written(one.view(width)[0].as_py(), kind)


def _in_microseconds(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    return pa.duration("us") if pa.types.is_duration(kind) else pa.time64("us")


def _written(number: int, kind: pa.DataType) -> str:
    """Return a number of days or units as text: 26611-03-02, 00:00:00.000000001, 4 s."""
    if pa.types.is_date(kind):
        days = number if pa.types.is_date32(kind) else number // 86_400_000
        return str(np.datetime64(days, "D"))
    if pa.types.is_duration(kind):
        return f"{number} {kind.unit}"
    if pa.types.is_time(kind):
        seconds, rest = divmod(number * _NANOSECONDS[kind.unit], 10**9)
        minutes, second = divmod(seconds, 60)
        return f"{minutes // 60:02}:{minutes % 60:02}:{second:02}.{rest:09}"
    text = str(np.datetime64(number, kind.unit))
    head, _, fraction = text.partition(".")
    return (text if fraction.strip("0") else head) + ("+00:00" if kind.tz is not None else "")
