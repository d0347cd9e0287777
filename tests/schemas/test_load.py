"""Bad configuration: one clear message a fault, with line, key and remedy."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from schemas.errors import InputError
from schemas.load import load_config, parse_config

GOOD = """\
name: small
data: corpus
sources:
  ko-docs: {component: ko, path: "${data}/ko.jsonl"}
  en-docs: {component: en, path: "${data}/en.jsonl"}
rules:
  ko: {hangul_ratio: ">=0.2"}
mixture:
  tokens: 60M
  weights: {ko: 1/3, en: 2/3}
"""


def fails(text: str, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_config(text, "small.yaml", overrides)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_good_file_loads_with_variables_and_exact_weights():
    config = parse_config(GOOD, "small.yaml")
    assert config.sources["ko-docs"].path == "corpus/ko.jsonl"
    assert config.mixture.weights["ko"].share == Fraction(1, 3)
    assert config.mixture.tokens == 60_000_000


def test_an_environment_variable_stands_in_a_path(monkeypatch):
    monkeypatch.setenv("CORPUS", "elsewhere")
    config = parse_config(GOOD.replace("data: corpus", 'data: "${CORPUS}"'), "small.yaml")
    assert config.sources["ko-docs"].path == "elsewhere/ko.jsonl"


def test_a_missing_environment_variable_is_named_with_its_line():
    message = fails(GOOD.replace("${data}/en.jsonl", "${NO_SUCH_THING}/en.jsonl"))
    assert "line 5: sources.en-docs.path" in message
    assert "NO_SUCH_THING" in message


def test_an_unknown_key_names_line_key_and_the_near_one():
    message = fails(GOOD + "dedup: {ngrams: 5}\n")
    assert message == "small.yaml: line 11: dedup.ngrams: unknown key; did you mean `ngram`?"


def test_a_wrong_type_names_line_key_and_value():
    message = fails(GOOD + "dedup: {threshold: high}\n")
    assert "line 11: dedup.threshold" in message
    assert "'high'" in message


def test_weights_that_do_not_sum_to_one_say_their_sum():
    message = fails(GOOD.replace("en: 2/3", "en: 1/3"))
    assert "line 10: mixture.weights: the weights sum to 0.6667, not 1" in message


def test_a_component_that_nobody_feeds_says_who_is_fed():
    message = fails(GOOD.replace("{ko: 1/3, en: 2/3}", "{ko: 1/3, en: 1/3, code: 1/3}"))
    assert "line 10: mixture.weights.code: no source feeds 'code'" in message
    assert "fed: en, ko" in message


def test_a_source_that_no_weight_takes_is_named():
    message = fails(GOOD.replace("{ko: 1/3, en: 2/3}", "{ko: 1}"))
    assert "line 5: sources.en-docs.component: no weight takes component 'en'" in message


def test_a_condition_without_an_operator_shows_how_to_write_one():
    message = fails(GOOD.replace('">=0.2"', "0.2"))
    assert "line 7: rules.ko.hangul_ratio: 0.2 is not a condition" in message.replace(
        "'0.2'", "0.2"
    )
    assert ">=0.2" in message


def test_rules_for_an_unknown_scope_are_refused():
    assert "line 7: rules.kr" in fails(GOOD.replace("  ko: {hangul", "  kr: {hangul"))


def test_a_key_given_twice_names_both_lines():
    message = fails(GOOD + "name: other\n")
    assert "line 11: name: given twice (first on line 1)" in message


def test_every_fault_is_reported_at_once():
    message = fails(GOOD.replace("60M", "60X") + "dedup: {threshold: high, unit: bytes}\n")
    assert len(message.splitlines()) == 3


def test_broken_yaml_names_its_line():
    assert "small.yaml: not YAML: line 2" in fails("name: x\n  data: [")


def test_a_file_that_is_not_there_is_an_input_error(tmp_path: Path):
    with pytest.raises(InputError, match=r"no such file"):
        load_config(tmp_path / "none.yaml")


def test_an_override_changes_one_key_and_is_checked_like_the_file():
    config = parse_config(GOOD, "small.yaml", ["mixture.tokens=10M", "dedup.ngram=7"])
    assert config.mixture.tokens == 10_000_000
    assert config.dedup.ngram == 7
    assert "dedup.ngrm" in fails(GOOD, "dedup.ngrm=7")
    assert "write key=value" in fails(GOOD, "dedup.ngram")


def test_half_given_bands_are_refused():
    assert "bands" in fails(GOOD + "dedup: {bands: 8}\n")


def test_a_resolved_config_loads_to_the_same_config():
    import yaml

    config = parse_config(GOOD, "small.yaml")
    text = yaml.safe_dump(config.model_dump(mode="json"), allow_unicode=True)
    assert parse_config(text, "again.yaml") == config
