"""The ledger balances, and whatever does not is named: stage, source, count and by how much."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from audit.accounting.ledger import Count, Flow, ledger, sum_counts
from audit.accounting.recount import recount_run
from bibim.cli.options import load_run
from tests.support.altered import alter, linked, replace_json, rows_of
from tests.support.commandline import bibim

AMOUNTS = ("documents", "raw_bytes", "chars", "text_bytes", "tokens")
SHARD = "ko-00000.parquet"


def residues(out: Path) -> list[str]:
    return [str(residue) for residue in recount_run(out, load_run(out)).residues()]


def total(flow: Flow, amount: str, incoming: bool) -> int:
    """Return one side of a flow: entered and added, or left, dropped and edited."""
    parts: list[Count] = [flow.entered, *flow.added.values()]
    if not incoming:
        parts = [flow.left, *flow.dropped.values()]
        parts += [edit for edit in flow.edited.values() if amount != "documents"]
    return sum(getattr(part, amount) for part in parts)


def first_kept(out: Path, column: str = "tokens") -> int:
    """Return a row of SHARD whose tokens are in the mixture."""
    rows = rows_of(out / "annotations/tokenize", SHARD, [column])
    return next(index for index, row in enumerate(rows) if row[column])


@pytest.fixture
def broken(demo: Path, tmp_path: Path) -> Path:
    return linked(demo, tmp_path / "out")


def test_every_stage_lets_out_what_it_does_not_drop_or_edit(demo: Path):
    accounts = ledger(demo, load_run(demo))
    assert {flow.stage for flow in accounts.stages} >= {"ingest", "measure", "tokenize", "mix"}
    for flow in accounts.stages:
        for amount in AMOUNTS:
            assert total(flow, amount, True) == total(flow, amount, False), (flow, amount)


def test_what_leaves_a_stage_enters_the_next(demo: Path):
    stages: dict[str, list[Flow]] = {}
    for flow in ledger(demo, load_run(demo)).stages:
        stages.setdefault(flow.stage, []).append(flow)
    names = list(stages)
    for stage, following in itertools.pairwise(names):
        left = sum_counts(flow.left for flow in stages[stage])
        entered = sum_counts(flow.entered for flow in stages[following])
        assert (left.documents, left.tokens) == (entered.documents, entered.tokens), following


def test_the_mixture_is_what_its_manifest_says(demo: Path):
    manifest = json.loads((demo / "mixture/manifest.json").read_text("utf-8"))
    flows = [flow for flow in ledger(demo, load_run(demo)).stages if flow.stage == "mix"]
    assert sum(flow.left.tokens for flow in flows) == manifest["achieved_tokens"]
    repeated = sum(flow.added["repeated"].tokens for flow in flows if flow.added)
    assert 0 < repeated < manifest["achieved_tokens"]


def test_nothing_is_left_over_in_a_sound_run(demo: Path):
    recount = recount_run(demo, load_run(demo))
    assert recount.residues() == []
    assert set(recount.stages()) >= {"ingest", "measure", "redact", "tokenize", "mix"}


def test_characters_that_the_reader_wrote_and_no_document_has(broken: Path):
    def add(manifest: dict[str, Any]) -> None:
        shard = next(s for s in manifest["shards"] if s["name"] == SHARD)
        shard["stats"]["text_chars"] += 3

    replace_json(broken / "documents/_manifest.json", add)
    (report,) = residues(broken)
    assert report.startswith("ingest: source ko, characters:")
    assert report.endswith("3 missing")


def test_bytes_that_measure_got_wrong(broken: Path):
    alter(broken / "annotations/measure", SHARD, lambda r: r.update(bytes=r["bytes"] + 7), 4)
    report = residues(broken)
    assert [line for line in report if line.startswith("measure: source ko/ko/ko, bytes:")]
    assert all(line.endswith("7 too many") for line in report if line.startswith("measure"))


def test_a_survivor_that_a_stage_never_saw(broken: Path):
    row = first_kept(broken)
    alter(broken / "annotations/redact", SHARD, lambda r: r.update(dict.fromkeys(r)), row)
    report = [line for line in residues(broken) if line.startswith("redact")]
    assert len(report) == 1
    assert report[0].startswith("redact: source ko/ko/ko, documents: entered, annotated:")
    assert report[0].endswith("1 missing")


def test_a_token_that_no_run_holds(broken: Path):
    row = first_kept(broken)
    alter(broken / "annotations/tokenize", SHARD, lambda r: r.update(tokens=r["tokens"] - 2), row)
    report = residues(broken)
    assert any(
        line.startswith("tokenize: source ko, tokens: annotated, in the token run:")
        and line.endswith("2 too many")
        for line in report
    ), report
    assert any(line.startswith("mix: source all/ko, tokens: survivors") for line in report), report


def test_personal_data_that_was_found_and_not_masked(broken: Path):
    rows = rows_of(broken / "annotations/redact", SHARD, ["pii_count"])
    tokens = rows_of(broken / "annotations/tokenize", SHARD, ["tokens"])
    row = next(i for i, r in enumerate(rows) if r["pii_count"] and tokens[i]["tokens"])
    forget = {"pii_spans": [], "pii_count": 0, "pii_types": []}
    alter(broken / "annotations/redact", SHARD, lambda r: r.update(forget), row)
    report = residues(broken)
    assert report and all(
        line.startswith("tokenize: source ko/ko/ko") and "cut and masked, in tokens" in line
        for line in report
    ), report


def test_a_mixture_whose_manifest_counts_what_is_not_there(broken: Path):
    def add(manifest: dict[str, Any]) -> None:
        next(s for s in manifest["sources"] if s["source"] == "ko")["achieved"] += 5

    replace_json(broken / "mixture/manifest.json", add)
    (report,) = residues(broken)
    assert report.startswith("mix: source ko/ko, tokens: in side-cars, in the manifest:")
    assert report.endswith("5 too many")


def test_the_command_names_the_residue_and_ends_with_1(broken: Path):
    alter(broken / "annotations/measure", SHARD, lambda r: r.update(chars=r["chars"] + 1), 0)
    done = bibim("audit", "check", broken)
    assert done.returncode == 1
    assert "FAILS ledger of measure: measure: source ko/" in done.stdout
    assert "1 too many" in done.stdout
    assert "FAILS files" not in done.stdout


def test_a_token_run_that_changed_is_found(broken: Path):
    run = broken / "annotations/tokenize" / SHARD.replace(".parquet", ".run")
    data = bytearray(run.read_bytes())
    data[-1] ^= 1
    run.unlink()
    run.write_bytes(data)
    done = bibim("audit", "check", broken)
    assert done.returncode == 1
    assert f"{run.name} differs" in done.stdout
