"""Random Arrow types and arrays of them: every value that its bytes may hold, nulls, nesting."""

from __future__ import annotations

import random
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

UNITS = ("s", "ms", "us", "ns")
ZONES = (None, "UTC", "KST", "Asia/Seoul", "+09:00", "Nowhere/At_All", "")
_FIXED: tuple[Callable[[random.Random], pa.DataType], ...] = (
    lambda r: r.choice([pa.int8(), pa.int16(), pa.int32(), pa.int64()]),
    lambda r: r.choice([pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]),
    lambda r: r.choice([pa.float16(), pa.float32(), pa.float64()]),
    lambda r: r.choice([pa.date32(), pa.date64()]),
    lambda r: pa.timestamp(r.choice(UNITS), r.choice(ZONES)),
    lambda r: r.choice([pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")]),
    lambda r: pa.duration(r.choice(UNITS)),
    lambda r: pa.binary(r.randint(1, 5)),
)
STRINGS = (pa.string(), pa.large_string(), pa.string_view())
BYTES = (pa.binary(), pa.large_binary(), pa.binary_view())


def random_bytes(rng: random.Random) -> bytes:
    """Return text in UTF-8, text in cp949, or any bytes."""
    return rng.choice(["글".encode(), "글".encode("cp949"), b"\xed\xa0\xbd", b"", rng.randbytes(6)])


def random_array(rng: random.Random, rows: int, depth: int, stored: bool) -> pa.Array:
    """Return an array of a random type. `stored`: of a type that Parquet stores."""
    kinds = ["fixed", "fixed", "bool", "string", "bytes", "decimal", "null", "dictionary", "uuid"]
    if depth:
        kinds += ["list", "struct", "map"] * 2
    if not stored:
        kinds += ["union", "interval", "runs", "empty struct", "list view"]
    return _MAKERS[rng.choice(kinds)](rng, rows, depth, stored)


def _mask(rng: random.Random, rows: int) -> list[bool]:
    share = rng.choice([0.0, 0.3, 1.0])
    return [rng.random() < share for _ in range(rows)]


def _with_nulls(rng: random.Random, array: pa.Array) -> pa.Array:
    valid = pa.array([not null for null in _mask(rng, len(array))], pa.bool_())
    return pc.if_else(valid, array, pa.scalar(None, array.type))


def _fixed(rng: random.Random, rows: int, depth: int, stored: bool) -> pa.Array:
    kind = rng.choice(_FIXED)(rng)
    if stored and pa.types.is_timestamp(kind) and kind.unit == "s":
        kind = pa.timestamp("ms", kind.tz)  # Parquet has no seconds
    width = kind.bit_width // 8
    near = rng.random() < 0.5  # small numbers are ordinary values
    raw = b"".join(
        rng.randint(0, 10**5 if width > 2 else 99).to_bytes(width, "little")
        if near and width <= 8
        else rng.randbytes(width)
        for _ in range(rows)
    )
    return _with_nulls(rng, pa.Array.from_buffers(kind, rows, [None, pa.py_buffer(raw)]))


def _string(rng: random.Random, rows: int, depth: int, stored: bool) -> pa.Array:
    data = pa.array([None if null else random_bytes(rng) for null in _mask(rng, rows)], pa.binary())
    kind = rng.choice(STRINGS[: 2 if stored else 3])  # pyarrow writes no lists of views
    if kind == pa.string_view():
        return data.cast(pa.binary_view()).view(pa.string_view())
    return (
        data.view(pa.string()) if kind == pa.string() else data.cast(pa.large_binary()).view(kind)
    )


def _bytes(rng: random.Random, rows: int, depth: int, stored: bool) -> pa.Array:
    data = [None if null else random_bytes(rng) for null in _mask(rng, rows)]
    return pa.array(data, rng.choice(BYTES[: 2 if stored else 3]))


def _decimal(rng: random.Random, rows: int, depth: int, stored: bool) -> pa.Array:
    kind = rng.choice([pa.decimal128(30, 3), pa.decimal256(60, 0)])
    numbers = pa.array([rng.randint(-99, 99) for _ in range(rows)], pa.int64())
    return _with_nulls(rng, numbers.cast(kind))


def _dictionary(rng: random.Random, rows: int, depth: int, stored: bool) -> pa.Array:
    words = pa.array([random_bytes(rng) for _ in range(3)], pa.binary())
    if rng.random() < 0.7:
        words = words.view(pa.string())
    numbers = [None if null else rng.randrange(3) for null in _mask(rng, rows)]
    return pa.DictionaryArray.from_arrays(pa.array(numbers, pa.int32()), words)


def _uuid(rng: random.Random, rows: int, depth: int, stored: bool) -> pa.Array:
    data = [None if null else rng.randbytes(16) for null in _mask(rng, rows)]
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(data, pa.binary(16)))


def _offsets(rng: random.Random, rows: int) -> list[int]:
    found = [0]
    for _ in range(rows):
        found.append(found[-1] + rng.choice([0, 1, 3]))
    return found


def _list(rng: random.Random, rows: int, depth: int, stored: bool) -> pa.Array:
    kind = rng.randrange(3)
    if kind == 2:
        inner = random_array(rng, rows * 2, depth - 1, stored)
        return pa.FixedSizeListArray.from_arrays(inner, 2)
    offsets = _offsets(rng, rows)
    inner = random_array(rng, offsets[-1], depth - 1, stored)
    mask = pa.array(_mask(rng, rows), pa.bool_())
    if kind:
        return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), inner, mask=mask)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), inner, mask=mask)


def _list_view(rng: random.Random, rows: int, depth: int, stored: bool) -> pa.Array:
    inner = random_array(rng, 4, 0, stored)
    offsets = pa.array([rng.randrange(3) for _ in range(rows)], pa.int32())
    sizes = pa.array([rng.randrange(2) for _ in range(rows)], pa.int32())
    return pa.ListViewArray.from_arrays(offsets, sizes, inner)


def _struct(rng: random.Random, rows: int, depth: int, stored: bool) -> pa.Array:
    count = rng.randint(1, 3)
    names = rng.sample(["bytes", "path", "a.b", "", "text", "한"], count)
    if not stored and count > 1 and rng.random() < 0.3:
        names[1] = names[0]
    inner = [random_array(rng, rows, depth - 1, stored) for _ in range(count)]
    return pa.StructArray.from_arrays(inner, names, mask=pa.array(_mask(rng, rows), pa.bool_()))


def _map(rng: random.Random, rows: int, depth: int, stored: bool) -> pa.Array:
    offsets = _offsets(rng, rows)
    keys = pa.array(range(offsets[-1]), pa.int64())
    if rng.random() < 0.5:
        keys = keys.cast(pa.string())
    inner = random_array(rng, offsets[-1], depth - 1, stored)
    return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), keys, inner)


def _union(rng: random.Random, rows: int, depth: int, stored: bool) -> pa.Array:
    kinds = pa.array([rng.randrange(2) for _ in range(rows)], pa.int8())
    children = [random_array(rng, rows, 0, stored) for _ in range(2)]
    if rng.random() < 0.5:
        return pa.UnionArray.from_sparse(kinds, children)
    return pa.UnionArray.from_dense(kinds, pa.array(range(rows), pa.int32()), children)


def _runs(rng: random.Random, rows: int, depth: int, stored: bool) -> pa.Array:
    return pc.run_end_encode(pa.array([rng.choice([None, 1, 2]) for _ in range(rows)], pa.int64()))


def _interval(rng: random.Random, rows: int, depth: int, stored: bool) -> pa.Array:
    data = [None if null else (1, 2, rng.randint(0, 9)) for null in _mask(rng, rows)]
    return pa.array(data, pa.month_day_nano_interval())


_MAKERS: dict[str, Callable[[random.Random, int, int, bool], pa.Array]] = {
    "fixed": _fixed,
    "bool": lambda r, n, d, s: pa.array(
        [r.choice([None, True, False]) for _ in range(n)], pa.bool_()
    ),
    "string": _string,
    "bytes": _bytes,
    "decimal": _decimal,
    "null": lambda r, n, d, s: pa.nulls(n),
    "dictionary": _dictionary,
    "uuid": _uuid,
    "list": _list,
    "list view": _list_view,
    "struct": _struct,
    "empty struct": lambda r, n, d, s: pa.array([{}] * n, pa.struct([])),
    "map": _map,
    "union": _union,
    "runs": _runs,
    "interval": _interval,
}
