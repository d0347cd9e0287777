"""What `what-if` refuses, and its answer against a run of the changed config."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import yaml

from audit.accounting.ledger import ledger
from audit.query.config_yaml import changed_yaml
from audit.query.frame import Frame
from audit.query.what_if import WhatIf
from bibim.cli.options import load_run
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


def chains(folder: Path) -> Path:
    """Write a config over chains of near-duplicates: each is like the next, not like the others."""
    draw = random.Random(11)
    rows = []
    for _ in range(12):
        words = [f"{draw.choice('가나다라마바사')}{draw.randrange(10**6)}은" for _ in range(90)]
        for step in range(draw.randrange(1, 5)):
            length = draw.choice([56, 60, 64])
            rows.append({"text": " ".join(words[5 * step : 5 * step + length])})
    (folder / "ko.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    config = {
        "name": "chains",
        "sources": {"ko": {"component": "ko", "path": str(folder / "ko.jsonl")}},
        "rules": {"ko": {"chars": ">=10", "words": "<=60"}},
        "mixture": {"weights": {"ko": 1}},
    }
    path = folder / "chains.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    return path


def test_what_if_over_chains_of_near_duplicates_is_what_a_run_keeps(tmp_path: Path):
    file, out = chains(tmp_path), tmp_path / "out"
    options = ("--stages", "ingest,identify,measure,dedup", "--workers", 1)
    assert bibim("run", file, "--out", out, *options).returncode == 0
    frame = Frame(out, load_run(out))
    rules = ["ko.words<=64", "ko.words>56", "ko.cluster_size<=3"]
    answer = WhatIf(frame).compare(rules)
    config = {
        **yaml.safe_load(file.read_text("utf-8")),
        **yaml.safe_load(changed_yaml(frame, rules)),
    }
    file.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    assert bibim("run", file, "--out", out, *options).returncode == 0
    (account,) = ledger(out, load_run(out)).sources.values()
    assert answer.kept_after_at_least == answer.kept_after_at_most == account.kept.documents
    dropped = {name: count.documents for name, count in account.dropped.items()}
    assert {name: after for name, (_, after) in answer.reasons.items() if after} == dropped
    assert dropped["duplicate"] > 3 and account.kept.documents > 3
