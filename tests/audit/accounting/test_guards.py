"""Each guard warns beyond its threshold, is quiet at it, and gives the figures of the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from audit.accounting.guards import Finding, failing, neighbours, run_guards
from audit.accounting.ledger import ledger
from schemas.config import Config
from schemas.rules import parse_rule
from tests.support.altered import replace_json
from tests.support.finished_run import STEPS, Given, given, settings, write_finished

BEFORE_TOKENS = STEPS[: STEPS.index("tokenize")]


def guarded(limits: dict[str, Any], **sections: Any) -> Config:
    """Return a config whose guards are off but for `limits`."""
    off = {"idle_rule": False, "least_documents": 1}
    off |= dict.fromkeys(("source_loss", "steep_rule", "large_cluster", "short_component"))
    return settings(guards={**off, **limits}, **sections)


def findings(out: Path, documents: list[Given], config: Config, **how: Any) -> list[Finding]:
    write_finished(out, documents, config, steps=BEFORE_TOKENS, **how)
    return run_guards(out, config, ledger(out, config))


def kept(count: int, **values: Any) -> list[Given]:
    return [given(f"문서 {number} 입니다 네", **values) for number in range(count)]


def dropped(count: int, **values: Any) -> list[Given]:
    return [given(f"문서 {number}", last="dedup", **values) for number in range(count)]


@pytest.mark.parametrize(("limit", "warned"), [(0.24, True), (0.25, False), (None, False)])
def test_a_source_that_loses_more_than_its_share_is_warned_of(
    tmp_path: Path, limit: float | None, warned: bool
):
    found = findings(tmp_path, [*kept(3), *dropped(1)], guarded({"source_loss": limit}))
    assert bool(found) == warned
    if warned:
        assert (found[0].source, found[0].rule, found[0].severity) == ("ko", "words", "warning")
        assert found[0].figures["share"] == 0.25
        assert "1 of 4 documents (25.0%) dropped: words; more than 24%" in found[0].message


@pytest.mark.parametrize(("least", "warned"), [(4, True), (5, False)])
def test_a_source_with_fewer_documents_than_the_limit_is_not_judged(
    tmp_path: Path, least: int, warned: bool
):
    config = guarded({"source_loss": 0.1, "least_documents": least})
    assert bool(findings(tmp_path, [*kept(3), *dropped(1)], config)) == warned


def test_rejects_count_as_a_loss(tmp_path: Path):
    reject = {
        "source": "ko",
        "origin": "ko.jsonl:9",
        "reason": "no_text",
        "fault": True,
        "raw_bytes": 4,
    }
    (found,) = findings(tmp_path, kept(1), guarded({"source_loss": 0.4}), rejects=[reject])
    assert "1 of 2 documents (50.0%) could not be read: no_text" in found.message


@pytest.mark.parametrize(("source", "warned"), [("web", False), ("ko", True)])
def test_only_a_source_of_all_languages_may_hold_documents_without_a_component(
    tmp_path: Path, source: str, warned: bool
):
    documents = [given("これは日本語です", source, last="dedup", assigned=None)]
    assert bool(findings(tmp_path, documents, guarded({"source_loss": 0.5}))) == warned


def test_a_rule_that_drops_a_document_is_not_idle(tmp_path: Path):
    config = guarded({"idle_rule": True}, rules={"ko": {"words": ">=3"}})
    assert findings(tmp_path, [*kept(2), *dropped(1)], config) == []


@pytest.mark.parametrize("condition", ["==MIT", "!=GPL", "in [MIT, CC0-1.0]"])
def test_a_rule_on_text_that_drops_a_document_is_not_idle(tmp_path: Path, condition: str):
    config = guarded({"idle_rule": True}, rules={"all": {"license": condition}})
    documents = [*kept(2, license="MIT"), *dropped(1, license="GPL")]
    assert findings(tmp_path, documents, config) == []


@pytest.mark.parametrize("condition", ["==MIT", "!=GPL"])
def test_a_rule_on_text_that_drops_nothing_is_a_note_not_a_warning(tmp_path: Path, condition: str):
    config = guarded({"idle_rule": True}, rules={"all": {"license": condition}})
    (found,) = findings(tmp_path, kept(2, license="MIT"), config)
    assert (found.severity, found.figures) == ("note", {"documents": 2, "broken": 0})


def test_a_rule_that_no_document_breaks_names_the_nearest_value(tmp_path: Path):
    config = guarded({"idle_rule": True}, rules={"ko": {"words": ">=3"}})
    (found,) = findings(tmp_path, kept(2), config)
    assert (found.severity, found.rule) == ("note", "ko.words>=3")
    assert found.message == "ko.words>=3 drops none of 2 documents; the lowest value is 4"
    assert found.figures == {"documents": 2, "broken": 0, "least": 4, "most": 4}


def test_a_rule_that_earlier_rules_anticipate_is_idle(tmp_path: Path):
    config = guarded({"idle_rule": True}, rules={"ko": {"words": ">=3", "chars": ">=8"}})
    (found,) = findings(tmp_path, [*kept(1), *dropped(2)], config)
    assert found.rule == "ko.chars>=8"
    assert "the 2 documents that break it break an earlier rule" in found.message


def test_a_rule_without_documents_is_a_warning_with_a_remedy(tmp_path: Path):
    config = guarded({"idle_rule": True}, rules={"en": {"words": ">=3"}})
    (found,) = findings(tmp_path, kept(2), config)
    assert found.severity == "warning"
    assert "no document of en has a words; remove the rule or change its scope" in found.message


@pytest.mark.parametrize(("least", "noted"), [(2, True), (3, False)])
def test_an_idle_rule_over_few_documents_is_not_judged(tmp_path: Path, least: int, noted: bool):
    limits = {"idle_rule": True, "least_documents": least}
    config = guarded(limits, rules={"ko": {"words": ">=3"}})
    assert bool(findings(tmp_path, kept(2), config)) == noted


@pytest.mark.parametrize(("limit", "noted"), [(0.24, True), (0.25, False)])
def test_a_steep_rule_is_noted_beyond_its_share(tmp_path: Path, limit: float, noted: bool):
    documents = [*kept(3), given("문서 셋 뿐", words=3)]
    config = guarded({"steep_rule": limit}, rules={"ko": {"words": ">=3"}})
    found = findings(tmp_path, documents, config)
    assert bool(found) == noted
    if noted:
        assert "ko.words>=4 drops 1 more (25.0%, all of ko)" in found[0].message


def test_a_document_that_another_rule_drops_does_not_make_a_rule_steep(tmp_path: Path):
    documents = [*kept(3), given("문서 셋 뿐", last="dedup", words=3, hangul_ratio=0.0)]
    config = guarded({"steep_rule": 0.1})
    assert findings(tmp_path, documents, config) == []


@pytest.mark.parametrize(
    ("rule", "kind", "expected"),
    [
        ("ko.words>=50", pa.int64(), ("ko.words>=55", "ko.words>=45")),
        ("ko.words<=5", pa.int64(), ("ko.words<=4", "ko.words<=6")),
        ("ko.quality>=0.5", pa.float32(), ("ko.quality>=0.55", "ko.quality>=0.45")),
    ],
)
def test_a_threshold_moves_by_a_tenth_and_by_one_at_least(
    rule: str, kind: pa.DataType, expected: tuple[str, str]
):
    assert tuple(str(one) for one in neighbours(parse_rule(rule), kind)) == expected


@pytest.mark.parametrize("rule", ["ko.quality>=0", "ko.quality>=inf", "ko.lang==ko"])
def test_a_threshold_without_a_tenth_has_no_neighbours(rule: str):
    assert neighbours(parse_rule(rule), pa.float32()) == (None, None)


@pytest.mark.parametrize(("limit", "warned"), [(2, True), (3, False)])
def test_a_cluster_beyond_the_limit_is_warned_of(tmp_path: Path, limit: int, warned: bool):
    copies = [given("같은 글 하나 더", copy_of=0), given("같은 글 둘 더", "en", copy_of=0)]
    found = findings(tmp_path, [*kept(2), *copies], guarded({"large_cluster": limit}))
    assert bool(found) == warned
    if warned:
        assert found[0].figures["documents"] == 3
        assert "3 documents are one cluster of duplicates (2 of ko, 1 of en)" in found[0].message


@pytest.mark.parametrize(("limit", "warned"), [(0.19, True), (0.2, False)])
def test_a_component_short_of_its_target_is_warned_of(tmp_path: Path, limit: float, warned: bool):
    config = guarded({"short_component": limit})
    write_finished(tmp_path, kept(1), config)

    def want(manifest: Any) -> None:
        manifest["components"][0].update(target=100, achieved=80)

    replace_json(tmp_path / "mixture/manifest.json", want)
    found = run_guards(tmp_path, config, ledger(tmp_path, config))
    assert bool(found) == warned
    if warned:
        assert (found[0].component, found[0].figures["achieved"]) == ("ko", 80)
        assert "20.0% short; give it more sources" in found[0].message


def test_only_the_guards_that_fail_on_names_fail_a_run(tmp_path: Path):
    limits = {"source_loss": 0.1, "idle_rule": True, "fail_on": ["idle_rule"]}
    config = guarded(limits, rules={"ko": {"words": ">=3"}, "en": {"words": ">=3"}})
    found = findings(tmp_path, [*kept(1), *dropped(1)], config)
    assert {finding.guard for finding in found} == {"source_loss", "idle_rule"}
    assert {finding.guard for finding in failing(found, config)} == {"idle_rule"}


def test_warnings_come_before_notes(tmp_path: Path):
    limits = {"idle_rule": True, "large_cluster": 2}
    config = guarded(limits, rules={"ko": {"words": ">=3"}})
    copies = [given(f"같은 글 하나 {n}", copy_of=0) for n in range(2)]
    found = findings(tmp_path, [*kept(1), *copies], config)
    assert [finding.severity for finding in found] == ["warning", "note"]
