"""The rules that follow from a config, in the order in which they decide."""

from __future__ import annotations

import pytest

from pipelines.stages.catalog import columns_of, effective_rules
from schemas.config import Config
from schemas.errors import InputError


def config(**sections: object) -> Config:
    return Config.model_validate(
        {
            "name": "small",
            "sources": {"s": {"component": "ko", "path": "x"}},
            "mixture": {"weights": {"ko": 1}},
            **sections,
        }
    )


def reasons(before: str | None = None, **sections: object) -> list[str]:
    return [rule.reason for rule in effective_rules(config(**sections), before)]


def test_rules_decide_in_the_order_of_their_stages():
    found = reasons(rules={"ko": {"quality": ">=0.1", "words": ">=5", "lang": "==ko"}})
    assert found == ["no_component", "lang", "words", "duplicate", "toxicity", "spam", "quality"]


def test_a_stage_is_decided_by_the_rules_before_it():
    assert reasons("dedup", rules={"ko": {"words": ">=5"}}) == ["no_component", "words"]
    assert "duplicate" in reasons("redact")


def test_a_rule_on_the_documents_own_column_decides_where_the_component_is_known():
    rules = {"ko": {"license": "==MIT", "words": ">=5"}}
    assert reasons("identify", rules=rules) == []
    assert reasons("measure", rules=rules) == ["no_component", "license"]


@pytest.mark.parametrize(
    ("column", "condition", "fault"),
    [
        ("words", "==abc", "words is of type int64: 'abc' is not a number"),
        ("syntax_ok", "==true", "syntax_ok is of type float: True is not a number"),
        ("lang", "==5", "lang is of type string: put the string in quotes"),
        ("duplicate", ">=1", "duplicate is of type bool: values are true or false"),
        ("pii_types", "==KR_RRN", "pii_types is of type list"),
    ],
)
def test_a_rule_that_does_not_fit_its_column_is_refused_by_its_key(
    column: str, condition: str, fault: str
):
    with pytest.raises(InputError, match=rf"rules\.ko\.{column}: {fault}"):
        effective_rules(config(rules={"ko": {column: condition}}))


def test_an_entity_to_drop_becomes_a_rule():
    found = effective_rules(config(pii={"entities": {"KR_RRN": "drop"}}))
    assert "all.pii_types lacks KR_RRN" in [str(rule) for rule in found]
    assert "pii_count" in reasons(pii={"drop_above": 3})


def test_a_column_that_no_stage_adds_is_refused_with_a_near_one():
    with pytest.raises(InputError, match=r"rules\.ko\.hangul_ratoi.*hangul_ratio"):
        effective_rules(config(rules={"ko": {"hangul_ratoi": ">=0.1"}}))


def test_a_stage_reads_only_what_came_before_it():
    assert "toxicity" not in columns_of(config(), before="screen")
    assert "lang" in columns_of(config(), before="screen")
