"""The demo corpus: varied, small, and its truth true of its files."""

from __future__ import annotations

import itertools
import json
import re
import unicodedata
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from filters.measure.annotator import Measure
from filters.rules.decide import KEPT, decide
from filters.text.charset import decode_page
from filters.text.html import main_text
from filters.toxicity.annotator import Screen
from schemas.config import Config, Toxicity
from schemas.config import Measure as MeasureSettings
from schemas.load import load_config
from schemas.rules import parse_condition
from tests.support import ROOT

RECIPES = ROOT / "mixtures"
DEMO = RECIPES / "demo"
LANGUAGES = ("ko", "en")
KINDS = {
    "charset",
    "contamination",
    "exact_duplicate",
    "junk",
    "near_duplicate",
    "other_language",
    "pii",
    "reject",
    "spam",
    "toxic",
}


def read_lines(name: str) -> list[str]:
    return (DEMO / name).read_text("utf-8").splitlines()


def truth() -> dict[str, dict[str, Any]]:
    """Return what was planted by its origin."""
    return {entry["origin"]: entry for entry in map(json.loads, read_lines("planted.jsonl"))}


def documents() -> dict[str, dict[str, Any]]:
    """Return the JSONL records that can be read, by origin."""
    found = {}
    for language in LANGUAGES:
        for number, line in enumerate(read_lines(f"{language}.jsonl"), 1):
            origin = f"{language}.jsonl:{number}"
            if truth().get(origin, {}).get("reason") != "malformed_json":
                found[origin] = json.loads(line)
    return found


DOCUMENTS = documents()
TRUTH = truth()
WRITTEN = {origin: record for origin, record in DOCUMENTS.items() if origin not in TRUTH}


def demo_config(monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("BIBIM_STDLIB", "/usr/lib/python3")
    return load_config(RECIPES / "demo.yaml")


def shingles(text: str) -> set[str]:
    folded = re.sub(r"\W", "", unicodedata.normalize("NFC", text).casefold())
    return {folded[at : at + 5] for at in range(len(folded) - 4)}


def jaccard(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)


def test_the_corpus_stays_small():
    size = sum(path.stat().st_size for path in DEMO.rglob("*") if path.is_file())
    assert size <= 700_000


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_enough_documents_of_a_useful_length(language: str):
    texts = [r["text"] for origin, r in WRITTEN.items() if origin.startswith(language)]
    assert len(texts) >= 120
    assert all(500 <= len(text) <= 2500 for text in texts)


def test_the_readme_gives_the_number_of_documents():
    readme = (DEMO / "README.md").read_text("utf-8")
    for language, name in (("ko", "Korean"), ("en", "English")):
        count = sum(origin.startswith(language) for origin in WRITTEN)
        assert f"{count} {name} documents" in readme


def test_subjects_vary_and_titles_do_not_repeat():
    assert len({record["subject"] for record in WRITTEN.values()}) >= 20
    titles = [record["title"] for record in WRITTEN.values()]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_documents_were_made_from_one_template(language: str):
    sets = {o: shingles(r["text"]) for o, r in WRITTEN.items() if o.startswith(language)}
    for one, other in itertools.combinations(sets, 2):
        assert jaccard(sets[one], sets[other]) < 0.1, (one, other)


def test_every_kind_is_planted_and_every_origin_exists():
    assert {entry["planted"] for entry in TRUTH.values()} == KINDS
    for origin in TRUTH:
        file, position = origin.rsplit(":", 1)
        if file.endswith(".jsonl"):
            assert 1 <= int(position) <= len(read_lines(file))
        else:
            assert (DEMO / "web" / file).is_file()


def test_an_exact_duplicate_has_the_letters_of_its_original():
    pairs = [(o, e["of"]) for o, e in TRUTH.items() if e["planted"] == "exact_duplicate"]
    assert len(pairs) >= 8
    for copy, original in pairs:
        one, other = (DOCUMENTS[o]["text"] for o in (copy, original))
        assert "".join(unicodedata.normalize("NFC", one).split()) == "".join(other.split())
        assert original not in TRUTH, "the original is no planted sample itself"


def test_decomposed_hangul_is_really_decomposed():
    texts = [DOCUMENTS[o]["text"] for o, e in TRUTH.items() if "NFD" in e.get("note", "")]
    assert len(texts) >= 2
    assert not any(unicodedata.is_normalized("NFC", text) for text in texts)


def test_a_near_duplicate_is_near_but_not_the_same():
    pairs = [
        (DOCUMENTS[origin]["text"], DOCUMENTS[entry["of"]]["text"], entry["note"])
        for origin, entry in TRUTH.items()
        if entry["planted"] == "near_duplicate" and origin in DOCUMENTS
    ]
    assert len(pairs) >= 8
    for copy, original, note in pairs:
        assert copy != original
        assert jaccard(shingles(copy), shingles(original)) > 0.8, note


def test_personal_data_stands_in_the_text_and_belongs_to_nobody():
    spans = [
        (DOCUMENTS[origin]["text"], span)
        for origin, entry in TRUTH.items()
        if entry["planted"] == "pii"
        for span in entry["spans"]
    ]
    assert len({span["type"] for _, span in spans}) >= 5
    for text, span in spans:
        assert text.count(span["text"]) == 1
        digits = re.sub(r"\D", "", span["text"])
        if span["type"] == "PHONE_NUMBER":
            assert "000" in digits, "an exchange of zeros is assigned to nobody"
        if span["type"] == "KR_RRN":
            weights = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
            total = sum(w * int(d) for w, d in zip(weights, digits, strict=False))
            assert (11 - total % 11) % 10 != int(digits[-1]), "the check digit must be wrong"


def test_a_contaminated_document_holds_its_item():
    items = {item["id"]: item["text"] for item in map(json.loads, read_lines("eval.jsonl"))}
    planted = {o: e for o, e in TRUTH.items() if e["planted"] == "contamination"}
    assert len(planted) == 2
    for origin, entry in planted.items():
        assert items[entry["item"]] in DOCUMENTS[origin]["text"]
    for record in WRITTEN.values():
        assert not any(item in record["text"] for item in items.values())


def test_rejects_are_fewer_than_the_recipe_allows(monkeypatch: pytest.MonkeyPatch):
    allowed = demo_config(monkeypatch).ingest.max_reject_share
    for language in LANGUAGES:
        lines = read_lines(f"{language}.jsonl")
        bad = [
            o
            for o, e in TRUTH.items()
            if e["planted"] == "reject" and o.startswith(f"{language}.jsonl")
        ]
        assert len(bad) == 1
        assert len(bad) / len(lines) <= allowed
    malformed = [o for o, e in TRUTH.items() if e.get("reason") == "malformed_json"]
    for origin in malformed:
        file, number = origin.split(":")
        with pytest.raises(json.JSONDecodeError):
            json.loads(read_lines(file)[int(number) - 1])


def test_pages_come_out_right_whatever_their_charset():
    expected = {
        "ko-utf8.html": "왜가리는 겨누는 각도를",
        "ko-cp949-meta.html": "똠방똠방 말다툼을",
        "ko-cp949-bare.html": "가야의 가실왕이",
        "en.html": "nobody has drunk from it since 1962",
        "ja.html": "新聞紙に包む",
    }
    for name, phrase in expected.items():
        html, charset = decode_page((DEMO / "web" / name).read_bytes())
        assert phrase in main_text(html), (name, charset)


def test_the_rules_drop_the_junk_and_keep_what_was_written(monkeypatch: pytest.MonkeyPatch):
    config = demo_config(monkeypatch)
    rules = [
        rule
        for scope, conditions in config.rules.items()
        for column, condition in conditions.items()
        for rule in parse_condition(scope, column, condition)
    ]
    junk = [origin for origin, entry in TRUTH.items() if entry["planted"] == "junk"]
    origins = [*WRITTEN, *junk]
    columns = {
        "text": pa.array([DOCUMENTS[o]["text"] for o in origins], pa.large_string()),
        "assigned": pa.array([o[:2] for o in origins]),
        "source": pa.array([o[:2] for o in origins]),
        "code_lang": pa.nulls(len(origins), pa.string()),
        "meta": pa.nulls(len(origins), pa.string()),
    }
    measure = Measure(MeasureSettings())
    batch = pa.RecordBatch.from_arrays(
        [columns[name] for name in measure.reads], list(measure.reads)
    )
    signals = measure(batch)
    verdict = decide(columns | dict(zip(signals.schema.names, signals.columns, strict=True)), rules)
    dropped = {origin for origin, code in zip(origins, verdict, strict=True) if code != KEPT}
    assert dropped == set(junk)


def test_only_planted_abuse_and_spam_is_screened_out():
    origins = [o for o in DOCUMENTS if DOCUMENTS[o].get("text")]
    origins = [o for o in origins if TRUTH.get(o, {}).get("planted") != "junk"]
    text = pa.array([DOCUMENTS[o]["text"] for o in origins], pa.large_string())
    scores = Screen(Toxicity())(pa.RecordBatch.from_arrays([text], ["text"]))
    for column, kind in (("toxicity", "toxic"), ("spam", "spam")):
        high = np.asarray(scores.column(column)) > 0.9
        found = {origin for origin, above in zip(origins, high, strict=True) if above}
        planted = {o for o, e in TRUTH.items() if e["planted"] == kind}
        assert found == planted
