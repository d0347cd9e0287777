"""The server's answers: read-only, for its own hosts, the same figures as elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from starlette.testclient import TestClient

from audit.accounting.ledger import ledger
from audit.accounting.stats import known_stats, stats
from audit.query.frame import Frame
from audit.report.server import application
from audit.report.views import Views
from bibim.cli.options import load_run
from filters.rules.decide import KEPT, decide
from pipelines.stages.catalog import rule_columns
from pipelines.storage.layout import AUDIT_STATS
from schemas.config import Config
from tests.support.altered import linked, replace_json


@pytest.fixture
def client(demo_views: Views) -> TestClient:
    return TestClient(application(demo_views), base_url="http://127.0.0.1:8642")


def test_another_host_name_is_refused(client: TestClient) -> None:
    assert client.get("/api/overview").status_code == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "", "localhost.evil:8642"):
        assert client.get("/api/overview", headers={"host": host}).status_code == 421


def test_nothing_outside_the_run_can_be_read(client: TestClient) -> None:
    for path in ("../style.css", "..%2f..%2fviews.py", "%2fetc%2fpasswd", "page.py", "README.md"):
        assert client.get(f"/assets/{path}").status_code == 404
    for name in ("../../etc/passwd", "/etc/passwd"):
        assert client.get("/api/document", params={"id": name}).status_code == 400
    assert (
        client.get("/api/signal", params={"of": "x\" FROM read_text('/etc/passwd') --"}).status_code
        == 400
    )


def test_it_is_read_only(client: TestClient) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, "/api/what-if").status_code == 405


def test_every_answer_has_the_policy(client: TestClient) -> None:
    for path in ("/", "/assets/app.js", "/api/pii"):
        policy = client.get(path).headers["content-security-policy"]
        assert "script-src 'self'" in policy and "unsafe" not in policy


def test_a_wrong_rule_gets_the_reason(client: TestClient) -> None:
    for rule in ("hangul", "ko.no_such>=1", "ko.hangul_ratio>=", "all.pii_types>=1"):
        answer = client.get("/api/what-if", params={"rule": rule})
        assert answer.status_code == 400 and answer.json()["error"]


def test_personal_data_is_masked_unless_asked_for(demo_views: Views) -> None:
    found = demo_views.search("sujin_oh92@byeolmail.net")
    assert len(found) == 1
    for views, there in ((demo_views, False), (Views(demo_views.frame, show_pii=True), True)):
        shown = str(views.document(found[0]["id"]))
        assert ("sujin_oh92" in shown) is there


def test_the_funnel_equals_the_ledger(demo: Path, demo_views: Views) -> None:
    accounts = ledger(demo, demo_views.frame.config)
    kept = {line[0]: 0 for line in demo_views.overview()["funnel"]}
    for source, _, reason, documents, *_ in demo_views.overview()["funnel"]:
        kept[source] += documents * (reason == "kept")
    assert kept == {name: account.kept.documents for name, account in accounts.sources.items()}


@pytest.mark.parametrize(
    "rules",
    [
        ["ko.hangul_ratio>=0.97"],
        ["all.toxicity<=0.3"],
        ["all.toxicity<=0.99"],
        ["en.stop_words>=8", "all.chars>=300"],
        ["ko.words>=1", "all.spam<=0.2"],
        ["stdlib.mean_line_length<=30"],
        ["all.lang==ko"],
        ["all.quality>=0.4"],
    ],
)
def test_what_if_decides_as_a_run_does(demo_views: Views, rules: list[str]) -> None:
    """Beside `filters.rules.decide` on the same columns: reasons, and what is dropped by source."""
    from audit.query.altered import question
    from audit.query.reading import decided

    frame = demo_views.frame
    after = question(frame, rules).rules
    columns = list(dict.fromkeys(["source", "bytes", "tokens", *rule_columns(after)]))
    dropped: dict[str, list[int]] = {name: [0, 0, 0] for name in frame.config.sources}
    reasons: dict[str, int] = {rule.reason: 0 for rule in after}
    for group in decided(frame.out, frame.config, frame.rules, columns):
        values = {name: group.columns.column(name) for name in columns}
        now = decide(values, after)
        rows = group.columns.select(["source", "bytes", "tokens"]).to_pylist()
        for row, was, verdict in zip(rows, group.kept, now, strict=True):
            if verdict != KEPT:
                reasons[after[verdict].reason] += 1
                if was:
                    sums = dropped[row["source"]]
                    for at, value in enumerate((1, row["bytes"], row["tokens"])):
                        sums[at] += value
    found = demo_views.changed(rules)
    assert {name: pair[1] for name, pair in found["reasons"].items()} == reasons
    for name, sums in dropped.items():
        change = found["sources"][name]
        assert [
            change["newly_dropped"],
            change["newly_dropped_bytes"],
            change["newly_dropped_tokens"],
        ] == sums


def test_the_stages_and_findings_are_those_of_the_terminal(demo_views: Views) -> None:
    frame = demo_views.frame
    accounts = stats(frame.out, frame.config)
    shown = demo_views.accounting()
    assert [row[0] for row in shown["stages"]["rows"]] == ["ingest", *frame.steps, "mix"]
    assert all(len(row) == len(shown["stages"]["heads"]) for row in shown["stages"]["rows"])
    mixed = shown["stages"]["rows"][-1]
    left = [flow.left for flow in accounts.stages if flow.stage == "mix"]
    assert mixed[3] == sum(count.documents for count in left) > 0
    assert mixed[-1] == demo_views.overview()["mixture"]["achieved_tokens"]
    findings = [(f["guard"], f["severity"], f["message"]) for f in shown["findings"]]
    assert findings == [(f.guard, f.severity, f.message) for f in accounts.guards]


def test_figures_older_than_the_config_are_counted_again(demo: Path, tmp_path: Path) -> None:
    out = linked(demo, tmp_path / "out")
    replace_json(out / AUDIT_STATS, lambda figures: figures["stages"][0].update(stage="written"))
    config = load_run(out)
    assert known_stats(out, config).stages[0].stage == "written"
    data = config.model_dump(mode="json")
    data["guards"] |= {"source_loss": 0.05, "least_documents": 1}
    config = Config.model_validate(data)
    text = yaml.safe_dump(data, allow_unicode=True)
    (out / "config.yaml").unlink()
    (out / "config.yaml").write_text(text, "utf-8")
    figures = known_stats(out, config)
    assert figures.stages[0].stage == "ingest"
    assert "source_loss" in [finding.guard for finding in figures.guards]
    shown = Views(Frame(out, config)).accounting()["findings"]
    assert [f["message"] for f in shown] == [finding.message for finding in figures.guards]
    assert shown
