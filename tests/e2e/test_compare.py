"""Two runs compared: what changed, which documents, and why; a gate for the night."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit.accounting.compare import Difference, compare_runs
from audit.accounting.ledger import ledger
from bibim.cli.options import load_run
from tests.support.commandline import bibim, run_demo

RULE = ("--set", 'rules.ko.words=">=150"', "--set", "sources.stdlib.limit=110")


@pytest.fixture(scope="module")
def other(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a tighter rule and fewer documents of one source, as far as its duplicates."""
    out = tmp_path_factory.mktemp("other") / "out"
    stages = "ingest,identify,measure,dedup"
    done = run_demo(out, *RULE, "--stages", stages, "--workers", 1)
    assert done.returncode == 0, done.stderr[-4000:]
    return out


@pytest.fixture(scope="module")
def difference(demo: Path, other: Path) -> Difference:
    return compare_runs((other, load_run(other)), (demo, load_run(demo)))


def test_a_run_does_not_differ_from_itself(demo: Path):
    config = load_run(demo)
    same = compare_runs((demo, config), (demo, config))
    assert (same.config, same.code, same.rules, same.moves, same.rewritten) == ([], [], [], [], {})
    assert same.changes() == []


def test_the_keys_that_differ_are_named_with_both_values(difference: Difference):
    changed = {pair.name: (pair.before, pair.after) for pair in difference.config}
    assert changed == {
        "rules.ko.words": (">=20", ">=150"),
        "sources.stdlib.limit": (120, 110),
    }


def test_documents_that_a_changed_rule_moved_are_counted_and_say_why(
    demo: Path, other: Path, difference: Difference
):
    moves = [move for move in difference.moves if move.after == "words"]
    assert moves
    kept = {move.why for move in moves if move.before == "kept"}
    assert kept == {"ko.words>=20 became ko.words>=150"}
    before, after = (
        sum(
            count.documents
            for account in ledger(out, load_run(out)).sources.values()
            for reason, count in account.dropped.items()
            if reason == "words"
        )
        for out in (demo, other)
    )
    gone = sum(m.documents for m in difference.moves if m.before == "words")
    assert sum(move.documents for move in moves) == after - before + gone
    for move in moves:
        assert 1 <= len(move.examples) <= min(3, move.documents)
        explanation = json.loads(bibim("explain", other, move.examples[0], "--json").stdout)
        assert explanation["verdict"] == "words"


def test_documents_that_are_there_no_more_are_absent(difference: Difference):
    absent = [m for m in difference.moves if m.source == "stdlib" and m.after == "absent"]
    assert sum(move.documents for move in absent) == 10
    assert {move.why for move in absent} == {"the source has other documents"}


def test_the_gate_fails_on_change_and_tells_it_as_json(demo: Path, other: Path):
    done = bibim("audit", "compare", other, demo, "--json", "--fail-on-change")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert "stdlib read: 120 before, 110 after" in report["changes"]
    assert "figures changed since" in done.stderr.replace("\n", " ")


def test_the_gate_lets_pass_what_is_within_the_tolerance(difference: Difference):
    assert len(difference.changes(0.05)) < len(difference.changes())
    assert any(line.startswith("stdlib read") for line in difference.changes(0.05))
    assert not any(line.startswith("stdlib read") for line in difference.changes(0.1))
    read = {p.name: p.before for p in difference.sources}
    for move in difference.moves:
        report = any(f"{move.documents:,} documents" in line for line in difference.changes(0.5))
        assert not report or move.documents > 0.5 * read[f"{move.source} read"]
