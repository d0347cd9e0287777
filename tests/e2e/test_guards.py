"""Guards warn with the numbers that the data has, stay quiet on good data, and can stop a run."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from audit.accounting.guards import Finding, neighbours, run_guards
from audit.accounting.ledger import ledger
from audit.query.what_if import compare_rules
from bibim.cli.options import load_run
from schemas.config import Config
from schemas.rules import parse_rule
from tests.support.altered import linked, replace_json
from tests.support.commandline import run_demo


def found(out: Path, config: Config, guard: str) -> list[Finding]:
    return [f for f in run_guards(out, config, ledger(out, config)) if f.guard == guard]


def config_of(out: Path, guards: dict[str, Any], rules: dict[str, Any] | None = None) -> Config:
    """Return the run's config with other guards, and rules added."""
    data = load_run(out).model_dump(mode="json")
    data["guards"] |= {"least_documents": 1, **guards}
    for scope, conditions in (rules or {}).items():
        data["rules"][scope] = {**data["rules"].get(scope, {}), **conditions}
    return Config.model_validate(data)


def test_the_defaults_are_quiet_on_the_demo(demo: Path):
    config = load_run(demo)
    assert run_guards(demo, config, ledger(demo, config)) == []


def test_a_source_that_loses_much_to_one_rule(demo: Path):
    config = config_of(demo, {"source_loss": 0.05})
    account = ledger(demo, config).sources["ko"]
    (warning,) = [f for f in found(demo, config, "source_loss") if f.source == "ko"]
    assert (warning.severity, warning.rule) == ("warning", "duplicate")
    assert warning.figures["documents"] == account.dropped["duplicate"].documents
    assert warning.figures["read"] == account.read.documents
    assert (
        f"{account.dropped['duplicate'].documents:,} of {account.read.documents:,}"
        in warning.message
    )


def test_a_source_of_all_languages_does_not_lose_those_without_a_component(demo: Path):
    config = config_of(demo, {"source_loss": 0.0})
    account = ledger(demo, config).sources["web"]
    reasons = {f.rule for f in found(demo, config, "source_loss") if f.source == "web"}
    assert reasons == {*account.dropped, *account.rejected} - {"no_component"}
    assert "no_component" in account.dropped


def test_a_rule_over_a_column_that_its_scope_never_has(demo: Path):
    config = config_of(demo, {}, {"code": {"stop_words": ">=2"}})
    (warning,) = [f for f in found(demo, config, "idle_rule") if f.severity == "warning"]
    assert warning.message.startswith("code.stop_words>=2 decides nothing")


def test_a_rule_that_never_fires_says_how_far_off_it_is(demo: Path):
    config = config_of(demo, {}, {"code": {"mean_line_length": "<=5000"}})
    (note,) = [
        f for f in found(demo, config, "idle_rule") if f.rule == "code.mean_line_length<=5000"
    ]
    assert note.severity == "note"
    assert note.figures["broken"] == 0
    assert 10 < float(note.figures["most"]) < 5000


def test_a_rule_whose_documents_earlier_rules_drop_already(demo: Path):
    data = config_of(demo, {}).model_dump(mode="json")
    data["rules"] = {"all": {"words": ">=20", "chars": ">=2"}}
    config = Config.model_validate(data)
    notes = found(demo, config, "idle_rule")
    assert [note.rule for note in notes] == ["all.chars>=2"]


def test_a_steep_threshold_moves_as_many_as_what_if_says(demo: Path):
    words = [
        row["words"]
        for row in pq.read_table(demo / "annotations/measure/en-00000.parquet").to_pylist()
        if row["words"] is not None
    ]
    common = Counter(words).most_common(1)[0][0]
    config = config_of(demo, {"steep_rule": 0.02}, {"en": {"words": f">={common}"}})
    (note,) = [f for f in found(demo, config, "steep_rule") if str(f.rule).startswith("en.words")]
    for figure, rule in (("newly_dropped", "tighter"), ("newly_kept", "looser")):
        changed = compare_rules(demo, config, [str(note.figures[rule])])
        moved = sum(
            getattr(change, figure) + (change.unknown if figure == "newly_kept" else 0)
            for change in changed.sources.values()
        )
        assert note.figures[figure] == moved, figure
    assert int(note.figures["newly_dropped"]) + int(note.figures["newly_kept"]) > 0


def test_a_threshold_is_moved_by_a_tenth_and_counts_by_one_at_least():
    import pyarrow as pa

    assert [str(rule) for rule in neighbours(parse_rule("ko.words>=5"), pa.int32())] == [
        "ko.words>=6",
        "ko.words>=4",
    ]
    assert [str(rule) for rule in neighbours(parse_rule("all.spam<=0.5"), pa.float32())] == [
        "all.spam<=0.45",
        "all.spam<=0.55",
    ]
    assert neighbours(parse_rule("all.spam>=0"), pa.float32()) == (None, None)


def test_a_cluster_larger_than_the_limit(demo: Path):
    sizes: Counter[bytes] = Counter()
    for path in (demo / "annotations/dedup").glob("*.parquet"):
        ids = pq.read_table(path, columns=["cluster_id"]).column(0).to_pylist()
        sizes.update(cluster for cluster in ids if cluster is not None)
    ((cluster, size), (_, second)) = sizes.most_common(2)
    warnings = found(demo, config_of(demo, {"large_cluster": 2}), "large_cluster")
    assert size > second >= 2
    assert warnings[0].figures["cluster"] == cluster.hex()
    assert warnings[0].figures["documents"] == size
    assert found(demo, config_of(demo, {"large_cluster": size}), "large_cluster") == []


def test_a_component_short_of_its_target(demo: Path, tmp_path: Path):
    out = linked(demo, tmp_path / "out")

    def lose(manifest: dict[str, Any]) -> None:
        component = next(c for c in manifest["components"] if c["component"] == "ko")
        component["achieved"] -= component["target"] // 20

    replace_json(out / "mixture/manifest.json", lose)
    (warning,) = found(out, load_run(out), "short_component")
    assert (warning.severity, warning.component) == ("warning", "ko")
    assert "5.0% short" in warning.message


def test_fail_on_ends_a_run_with_1_after_everything_is_written(demo: Path, tmp_path: Path):
    out = linked(demo, tmp_path / "out")
    limits = ("guards.source_loss=0.05", "guards.least_documents=1", "guards.fail_on=[source_loss]")
    done = run_demo(out, *(part for limit in limits for part in ("--set", limit)))
    assert done.returncode == 1, done.stderr
    assert "warning source_loss: ko:" in done.stdout
    assert "guards.fail_on:" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    written = json.loads((out / "audit/stats.json").read_text("utf-8"))
    assert [g for g in written["guards"] if g["source"] == "ko" and g["severity"] == "warning"]
    assert (
        written["sources"] == json.loads((demo / "audit/stats.json").read_text("utf-8"))["sources"]
    )


def test_a_guard_that_nobody_knows_is_an_error_of_the_config(tmp_path: Path):
    done = run_demo(tmp_path / "out", "--set", "guards.fail_on=[source_los]")
    assert done.returncode == 2
    assert "guards.fail_on" in done.stderr
