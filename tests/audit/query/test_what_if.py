"""What-if: exact where annotations exist, bounded where they do not, and one rule or several."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.query.altered import MAX_CHANGES, altered
from audit.query.what_if import Change, Comparison, compare_rules
from pipelines.stages.catalog import effective_rules, rule_stage
from schemas.config import Config
from schemas.documents import document_id
from schemas.errors import InputError
from schemas.rules import parse_rule
from tests.support.finished_run import COLUMNS, Given, given, settings, write_finished

KEPT = [given("하나 둘 셋"), given("하나 둘 셋 넷"), given("하나 둘 셋 넷 다섯", hangul_ratio=0.3)]
SHORT = given("하나 둘", last="dedup")
LATIN = given("abc def ghi", last="dedup", hangul_ratio=0.1)
TOXIC = given("아주 나쁜 말", last="screen", toxicity=0.95)


def compare(out: Path, documents: list[Given], *rules: str) -> Comparison:
    return compare_rules(out, write_finished(out, documents), rules)


def identity(number: int, source: str = "ko") -> str:
    return document_id(source, f"{source}.jsonl:{number}").hex()


def test_the_runs_own_rule_changes_nothing(tmp_path: Path):
    same = compare(tmp_path, [*KEPT, SHORT], "ko.words>=3")
    assert same.rules == [] and same.replaced == ["ko.words>=3"]
    assert (same.kept_before, same.kept_after, same.kept_after_at_most) == (3, 3, 3)


def test_a_tighter_rule_drops_documents_bytes_and_tokens(tmp_path: Path):
    tighter = compare(tmp_path, [*KEPT, SHORT], "ko.words>=4")
    size = len(KEPT[0].text.encode())
    change = tighter.sources["ko"]
    assert (tighter.kept_before, tighter.kept_after) == (3, 2)
    assert (change.newly_dropped, change.newly_dropped_bytes) == (1, size)
    assert change.newly_dropped_tokens == size + 1
    assert tighter.examples_dropped == [identity(0)] and tighter.examples_kept == []
    assert tighter.reasons["words"] == (1, 2)


def test_the_kept_of_each_source_are_counted_apart(tmp_path: Path):
    comparison = compare(tmp_path, [*KEPT, given("one two", "en")], "en.words>=3")
    assert {name: c.newly_dropped for name, c in comparison.sources.items()} == {"en": 1, "ko": 0}
    assert comparison.sources["ko"].kept_before == 3


def test_a_looser_rule_bounds_what_later_steps_did_not_annotate(tmp_path: Path):
    looser = compare(tmp_path, [*KEPT, SHORT], "ko.words>=2")
    assert (looser.kept_after, looser.kept_after_at_most) == (3, 4)
    assert looser.sources["ko"].unknown == 1
    assert looser.sources["ko"].unknown_bytes == len(SHORT.text.encode())
    assert looser.examples_kept == [identity(3)]
    assert looser.reasons["words"] == (1, 0)


def test_a_looser_threshold_of_the_last_step_is_exact(tmp_path: Path):
    scored = given("질이 낮은 글", last="score", quality=0.1)
    config = settings(quality={"drop_below": 0.3})
    write_finished(tmp_path, [*KEPT, scored], config, steps=("identify", "measure", "sign", "dedup",
                                                             "redact", "screen", "score"))  # fmt: skip
    looser = compare_rules(tmp_path, config, ["all.quality>=0.05"])
    assert (looser.kept_before, looser.kept_after, looser.kept_after_at_most) == (3, 4, 4)
    assert looser.sources["ko"].newly_kept == 1


def test_tokens_of_a_document_without_tokens_are_estimated_from_its_bytes(tmp_path: Path):
    scored = given("질이 낮은 글", last="score", quality=0.1)
    config = settings(quality={"drop_below": 0.3})
    write_finished(tmp_path, [KEPT[0], scored], config)
    change = compare_rules(tmp_path, config, ["all.quality>=0.05"]).sources["ko"]
    size, tokens = len(KEPT[0].text.encode()), len(KEPT[0].text.encode()) + 1
    assert change.newly_kept_tokens == round(len(scored.text.encode()) * tokens / size)


def test_a_document_that_another_rule_drops_stays_dropped(tmp_path: Path):
    both = given("하나 둘", last="dedup", hangul_ratio=0.1)
    looser = compare(tmp_path, [*KEPT, both], "ko.words>=2")
    assert (looser.kept_after, looser.kept_after_at_most) == (3, 3)
    assert (looser.reasons["words"], looser.reasons["hangul_ratio"]) == ((1, 0), (0, 1))


def test_several_rules_together_are_not_the_sum_of_each(tmp_path: Path):
    documents = [*KEPT, SHORT, LATIN, given("하나 둘", last="dedup", hangul_ratio=0.1)]
    both = compare(tmp_path, documents, "ko.words>=2", "ko.hangul_ratio>=0.05")
    assert both.kept_after_at_most == 6, "the last document needs both rules"
    config = settings()
    alone = [compare_rules(tmp_path, config, [rule]) for rule in both.rules]
    assert [one.kept_after_at_most for one in alone] == [4, 4]


def test_one_rule_may_drop_while_another_keeps(tmp_path: Path):
    mixed = compare(tmp_path, [*KEPT, TOXIC], "ko.words>=5", "all.toxicity<=0.99")
    change = mixed.sources["ko"]
    assert (change.newly_dropped, change.newly_kept + change.unknown) == (2, 0)
    assert mixed.reasons["words"] == (0, 3) and mixed.reasons["toxicity"] == (1, 0)


def test_a_rule_with_two_sides_is_two_changes(tmp_path: Path):
    bounded = compare(tmp_path, KEPT, "ko.words>=4, <=4")
    assert bounded.rules == ["ko.words>=4", "ko.words<=4"]
    assert bounded.kept_after == 1


def test_a_rule_applies_to_its_scope_only(tmp_path: Path):
    documents = [*KEPT, given("one two", "en"), given("누리집 글 하나", "web")]
    config = write_finished(tmp_path, documents)
    kept = {
        scope: compare_rules(tmp_path, config, [f"{scope}.words>=100"]).kept_after
        for scope in ("ko", "en", "web", "all")
    }
    assert kept == {"ko": 1, "en": 4, "web": 4, "all": 0}


def test_a_new_rule_on_text_decides_by_equality(tmp_path: Path):
    documents = [given("하나 둘 셋", license="MIT"), given("하나 둘 셋 넷", license="GPL")]
    comparison = compare(tmp_path, documents, "ko.license==MIT")
    assert comparison.kept_after == 1
    assert comparison.examples_dropped == [identity(1)]


def test_copies_of_a_dropped_survivor_are_unknown(tmp_path: Path):
    copy = given("하나 둘 셋 넷 다섯 여섯", copy_of=0)
    dropped = compare(tmp_path, [*KEPT, copy], "ko.words>=4")
    assert dropped.sources["ko"].newly_dropped == 1
    assert dropped.sources["ko"].unknown == 1
    assert dropped.kept_after_at_most == dropped.kept_after + 1


def test_a_copy_that_breaks_the_new_rule_too_is_not_unknown(tmp_path: Path):
    dropped = compare(tmp_path, [*KEPT, given("하나 둘 세", copy_of=0)], "ko.words>=4")
    assert (dropped.sources["ko"].newly_dropped, dropped.sources["ko"].unknown) == (1, 0)


def test_examples_are_as_many_as_asked_for(tmp_path: Path):
    config = write_finished(tmp_path, KEPT)
    assert compare_rules(tmp_path, config, ["ko.words>=9"], examples=2).examples_dropped == [
        identity(0),
        identity(1),
    ]


def test_a_new_rule_stands_where_the_config_would_put_it():
    config = settings(
        rules={"ko": {"words": ">=3", "hangul_ratio": ">=0.2"}, "all": {"chars": ">=1"}}
    )
    rules = effective_rules(config, schemas=COLUMNS)
    new = altered(config, rules, [parse_rule("ko.bytes>=9"), parse_rule("ko.words<=8")], COLUMNS)
    measured = [
        str(rule) for rule in new.rules if rule_stage("", rule.column, COLUMNS) == "measure"
    ]
    assert measured == [
        "ko.words>=3",
        "ko.words<=8",
        "ko.hangul_ratio>=0.2",
        "ko.bytes>=9",
        "all.chars>=1",
    ]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("kr.words>=3", "--rule kr.words>=3: no component or source is named 'kr'; known: "),
        ("ko.wordz>=3", "did you mean words"),
        ("ko.words", "--rule: "),
        ("ko.words==abc", "is not a number"),
    ],
)
def test_a_bad_rule_is_refused_with_what_would_be_right(
    finished: tuple[Path, Config], rule: str, message: str
):
    with pytest.raises(InputError) as error:
        compare_rules(*finished, [rule])
    assert message in str(error.value)


def test_more_changes_than_the_limit_are_refused(finished: tuple[Path, Config]):
    rules = [f"ko.words>={number}, <={number + 10}" for number in range(1)]
    rules += [f"en.{name}>=1" for name in ("chars", "bytes", "words", "hangul_ratio")]
    rules += [f"all.{name}>=1" for name in ("chars", "bytes", "words", "hangul_ratio")]
    with pytest.raises(InputError, match=f"give {MAX_CHANGES} at most at once"):
        compare_rules(*finished, rules)


def test_a_run_without_measure_names_the_step_and_the_command(tmp_path: Path):
    config = write_finished(tmp_path, KEPT, steps=("identify",), mixed=False)
    with pytest.raises(InputError, match="measure has not finished; run `bibim run"):
        compare_rules(tmp_path, config, ["ko.words>=3"])


def test_a_column_of_a_later_step_names_that_step(tmp_path: Path):
    config = write_finished(tmp_path, KEPT, steps=("identify", "measure"), mixed=False)
    with pytest.raises(InputError, match="toxicity: screen has not run yet; run it first"):
        compare_rules(tmp_path, config, ["all.toxicity<=0.5"])


def test_a_change_starts_at_zero():
    assert set(Change().model_dump().values()) == {0}
