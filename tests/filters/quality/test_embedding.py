"""Embeddings: exact whatever the batch, near for near texts, bounded for long ones."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.quality.embedding import (
    DEFAULT_TABLE,
    SPAN_BYTES,
    SPANS,
    HashedEmbedder,
    Table,
    load_embedder,
    load_table,
    ngrams,
    save_table,
)
from schemas.errors import InputError

EMBED = load_embedder()
TEXTS = [
    "설정 파일을 열고 포트 번호를 바꾼 뒤 서버를 다시 시작합니다.",
    "설정 파일을 수정하고 포트를 바꾼 다음 서버를 재시작하세요.",
    "The parser reads one token at a time and builds a tree of nodes.",
    "Parsers read tokens one by one and build a tree out of nodes.",
    "def add(left, right):\n    return left + right\n",
    "def subtract(left, right):\n    return left - right\n",
]


def column(texts: list[str | None]) -> pa.Array:
    return pa.array(texts, pa.large_string())


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(st.none(), st.text(st.characters(exclude_categories=("Cs",)), max_size=300)),
        max_size=6,
    )
)
def test_a_batch_is_to_the_bit_what_its_rows_are_alone(texts: list[str | None]):
    together = EMBED(column(texts))
    assert together.shape == (len(texts), EMBED.dimensions)
    for row, text in enumerate(texts):
        assert (EMBED(column([text]))[0] == together[row]).all()
    length = np.linalg.norm(together.astype(np.float64), axis=1)
    assert ((np.abs(length - 1) < 1e-6) | (length == 0)).all()


def test_an_embedding_is_what_torch_adds_up():
    torch = pytest.importorskip("torch", reason="torch (pip install 'bibim[torch]') is missing")
    texts = column([text * (1 + n) for n, text in enumerate(TEXTS * 20)] + [""])
    table = load_table(DEFAULT_TABLE)
    ids, begins = ngrams(texts, table.bits)
    bag = torch.nn.EmbeddingBag.from_pretrained(
        torch.from_numpy(table.codes.astype(np.float32)), mode="sum"
    )
    sums = bag(torch.from_numpy(ids), torch.from_numpy(begins[:-1].astype(np.int32)))
    sums = sums.numpy().astype(np.float64)
    length = np.sqrt((sums * sums).sum(axis=1, keepdims=True))
    expected = (sums / np.maximum(length, 1.0)).astype(np.float32)
    assert EMBED(texts).tobytes() == expected.tobytes()


def test_sums_stay_exact_in_int32_and_in_float32():
    """The largest sum: every n-gram of the longest view in one bucket of code 127."""
    ids, _ = ngrams(column(["가나 다라 마바 사아 " * 5000]), 10)
    assert len(ids) * 127 < 2**24


def test_paraphrases_are_nearer_than_other_texts():
    likeness = EMBED(column(TEXTS)) @ EMBED(column(TEXTS)).T
    np.fill_diagonal(likeness, -1)
    assert likeness.argmax(axis=1).tolist() == [1, 0, 3, 2, 5, 4]


def test_a_long_document_costs_no_more_than_its_spans():
    bound = (SPANS * SPAN_BYTES + 2 * SPANS) * 5
    huge = column(["긴 문서 " * 1_000_000])
    assert len(ngrams(huge, 14)[0]) <= bound
    assert EMBED(huge).any()


def test_spans_reach_the_end_of_a_long_document():
    body = "abc def " * 4000
    assert (EMBED(column([body + "x" * 900])) != EMBED(column([body + "y" * 900]))).any()


def test_a_table_comes_back_as_it_was_saved(tmp_path: Path):
    codes = np.random.default_rng(0).integers(-127, 128, (1 << 10, 8)).astype(np.int8)
    save_table(Table(codes, {"a": 1}), tmp_path / "t.npz")
    table = load_table(tmp_path / "t.npz")
    assert (table.codes == codes).all()
    by_name = load_embedder(str(tmp_path / "t.npz"))
    assert (by_name(column(TEXTS)) == HashedEmbedder(table)(column(TEXTS))).all()


def test_a_model_that_cannot_be_loaded_names_the_remedy(tmp_path: Path):
    with pytest.raises(InputError, match=r"bibim\[embed\]|sentence-transformers model"):
        load_embedder(str(tmp_path / "no-such-model"), "cpu")
    with pytest.raises(InputError, match=r"none\.npz"):
        load_embedder(str(tmp_path / "none.npz"))


class FakeModel:
    """Stands for a sentence-transformers model: a vector of lengths, and what it was asked."""

    def __init__(self, name: str, device: str | None = None) -> None:
        self.asked: dict[str, Any] = {"name": name, "device": device}

    def get_sentence_embedding_dimension(self) -> int:
        return 2

    def encode(self, texts: list[str], **options: Any) -> np.ndarray:
        self.asked |= options
        return np.array([[len(text), 1.0] for text in texts]).reshape(len(texts), 2)


def test_a_sentence_transformers_model_is_asked_for_unit_vectors(monkeypatch: pytest.MonkeyPatch):
    module = ModuleType("sentence_transformers")
    module.SentenceTransformer = FakeModel  # type: ignore[attr-defined]  # a module made here
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    embed: Any = load_embedder("some/model", "auto", 7)
    assert embed(column(["abc", None])).tolist() == [[3, 1], [0, 1]]
    assert embed(column([])).shape == (0, 2)
    asked = embed._model.asked
    assert (asked["name"], asked["device"], asked["batch_size"]) == ("some/model", None, 7)
    assert asked["normalize_embeddings"] is True
