"""The index: a frame made once is taken the next time, and never for other data or rules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from audit.query.frame import Frame
from audit.query.index import index_key, read_index
from audit.query.reading import finished_steps, rules_of, stored_schemas
from audit.query.what_if import WhatIf
from audit.report.views import Views
from bibim.cli.options import load_run
from pipelines.stages.catalog import stage_schemas
from pipelines.storage.layout import AUDIT_INDEX
from schemas.config import Config
from tests.support import ROOT
from tests.support.altered import linked

RULE = "ko.words>=100"


def test_a_frame_by_its_index_gives_the_same_answers(demo: Path, tmp_path: Path):
    out = linked(demo, tmp_path / "out")
    config = load_run(out)
    (out / AUDIT_INDEX).unlink(missing_ok=True)
    read = Frame(out, config)
    assert (out / AUDIT_INDEX).exists()
    written = (out / AUDIT_INDEX).stat().st_mtime_ns
    indexed = Frame(out, config)
    assert (out / AUDIT_INDEX).stat().st_mtime_ns == written
    assert np.array_equal(read.group, indexed.group)
    assert not indexed.group.flags.owndata  # mapped, not read
    assert Views(read).overview() == Views(indexed).overview()
    assert WhatIf(read).compare([RULE]) == WhatIf(indexed).compare([RULE])


def test_a_run_says_the_columns_that_the_code_adds(demo: Path):
    config = load_run(demo)
    steps = finished_steps(demo, config)
    ours = {step: schema for step, schema in stage_schemas().items() if step in steps}
    assert stored_schemas(demo, config) == ours
    assert len(steps) > 6


def test_a_run_ends_with_the_index(demo: Path):
    config = load_run(demo)
    rules = [str(rule) for rule in rules_of(demo, config)]
    assert read_index(demo / AUDIT_INDEX, index_key(demo, finished_steps(demo, config), rules))


@pytest.mark.parametrize(
    ("rule", "light"),
    [("all.toxicity<=0.5", {"numba", "pandas"}), (RULE, set())],
    ids=["after dedup", "before dedup"],
)
def test_a_question_by_the_index_loads_no_annotator(demo: Path, rule: str, light: set[str]):
    """Only clusters that are found again need kernels."""
    Frame(demo, load_run(demo))
    heavy = {"apache_beam", "filters.measure.annotator", *light}
    program = (
        "import sys; from bibim.cli.app import app\n"
        f"app(['what-if', {str(demo)!r}, '--rule', {rule!r}], standalone_mode=False)\n"
        f"print('LOADED', *({heavy!r} & {{*sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "kept: " in done.stdout
    assert done.stdout.splitlines()[-1].split() == ["LOADED"]


def test_other_rules_do_not_take_the_index(demo: Path, tmp_path: Path):
    out = linked(demo, tmp_path / "out")
    before = Frame(out, load_run(out))
    config = yaml.safe_load((out / "config.yaml").read_text("utf-8"))
    config["rules"]["ko"]["words"] = ">=100"
    after = Frame(out, Config.model_validate(config))
    dropped = [frame.groups.documents[frame.groups.mask > 0].sum() for frame in (before, after)]
    assert dropped[1] > dropped[0]


def test_an_index_cut_short_is_written_again(demo: Path, tmp_path: Path):
    out = linked(demo, tmp_path / "out")
    config = load_run(out)
    whole = Frame(out, config)
    size = (out / AUDIT_INDEX).stat().st_size
    part = (out / AUDIT_INDEX).read_bytes()[: size // 2]
    (out / AUDIT_INDEX).unlink()
    (out / AUDIT_INDEX).write_bytes(part)
    again = Frame(out, config)
    assert np.array_equal(again.group, whole.group)
    assert (out / AUDIT_INDEX).stat().st_size == size


def test_a_folder_that_cannot_be_written_is_shown_all_the_same(demo: Path, tmp_path: Path):
    out = linked(demo, tmp_path / "out")
    (out / AUDIT_INDEX).unlink(missing_ok=True)
    (out / AUDIT_INDEX).mkdir()  # what cannot be replaced by a file
    assert Frame(out, load_run(out)).rows > 0
