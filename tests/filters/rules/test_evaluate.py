"""One definition of a rule: the mask, the SQL and a slow reading of the documentation agree."""

from __future__ import annotations

import math
import operator
import struct
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from filters.rules.decide import in_scope
from filters.rules.evaluate import OPERATORS, breaks, breaks_sql, holds, mistyped
from schemas.documents import DOCUMENT
from schemas.rules import (
    ORDERED,
    Rule,
    condition_text,
    is_number,
    null_default,
    parse_condition,
    parse_rule,
    replaces,
)

COMPARE = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
    "in": lambda value, values: any(value == one for one in values),
    "lacks": lambda value, one: one not in value,
}
TYPES = [
    *(pa.int8(), pa.int32(), pa.int64(), pa.uint8(), pa.uint64(), pa.float32(), pa.float64()),
    *(pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.bool_()),
    pa.list_(pa.string()),
]
EDGES = [0, 1, -1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**64, 10**30, 127, 128]
WORDS = [
    "",
    "MIT",
    "it's",
    'a "b"',
    "비빔",
    "é",
    "e\u0301",
    "a,b",
    "[x]",
    " x ",
    "5",
    "true",
    "a\0b",
]

integers = st.one_of(st.sampled_from(EDGES), st.integers(-(2**66), 2**66), st.integers(-3, 3))
floats = st.one_of(
    st.floats(allow_nan=False), st.floats(allow_nan=False, width=32), st.sampled_from([0.1, -0.0])
)
strings = st.one_of(st.sampled_from(WORDS), st.text(st.characters(codec="utf-8"), max_size=4))


def is_text(kind: pa.DataType) -> bool:
    return (
        pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
    )


def values_of(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Return what a column of type `kind` may hold, null aside."""
    if pa.types.is_integer(kind):
        signed = pa.types.is_signed_integer(kind)
        low, high = (-1, 1) if signed else (0, 2)
        half = 1 << (kind.bit_width - 1)
        near = st.integers(0, 2).flatmap(
            lambda n: st.sampled_from([low * half + n, high * half - 1 - n])
        )
        edges = [edge for edge in EDGES if low * half <= edge < high * half]
        return st.one_of(near, st.sampled_from(edges), st.integers(low * half, high * half - 1))
    if pa.types.is_floating(kind):
        edges = [
            0.0,
            -0.0,
            math.inf,
            -math.inf,
            math.nan,
            struct.unpack("f", struct.pack("f", 0.1))[0],
        ]
        return st.one_of(st.sampled_from(edges), st.floats(width=kind.bit_width))
    if pa.types.is_boolean(kind):
        return st.booleans()
    return strings if is_text(kind) else st.lists(st.one_of(st.none(), strings), max_size=3)


def bounds_of(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Return what a rule may compare a column of type `kind` with."""
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return st.one_of(integers, floats, values_of(kind).filter(lambda v: v == v))
    return st.booleans() if pa.types.is_boolean(kind) else strings


@st.composite
def cases(draw: st.DrawFn) -> tuple[Rule, pa.DataType, list[Any]]:
    kind = draw(st.sampled_from(TYPES))
    if pa.types.is_list(kind):
        op = draw(st.sampled_from(["lacks", "null", "valid"]))
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        op = draw(st.sampled_from([*ORDERED, "==", "!=", "in", "null", "valid"]))
    else:
        op = draw(st.sampled_from(["==", "!=", "in", "null", "valid"]))
    bound = bounds_of(kind)
    value: Any = draw(st.lists(bound, min_size=1, max_size=3).map(tuple) if op == "in" else bound)
    null = draw(st.sampled_from(["keep", "drop"]))
    rows = draw(
        st.lists(st.one_of(st.none(), values_of(kind), bound if is_text(kind) else st.none()))
    )
    return Rule("all", "x", op, None if op in ("null", "valid") else value, "x", null), kind, rows


def single(value: float, kind: pa.DataType) -> float:
    """Return a number in a float column's precision."""
    if kind == pa.float64():
        return float(value)
    try:
        return float(struct.unpack("f", struct.pack("f", float(value)))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def expected(rule: Rule, kind: pa.DataType, value: Any) -> bool:
    """Read the documentation: null first, then Python's exact comparison."""
    absent = value is None or (isinstance(value, float) and math.isnan(value))
    if rule.op in ("null", "valid"):
        return absent == (rule.op == "null")
    if absent:
        return rule.null == "keep"
    bound: Any = rule.value
    if pa.types.is_floating(kind):
        bound = (
            tuple(single(one, kind) for one in bound)
            if isinstance(bound, tuple)
            else single(bound, kind)
        )
    return bool(COMPARE[rule.op](value, bound))


@settings(max_examples=400, deadline=None)
@given(cases(), st.integers(0, 2))
def test_mask_and_sql_agree_with_a_slow_reading(
    case: tuple[Rule, pa.DataType, list[Any]], skip: int
):
    rule, kind, rows = case
    column = pa.array(rows, kind)[skip:]  # a slice: its buffers begin elsewhere
    assert mistyped(rule, kind) is None
    kept = holds(rule, column).tolist()
    assert kept == [expected(rule, kind, value) for value in column.to_pylist()]
    assert breaks(rule, column).tolist() == [not one for one in kept]
    given_rows = pa.table({"x": column})  # noqa: F841  # DuckDB finds it by its name
    found = duckdb.sql(f"SELECT {breaks_sql(rule, kind)} FROM given_rows").fetchall()
    assert [row[0] for row in found] == [not one for one in kept]


def test_every_operator_of_the_table_is_tried_above():
    assert set(OPERATORS) == set(COMPARE)


@given(cases(), st.sampled_from(["words", "license"]))
def test_a_rule_reads_back_from_its_text_in_full(
    case: tuple[Rule, pa.DataType, list[Any]], column: str
):
    rule = Rule("ko-docs", column, case[0].op, case[0].value, column, case[0].null)
    assume(rule.op not in ("null", "valid", "lacks"))
    assert parse_rule(str(rule)) == rule
    assert is_number(rule.value) or type(parse_rule(str(rule)).value) is type(rule.value)


scopes = st.sampled_from(["ko", "en", "s", "t", "all"])


@given(
    scopes, st.lists(st.tuples(st.sampled_from(["ko", "en", None]), st.sampled_from(["s", "ko"])))
)
def test_a_scope_is_a_component_a_source_or_all(scope: str, rows: list[tuple[str | None, str]]):
    assigned, source = (pa.array([row[side] for row in rows], pa.string()) for side in (0, 1))
    rule = Rule(scope, "x", "valid", None, "x")
    expected_rows = [scope == "all" or scope in row for row in rows]
    assert in_scope(rule, assigned, source).tolist() == expected_rows
    assert [rule.covers(*row) for row in rows] == expected_rows


def test_a_whole_number_beyond_doubles_is_exact():
    column = pa.array([2**53, 2**53 + 1], pa.int64())
    (rule,) = parse_condition("ko", "words", f"<={2**53}")
    assert str(rule) == "ko.words<=9007199254740992"
    assert breaks(rule, column).tolist() == [False, True]


def test_null_means_keep_for_a_signal_and_drop_for_the_documents_own_column():
    assert [null_default(name) for name in ("words", "lang", "quality")] == ["keep"] * 3
    assert {null_default(name) for name in DOCUMENT.names} == {"drop"}
    column = pa.array(["MIT", None, "GPL"])
    assert breaks(parse_rule("ko.license==MIT"), column).tolist() == [False, True, True]
    assert breaks(parse_rule("ko.license!=GPL"), column).tolist() == [False, True, True]
    assert breaks(parse_rule("ko.license==MIT, null: keep"), column).tolist() == [
        False,
        False,
        True,
    ]
    assert breaks(parse_rule("ko.lang==MIT"), column).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ({"in": ["CC0-1.0", "MIT"], None: "drop"}, "in [CC0-1.0, MIT], null: drop"),
        ({"==": "MIT", "null": "keep"}, "==MIT, null: keep"),
        ({">=": 1, "<=": 10.5}, ">=1, <=10.5"),
        ({"==": "5"}, '=="5"'),
        ({"in": ["a, b", "true", "it's"]}, 'in ["a, b", "true", "it\'s"]'),
    ],
)
def test_a_mapping_is_the_same_as_its_text(mapping: dict[Any, Any], text: str):
    assert condition_text(mapping) == text
    assert parse_condition("ko", "license", mapping) == parse_condition("ko", "license", text)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("in []", "is not a condition|wants a list"),
        ("in [ko, 5]", "mixes kinds"),
        ("==MIT, null: maybe", "must be keep or drop"),
        ("null: keep", "is not a condition"),
        (">=1,", "ends in a comma"),
        ({"null": "keep"}, "compares nothing"),
        ({"=>": 1}, "known: >="),
        ({"in": "MIT"}, "wants a list"),
        ({">=": "high"}, "wants a number"),
        ({">=": math.nan}, "wants a number"),
        (True, '"==true"'),
        ('=="half', "is not a condition"),
    ],
)
def test_what_is_not_a_condition_is_refused_with_the_remedy(condition: Any, message: str):
    with pytest.raises(ValueError, match=message):
        parse_condition("ko", "license", condition)


@pytest.mark.parametrize(
    ("rule", "kind", "message"),
    [
        ("ko.words==abc", pa.int64(), "'abc' is not a number; write"),
        ("code.syntax_ok>=0.5", pa.bool_(), 'write "syntax_ok==true"'),
        ("ko.lang>=3", pa.string(), "use ==, != or in"),
        ("ko.lang in [1, 2]", pa.string(), "'lang==\"1\"'"),
        ("ko.pii_types==x", pa.list_(pa.string()), "apply to numbers, strings and booleans"),
    ],
)
def test_a_rule_of_the_wrong_type_is_refused_with_the_remedy(
    rule: str, kind: pa.DataType, message: str
):
    assert message in str(mistyped(parse_rule(rule), kind))


def test_a_rule_replaces_the_one_on_its_side_only():
    def over(new: str, old: str) -> bool:
        return replaces(parse_rule(new), parse_rule(old))

    assert over("ko.words>=2", "ko.words>1")
    assert over("ko.lang in [ko, en]", "ko.lang==ko")
    assert not over("ko.words>=2", "ko.words<=9")
    assert not over("ko.lang!=ja", "ko.lang!=zh")
    assert not over("ko.lang!=ja", "ko.lang==ja")
    assert over("ko.lang!=ja", "ko.lang!=ja")
