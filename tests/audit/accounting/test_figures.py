"""Every number that `audit show --json` prints is counted a second time, from the raw files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from audit.accounting.stats import known_stats, stats, write_stats, written_stats
from bibim.cli.app import app
from pipelines.storage.layout import AUDIT_STATS
from schemas.config import Config
from schemas.manifest import sha256_file
from tests.support import ledger_oracle
from tests.support.altered import replace_json
from tests.support.finished_run import STEPS, given, write_finished

Figures = dict[str, Any]


@pytest.fixture(scope="module")
def shown(finished: tuple[Path, Config]) -> Figures:
    done = CliRunner().invoke(app, ["audit", "show", str(finished[0]), "--json"])
    assert done.exit_code == 0, done.output
    figures: Figures = json.loads(done.stdout)
    return figures


@pytest.fixture(scope="module")
def documents(finished: tuple[Path, Config], shown: Figures) -> list[ledger_oracle.Document]:
    return ledger_oracle.documents_of(finished[0], shown["rules"], {"ko", "en"})


def test_every_number_of_the_json_is_that_of_the_raw_files(
    finished: tuple[Path, Config], shown: Figures, documents: list[ledger_oracle.Document]
):
    out = finished[0]
    funnel = ledger_oracle.sources(out, documents)
    assert shown["sources"] == funnel
    by_verdict = {
        (line["source"], line["component"], line["language"], line["verdict"]): line["count"]
        for line in shown["lines"]
    }
    assert by_verdict == ledger_oracle.lines(documents)
    keys = ("stage", "source", "component", "language")
    by_stage = {
        tuple(flow[key] for key in keys): {k: v for k, v in flow.items() if k not in keys}
        for flow in shown["stages"]
    }
    assert by_stage == ledger_oracle.stages(out, list(STEPS), documents, funnel)
    assert len(by_stage) == len(shown["stages"])
    assert set(shown) == {"steps", "rules", "sources", "lines", "stages", "guards"}


def test_the_run_exercises_every_part_of_the_ledger(shown: Figures):
    parts = {
        (flow["stage"], part, name)
        for flow in shown["stages"]
        for part in ("added", "dropped", "edited")
        for name in flow[part]
    }
    assert parts == {
        ("ingest", "dropped", "malformed_json"),
        ("ingest", "dropped", "no_text"),
        ("ingest", "dropped", "structure"),
        ("identify", "dropped", "no_component"),
        ("measure", "dropped", "words"),
        ("measure", "dropped", "hangul_ratio"),
        ("sign", "dropped", "contaminated"),
        ("dedup", "dropped", "duplicate"),
        ("screen", "dropped", "toxicity"),
        ("tokenize", "added", "encoded"),
        ("tokenize", "edited", "masked EMAIL_ADDRESS"),
        ("tokenize", "edited", "cut copyright"),
        ("mix", "added", "repeated"),
        ("mix", "dropped", "unused"),
    }


def test_the_guards_figures_are_those_of_the_raw_files(
    finished: tuple[Path, Config], shown: Figures, documents: list[ledger_oracle.Document]
):
    funnel = ledger_oracle.sources(finished[0], documents)
    rules = [rule.partition(" (")[0] for rule in shown["rules"]]
    losses = {}
    for source, account in funnel.items():
        for reason, count in (account["dropped"] | account["rejected"]).items():
            if (
                count["documents"] / account["read"]["documents"] > 0.05
                and reason != "no_component"
            ):
                losses[source, reason] = {
                    "documents": count["documents"],
                    "read": account["read"]["documents"],
                    "share": count["documents"] / account["read"]["documents"],
                    "raw_bytes": count["raw_bytes"],
                    "limit": 0.05,
                }
    found = {(g["source"], g["rule"]): g["figures"] for g in shown["guards"] if g["source"]}
    assert found == losses and len(losses) == 9
    steep = [g for g in shown["guards"] if g["guard"] == "steep_rule"]
    assert len(steep) + len(losses) == len(shown["guards"]) and steep
    for guard in steep:
        figures = guard["figures"]
        assert ledger_oracle.moved(
            finished[0],
            shown["rules"],
            {"ko", "en"},
            rules.index(guard["rule"]),
            figures["tighter"],
            figures["looser"],
        ) == (figures["judged"], figures["newly_dropped"], figures["newly_kept"])


def test_the_second_count_differs_where_a_value_is_wrong(tmp_path: Path):
    config = write_finished(tmp_path, [given("하나 둘 셋"), given("하나 둘", last="dedup")])
    figures = stats(tmp_path, config)
    documents = ledger_oracle.documents_of(tmp_path, figures.rules, {"ko", "en"})
    documents[0].weight["chars"] += 1
    counted = figures.model_dump()["sources"]["ko"]["kept"]
    assert ledger_oracle.sources(tmp_path, documents)["ko"]["kept"] != counted


def test_written_figures_are_read_until_a_manifest_is_newer(tmp_path: Path):
    config = write_finished(tmp_path, [given("하나 둘 셋 넷")])
    written = write_stats(tmp_path, config)
    assert written_stats(tmp_path) == written == known_stats(tmp_path, config)
    replace_json(tmp_path / "documents/_manifest.json", lambda manifest: None)
    assert written_stats(tmp_path) is None
    assert known_stats(tmp_path, config) == written


def test_the_same_run_writes_the_same_figures(tmp_path: Path):
    digests = set()
    for name in ("a", "b"):
        config = write_finished(tmp_path / name, [given("하나 둘 셋 넷"), given("one two", "en")])
        write_stats(tmp_path / name, config)
        digests.add(sha256_file(tmp_path / name / AUDIT_STATS))
    assert len(digests) == 1


@pytest.mark.parametrize("text", ["", "{", '{"steps": []}'])
def test_figures_in_another_form_are_counted_again(tmp_path: Path, text: str):
    config = write_finished(tmp_path, [given("하나 둘 셋 넷")])
    write_stats(tmp_path, config)
    (tmp_path / AUDIT_STATS).write_text(text, "utf-8")
    assert written_stats(tmp_path) is None
    assert known_stats(tmp_path, config).sources["ko"].kept.documents == 1


def test_a_run_without_documents_names_the_command_that_makes_them(tmp_path: Path):
    from audit.query.reading import documents_of
    from schemas.errors import InputError

    with pytest.raises(InputError, match=f"{tmp_path}: ingest has not finished; run `bibim run"):
        documents_of(tmp_path)
