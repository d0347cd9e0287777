"""One reader of JSON Lines: lenient where writers are, and exact about what is wrong and where."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InputError
from schemas.json_lines import UNREAD, fields_of, parse, read_objects, text_of, whole_text

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


def objects(path: Path) -> list[tuple[int, dict[str, Any]]]:
    return list(read_objects(path, "rows"))


@given(VALUES)
def test_what_json_writes_is_read_back(value: Any):
    def expected(one: Any) -> Any:
        if isinstance(one, dict):
            return {key: expected(inner) for key, inner in one.items()}
        if isinstance(one, list):
            return [expected(inner) for inner in one]
        whole = isinstance(one, int) and not -(2**63) <= one < 2**64
        return str(one) if whole else one

    # json writes halves that stand side by side as one character
    text = json.dumps(value)
    assert parse(text) == expected(json.loads(text))
    assert parse(text.encode()) == expected(json.loads(text))


def test_nan_and_infinities_are_numbers():
    value = parse('{"a": NaN, "b": [Infinity, -Infinity], "c": 1e999}')
    assert math.isnan(value["a"])
    assert value["b"] == [math.inf, -math.inf]
    assert value["c"] == math.inf


@pytest.mark.parametrize("digits", ["18446744073709551616", "-9223372036854775809", "9" * 5000])
def test_a_whole_number_beyond_64_bits_keeps_its_digits(digits: str):
    assert parse(f'{{"id": {digits}}}') == {"id": digits}


def test_the_largest_numbers_of_64_bits_are_numbers():
    assert parse("[18446744073709551615, -9223372036854775808]") == [2**64 - 1, -(2**63)]


@pytest.mark.parametrize("depth", [300, 1023, 1024, 100_000])
def test_a_field_of_any_depth_costs_no_other_field(depth: int):
    deep = "[" * depth + '"]\\"["' + "]" * depth
    value = parse(f'{{"text": "글", "tree": {deep}, "after": {{"b": "}}"}}}}')
    assert (value["text"], value["after"]) == ("글", {"b": "}"})
    assert value["tree"] is UNREAD or isinstance(value["tree"], list)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"a": }',
        '{"a": 1} x',
        "{'a': 1}",
        '{"a": ' + "[" * 5000,
        '{"a": ' + "[" * 5000 + "]" * 5000,
        '{"a": ' + "[" * 5000 + "]" * 4999 + "}",
        '{"a": ' + "[" * 5000 + '"]' + "]" * 5000 + "}",
        '{"a" ' + "[" * 5000 + "]" * 5000 + "}",
    ],
)
def test_what_is_not_json_is_an_error(text: str):
    with pytest.raises(ValueError):
        parse(text)


def test_a_control_character_inside_a_string_is_kept():
    assert parse(b'{"a": "x\ty"}') == {"a": "x\ty"}


def test_half_a_pair_becomes_a_replacement_character():
    assert whole_text("a\ud83d b\ude00") == ("a\ufffd b\ufffd", 2)
    assert whole_text("글 😀") == ("글 😀", 0)
    assert text_of(parse('{"text": "a\\ud83d"}')) == "a\ufffd"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_lines_of_any_packing_are_numbered_with_the_blank_ones(tmp_path: Path, pack: Any):
    path = tmp_path / "a.jsonl"
    lines = '\ufeff{"a": "1\u2028"}\n\n {"a": NaN}\r\n{"a": 3}'
    path.write_bytes(pack(lines.encode()))
    assert [number for number, _ in objects(path)] == [1, 3, 4]
    assert objects(path)[0][1] == {"a": "1\u2028"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it holds no rows; check the path"),
        (b"\n \n", "it holds no rows"),
        (b'{"a": 1}\n{"a": ', "line 2: not JSON (.*); write one object per line"),
        (b'{"a": 1}\n[1]\n', "line 2: a list, not an object"),
        (b'"x"', "line 1: a string, not an object"),
        ('{"a": 1}\n'.encode("utf-16"), "line 1 is not UTF-8"),
        (b'{"a": "\xb0\xa1"}', "line 1 is not UTF-8"),
        (gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:-9], "cannot be unpacked"),
    ],
)
def test_an_error_names_the_file_and_the_line(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.jsonl: {message}"):
        objects(path)


def test_a_file_that_is_missing_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.jsonl: cannot be read .*; name a file of rows"):
        objects(tmp_path / "none.jsonl")


def test_a_message_lists_the_fields_that_are_there():
    assert fields_of({"title": "x", "doc": {"body": "y", "id": 1}, "e": {}}) == (
        "fields: title, doc.body, doc.id, e"
    )
    assert fields_of({}) == "fields: none"
    assert fields_of({str(n): n for n in range(20)}).endswith("11 and 8 more")
    with pytest.raises(ValueError, match="body not found; fields: text"):
        text_of({"text": "x"}, "body")
    with pytest.raises(ValueError, match="text is a list, not a string"):
        text_of({"text": ["x"]})
