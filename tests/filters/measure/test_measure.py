"""The measure stage: every family of signals, each where it applies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

import filters.signals
from filters.measure import annotator as measure
from filters.measure.annotator import Measure, families, meanings
from filters.signals.family import Family
from schemas.config import Measure as Settings
from tests.support import ROOT
from tests.support.columns import odd_text, texts

KINDS = (("ko", None), ("code", "python"), (None, None), ("en", None))


def batch(values: Sequence[str], kinds: Sequence[tuple[str | None, str | None]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [
            texts(*values),
            pa.array([component for component, _ in kinds], pa.string()),
            pa.array([language for _, language in kinds], pa.string()),
            pa.nulls(len(kinds), pa.string()),
        ],
        names=["text", "assigned", "code_lang", "meta"],
    )


def test_the_columns_that_configs_name_are_there():
    wanted = {"hangul_ratio", "char_repetition", "stop_words", "mean_line_length", "alnum_ratio"}
    assert wanted <= set(Measure.schema.names)
    assert set(Measure.schema.names) == set(meanings())


def test_every_column_says_what_it_is():
    assert all(len(text) > 5 for text in meanings().values())


def test_the_first_column_is_never_null_and_others_only_where_they_do_not_apply():
    found = Measure(Settings())(batch(["가나 다"] * 4, KINDS))
    assert found.column(0).null_count == 0
    for name, prose, code in (("words", True, False), ("encoded_runs", False, True)):
        valid = found.column(name).is_valid().to_pylist()
        assert valid == [prose, code, False, prose]
    assert found.column("lines").null_count == 0


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(odd_text, st.sampled_from(KINDS)), min_size=1, max_size=6), st.randoms())
def test_a_row_is_measured_alone_whatever_its_neighbours(rows, random):
    annotate = Measure(Settings())
    values, kinds = zip(*rows, strict=True)
    whole = annotate(batch(values, kinds)).to_pylist()
    order = list(range(len(rows)))
    random.shuffle(order)
    shuffled = annotate(batch([values[i] for i in order], [kinds[i] for i in order])).to_pylist()
    assert [whole[i] for i in order] == shuffled
    ones = [annotate(batch([v], [k])).to_pylist()[0] for v, k in zip(values, kinds, strict=True)]
    assert whole == ones


def test_a_new_module_is_a_new_family(monkeypatch):
    module = types.ModuleType("filters.signals.zeal")
    module.SIGNALS = Family(  # type: ignore[attr-defined]  # a module made for the test
        {"zeal": "exclamation marks a document"},
        lambda data, offsets, where: np.array([[7.0]] * len(where)),
        counts=frozenset({"zeal"}),
    )
    monkeypatch.setitem(sys.modules, "filters.signals.zeal", module)
    names = [types.SimpleNamespace(name=n) for n in ("zeal", "size", "family")]
    monkeypatch.setattr(measure.pkgutil, "iter_modules", lambda path: names)
    families.cache_clear()
    try:
        assert [next(iter(family.columns)) for family in families()] == ["bytes", "zeal"]
    finally:
        families.cache_clear()
    assert filters.signals.__doc__


def test_work_grows_no_faster_than_the_text():
    lines = ["가나다라 마바사. ", "the cat sat on a mat, ", "x = f(a);\n", "ab", "\n"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/support/steps.py"), "1000", "8000"],
        input=json.dumps(lines),
        capture_output=True,
        check=True,
        cwd=ROOT,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": ".", "PYTHONWARNINGS": "ignore"},
        text=True,
    )
    for line, (few, many) in zip(lines, json.loads(done.stdout), strict=True):
        assert few > 50_000, line  # kernels are counted
        assert many < 12 * few, line
