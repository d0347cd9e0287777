"""Names of sources and components that no file can have are refused when the config is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InputError
from schemas.load import parse_config
from schemas.names import MAX_BYTES, name_fault, suggestion

CONFIG = """\
name: small
sources:
  {source}: {{component: {component}, path: a.jsonl}}
mixture: {{weights: {{{component}: 1}}}}
"""


def message(source: str = "s", component: str = "ko", *overrides: str) -> str:
    text = CONFIG.format(source=source, component=component)
    with pytest.raises(InputError) as caught:
        parse_config(text, "c.yaml", overrides)
    return str(caught.value)


def test_a_slash_in_a_sources_name_is_refused_with_a_suggestion():
    found = message("wiki/ko")
    assert found.startswith("c.yaml: line 3: sources.wiki/ko: 'wiki/ko' cannot name a source: ")
    assert found.endswith("write wiki-ko")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("", ""),
        (" ", ""),
        ("..", ""),
        (".hidden", "hidden"),
        ("a\\b", "a-b"),
        ("a\tb", "a-b"),
        ("a\x00", "a"),
        ("../../etc", "etc"),
        ("가" * 34, "가" * 33),
        ("ko[1]", "ko-1"),
        ("trailing ", "trailing"),
    ],
)
def test_a_name_that_no_file_can_have_is_refused(name: str, near: str):
    assert name_fault(name) is not None
    assert suggestion(name) == near


@pytest.mark.parametrize("name", ["wiki-ko", "위키 2차", "a.b", "a+b", "가" * 33, "_x", "c++"])
def test_other_names_are_allowed(name: str):
    assert name_fault(name) is None


@given(st.text(max_size=150))
def test_a_suggestion_is_a_name_that_is_allowed(name: str):
    near = suggestion(name)
    assert not near or name_fault(near) is None
    assert not near or name_fault(name) is None or near != name
    assert len(near.encode()) <= MAX_BYTES


def test_names_that_differ_in_case_only_are_refused():
    text = CONFIG.format(source="Wiki", component="ko").replace(
        "mixture", "  wiki: {component: ko, path: b.jsonl}\nmixture"
    )
    with pytest.raises(
        InputError, match=r"line 4: sources\.wiki: 'wiki' and 'Wiki' differ in case"
    ):
        parse_config(text, "c.yaml")


def test_a_component_is_refused_where_it_is_first_written():
    found = message(component='"ko/wiki"')
    assert "line 3: sources.s.component: 'ko/wiki' cannot name a component" in found


@pytest.mark.parametrize(
    ("written", "kind"),
    [("no", "a boolean"), ("1", "a number"), ("~", "null"), ("2024-01-01", "a date")],
)
def test_a_key_that_yaml_does_not_read_as_text_is_shown_as_written(written: str, kind: str):
    text = CONFIG.format(source="s", component="ko").replace("{ko: 1}", f"{{{written}: 1}}")
    with pytest.raises(InputError) as caught:
        parse_config(text, "c.yaml")
    assert str(caught.value) == (
        f"c.yaml: line 4: mixture.weights.{written}: YAML reads this key as {kind}; "
        f"write '{written}' in quotes"
    )


def test_every_such_key_is_listed():
    text = "name: x\nsources:\n  no: {component: ko, path: a}\n  on: {component: ko, path: b}\n"
    with pytest.raises(InputError) as caught:
        parse_config(text, "c.yaml")
    assert [line.split(": ")[2] for line in str(caught.value).split("\n")] == [
        "sources.no",
        "sources.on",
    ]


@pytest.mark.parametrize(
    ("written", "kind"), [("no", "a boolean"), ("1.5", "a number"), ("null", "null")]
)
def test_a_component_that_yaml_does_not_read_as_text_asks_for_quotes(written: str, kind: str):
    text = CONFIG.format(source="s", component="ko").replace(
        "component: ko", f"component: {written}"
    )
    with pytest.raises(InputError) as caught:
        parse_config(text, "c.yaml")
    assert str(caught.value) == (
        f"c.yaml: line 3: sources.s.component: YAML reads {written} as {kind}, not as text; "
        f"write '{written}' in quotes"
    )


def test_a_boolean_of_an_override_asks_for_quotes():
    found = message("s", "ko", "sources.s.component=no")
    assert (
        "sources.s.component: YAML reads this as a boolean, not as text; write it in quotes"
        in found
    )
    found = message("s", "ko", "mixture.weights={no: 1}")
    assert "mixture.weights.False: YAML reads this as a boolean" in found


def test_the_same_words_in_quotes_are_names():
    text = CONFIG.format(source='"no"', component='"on"')
    config = parse_config(text, "c.yaml")
    assert list(config.sources) == ["no"]
    assert list(config.mixture.weights) == ["on"]
