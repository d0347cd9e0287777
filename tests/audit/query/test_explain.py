"""One document explained: origin, values, verdict, copies and its tokens in the mixture."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.query.explain import explain_document, locate
from schemas.config import Config
from schemas.documents import document_id
from schemas.errors import InputError
from tests.support.finished_run import given, write_finished


def test_a_document_is_found_by_id_and_by_origin(finished: tuple[Path, Config]):
    out, config = finished
    by_origin = explain_document(out, config, "ko.jsonl:2")
    assert by_origin.id == document_id("ko", "ko.jsonl:2").hex()
    assert explain_document(out, config, by_origin.id) == by_origin
    assert locate(out, "en.jsonl:11")[:2] == ("en-00000.parquet", 1)


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        (0, "kept"),
        (1, "duplicate"),
        (2, "words"),
        (3, "hangul_ratio"),
        (7, "toxicity"),
        (8, "contaminated"),
    ],
)
def test_the_verdict_is_the_first_broken_rule(
    finished: tuple[Path, Config], number: int, verdict: str
):
    explanation = explain_document(*finished, f"ko.jsonl:{number}")
    assert explanation.verdict == verdict
    broken = [rule.reason for rule in explanation.rules if rule.holds is False]
    assert broken[:1] == ([] if verdict == "kept" else [verdict])


def test_rules_of_other_components_are_left_out(finished: tuple[Path, Config]):
    explanation = explain_document(*finished, "ko.jsonl:0")
    assert {rule.rule.split(".")[0] for rule in explanation.rules} == {"ko", "all"}


def test_a_rule_on_a_value_that_is_missing_is_not_measured(finished: tuple[Path, Config]):
    explanation = explain_document(*finished, "ko.jsonl:2")
    (toxicity,) = [rule for rule in explanation.rules if rule.reason == "toxicity"]
    assert toxicity.value is None and toxicity.holds is None


def test_members_of_a_cluster_name_one_another(finished: tuple[Path, Config]):
    survivor, copy = (explain_document(*finished, f"ko.jsonl:{n}") for n in (0, 1))
    assert survivor.duplicates == [copy.id] and copy.duplicates == [survivor.id]


def test_copies_in_the_mixture_give_epoch_and_first_token(tmp_path: Path):
    config = write_finished(tmp_path, [given("a b c", "en", copies=2), given("d e f g", "en")])
    placed = explain_document(tmp_path, config, "en.jsonl:0").placed
    assert [(p.sequence, p.epoch, p.first_token, p.tokens) for p in placed] == [
        (0, 0, 0, 6),
        (2, 1, 14, 6),
    ]
    assert explain_document(tmp_path, config, "en.jsonl:1").placed[0].first_token == 6


def test_the_excerpt_masks_and_cuts_as_the_tokens_do(finished: tuple[Path, Config]):
    masked = explain_document(*finished, "ko.jsonl:5").excerpt
    assert "someone@example.org" not in masked and "****@example.org" in masked
    assert explain_document(*finished, "ko.jsonl:6").excerpt.strip() == "봄이 오는 길을 걸었다"


def test_address_and_fields_are_masked_as_the_text_is(tmp_path: Path):
    meta = '{"author": "minsu.kim@hanbit-post.kr", "phone": "010-2345-6789"}'
    url = "https://board.example/u/010-2345-6789"
    config = write_finished(tmp_path, [given("하나 둘 셋 넷", url=url, meta=meta)])
    document = explain_document(tmp_path, config, "ko.jsonl:0").document
    assert document["url"] == "https://board.example/u/010-****-****"
    assert document["meta"] == '{"author": "****@hanbit-post.kr", "phone": "010-****-****"}'


@pytest.mark.parametrize("name", ["ko.jsonl:99", "0" * 32, "x" * 32])
def test_an_unknown_document_names_the_forms_of_an_id(finished: tuple[Path, Config], name: str):
    with pytest.raises(InputError, match="give an id of 32 hex digits or an origin"):
        explain_document(*finished, name)


def test_a_run_cut_short_shows_the_steps_that_finished(tmp_path: Path):
    config = write_finished(
        tmp_path, [given("하나 둘 셋")], steps=("identify", "measure"), mixed=False
    )
    explanation = explain_document(tmp_path, config, "ko.jsonl:0")
    assert set(explanation.annotations) == {"identify", "measure"}
    assert (explanation.duplicates, explanation.placed) == ([], [])
