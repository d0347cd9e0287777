"""What the page asks for: funnel, histograms, samples, clusters, search, and the changed YAML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from audit.accounting.stats import stats
from audit.query.config_yaml import changed_yaml
from audit.query.frame import Frame
from audit.query.histogram import BINS, bin_edges
from audit.query.passages import passages
from audit.query.pieces import from_start, pieces, word_diff
from audit.query.plain import plain
from audit.report.views import Views
from schemas.config import Config
from schemas.errors import InputError
from schemas.rules import parse_rule
from tests.support.finished_run import settings


@pytest.fixture(scope="module")
def views(finished: tuple[Path, Config]) -> Views:
    return Views(Frame(*finished), show_pii=True)


def test_the_funnel_agrees_with_the_ledger(finished: tuple[Path, Config], views: Views):
    figures = stats(*finished)
    overview = views.overview()
    for source, account in figures.sources.items():
        rows = {row[2]: row for row in overview["funnel"] if row[0] == source}
        assert overview["read"][source] == [account.read.documents, account.read.raw_bytes]
        kept = rows["kept"][3:]
        count = account.kept
        assert kept == [
            count.documents,
            count.text_bytes,
            count.chars,
            count.tokens,
            count.raw_bytes,
        ]
        for reason, rejected in account.rejected.items():
            assert rows[f"unreadable: {reason}"][3] == rejected.documents


def test_the_stages_of_the_page_are_those_of_the_ledger(views: Views):
    stages = views.accounting()["stages"]
    assert [row[0] for row in stages["rows"]] == ["ingest", *views.frame.steps, "mix"]
    assert {len(row) for row in stages["rows"]} == {len(stages["heads"])}


def test_a_rule_counts_what_breaks_it_first_and_alone(views: Views):
    rules = {rule["text"]: rule for rule in views.overview()["rules"]}
    words = rules["ko.words>=3"]
    assert (words["breaks"][0], words["first"][0], words["only"][0]) == (2, 2, 1)
    ratio = rules["ko.hangul_ratio>=0.2"]
    assert (ratio["breaks"][0], ratio["first"][0], ratio["only"][0]) == (2, 1, 1)
    texts = list(rules)
    overlap = views.overlap()
    pair = overlap[texts.index("ko.words>=3")][texts.index("ko.hangul_ratio>=0.2")]
    assert pair == 1 and overlap[texts.index("ko.words>=3")][texts.index("ko.words>=3")] == 2


def test_a_histogram_counts_every_value_and_every_null(views: Views):
    words = views.signal("words")
    assert words["known"] == 15 and words["null"] == 0
    assert sum(words["components"]["ko"]["all"]) == 11
    assert sum(words["components"]["ko"]["kept"]) == 5
    toxicity = views.signal("toxicity")
    assert (toxicity["known"], toxicity["null"]) == (8, 7)


def test_a_column_that_is_not_a_signal_is_refused(views: Views):
    with pytest.raises(InputError, match=r"lang: no signal of this run; docs/signals.md"):
        views.signal("lang")


def test_edges_hold_every_threshold():
    edges, log = bin_edges(np.linspace(0, 1, 100, dtype=np.float32), [3.0])
    assert len(edges) == BINS + 1 and not log
    assert edges[0] <= 0.01 and edges[-1] > 3.0, "most values and every threshold"
    counts, log = bin_edges(np.array([1, 2, 3, 100_000], np.int32), [])
    assert log and counts[0] == 0


def test_samples_are_nearest_to_the_threshold_on_either_side(views: Views):
    index = [str(rule) for rule in views.frame.rules].index("ko.words>=3")
    samples = views.samples(index, each=1)
    assert [one["value"] for one in samples["nearly_kept"]] == [2]
    kept = [one["value"] for one in views.samples(index)["nearly_dropped"]]
    assert kept == sorted(kept) and kept[0] >= 3
    with pytest.raises(InputError, match="the run has"):
        views.samples(99)


def test_a_cluster_shows_the_survivor_the_copy_and_their_difference(views: Views):
    clusters = views.clusters()
    assert clusters["sizes"] == [(2, 1)]
    (largest,) = clusters["largest"]
    assert ("있다", "del") in largest["diff"] and ("있었다", "ins") in largest["diff"]


def test_personal_data_is_counted_by_type(views: Views):
    assert views.pii() == [["ko", "EMAIL_ADDRESS", 1, 1]]


def test_search_finds_text_id_and_origin_and_gives_the_verdict(views: Views):
    (found,) = views.search("한글이 거의")
    assert found["verdict"] == "hangul_ratio"
    assert views.search(found["id"])[0]["origin"] == found["origin"] == "ko.jsonl:3"
    assert views.search("no such words") == []
    with pytest.raises(InputError, match="give two characters or more"):
        views.search(" a ")


def test_a_document_is_shown_with_its_sequences(views: Views):
    shown = views.document("ko.jsonl:0")
    assert (shown["verdict"], len(shown["placed"])) == ("kept", 2)
    assert views.document("ko.jsonl:2")["column"] == "words"


def test_pieces_are_cut_at_the_marks_and_keep_the_text():
    text = "a" * 50 + "MARK" + "b" * 50
    assert pieces(text, [(50, 54)]) == [("a" * 50, ""), ("MARK", "pass"), ("b" * 50, "")]
    long = "x" * 2000 + "MARK" + "y" * 2000
    cut = pieces(long, [(2000, 2004)], length=300)
    assert cut[0] == cut[-1] == ("…", "cut") and ("MARK", "pass") in cut
    assert "".join(part for part, _ in from_start(long, [(2000, 2004)])) == long


def test_a_difference_of_words_gives_both_texts_back():
    left, right = "one two three four", "one 2 three four five"
    parts = word_diff(left, right)
    assert "".join(text for text, kind in parts if kind != "ins") == left
    assert "".join(text for text, kind in parts if kind != "del") == right


@pytest.mark.parametrize(
    ("column", "text", "marked"),
    [
        ("hangul_ratio", "한글 and 영어", ["and"]),
        ("dup_lines", "가\n나\n가\n", ["가"]),
        ("digit_ratio", "call 02-123", ["02-123"]),
        ("char_repetition", "음" * 12, ["음" * 12]),
        ("quality", "nothing", []),
    ],
)
def test_passages_are_where_a_signal_comes_from(column: str, text: str, marked: list[str]):
    assert [text[a:b] for a, b in passages(column, text)] == marked


def test_values_become_what_json_can_hold():
    assert plain({"id": b"\x01\xff", "x": 0.12345678, "n": 3, "spans": [1], "t": None}) == {
        "id": "01ff",
        "x": 0.123457,
        "n": 3,
        "spans": None,
        "t": None,
    }


def test_changed_rules_become_the_sections_of_the_config():
    config = settings()
    rules = [parse_rule("ko.words>=3"), parse_rule("all.toxicity<=0.9")]
    sections = yaml.safe_load(changed_yaml(config, rules, ["ko.words>=5", "all.toxicity<=0.5"]))
    assert sections["rules"]["ko"] == {"words": ">=5", "hangul_ratio": ">=0.2"}
    assert sections["toxicity"] == {"drop_above": 0.5}
    changed = Config.model_validate({**config.model_dump(mode="json"), **sections})
    assert changed.rules["ko"]["words"] == ">=5"


def test_a_second_side_is_added_beside_the_first():
    sections = yaml.safe_load(
        changed_yaml(settings(), [parse_rule("ko.words>=3")], ["ko.words<=9"])
    )
    assert sections["rules"]["ko"]["words"] == ">=3, <=9"
