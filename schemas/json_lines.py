"""JSON Lines: one object per line, read leniently; errors name file, line, what is there, remedy.

orjson parses what is standard. What it refuses and Python's `json` allows goes to `json`: NaN and
Infinity, half a surrogate pair, control characters inside strings. Whole numbers beyond 64 bits,
which orjson rounds, become strings of their digits. An object nested too deeply for both is read
field by field; a field that is too deep is `UNREAD`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from json.decoder import scanstring  # type: ignore[attr-defined]  # json's own scanner of strings
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from schemas.errors import InputError
from schemas.files import read_lines

SHOWN_FIELDS = 12
SHOWN_NAME = 40
"""How many fields a message names, and characters of each name."""
_EXACT = 2**63
_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}"]', re.DOTALL)
_SPACE = re.compile(r"[ \t\r\n]*")


class Unread:
    """The value of a field that is nested too deeply to be parsed."""

    def __repr__(self) -> str:
        return "UNREAD"


UNREAD: Final = Unread()


def parse(data: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises ValueError with the parser's message; UnicodeDecodeError (one too) for bytes that are
    not UTF-8.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        return _lenient(text, error)
    if _rounded(value):
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        return _lenient(text, None)
    return value


def _rounded(value: Any) -> bool:
    """Return whether a number may have been a whole one beyond 64 bits, which orjson rounds."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        kind = type(one)
        if kind is dict:
            waiting.extend(one.values())
        elif kind is list:
            waiting.extend(one)
        elif kind is float and not -_EXACT < one < _EXACT:
            return True
    return False


def _whole_number(digits: str) -> int | str:
    if len(digits) > 20:
        return digits
    number = int(digits)
    return number if -_EXACT <= number < 2 * _EXACT else digits


_DECODER: Final = json.JSONDecoder(parse_int=_whole_number, strict=False)


def _lenient(text: str, refused: ValueError | None) -> Any:
    """Return the value as `json` reads it. Raises `refused`, the first parser's error, or its own.

    A string may begin with a byte-order mark only where the caller has left one.
    """
    try:
        return _DECODER.decode(text)
    except RecursionError:
        return _by_field(text)
    except ValueError as error:
        raise (refused or error) from None


def _by_field(text: str) -> dict[str, Any]:
    """Return the fields of an object, UNREAD for those that are nested too deeply."""
    fields: dict[str, Any] = {}
    at = _after_space(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("nested too deeply, and not an object")
    at = _after_space(text, at + 1)
    while True:
        if text[at : at + 1] != '"':
            raise ValueError(f"a field's name is expected at character {at + 1}")
        name, at = scanstring(text, at + 1, False)
        at = _after_space(text, at)
        if text[at : at + 1] != ":":
            raise ValueError(f"a colon is expected at character {at + 1}")
        fields[name], at = _value(text, _after_space(text, at + 1))
        at = _after_space(text, at)
        mark = text[at : at + 1]
        if mark == "}" and _after_space(text, at + 1) == len(text):
            return fields
        if mark != ",":
            raise ValueError(f"a comma or the object's end is expected at character {at + 1}")
        at = _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _value(text: str, at: int) -> tuple[Any, int]:
    """Return the value at `at` and where it ends."""
    try:
        return _DECODER.raw_decode(text, at)
    except RecursionError:
        return UNREAD, _closing(text, at)


def _closing(text: str, at: int) -> int:
    """Return where the object or list that begins at `at` ends."""
    depth = 0
    for match in _BRACKET.finditer(text, at):
        mark = match.group()
        if mark == '"':
            break
        depth += (mark in ("{", "[")) - (mark in ("}", "]"))
        if depth == 0:
            return match.end()
    raise ValueError(f"the value that begins at character {at + 1} does not end")


def read_objects(
    source: Path | BinaryIO, of: str, name: str | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a JSONL file, plain or packed, with their line numbers from 1.

    `of`: what the file should hold, such as "chats"; `name`: what messages call a stream. Raises
    InputError with file, line and remedy: the file cannot be read (see `read_lines`), a line is
    not JSON or not an object, or there is no line at all.
    """
    name = name or str(source)
    number = 0
    for number, line in read_lines(source, of, name):
        try:
            value = parse(line.removeprefix("\ufeff") if number == 1 else line)
        except ValueError as error:
            raise InputError(
                f"{name}: line {number}: not JSON ({error}); write one object per line"
            ) from None
        if not isinstance(value, dict):
            raise InputError(
                f"{name}: line {number}: {kind_of(value)}, not an object; write one object per line"
            )
        yield number, value
    if not number:
        raise nothing_in(name, of)


def nothing_in(name: str | Path, of: str) -> InputError:
    """Return the error of a file without a usable record. `of`: what it should hold."""
    return InputError(f"{name}: it holds no {of}; check the path, and write one object per line")


def kind_of(value: Any) -> str:
    """Return the JSON type of a value with its article: "a list", "null"."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    kinds = {str: "a string", list: "a list", dict: "an object", Unread: "nested too deeply"}
    return next((kind for type_, kind in kinds.items() if isinstance(value, type_)), "not JSON")


def fields_of(row: Mapping[str, Any]) -> str:
    """Return the names of a record's fields for a message: "fields: content, doc.title, url"."""
    paths = [
        path
        for name, value in row.items()
        for path in (
            [f"{name}.{inner}" for inner in value] if isinstance(value, dict) and value else [name]
        )
    ]
    names = [whole_text(str(path))[0][:SHOWN_NAME] for path in paths[:SHOWN_FIELDS]]
    more = len(paths) - len(names)
    return "fields: " + (", ".join(names) or "none") + (f" and {more} more" if more > 0 else "")


def not_found(wanted: str, row: Mapping[str, Any]) -> str:
    """Return that a field is missing and what is there: "text not found; fields: title, url"."""
    return f"{wanted} not found; {fields_of(row)}"


def text_of(row: Mapping[str, Any], field: str = "text") -> str:
    """Return a record's text. Raises ValueError: the field is missing, or is not a string.

    Half a surrogate pair, which no file can hold, becomes U+FFFD.
    """
    if field not in row:
        raise ValueError(not_found(field, row))
    value = row[field]
    if not isinstance(value, str):
        raise ValueError(f"{field} is {kind_of(value)}, not a string")
    return whole_text(value)[0]


def whole_text(text: str) -> tuple[str, int]:
    """Return a text with U+FFFD for each half of a surrogate pair, and how many there were."""
    try:
        text.encode()
    except UnicodeEncodeError:
        replaced = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return replaced, replaced.count("\ufffd") - text.count("\ufffd")
    return text, 0
