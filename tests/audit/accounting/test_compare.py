"""Two runs compared: what changed, by how much, and which rule is the cause."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit.accounting.compare import Difference, Pair, compare_runs
from schemas.config import Config
from tests.support.finished_run import Given, given, settings, write_finished

Run = tuple[Path, Config]


def run(out: Path, documents: list[Given], config: Config | None = None) -> Run:
    return out, write_finished(out, documents, config)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(
        tmp_path_factory.mktemp("before") / "out", [given("하나 둘 셋 넷"), given("하나 둘 셋")]
    )


def test_a_run_does_not_differ_from_itself(before: Run):
    same = compare_runs(before, before)
    assert (same.config, same.code, same.rules, same.moves, same.rewritten) == ([], [], [], [], {})
    assert same.changes() == []


def test_a_tighter_rule_is_the_cause_of_the_documents_that_it_drops(before: Run, tmp_path: Path):
    config = settings(
        rules={"ko": {"words": ">=4", "hangul_ratio": ">=0.2"}, "en": {"words": ">=2"}}
    )
    after = run(tmp_path, [given("하나 둘 셋 넷"), given("하나 둘 셋", last="dedup")], config)
    difference = compare_runs(after, before)
    (move,) = difference.moves
    assert (move.source, move.before, move.after, move.documents) == ("ko", "kept", "words", 1)
    assert move.why == "ko.words>=3 became ko.words>=4"
    assert move.tokens == len("하나 둘 셋".encode()) + 1
    assert [pair.name for pair in difference.rules] == ["ko.words"]
    assert "rules.ko.words" in [pair.name for pair in difference.config]
    assert "ko kept: 2 before, 1 after" in difference.changes()


def test_a_new_rule_and_a_removed_rule_are_named_as_such(before: Run, tmp_path: Path):
    rules = {
        "ko": {"words": ">=3", "hangul_ratio": ">=0.2", "chars": ">=9"},
        "en": {"words": ">=2"},
    }
    after = run(
        tmp_path, [given("하나 둘 셋 넷"), given("하나 둘 셋", last="dedup")], settings(rules=rules)
    )
    assert compare_runs(after, before).moves[0].why == "new rule ko.chars>=9"
    assert compare_runs(before, after).moves[0].why == "rule ko.chars>=9 removed"


def test_a_rule_of_another_source_is_not_named_as_a_cause(tmp_path: Path):
    documents = [given("하나 둘 셋 넷"), given("one two three", "en")]
    before = run(tmp_path / "before", documents)
    rules = {"ko": {"words": ">=4", "hangul_ratio": ">=0.2"}, "en": {"words": ">=4"}}
    after = run(
        tmp_path / "after",
        [documents[0], given("one two three", "en", last="dedup")],
        settings(rules=rules),
    )
    (move,) = compare_runs(after, before).moves
    assert (move.source, move.why) == ("en", "en.words>=2 became en.words>=4")


def test_rules_in_another_order_are_named_where_they_alone_give_another_reason(tmp_path: Path):
    documents = [given("하나 둘 셋 넷"), given("abc", last="dedup", hangul_ratio=0.1)]
    turned = settings(rules={"ko": {"hangul_ratio": ">=0.2", "words": ">=3"}})
    before = run(
        tmp_path / "before",
        documents,
        settings(rules={"ko": {"words": ">=3", "hangul_ratio": ">=0.2"}}),
    )
    after = run(tmp_path / "after", documents, turned)
    (move,) = compare_runs(after, before).moves
    assert (move.before, move.after) == ("words", "hangul_ratio")
    assert move.why == "the rules decide in another order: hangul_ratio before words"


def test_a_changed_value_under_the_same_rules_is_named(before: Run, tmp_path: Path):
    after = run(tmp_path, [given("하나 둘 셋 넷"), given("하나 둘 셋", last="dedup", words=1)])
    (move,) = compare_runs(after, before).moves
    assert move.why == "no rule of that reason changed: its column has other values"


def test_another_text_at_the_same_origin_is_rewritten(before: Run, tmp_path: Path):
    after = run(tmp_path, [given("다른 글 하나 둘"), given("하나 둘 셋")])
    difference = compare_runs(after, before)
    assert difference.rewritten == {"ko": 1}
    assert difference.moves == []
    assert "ko: 1 documents have another text" in difference.changes()


def test_a_source_with_more_documents_has_moves_from_absent(before: Run, tmp_path: Path):
    after = run(tmp_path, [given("하나 둘 셋 넷"), given("하나 둘 셋"), given("넷 다섯 여섯")])
    (move,) = compare_runs(after, before).moves
    assert (move.before, move.after, move.documents) == ("absent", "kept", 1)
    assert move.why == "the source has other documents"


def test_another_package_is_code_and_not_a_change(before: Run, tmp_path: Path):
    after = run(tmp_path, [given("하나 둘 셋 넷"), given("하나 둘 셋")])
    record = json.loads((tmp_path / "run.json").read_text("utf-8"))
    record["runs"][-1]["versions"]["numpy"] = "3"
    (tmp_path / "run.json").write_text(json.dumps(record), "utf-8")
    difference = compare_runs(after, before)
    assert [(p.name, p.before, p.after) for p in difference.code] == [("numpy", "2", "3")]
    assert difference.changes() == []


@pytest.mark.parametrize(("tolerance", "changed"), [(0.09, 1), (0.1, 0)])
def test_a_figure_counts_beyond_the_tolerance(tolerance: float, changed: int):
    difference = Difference(
        before="a", after="b", config=[], code=[], rules=[], shares=[], moves=[], rewritten={},
        sources=[Pair(name="ko kept", before=100, after=110)],
    )  # fmt: skip
    assert len(difference.changes(tolerance)) == changed


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [(4, 5, 0.25), (4, 4, 0.0), (0, 5, 1.0), (None, 5, 1.0), (5, None, 1.0)],
)
def test_a_change_is_relative_to_the_run_before(
    before: int | None, after: int | None, moved: float
):
    assert Pair(name="x", before=before, after=after).moved() == moved
