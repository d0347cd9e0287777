"""Rules on the document's own columns: what null means, the stage that drops, and the accounting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from audit.accounting.check import check_handover, check_run
from audit.accounting.guards import run_guards
from audit.accounting.ledger import by_stage, ledger
from audit.accounting.recount import Recount
from audit.query.columns import breaks_values, null_of, put
from audit.query.frame import Frame
from audit.query.what_if import compare_rules
from audit.report.views import changed_yaml
from bibim.cli.options import load_run
from pipelines.stages.catalog import effective_rules
from schemas.config import Config
from schemas.rules import parse_rule
from tests.support.altered import alter, linked, replace_json
from tests.support.commandline import RECIPE, bibim

ROWS = 40
RULES = """
  all: {words: ">=5"}
  x:
    license: {in: [CC0-1.0, "it's, own"], null: drop}
    url: "!=https://example.org/3"
    timestamp: {"!=": "2020-01-05", null: keep}
    meta: "!=none, null: keep"
    raw_bytes: "<=9007199254740993"
    source: "in [x, y]"
    origin: "!=y.jsonl:1"
    component: "==en"
    text: "!=nothing"
"""
STAGES = "ingest,identify,measure,dedup,redact"


def row(number: int) -> dict[str, Any]:
    """Return a row: every other one has a column of its own kind, the rest null."""
    text = f"Page {number} says in {number * 7} words what the {number}th example is made of. " * 3
    licences = ["CC0-1.0", "GPL-3.0", "it's, own", None]
    half = number % 2 == 0
    return {
        "text": text,
        "license": licences[number % 4],
        "url": f"https://example.org/{number}" if number % 3 else None,
        "timestamp": f"2020-01-{number % 28 + 1:02}" if half else None,
        **({"shelf": number} if half else {}),
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("columns")
    lines = "\n".join(json.dumps(row(number)) for number in range(ROWS))
    (folder / "x.jsonl").write_text(lines, "utf-8")
    (folder / "c.yaml").write_text(
        f"name: columns\nsources: {{x: {{component: en, path: '{folder / 'x.jsonl'}'}}}}\n"
        f"rules:{RULES}mixture: {{weights: {{en: 1}}}}\n"
        "guards: {least_documents: 1}\n"
    )
    out = folder / "out"
    done = bibim("run", folder / "c.yaml", "--out", out, "--stages", STAGES, "--workers", 1)
    assert done.returncode == 0, done.stderr[-4000:]
    return out


def faults(out: Path) -> str:
    """Return the details of the checks that fail."""
    return "; ".join(c.detail for c in check_run(out, load_run(out)) if not c.holds)


def expected_drops() -> dict[str, int]:
    """Return reason → documents, read from the rules above in their order."""
    found: dict[str, int] = {}
    for one in map(row, range(ROWS)):
        reason = (
            "license" if one["license"] not in ("CC0-1.0", "it's, own")
            else "url" if one["url"] in (None, "https://example.org/3")
            else "timestamp" if one["timestamp"] == "2020-01-05"
            else None
        )  # fmt: skip
        if reason:
            found[reason] = found.get(reason, 0) + 1
    return found


def test_what_they_drop_is_dropped_by_a_stage(run: Path):
    accounts = ledger(run, load_run(run))
    dropped = {
        reason: count.documents
        for flow in accounts.stages
        if flow.stage == "identify"
        for reason, count in flow.dropped.items()
    }
    assert dropped == expected_drops()
    totals = by_stage(accounts)
    assert [total.stage for total in totals][:3] == ["ingest", "identify", "measure"]
    assert totals[0].left.documents == totals[1].entered.documents == ROWS
    assert totals[1].left.documents == totals[2].entered.documents < ROWS


def test_the_run_reconciles(run: Path):
    done = bibim("audit", run, "--check")
    assert done.returncode == 0, done.stdout
    assert "what a stage leaves enters the next" in done.stdout


def test_one_document_lost_between_two_stages_fails_the_check(run: Path):
    config = load_run(run)
    for stage in ("ingest", "identify", "dedup"):
        accounts = ledger(run, config)
        flow = next(flow for flow in accounts.stages if flow.stage == stage)
        flow.left.documents -= 1
        check = check_handover(accounts, Recount())
        assert not check.holds
        assert f"x, documents: {stage} leaves" in check.detail
        assert f"{stage}: source x, documents:" in check.detail


def test_a_figure_altered_after_the_run_fails_the_check(run: Path, tmp_path: Path):
    out = linked(run, tmp_path / "out")

    def lose(figures: dict[str, Any]) -> None:
        flow = next(flow for flow in figures["stages"] if flow["stage"] == "measure")
        flow["left"]["documents"] -= 1

    replace_json(out / "audit/stats.json", lose)
    assert "stage measure: its sums differ" in faults(out)


def test_a_document_that_the_reader_wrote_and_no_stage_enters(run: Path, tmp_path: Path):
    out = linked(run, tmp_path / "out")

    def add(manifest: dict[str, Any]) -> None:
        (shard,) = manifest["shards"]
        shard["stats"]["records"] += 1
        shard["stats"]["documents"] += 1

    replace_json(out / "documents/_manifest.json", add)
    assert "identify: source x, documents: written by the reader, entered" in faults(out)


def test_an_annotation_lost_for_one_document_fails_the_check(run: Path, tmp_path: Path):
    out = linked(run, tmp_path / "out")
    alter(out / "annotations/redact", "x-00000.parquet", lambda r: r.update(dict.fromkeys(r)), 2)
    assert "redact: source x/en/en, documents: entered, annotated" in faults(out)


def test_no_rule_that_dropped_documents_is_idle(run: Path):
    config = load_run(run)
    idle = {f.rule for f in run_guards(run, config, ledger(run, config)) if f.guard == "idle_rule"}
    for column in expected_drops():
        assert not any(str(rule).startswith(f"x.{column}") for rule in idle), idle
    assert "x.text!=nothing" in idle


def test_what_if_follows_the_same_meaning_of_null(run: Path):
    config = load_run(run)

    def kept(*rules: str) -> int:
        return compare_rules(run, config, rules).kept_after_at_most

    before = ROWS - sum(expected_drops().values())
    assert kept("x.words>=5") == before
    assert kept("x.license==MIT") == 0
    unstated = [
        one
        for one in map(row, range(ROWS))
        if one["license"] is None and one["url"] not in (None, "https://example.org/3")
    ]
    assert kept("x.license==MIT, null: keep") == len(unstated) > 0
    assert kept("x.url!=https://example.org/3, null: keep") > before


def test_each_exclusion_counts_and_numbers_go_with_strings(run: Path):
    rules = ["x.url!=https://example.org/8", "x.words>=6", "x.url!=https://example.org/16"]
    arguments = [part for rule in rules for part in ("--rule", rule)]
    done = bibim("what-if", run, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kept_after"] == found["kept_before"] - 2
    assert found["replaced"] == []
    assert sorted(rule.split(",")[0] for rule in found["rules"]) == sorted(rules)


def test_the_yaml_of_changed_rules_keeps_all_of_them_in_full(run: Path):
    config = load_run(run)
    rules = ["x.url!=https://a/1", "x.raw_bytes<=9007199254740995", "x.chars>=0.1234567890123"]
    changed = yaml.safe_load(changed_yaml(Frame(run, config), rules))["rules"]
    assert changed["x"]["url"] == ("!=https://example.org/3, null: drop, !=https://a/1, null: drop")
    assert changed["x"]["raw_bytes"] == "<=9007199254740995"
    assert changed["x"]["chars"] == ">=0.1234567890123"
    data = config.model_dump(mode="json")
    data["rules"] = changed
    assert "x.raw_bytes<=9007199254740995" in map(str, effective_rules(Config.model_validate(data)))


def test_plan_shows_what_null_means(run: Path):
    done = bibim("plan", run.parent / "c.yaml", "--offline")
    assert done.returncode == 0, done.stderr
    lines = {
        line.split("│")[2].strip(): line for line in done.stdout.splitlines() if "│ x." in line
    }
    (licence,) = [line for text, line in lines.items() if text.startswith("x.license")]
    assert "dropped" in licence
    assert "identify" in licence


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('rules.ko.words="==abc"', "rules.ko.words: words is of type int64: 'abc' is not a number"),
        ('rules.all.duplicate=">=0.5"', 'write "duplicate==true"'),
        ('rules.ko.lang="==5"', "rules.ko.lang: lang is of type string: put the string in quotes"),
        ("rules.ko.license={in: MIT}", "rules.ko.license: in wants a list"),
        ('mixture.upsample=[{when: "lang>=3", factor: 2}]', "mixture.upsample[0].when: lang is of"),
    ],
)
def test_plan_refuses_a_rule_that_does_not_fit_its_column(setting: str, message: str):
    done = bibim("plan", RECIPE, "--offline", "--set", setting)
    assert done.returncode == 2, done.stdout
    assert message in done.stderr


def test_what_if_refuses_a_rule_that_does_not_fit_its_column(run: Path):
    for rule, message in (
        ("x.words==abc", "is not a number"),
        ("x.license>=1", "use ==, != or in"),
    ):
        done = bibim("what-if", run, "--rule", rule)
        assert done.returncode == 2, done.stdout
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_numbers_and_strings_are_answered_in_the_same_blocks(
    run: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("audit.query.frame.BLOCK", 16)
    monkeypatch.setattr("audit.query.moved.BLOCK", 16)
    config = load_run(run)
    frame = Frame(run, config)
    rules = ("x.words>=25", "x.license==MIT")
    blocks = [
        [(part.start, len(broken)) for part, broken in frame.broken(parse_rule(rule))]
        for rule in rules
    ]
    assert blocks == [[(0, 16), (16, 16), (32, 8)]] * 2
    assert compare_rules(run, config, rules).kept_after == 0


def test_a_column_gets_wider_where_a_value_needs_it():
    narrow = np.array([7, null_of(np.dtype(np.int32)), 0], np.int32)
    same = put(narrow, np.array([5], np.int64), 2)
    assert same.dtype == np.int32
    wide = put(same, np.array([2**53 + 1], np.int64), 2)
    assert wide.dtype == np.int64
    assert wide.tolist() == [7, null_of(wide.dtype), 2**53 + 1]
    assert breaks_values(parse_rule("x.words<=9007199254740992"), wide).tolist() == [
        False, False, True,
    ]  # fmt: skip
