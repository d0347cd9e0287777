"""The default install has no torch: modules import, a run scores, and what needs it says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support import ROOT
from tests.support.imports import dotted, modules

BLOCKER = """
import sys
from importlib.machinery import PathFinder

class WithoutTorch(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == "torch" else PathFinder.find_spec(name, path, target)

sys.meta_path = [WithoutTorch if finder is PathFinder else finder for finder in sys.meta_path]
"""
RECIPE = ROOT / "mixtures" / "demo.yaml"
SMALL = ("--set", "sources.stdlib.limit=5", "--set", "sources.ko.limit=30")


@pytest.fixture
def blocked(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which no process, workers included, can import torch."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(BLOCKER, "utf-8")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}


def run(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )


def test_torch_cannot_be_imported_where_it_is_blocked(blocked: dict[str, str]):
    assert "torch" in run(blocked, "-c", "import torch").stderr


def test_every_module_outside_the_trainer_imports(blocked: dict[str, str]):
    names = [dotted(path) for path in modules() if not path.is_relative_to(ROOT / "trainer")]
    program = f"import importlib\nfor name in {names!r}: importlib.import_module(name)"
    assert run(blocked, "-c", program).returncode == 0


def test_a_run_scores_every_survivor(blocked: dict[str, str], tmp_path: Path):
    out = tmp_path / "out"
    stages = "ingest,identify,measure,dedup,redact,screen,score"
    done = run(
        blocked, "-m", "bibim.cli.app", "run", RECIPE, "--out", out, "--workers", 2,
        "--stages", stages, *SMALL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    scores = pq.read_table(out / "annotations" / "score", columns=["quality"])["quality"]
    assert 0 < scores.null_count < len(scores)  # null where a rule dropped the row


@pytest.mark.parametrize(
    ("setting", "extra"),
    [
        ("toxicity.model=some/hate-classifier", "bibim[torch]"),
        ("quality.embedder=some/embedder", "bibim[embed]"),
    ],
)
def test_a_model_that_needs_an_extra_is_refused_before_any_work(
    blocked: dict[str, str], tmp_path: Path, setting: str, extra: str
):
    head = ROOT / "filters" / "models" / "quality.npz"
    done = run(
        blocked, "-m", "bibim.cli.app", "run", RECIPE, "--out", tmp_path / "out",
        "--set", setting, "--set", f"quality.model={head}",
    )  # fmt: skip
    assert done.returncode == 2
    key, _, value = setting.partition("=")
    assert f"{key}: {value!r} needs {extra}; install it with" in done.stderr.replace("\n", " ")
    assert not (tmp_path / "out" / "documents").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("train", "pretrain", "trainer/configs/tiny.yaml"),
        ("fit", "toxicity", "--transformer", "--data", "mixtures/demo/ko.jsonl"),
    ],
)
def test_a_command_that_trains_with_torch_names_the_extra(
    blocked: dict[str, str], tmp_path: Path, command: tuple[str, ...]
):
    done = run(blocked, "-m", "bibim.cli.app", *command, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "pip install 'bibim[torch]'" in done.stderr
