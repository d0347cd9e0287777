"""Each input comes out of the command as its case writes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.oracles.readers import (
    cases_archives,
    cases_folders,
    cases_lines,
    cases_pages,
    cases_streams,
    cases_tables,
    cases_texts,
    cases_web,
)
from tests.oracles.readers.rig import Builder, differences, run

MODULES = (
    cases_streams,
    cases_lines,
    cases_tables,
    cases_web,
    cases_pages,
    cases_archives,
    cases_folders,
    cases_texts,
)
CASES = [build for module in MODULES for build in module.CASES]


@pytest.mark.parametrize("build", CASES, ids=lambda build: build.__name__)
def test_an_input_is_read_as_it_should_be(
    build: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    right = build(tmp_path)
    if right.stages != "ingest" and os.environ.get("BIBIM_ORACLES") != "full":
        pytest.skip("later stages compile kernels first, which takes a minute")
    got = run(tmp_path, right)
    assert not (wrong := differences(right, got)), "\n".join([*wrong, got.brief()])


def test_every_case_has_its_own_name():
    names = [build.__name__ for build in CASES]
    assert len(set(names)) == len(names) >= int(os.environ.get("LEAST_CASES", "70"))
