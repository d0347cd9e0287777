"""The figures of docs/sbr.md: ranks, paired tests and what counts as a cell."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def page() -> ModuleType:
    folder = str(ROOT / "benchmarks")
    spec = importlib.util.spec_from_file_location("sbr_page", f"{folder}/sbr_page.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sbr_page"] = module
    spec.loader.exec_module(module)
    return module


def runs(page: ModuleType, ahead: dict[str, float], seeds: int = 6) -> list[dict[str, object]]:
    """All methods at 0.5 and a little by the seed, those of `ahead` above it."""
    return [
        {
            "act": "run",
            "task": "t",
            "size": 8,
            "seed": seed,
            "method": method,
            "accuracy": 0.5 + 0.01 * seed + ahead.get(method, 0.0),
        }
        for seed in range(seeds)
        for method in page.NAMES
    ]


def test_a_cell_counts_only_when_all_methods_are_done(page: ModuleType):
    rows = runs(page, {}, seeds=3)
    assert len(page.scores(rows, ["t"])["t", 8]["sbr"]) == 3
    assert len(page.scores(rows[:-1], ["t"])["t", 8]["sbr"]) == 2
    assert page.scores(rows[:7], ["t"]) == {}
    assert page.scores(rows, ["another"]) == {}


def test_equal_means_share_a_rank(page: ModuleType):
    ranks = page.average_ranks(page.scores(runs(page, {"sbr": 0.1, "bss": -0.1}), ["t"]))
    assert ranks["sbr"] == 1 and ranks["bss"] == 8
    assert ranks["plain"] == ranks["delta"] == pytest.approx((2 + 7) / 2)


def test_the_signed_rank_test_of_six_gains_is_one_in_thirty_two(page: ModuleType):
    assert page.wilcoxon_p([0.01, 0.02, 0.03, 0.04, 0.05, 0.06]) == pytest.approx(2 / 2**6)
    assert page.wilcoxon_p([0.0, 0.0]) == 1.0


def test_the_verdict_says_when_sbr_is_not_first_and_not_better(page: ModuleType):
    first = page.verdict(page.scores(runs(page, {"sbr": 0.1}), ["t"]))
    assert "number 1 of 8" in first and "better than plain: +10.00 points, p = 0.031" in first
    last = page.verdict(page.scores(runs(page, {"sbr": -0.1, "l2": 0.2}, seeds=3), ["t"]))
    assert "number 8 of 8" in last and "L2 is first" in last
    assert "not to be told from plain (on average worse)" in last


def test_parts_go_between_their_markers(page: ModuleType):
    text = "a\n<!-- cost -->\nold\n<!-- /cost -->\nb\n"
    assert page.filled(text, {"cost": "new"}) == "a\n<!-- cost -->\nnew\n<!-- /cost -->\nb\n"
    with pytest.raises(ValueError, match="'digits'"):
        page.filled(text, {"digits": "new"})


def test_the_page_is_what_the_lines_say(page: ModuleType, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("torch", reason="torch (pip install 'bibim[train]') is missing")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.delitem(sys.modules, "sbr", raising=False)
    import sbr

    text = (ROOT / "docs" / "sbr.md").read_text("utf-8")
    assert text == page.filled(text, sbr.page_parts(sbr.RESULTS)), "run benchmarks/sbr.py page"
