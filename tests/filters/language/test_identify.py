"""Language, code or prose, and the component of a document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.language.annotator import Identify, clean_excerpts
from filters.language.lid import MODEL
from schemas.config import Identify as Settings
from tests.support.columns import odd_text, records, texts

pytestmark = pytest.mark.skipif(
    not MODEL.exists(), reason="no language model: python -m filters.language.lid"
)

KOREAN = "이 함수는 배열을 받아서 정렬한 새 배열을 돌려줍니다. 원래 배열은 바뀌지 않습니다."
ENGLISH = "This function takes an array and returns a new one that has been sorted in place."
PYTHON = (
    'import os\n\n\ndef main(path: str) -> int:\n    """Run."""\n    return len(os.listdir(path))\n'
)


@pytest.fixture(scope="module")
def annotate() -> Identify:
    return Identify(Settings())


def batch(
    values: Sequence[str], components: Sequence[str] | str = "auto", metas: Sequence[Any] = ()
) -> pa.RecordBatch:
    if isinstance(components, str):
        components = [components] * len(values)
    found = [json.dumps(meta) if meta else None for meta in metas] or [None] * len(values)
    return pa.RecordBatch.from_arrays(
        [texts(*values), pa.array(components), pa.array(found, pa.string())],
        names=["text", "component", "meta"],
    )


def rows(annotate: Identify, *args: Any) -> list[dict[str, Any]]:
    return annotate(batch(*args)).to_pylist()


def test_korean_english_and_code_find_their_components(annotate: Identify):
    found = rows(annotate, [KOREAN, ENGLISH, PYTHON])
    assert [row["assigned"] for row in found] == ["ko", "en", "code"]
    assert [row["lang"] for row in found] == ["ko", "en", "und"]
    assert found[2]["code_lang"] == "python"


def test_another_language_feeds_no_component_unless_the_config_says_so():
    german = "Diese Funktion nimmt ein Feld entgegen und gibt ein neues, sortiertes Feld zurück."
    assert rows(Identify(Settings()), [german])[0]["assigned"] is None
    mapped = Settings(components={"ko": "ko", "de": "other"})
    assert rows(Identify(mapped), [german])[0]["assigned"] == "other"


def test_a_declared_component_stands(annotate: Identify):
    found = rows(annotate, [ENGLISH, KOREAN, PYTHON], ["ko", "code", "en"])
    assert [row["assigned"] for row in found] == ["ko", "code", "en"]
    assert [row["code_lang"] for row in found] == [None, "other", None]


def test_content_tells_code_where_a_component_is_the_users_own(annotate: Identify):
    found = rows(annotate, [PYTHON, ENGLISH], "snippets")
    assert [row["assigned"] for row in found] == ["snippets"] * 2
    assert [row["code_lang"] for row in found] == ["python", None]


def test_korean_with_english_terms_stays_korean(annotate: Identify):
    text = (
        "`std::vector<int>`의 `push_back`은 amortized O(1)입니다. Kubernetes Pod, Deployment, "
        "Service, Ingress, ConfigMap, StatefulSet을 kubectl apply -f manifest.yaml로 배포합니다."
    )
    assert rows(annotate, [text])[0]["lang"] == "ko"


def test_two_languages_in_one_document_are_both_named(annotate: Identify):
    mixed = "\n".join([KOREAN] * 5 + [ENGLISH] * 5)
    found = rows(annotate, [mixed, KOREAN, "\n".join([KOREAN] + [ENGLISH] * 5)])
    assert (found[0]["lang"], found[0]["lang_other"]) == ("ko", "en")
    assert found[1]["lang_other"] is None
    assert (found[2]["lang"], found[2]["lang_other"]) == ("en", "ko")


def test_a_list_of_language_names_is_not_korean(annotate: Identify):
    names = "Deutsch English Español Français 한국어 Italiano Nederlands Português Svenska Türkçe"
    assert rows(annotate, [names])[0]["lang"] != "ko"


@pytest.mark.parametrize(
    ("meta", "text", "language"),
    [
        ({"path": "src/main.rs"}, "x", "rust"),
        ({"language": "Go"}, "x", "go"),
        ({}, "#!/usr/bin/env bash\necho 1\n", "shell"),
        ({}, "package main\n\nfunc main() {\n}\n", "go"),
        ({"path": 7}, "?", "other"),
    ],
)
def test_a_programming_language_has_a_name(annotate, meta, text, language):
    assert rows(annotate, [text], "code", [meta])[0]["code_lang"] == language


@pytest.mark.parametrize("text", ["", "\n", "123 456", "https://example.org/a", "!!!"])
def test_what_says_nothing_is_undetermined(annotate: Identify, text: str):
    (found,) = rows(annotate, [text])
    assert found["lang"] == "und" and found["assigned"] is None


def test_windows_leave_out_code_front_matter_and_addresses():
    text = "---\ntitle: x\n---\n한 줄\n```cpp\nint a;\n```\nhttps://a.example/b 두 줄"
    assert clean_excerpts(text.encode()) == ["한 줄 두 줄"]


def test_windows_of_a_long_text_are_three_short_ones():
    long = ("가나 다라 " * 200_000).encode()
    assert [len(window) for window in clean_excerpts(long)] == pytest.approx([600] * 3, abs=2)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(odd_text, st.sampled_from(["ko", "en", "code", "auto", "own"])),
        min_size=1,
        max_size=6,
    )
)
def test_a_row_is_identified_alone_whatever_its_neighbours(annotate: Identify, pairs):
    values, components = zip(*pairs, strict=True)
    whole = annotate(batch(values, components))
    ones = [annotate(batch([v], [c])).to_pylist()[0] for v, c in pairs]
    assert whole.to_pylist() == ones
    assert annotate(batch(values[::-1], components[::-1])).to_pylist() == ones[::-1]
    assert whole.column(0).null_count == 0
    for name in ("lang_score", "code_score", "hangul_share", "latin_share", "digit_share"):
        assert all(0 <= value <= 1 for value in whole.column(name).to_pylist())


def test_the_languages_of_labelled_paragraphs_are_recognised(annotate: Identify):
    labelled = list(records("labelled/langid"))
    found = annotate(batch([row["text"] for row in labelled])).column("lang").to_pylist()
    truth = [row["lang"] for row in labelled]
    for language in ("ko", "en"):
        hits = [a == language for a, b in zip(found, truth, strict=True) if b == language]
        assert sum(hits) / len(hits) >= 0.995
    false_korean = sum(a == "ko" != b for a, b in zip(found, truth, strict=True))
    assert false_korean / len(labelled) <= 0.001


@pytest.mark.parametrize(
    ("corpus", "component", "share"),
    [
        ("ko_docs", "ko", 0.97),
        ("ko_reviews", "ko", 0.99),
        ("en_docs", "en", 0.97),
        ("code", "code", 0.98),
    ],
)
def test_real_documents_find_their_component_unnamed(annotate, corpus, component, share):
    values = [row["text"] for row in records(f"corpora/{corpus}", every=20)]
    found = annotate(batch(values)).column("assigned").to_pylist()
    assert found.count(component) / len(found) >= share
