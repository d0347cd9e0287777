"""Fields of a record: the text first, the known columns, and `meta`, which is always valid JSON.

A field that is not the text never costs the document. What JSON cannot hold is left out of `meta`,
and its path is listed: bytes, and values that are nested more than DEPTH levels deep. Half a
surrogate pair becomes U+FFFD; NaN and infinities become null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import orjson

from schemas.json_lines import Unread, whole_text

LEFT_OUT: Final = "left_out"
"""The key in `meta` of the paths of what was left out."""
COLUMNS: Final = ("url", "license", "timestamp")
"""Fields that become columns of the document."""
DEPTH: Final = 200
"""Levels of nesting that a field may have beside one that JSON cannot hold; orjson writes 254."""
MAX_PATHS: Final = 20
"""Paths that a document lists; the number of the others follows them."""
_MISSING: Final = object()


def take(value: dict[str, Any], path: str) -> tuple[bool, Any]:
    """Remove the field `path` from a record; return whether it was there, and its value.

    A field of that very name comes first; else `a.b` is the field `b` inside of `a`. An object
    that is left without a field is removed too.
    """
    if path in value:
        return True, value.pop(path)
    head, dot, rest = path.partition(".")
    while dot:
        inner = value.get(head)
        if isinstance(inner, dict):
            found, taken = take(inner, rest)
            if found:
                if not inner:
                    del value[head]
                return True, taken
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return False, None


def document_columns(value: dict[str, Any], left_out: Sequence[str] = ()) -> dict[str, Any]:
    """Return the document columns of a record without its text; other fields go into `meta`.

    `left_out`: paths that the reader has left out already.
    """
    left = list(left_out)
    columns: dict[str, Any] = {name: _column(value, name, left) for name in COLUMNS}
    inner = value.pop("meta", None)
    meta = {k: v for k, v in value.items() if v is not None}
    if isinstance(inner, dict):
        meta.update(inner)
    elif inner is not None:
        meta["meta"] = inner
    return {**columns, "meta": meta or None, "left_out": tuple(left)}


def _column(value: dict[str, Any], name: str, left: list[str]) -> str | None:
    found = value.pop(name, None)
    if found is None or (isinstance(found, float) and math.isnan(found)):
        return None
    if isinstance(found, str):
        return found if found.isascii() else whole_text(found)[0]
    if isinstance(found, bytes):
        return found.decode("utf-8", "replace")
    with suppress(RecursionError, ValueError):
        if not isinstance(found, Unread):
            return whole_text(str(found))[0]
    left.append(name)
    return None


def meta_json(
    meta: Mapping[str, Any] | None, left_out: Sequence[str] = ()
) -> tuple[str | None, list[str]]:
    """Return `meta` as a JSON object (null where it is empty), and the paths that were left out.

    `left_out`: those that the reader has left out. They and the paths of values that JSON cannot
    hold are listed in the object under LEFT_OUT.
    """
    if not left_out:
        if not meta:
            return None, []
        with suppress(TypeError, UnicodeError):
            return orjson.dumps(meta, default=_text).decode(), []
    left = dict.fromkeys(left_out)
    kept = {}
    for key, value in (meta or {}).items():
        name = whole_text(str(key))[0]
        try:
            clean = _clean(value, name, left, DEPTH)
        except _TooDeep:
            clean = _MISSING
            left[name] = None
        if clean is not _MISSING:
            kept[name] = clean
    if not left:
        return orjson.dumps(kept).decode(), []
    if LEFT_OUT in kept:  # the record has such a field: it gives way, and is listed
        left[LEFT_OUT] = None
    paths = list(left)
    more = [f"and {len(paths) - MAX_PATHS} more"] if len(paths) > MAX_PATHS else []
    return orjson.dumps({**kept, LEFT_OUT: [*paths[:MAX_PATHS], *more]}).decode(), paths


class _TooDeep(Exception):
    """A field is nested more than DEPTH levels deep."""


def _text(value: Any) -> str:
    """Return a decimal, a duration or the like as text. Raises TypeError for what is left out."""
    if isinstance(value, bytes | bytearray | memoryview | Unread):
        raise TypeError("not JSON")
    return str(value)


def _clean(value: Any, path: str, left: dict[str, None], depth: int) -> Any:
    """Return a value that orjson writes, or _MISSING, with its path in `left`. Raises _TooDeep."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, str):
        return whole_text(value)[0]
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, dict | list | tuple):
        if not depth:
            raise _TooDeep
        if isinstance(value, dict):
            named = [(whole_text(str(key))[0], inner) for key, inner in value.items()]
            fields = [(k, _clean(v, f"{path}.{k}", left, depth - 1)) for k, v in named]
            return {name: inner for name, inner in fields if inner is not _MISSING}
        cleaned = [_clean(inner, path, left, depth - 1) for inner in value]
        return [inner for inner in cleaned if inner is not _MISSING]
    with suppress(TypeError, ValueError, RecursionError):
        return orjson.loads(orjson.dumps(value, default=_text))
    left[path] = None
    return _MISSING
