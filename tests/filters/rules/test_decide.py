"""Rules decide: the first that a document breaks is its reason."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.rules.decide import KEPT, decide
from schemas.rules import Rule, parse_condition, parse_rule


def columns(**extra: pa.Array) -> dict[str, pa.Array]:
    rows = len(next(iter(extra.values())))
    base = {"assigned": pa.array(["ko"] * rows), "source": pa.array(["s"] * rows)}
    return {**base, **extra}


def test_the_first_broken_rule_is_the_reason():
    rules = [*parse_condition("ko", "a", ">=1"), *parse_condition("ko", "b", "<=5")]
    verdict = decide(columns(a=pa.array([0, 1, 0, 1]), b=pa.array([9, 9, 1, 1])), rules)
    assert verdict.tolist() == [0, 1, 0, KEPT]


def test_a_null_signal_breaks_no_comparison():
    rules = parse_condition("ko", "a", ">=1")
    assert decide(columns(a=pa.array([None, 0], pa.float32())), rules).tolist() == [KEPT, 0]


def test_a_rule_speaks_only_of_its_scope():
    table = columns(a=pa.array([0, 0, 0]))
    table["assigned"] = pa.array(["ko", "en", None])
    table["source"] = pa.array(["x", "y", "y"])
    assert decide(table, parse_condition("en", "a", ">=1")).tolist() == [KEPT, 0, KEPT]
    assert decide(table, parse_condition("y", "a", ">=1")).tolist() == [KEPT, 0, 0]
    assert decide(table, parse_condition("all", "a", ">=1")).tolist() == [0, 0, 0]


def test_null_valid_and_lacks_ask_just_for_that():
    table = columns(
        a=pa.array([None, "x"]), kinds=pa.array([["p", "q"], []], pa.list_(pa.string()))
    )
    assert decide(table, [Rule("all", "a", "null", None, "r")]).tolist() == [KEPT, 0]
    assert decide(table, [Rule("all", "a", "valid", None, "r")]).tolist() == [0, KEPT]
    assert decide(table, [Rule("all", "kinds", "lacks", "q", "r")]).tolist() == [0, KEPT]


def test_a_threshold_means_the_decimal_as_written_in_the_columns_precision():
    value = pa.array([0.2], pa.float32())  # stored as 0.2000000029…
    assert decide(columns(a=value), parse_condition("ko", "a", "<=0.2")).tolist() == [KEPT]
    assert decide(columns(a=value), parse_condition("ko", "a", ">=0.2")).tolist() == [KEPT]


def test_several_conditions_are_several_rules():
    rules = parse_condition("ko", "a", ">=1, <=3")
    assert decide(columns(a=pa.array([0, 2, 4])), rules).tolist() == [0, KEPT, 1]


@pytest.mark.parametrize("text", ["ko.hangul_ratio>=0.3", "all.lang!=ja", "ko-docs.chars < 10"])
def test_a_rule_on_the_command_line_reads_back(text: str):
    assert str(parse_rule(text)) == text.replace(" ", "")


@pytest.mark.parametrize("text", ["hangul_ratio>=0.3", "ko.hangul_ratio", "ko.a>=high", ""])
def test_other_text_than_a_rule_is_refused(text: str):
    with pytest.raises(ValueError):
        parse_rule(text)


@given(st.lists(st.one_of(st.none(), st.floats(width=32, allow_nan=False)), min_size=1))
def test_rows_are_decided_alone(values: list[float | None]):
    rules = [*parse_condition("ko", "a", ">=0.5"), *parse_condition("ko", "a", "<=100")]
    together = decide(columns(a=pa.array(values, pa.float32())), rules).tolist()
    alone = [decide(columns(a=pa.array([v], pa.float32())), rules)[0] for v in values]
    assert together == alone
