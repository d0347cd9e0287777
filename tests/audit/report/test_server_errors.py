"""What the server answers to questions that cannot be answered."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from audit.query.frame import Frame
from audit.report.server import application
from audit.report.views import Views
from schemas.config import Config


@pytest.fixture(scope="module")
def client(finished: tuple[Path, Config]) -> TestClient:
    return TestClient(application(Views(Frame(*finished))), base_url="http://127.0.0.1:8642")


@pytest.mark.parametrize("view", ["what-if", "rules"])
@pytest.mark.parametrize(
    "rule",
    [
        "all.pii_types==x",
        "all.pii_spans==x",
        "ko.tails==x",
        "all.pii_count<=inf",
        "ko.words>=-inf",
        "ko.words>=1e400",
        "ko.words==abc",
        "ko.lang==1",
        "all.duplicate==1",
        "all.exact_hash==x",
        "ko.words>=1, <=abc",
    ],
)
def test_a_rule_that_cannot_be_decided_is_a_bad_request_with_the_reason(
    client: TestClient, view: str, rule: str
):
    answer = client.get(f"/api/{view}", params={"rule": rule})
    assert answer.status_code == 400, answer.text
    assert len(answer.json()["error"]) > 20


@pytest.mark.parametrize("rule", ["ko.words>=99999999999999999999999", "all.toxicity<=1e300"])
def test_a_huge_threshold_is_answered(client: TestClient, rule: str):
    for view in ("what-if", "rules"):
        assert client.get(f"/api/{view}", params={"rule": rule}).status_code == 200


def test_no_error_names_the_folder_of_the_run(client: TestClient, finished: tuple[Path, Config]):
    asked = [
        ("what-if", {"rule": "ko.no_such>=1"}),
        ("document", {"id": "0" * 32}),
        ("document", {"id": "no.jsonl:1"}),
        ("signal", {"of": "no_such"}),
        ("samples", {"of": "99"}),
        ("samples", {"of": "-9"}),
    ]
    for view, parameters in asked:
        answer = client.get(f"/api/{view}", params=parameters)
        assert answer.status_code == 400, (view, parameters, answer.text)
        assert str(finished[0]) not in answer.text
