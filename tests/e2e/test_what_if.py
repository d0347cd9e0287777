"""What `what-if` refuses: unknown scopes, thresholds that are not numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.commandline import RECIPE, bibim


def test_an_unknown_scope_is_refused_with_those_that_are_known(demo: Path):
    done = bibim("what-if", demo, "--rule", "kr.hangul_ratio>=0.5")
    assert done.returncode == 2, done.stdout
    assert "'kr'" in done.stderr
    assert "known: all, code, en, ko, stdlib, web" in done.stderr


@pytest.mark.parametrize("rule", ["ko.words>=nan", "ko.words>=1, <=NaN", "ko.words==nan"])
def test_a_threshold_that_is_not_a_number_is_refused(demo: Path, rule: str):
    done = bibim("what-if", demo, "--rule", rule)
    assert done.returncode == 2, done.stdout
    assert "wants a number, not" in done.stderr


def test_a_rule_with_two_sides_is_two_rules(demo: Path):
    done = bibim("what-if", demo, "--rule", "ko.words>=30, <=60", "--json")
    assert done.returncode == 0, done.stderr
    both = json.loads(done.stdout)
    apart = bibim("what-if", demo, "--rule", "ko.words>=30", "--rule", "ko.words<=60", "--json")
    assert both == json.loads(apart.stdout)
    assert both["rules"] == ["ko.words>=30", "ko.words<=60"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('rules.ko.words=">=nan"', "rules.ko.words: >= wants a number, not 'nan'"),
        ('mixture.upsample=[{when: "ko.words>=1, <=9", factor: 2}]', "is 2 conditions; write one"),
    ],
)
def test_a_config_refuses_the_same_rules(setting: str, message: str):
    done = bibim("plan", RECIPE, "--offline", "--set", setting)
    assert done.returncode == 2, done.stdout
    assert message in done.stderr
