"""What a run's folder is read for, and the message where it holds nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.query.reading import documents_of
from pipelines.driver import Run
from pipelines.engine.progress import LogReporter
from pipelines.runners.runner import Runner
from schemas.config import Config
from schemas.errors import BibimError, InputError


@pytest.mark.parametrize("allowed", [0.01, 1.0])
def test_a_run_that_read_nothing_has_another_message_than_one_that_did_not_finish(
    tmp_path: Path, allowed: float
):
    source = tmp_path / "ko.jsonl"
    source.write_text('{"title": "가"}\n', "utf-8")
    config = Config.model_validate(
        {
            "name": "nothing",
            "sources": {"ko": {"component": "ko", "path": str(source)}},
            "ingest": {"max_reject_share": allowed},
            "mixture": {"tokens": 100, "weights": {"ko": 1}},
        }
    )
    out = tmp_path / "out"
    with pytest.raises(BibimError):
        Run(config, out, Runner("local", 1), LogReporter()).execute()
    with pytest.raises(InputError, match=r"ingest ended without a document; see .*rejects"):
        documents_of(out)
    with pytest.raises(InputError, match="ingest has not finished; run"):
        documents_of(tmp_path)
