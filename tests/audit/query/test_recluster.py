"""What-if over chains of near-duplicates: clusters are found again as `dedup` would find them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from audit.query import recluster
from audit.query.what_if import Comparison, compare_rules
from schemas.config import Config
from tests.support.finished_run import Given, given, settings, write_finished

SYLLABLES = [chr(0xAC00 + number) for number in range(2000)]
LONG = "".join(random.Random(3).sample(SYLLABLES, 600))


def link(number: int, size: int = 200, **more: Any) -> Given:
    """Return a document of a chain: similar to the one before and after it, and to no other."""
    return given(LONG[15 * number : 15 * number + size], **{"words": 5, **more})


def compare(out: Path, documents: list[Given], *rules: str, **sections: Any) -> Comparison:
    config = lenient(**sections)
    write_finished(out, documents, config, signed=True)
    return compare_rules(out, config, rules)


def lenient(**sections: Any) -> Config:
    """Return a config whose only rules on late stages are those of `sections`."""
    off = {"toxicity": {"drop_above": None, "spam_above": None}}
    return settings(**{**off, "rules": {"ko": {"words": ">=3"}}, **sections})


def bounds(found: Comparison) -> tuple[int, int, int]:
    return found.kept_after_at_least, found.kept_after, found.kept_after_at_most


def test_a_dropped_bridge_frees_the_document_behind_it(tmp_path: Path):
    chain = [link(0), link(1, copy_of=0), link(2, copy_of=0)]
    chain[1].values["words"] = 4
    found = compare(tmp_path, chain, "ko.words>=5")
    assert (found.kept_before, bounds(found), found.clusters) == (1, (2, 2, 2), "computed")
    assert found.reasons["duplicate"] == (2, 0)


def test_a_survivor_that_is_dropped_leaves_its_cluster_another(tmp_path: Path):
    chain = [link(0, words=4), link(1, copy_of=0), link(2, copy_of=0)]
    chain[0].values["words"] = 4
    found = compare(tmp_path, chain, "ko.words>=5")
    assert bounds(found) == (1, 1, 1)
    assert (found.sources["ko"].newly_dropped, found.sources["ko"].newly_kept) == (1, 1)
    assert found.reasons == {"words": (0, 1), "duplicate": (2, 1), "no_component": (0, 0)}


def test_a_new_bridge_joins_two_documents_that_are_kept(tmp_path: Path):
    chain = [link(0), link(1, last="dedup"), link(2, size=199)]
    chain[1].values["words"] = 2
    found = compare(tmp_path, chain, "ko.words>=2")
    assert (found.kept_before, bounds(found)) == (2, (1, 1, 1))
    assert found.reasons["duplicate"] == (0, 2)


def test_exact_copies_stay_together_whatever_their_shingles_are(tmp_path: Path):
    words = " ".join(f"w{number}x" for number in range(60))
    content = {"exact_hash": bytes(16)}
    documents = [
        given(words, words=5, **content),
        given(words.upper(), words=5, copy_of=0, **content),
        given(words + " more", words=4, copy_of=0),
    ]
    found = compare(tmp_path, documents, "ko.words>=5", dedup={"unit": "words"})
    assert (found.kept_before, bounds(found), found.clusters) == (1, (1, 1, 1), "computed")


def test_a_freed_document_that_a_later_rule_must_judge_is_unknown(tmp_path: Path):
    chain = [link(0), link(1, copy_of=0), link(2, copy_of=0)]
    chain[1].values["words"] = 4
    found = compare(tmp_path, chain, "ko.words>=5", toxicity={"drop_above": 0.9})
    assert bounds(found) == (1, 1, 2)


def test_cluster_sizes_follow_from_the_documents_that_are_left(tmp_path: Path):
    chain = [link(0), link(1, copy_of=0), link(9, words=5)]
    chain[1].values["words"] = 4
    found = compare(tmp_path, chain, "ko.words>=5", "ko.cluster_size<2")
    assert bounds(found) == (2, 2, 2), "the first document is alone once its copy is dropped"
    alone = compare_rules(tmp_path, lenient(), ["ko.cluster_size<2"])
    assert bounds(alone) == (1, 1, 1)


def test_rules_on_tokens_of_a_trained_tokenizer_are_open_after_a_change(tmp_path: Path):
    documents = [link(0), link(9), link(20)]
    documents[2].values["words"] = 4
    rules = {"ko": {"words": ">=3", "tokens": ">=10"}}
    found = compare(tmp_path, documents, "ko.words>=5", rules=rules)
    assert bounds(found) == (0, 2, 2)
    fixed = lenient(rules=rules, tokenizer={"path": "x.model"})
    assert bounds(compare_rules(tmp_path, fixed, ["ko.words>=5"])) == (2, 2, 2)


def test_a_newcomer_without_tokens_is_unknown_to_a_rule_on_tokens(tmp_path: Path):
    documents = [link(0), link(9, last="score", quality=0.1)]
    sections = {
        "rules": {"ko": {"words": ">=3", "tokens": ">=10"}},
        "quality": {"drop_below": 0.3},
        "tokenizer": {"path": "x.model"},
    }
    found = compare(tmp_path, documents, "all.quality>=0.05", **sections)
    assert bounds(found) == (1, 1, 2)


def test_too_many_documents_to_compare_give_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recluster, "MAX_COMPARED", 1)
    chain = [link(0), link(1, copy_of=0), link(2, copy_of=0), link(9)]
    chain[1].values["words"] = 4
    found = compare(tmp_path, chain, "ko.words>=5")
    assert (found.kept_before, bounds(found)) == (2, (1, 2, 3))


def test_a_prior_run_that_may_hold_copies_gives_bounds(tmp_path: Path):
    documents = [link(0), link(9, last="dedup")]
    documents[1].values["words"] = 2
    found = compare(tmp_path, documents, "ko.words>=2", dedup={"against": ["elsewhere"]})
    assert bounds(found) == (1, 1, 2)


def test_a_question_on_late_stages_leaves_the_clusters(tmp_path: Path):
    found = compare(tmp_path, [link(0), link(1, copy_of=0)], "all.quality>=0.6")
    assert (found.clusters, bounds(found)) == ("same", (0, 0, 0))
