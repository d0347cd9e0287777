"""The recount and the handover between stages: a wrong value is named by stage, source and size."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit.accounting.check import check_handover, check_run
from audit.accounting.ledger import ledger
from audit.accounting.recount import Recount, recount_run
from schemas.config import Config
from tests.support.altered import alter, replace_json

SHARD = "ko-00000.parquet"


@pytest.fixture
def broken(finished: tuple[Path, Config], tmp_path: Path) -> tuple[Path, Config]:
    """Return a copy of the finished run, to be changed."""
    out, config = finished
    return Path(shutil.copytree(out, tmp_path / "out")), config


def residues(run: tuple[Path, Config]) -> list[str]:
    return [str(residue) for residue in recount_run(*run).residues()]


def failing(run: tuple[Path, Config]) -> dict[str, str]:
    return {check.name: check.detail for check in check_run(*run) if not check.holds}


def test_a_sound_run_leaves_no_residue_and_passes_every_check(finished: tuple[Path, Config]):
    assert residues(finished) == []
    assert failing(finished) == {}


@pytest.mark.parametrize(
    ("step", "row", "change", "message"),
    [
        ("measure", 0, {"chars": 99}, "measure: source ko/ko/ko, characters:"),
        ("measure", 0, {"bytes": 1}, "measure: source ko/ko/ko, bytes:"),
        (
            "redact",
            0,
            {"pii_spans": None, "pii_count": None},
            "redact: source ko/ko/ko, documents:",
        ),
        ("screen", 0, {"toxicity": None}, "screen: source ko/ko/ko, documents:"),
        ("tokenize", 0, {"tokens": 5}, "tokenize: source ko, tokens: annotated, in the token run:"),
    ],
)
def test_a_changed_value_is_named_by_its_stage(
    broken: tuple[Path, Config], step: str, row: int, change: dict[str, Any], message: str
):
    alter(broken[0] / "annotations" / step, SHARD, lambda r: r.update(change), row)
    assert any(line.startswith(message) for line in residues(broken)), residues(broken)
    assert f"ledger of {step}" in failing(broken)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["sources"][1].update(achieved=1), "mix: source ko/ko, tokens: in side-cars"),
        (lambda m: m["sources"][1].update(documents=9), "mix: source all/ko, documents: survivors"),
        (lambda m: m["shards"][0].update(tokens=1), "mix: source shard 0, tokens: in the side-car"),
    ],
)
def test_a_mixture_manifest_with_another_count_is_named(
    broken: tuple[Path, Config], change: Callable[[Any], None], message: str
):
    replace_json(broken[0] / "mixture/manifest.json", change)
    assert any(line.startswith(message) for line in residues(broken)), residues(broken)


def test_a_readers_count_that_no_document_backs_is_missing(broken: tuple[Path, Config]):
    def add(manifest: Any) -> None:
        manifest["shards"][0]["stats"]["text_chars"] += 4

    replace_json(broken[0] / "documents/_manifest.json", add)
    (line,) = residues(broken)
    assert line.startswith("ingest: source en, characters:") and line.endswith("4 missing")


def test_a_document_lost_between_two_stages_is_named(broken: tuple[Path, Config]):
    accounts = ledger(*broken, mixed=False)
    assert check_handover(accounts, Recount()).holds
    entering = next(flow for flow in accounts.stages if flow.stage == "redact")
    entering.entered.documents += 1
    check = check_handover(accounts, Recount())
    assert not check.holds
    assert f"{entering.source}, documents: dedup leaves" in check.detail
    assert f"redact: source {entering.source}, documents:" in check.detail


def test_the_handover_is_compared_with_the_recount_too(finished: tuple[Path, Config]):
    recount = recount_run(*finished)
    cell = ("en", "en", "en")
    recount.add(("redact", cell, "bytes", "entered, left or dropped"), 3, 3)
    check = check_handover(ledger(*finished, mixed=False), recount)
    assert not check.holds
    assert "en, text_bytes: dedup leaves" in check.detail


def test_two_recounts_add_their_equations():
    one, two = Recount(), Recount()
    key = ("mix", ("ko", None, None), "tokens", "here, there")
    one.add(key, 5, 2)
    two.add(key, 0, 3)
    assert [residue.found for residue in one.residues()] == [2]
    one.take(two)
    assert one.residues() == [] and one.stages() == {"mix": 1}


def test_a_file_that_differs_from_its_manifest_is_named(broken: tuple[Path, Config]):
    path = broken[0] / "annotations/tokenize/ko-00000.run"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert (
        "annotations/tokenize/ko-00000.run differs"
        in failing(broken)["files match their manifests"]
    )


def test_a_file_that_no_manifest_lists_is_named(broken: tuple[Path, Config]):
    out = broken[0]
    shutil.copy(out / "documents" / SHARD, out / "documents/ko-00099.parquet")
    detail = failing(broken)["files match their manifests"]
    assert "documents/ko-00099.parquet is in no manifest" in detail


def test_checks_that_need_a_missing_file_are_not_made_and_name_it(broken: tuple[Path, Config]):
    (broken[0] / "annotations/screen" / SHARD).unlink()
    checks = {check.name: check for check in check_run(*broken)}
    missing = [check for check in checks.values() if not check.made]
    assert missing and all("annotations/screen/ko-00000.parquet" in c.detail for c in missing)
    assert checks["splits partition their files"].holds


def test_an_annotation_of_other_documents_is_named(broken: tuple[Path, Config]):
    out = broken[0]
    shutil.copy(out / "annotations/score/ko-00001.parquet", out / "annotations/score" / SHARD)
    detail = failing(broken)["annotations belong to their documents"]
    assert detail == "score/ko-00000.parquet belongs to another document shard"


def test_a_duplicate_whose_survivor_was_dropped_is_counted(broken: tuple[Path, Config]):
    alter(broken[0] / "annotations/measure", SHARD, lambda r: r.update(words=1), 0)
    assert failing(broken)["every duplicate has a survivor"] == "1 duplicates name no survivor"


def test_a_dropped_document_in_the_mixture_is_counted(broken: tuple[Path, Config]):
    alter(broken[0] / "annotations/measure", SHARD, lambda r: r.update(words=1), 0)
    detail = failing(broken)["mixture holds survivors only"]
    assert "2 sequences of documents that were dropped" in detail
