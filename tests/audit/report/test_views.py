"""What the page asks for: funnel, histograms, samples, clusters, search, and the changed YAML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from audit.accounting.stats import stats
from audit.query.altered import question
from audit.query.config_yaml import changed_yaml
from audit.query.frame import Frame
from audit.query.histogram import BINS, bin_edges
from audit.query.passages import passages
from audit.query.pieces import from_start, pieces, word_diff
from audit.query.plain import plain
from audit.report.views import Views
from pipelines.stages.catalog import effective_rules
from schemas.config import Config
from schemas.errors import InputError


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


def test_changed_rules_become_the_sections_of_the_config(finished: tuple[Path, Config]):
    frame = Frame(*finished)
    sections = yaml.safe_load(changed_yaml(frame, ["ko.words>=5", "all.toxicity<=0.5"]))
    assert sections["rules"]["ko"] == {"words": ">=5", "hangul_ratio": ">=0.2"}
    assert sections["toxicity"] == {"drop_above": 0.5}
    changed = Config.model_validate({**finished[1].model_dump(mode="json"), **sections})
    assert changed.rules["ko"]["words"] == ">=5"


def test_a_second_side_is_added_beside_the_first(finished: tuple[Path, Config]):
    sections = yaml.safe_load(changed_yaml(Frame(*finished), ["ko.words<=9"]))
    assert sections["rules"]["ko"]["words"] == ">=3, <=9"


@pytest.mark.parametrize(
    "rules",
    [
        ["all.toxicity<0.5"],
        ["all.toxicity<=5"],
        ["all.quality>0.1", "all.quality<=0.9"],
        ["all.quality>=0.35721234567"],
        ["all.spam<0.25", "ko.spam<=0.125"],
        ["all.duplicate==false"],
        ["all.license!=MIT", "all.license!=GPL", 'all.license!="5"'],
        ["ko.words>=1234567"],
        ["all.pii_count<=2.5"],
        ["all.pii_count<0"],
        ["ko.lang in [ko, en]", "ko.lang!=und"],
    ],
    ids=" ".join,
)
def test_rules_as_yaml_are_the_rules_that_what_if_decides_by(
    finished: tuple[Path, Config], rules: list[str]
):
    frame = Frame(*finished)
    sections = yaml.safe_load(changed_yaml(frame, rules))
    own = finished[1].model_dump(mode="json")
    for name, section in sections.items():
        own[name] = section if name == "rules" else {**own[name], **section}
    changed = Config.model_validate(own)
    decided = effective_rules(changed, frame.next_step, frame.schemas)
    assert decided == question(frame, rules).rules


@pytest.mark.parametrize("rule", ["all.pii_count<=inf", "ko.words>=1e400", "all.pii_types==x"])
def test_a_rule_that_no_run_could_decide_is_refused_with_a_message(
    finished: tuple[Path, Config], rule: str
):
    views = Views(Frame(*finished))
    for view in (views.changed, views.export):
        with pytest.raises(InputError, match=r"finite|beyond|rules apply to numbers"):
            view([rule])
