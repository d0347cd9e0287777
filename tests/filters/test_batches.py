"""A row's result depends on the row alone: not on its neighbours, its batch or a slice's offset."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import schemas.config as config
from filters.annotator import Annotator
from filters.columnar.kernels import buffers
from tests.support.columns import odd_text

KINDS = (("ko", None), ("code", "python"), (None, None), ("en", None))
NEIGHBOURS = (
    "",
    "a",
    "é",
    "가",
    "😀",
    "0",
    "9",
    "#",
    " ",
    "\n",
    "-",
    "/",
    "]",
    ">",
    "\u00a0",
    "ㅋ",
)
"""Texts that begin with each class of byte: what a kernel that reads beyond its row would meet."""
EDGES = (
    *(
        "#",
        "##",
        "C#",
        "#é",
        "#😀",
        "#가",
        "*#",
        "a.",
        "가 a.",
        "http://",
        "https:/",
        "1",
        "1.",
        "1,",
        "10 ",
    ),
    *(
        "[1",
        "[12]",
        "[edit]",
        "<",
        "</",
        "<!--",
        "<script",
        "<a b='",
        "<![CDATA[",
        "<?xml ",
        "<html>",
    ),
    *("-----BEGIN", "900101-1", "010-1234-567", "+82 10", "a@", "a@b.", "bc1", "0x", "서울특별시 "),
    *("...", "…", "ㅋㅋ", "{", "//", "/* ", "AAAA" * 16, "3 ", "km", "…\n", "\u3000", "\r", "토토"),
)
rows = st.lists(
    st.builds("".join, st.lists(st.one_of(st.sampled_from(EDGES), odd_text), max_size=4)),
    min_size=1,
    max_size=4,
)


def identify() -> Annotator:
    from filters.language.annotator import Identify

    return Identify(config.Identify())


def measure() -> Annotator:
    from filters.measure.annotator import Measure

    return Measure(config.Measure(check_syntax=True))


def screen() -> Annotator:
    from filters.toxicity.annotator import Screen

    return Screen(config.Toxicity())


def redact() -> Annotator:
    from filters.pii.annotator import Redact

    return Redact(config.Pii())


def score() -> Annotator:
    from filters.quality.annotator import Score

    return Score(config.Quality(), keep_embeddings=True)


def sign_chars() -> Annotator:
    from filters.dedup.annotator import Sign

    return Sign(config.Dedup(unit="chars", urls=True), config.Decontaminate())


def sign_words() -> Annotator:
    from filters.dedup.annotator import Sign

    return Sign(config.Dedup(unit="words", urls=True), config.Decontaminate())


ANNOTATORS = (identify, measure, screen, redact, score, sign_chars, sign_words)


@lru_cache
def made(make: Callable[[], Annotator]) -> Annotator:
    return make()


def batch(texts: list[str | None], kinds: list[tuple[str | None, str | None]]) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "text": pa.array(texts, pa.large_string()),
            "component": pa.array(["auto"] * len(texts), pa.string()),
            "meta": pa.nulls(len(texts), pa.string()),
            "url": pa.array([f"http://a.kr/{text}" for text in texts], pa.string()),
            "assigned": pa.array([component for component, _ in kinds], pa.string()),
            "code_lang": pa.array([language for _, language in kinds], pa.string()),
        }
    )


@pytest.mark.parametrize("make", ANNOTATORS, ids=lambda make: make.__name__)
@settings(deadline=None, max_examples=20)
@given(rows, st.integers(0, 3))
@example(["가 " + edge for edge in EDGES], 0)
@example(list(EDGES), 1)
def test_a_row_gives_the_same_beside_any_neighbour_and_in_any_slice(make, values, kind):
    annotate = made(make)
    texts, kinds = [], []
    for number, value in enumerate(values):
        for neighbour in NEIGHBOURS:
            texts += [value, neighbour]
            kinds += [KINDS[(number + kind) % len(KINDS)], KINDS[kind]]
    whole = batch(texts, kinds)
    together = annotate(whole).to_pylist()
    width = 2 * len(NEIGHBOURS)
    for number, value in enumerate(values):
        alone = annotate(batch([value], [KINDS[(number + kind) % len(KINDS)]])).to_pylist()
        assert together[number * width : (number + 1) * width : 2] == alone * len(NEIGHBOURS)
    for begin, length in ((1, 1), (2, 1), (3, width), (len(texts) - 1, 1), (2, 0)):
        part = annotate(whole.slice(begin, length)).to_pylist()
        assert part == together[begin : begin + length]


@pytest.mark.parametrize("make", ANNOTATORS, ids=lambda make: make.__name__)
def test_a_null_text_changes_no_neighbour_even_where_it_holds_bytes(make):
    annotate = made(make)
    texts = ["한글 #", "숨은 글자 hidden", "C#", "가 a."]
    kinds = [KINDS[0]] * len(texts)
    whole = batch(texts, kinds)
    column = whole.column("text")
    valid = pa.py_buffer(np.packbits([1, 0, 1, 1], bitorder="little"))
    hidden = pa.LargeStringArray.from_buffers(4, *column.buffers()[1:], valid)
    found = annotate(whole.set_column(0, "text", hidden)).to_pylist()
    expected = annotate(whole).to_pylist()
    assert [found[row] for row in (0, 2, 3)] == [expected[row] for row in (0, 2, 3)]
    empty = annotate(batch([None], kinds[:1])).to_pylist()[0]
    empty.pop("url_key", None)
    assert {name: found[1][name] for name in empty} == empty


def test_a_null_row_has_no_bytes_in_any_column():
    column = pa.array(["가", "bytes", "나"], pa.large_string())
    hidden = pa.LargeStringArray.from_buffers(
        3, *column.buffers()[1:], pa.py_buffer(np.array([0b101], np.uint8))
    )
    data, offsets = buffers(hidden)
    assert np.diff(offsets).tolist() == [3, 0, 3]
    assert bytes(data[offsets[0] : offsets[3]]).decode() == "가나"
