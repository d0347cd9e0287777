"""The figures of docs/sbr.md: ranks, paired tests and what counts as a cell."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import numpy as np
import pytest

from tests.support import ROOT


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


def test_configurations_come_by_task_and_size_in_whatever_order_they_were_run(page: ModuleType):
    made = [("u", 8), ("t", "100%"), ("t", 16), ("t", "15%"), ("t", 8), ("t", 128)]
    rows = [row | {"task": task, "size": size} for task, size in made for row in runs(page, {}, 1)]
    expected = [("t", 8), ("t", 16), ("t", 128), ("t", "15%"), ("t", "100%"), ("u", 8)]
    assert list(page.scores(rows, ["t", "u"])) == expected
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
    assert "as " not in first.split("over")[0]
    shared = page.verdict(page.scores(runs(page, {"sbr": 0.1, "bss": 0.1}), ["t"]))
    assert "number 1 of 8 in average rank (1.50, as BSS)" in shared
    last = page.verdict(page.scores(runs(page, {"sbr": -0.1, "l2": 0.2}, seeds=3), ["t"]))
    assert "number 8 of 8" in last and "L2 is first" in last
    assert "not distinguishable from plain (on average worse)" in last


def test_sbr_is_broken_down_by_task_and_by_size(page: ModuleType):
    rows = [*runs(page, {"sbr": 0.1, "bss": 0.2})]
    rows += [row | {"task": "u", "size": 16} for row in runs(page, {"sbr": -0.1})]
    lines = page.breakdown_table(page.scores(rows, ["t", "u"])).splitlines()
    assert "SBR − BSS" in lines[0]
    cells = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in lines[2:]}
    assert cells["t"][0] == "+10.00" and cells["t"][2] == "-10.00" and "2.00" in cells["t"][4]
    assert cells["u"][0] == cells["16"][0] == "-10.00" and "8.00" in cells["u"][4]


def test_parts_go_between_their_markers(page: ModuleType):
    text = "a\n<!-- cost -->\nold\n<!-- /cost -->\nb\n"
    assert page.filled(text, {"cost": "new"}) == "a\n<!-- cost -->\nnew\n<!-- /cost -->\nb\n"
    with pytest.raises(ValueError, match="'digits'"):
        page.filled(text, {"digits": "new"})


@pytest.fixture
def sbr(page: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("torch", reason="torch (pip install 'bibim[train]') is missing")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    for name in ("sbr", "sbr_runs", "sbr_text", "sbr_digits"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("sbr")


@pytest.fixture
def runs_module(sbr: ModuleType) -> ModuleType:
    return sys.modules["sbr_runs"]


def test_every_method_has_as_many_trials_at_the_same_rates(
    page: ModuleType, runs_module: ModuleType
):
    low, high = runs_module.RATES
    tried = {method: runs_module.choices(method) for method in page.NAMES}
    rates = [choice.rate for choice in tried["plain"]]
    assert len(set(rates)) == page.TRIALS and low <= min(rates) and max(rates) <= high
    order = np.argsort([choice.strength for choice in tried["l2"]]).tolist()
    for method, choices in tried.items():
        assert [choice.rate for choice in choices] == rates
        strengths = [choice.strength for choice in choices]
        if method == "plain":
            assert set(strengths) == {0.0}
            continue
        first, last = runs_module.BETAS if method == "sbr" else runs_module.STRENGTHS[method]
        assert len(set(strengths)) == page.TRIALS
        assert first <= min(strengths) and max(strengths) <= last
        assert np.argsort(strengths).tolist() == order


def test_the_control_is_paired_with_sbr_by_size_and_seed(page: ModuleType):
    rows = [row | {"task": "digits"} for row in runs(page, {"sbr": 0.1})]
    assert "not run" in page.control_table(rows, page.scores(rows, ["digits"]))
    rows += [
        row | {"act": "control", "accuracy": row["accuracy"] - 0.01}
        for row in rows[::-1]
        if row["method"] == "sbr"
    ]
    lines = page.control_table(rows, page.scores(rows, ["digits"])).splitlines()
    assert lines[2] == "| 8 | 52.50 | 61.50 | 62.50 | +1.00 | 0.031 |"
    assert lines[3].startswith("| all | 52.50 |")


def test_the_page_is_what_the_lines_say(page: ModuleType, sbr: ModuleType):
    text = (ROOT / "docs" / "sbr.md").read_text("utf-8")
    assert text == page.filled(text, sbr.page_parts(sbr.RESULTS)), "run benchmarks/sbr.py page"
