"""`measure` against the oracles: real texts, adversarial texts, neighbours, slices and nulls."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pyarrow as pa
import pytest

from filters.measure.annotator import Measure, applies_to
from tests.oracles.compare import (
    CODE_KIND,
    PROSE_KIND,
    annotator,
    batch,
    equals,
    expected,
    mismatches,
    report,
)
from tests.oracles.texts import ASCII_MARKS, FULL, NAMES, NEIGHBOURS, adversarial, documents

KINDS = (("ko", None), ("en", None), ("code", "python"), ("code", "javascript"), (None, None))
OTHERS = {"syntax_ok", "repaired", "tails"}
"""Columns with tests of their own."""


@pytest.mark.parametrize("name", NAMES)
def test_every_signal_of_real_documents_equals_its_sentence(name: str):
    kind = CODE_KIND if name == "code" else PROSE_KIND
    compared, found = mismatches(documents(name), kind)
    assert compared > 1_000
    assert not found, report(found, kind)


@pytest.mark.parametrize("name", ["ko_docs", "en_docs"])
def test_signals_of_code_of_prose_with_markup_equal_their_sentences(name: str):
    _, found = mismatches(documents(name), CODE_KIND)
    assert not found, report(found, CODE_KIND)


@pytest.mark.parametrize("kind", [PROSE_KIND, CODE_KIND])
def test_every_signal_of_adversarial_texts_equals_its_sentence(kind: tuple[str, str | None]):
    compared, found = mismatches(adversarial(), kind)
    assert compared > 10_000
    assert not found, report(found, kind)


def test_every_column_has_an_oracle():
    oracles = {*expected("글", PROSE_KIND), *expected("글", CODE_KIND), *OTHERS}
    assert oracles == set(Measure.schema.names)


def test_an_oracle_refuses_a_wrong_value():
    assert equals(0.5, 0.5)
    assert not equals(0.5, 0.50001)
    assert not equals((0, 0.4), 0.5)
    assert not equals(1, None)
    assert not equals(1, float("nan"))


def rows_of(texts: Sequence[str | None], seed: int) -> pa.RecordBatch:
    draw = random.Random(seed)
    return batch(texts, [draw.choice(KINDS) for _ in texts])


def first_difference(
    whole: list[dict[str, object]], ones: list[dict[str, object]], rows: pa.RecordBatch, begin: int
) -> str:
    """Return the first row and column in which two results differ, with the texts around it."""
    texts = rows.column("text").to_pylist()
    for index, (left, right) in enumerate(zip(whole, ones, strict=True)):
        for name in left:
            if left[name] != right[name]:
                around = texts[max(0, begin + index - 1) : begin + index + 2]
                return f"{name}: {left[name]} in a batch, {right[name]} alone; around: {around!r}"
    return ""


def test_a_batch_of_n_rows_gives_what_n_batches_of_one_row_give():
    texts = [
        *adversarial(),
        *(text for name in NAMES for text in documents(name)[: 500 if FULL else 15]),
    ]
    random.Random(3).shuffle(texts)
    rows = rows_of(texts, 4)
    alone = [
        annotator()(batch([text], [(component, language)])).to_pylist()[0]
        for text, component, language in zip(
            texts,
            *(rows.column(name).to_pylist() for name in ("assigned", "code_lang")),
            strict=True,
        )
    ]
    assert not first_difference(annotator()(rows).to_pylist(), alone, rows, 0)
    draw = random.Random(5)
    for _ in range(200 if FULL else 25):
        begin = draw.randrange(len(texts))
        part = rows.slice(begin, draw.choice((1, 2, 3, 7, 64, 500)))
        found = annotator()(part).to_pylist()
        assert not first_difference(found, alone[begin : begin + len(found)], rows, begin)


def test_the_next_row_changes_nothing():
    after = ["", "한", "#", "é", "\u0301", "😀", " ", "a", "\u00a0", "</script>", "]]>", "1" * 70]
    texts = [f"한글 {mark}{last}" for mark in ASCII_MARKS for last in (*NEIGHBOURS, "")]
    texts += adversarial()[: 2_000 if FULL else 250]
    alone = [annotator()(batch([text], [PROSE_KIND])).to_pylist()[0] for text in texts]
    for other in after:
        rows = batch(
            [part for text in texts for part in (text, other)], [PROSE_KIND] * (2 * len(texts))
        )
        found = annotator()(rows).to_pylist()[::2]
        assert not first_difference(found, alone, batch(texts, [PROSE_KIND] * len(texts)), 0), repr(
            other
        )


def test_rows_without_text_component_or_language_change_no_other_row():
    draw = random.Random(6)
    texts = adversarial()[:400]
    spaced: list[str | None] = []
    for text in texts:
        spaced += [text, *[None] * draw.randrange(3)]
    rows = rows_of(spaced, 7)
    found = annotator()(rows).to_pylist()
    kept = [index for index, text in enumerate(spaced) if text is not None]
    without = rows.take(pa.array(kept))
    assert not first_difference(
        [found[index] for index in kept], annotator()(without).to_pylist(), without, 0
    )
    nothing = rows.set_column(
        0, "text", pa.array([text or "" for text in spaced], pa.large_string())
    )
    assert not first_difference(found, annotator()(nothing).to_pylist(), rows, 0)


def test_an_empty_batch_gives_no_rows():
    assert annotator()(batch([], [])).num_rows == 0


def test_a_column_is_null_where_it_does_not_apply_and_nowhere_else():
    rows = batch(["가나 다", "x = 1", "the cat", ""] * 2, [*KINDS[:4], *reversed(KINDS[:4])])
    found = annotator()(rows)
    code = [component == "code" for component in rows.column("assigned").to_pylist()]
    for name, applies in applies_to().items():
        if name == "syntax_ok":
            continue
        if name == "tails":
            assert found.column(name).to_pylist() == [[]] * len(code)
            continue
        valid = found.column(name).is_valid().to_pylist()
        assert valid == [applies == "all" or (applies == "code") == is_code for is_code in code], (
            name
        )
