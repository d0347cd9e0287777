"""A model in the package is a file that a stage reads: another one makes other annotations.

The packages are copied, so that a model can be replaced without a change of the project. Runs with
`BIBIM_ORACLES=full` only: each case starts three processes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import yaml

from pipelines.ingest.run import ingest_tasks
from pipelines.stages import ingest as declaration
from schemas.load import load_config
from tests.oracles.test_staleness import differences
from tests.oracles.world import make_world, plain
from tests.support import ROOT

FULL = os.environ.get("BIBIM_ORACLES") == "full"
PACKAGES = ("bibim", "schemas", "filters", "mixtures", "pipelines", "trainer", "audit", "tests")
RUN = """
import sys
from pathlib import Path
from tests.oracles.world import execute, plain
world, out = map(Path, sys.argv[1:])
error = execute(plain(world), out)
sys.exit(repr(error) if error else 0)
"""
Array = npt.NDArray[np.generic]
MODELS: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "boundaries": ("weights", np.zeros_like),
    "toxicity": ("offset", lambda offset: offset + 0.5),
    "embedding": ("codes", lambda codes: codes[::-1]),
    "quality": ("intercept", lambda intercept: intercept + 0.5),
}
"""Each model of `filters/models/` that annotates: the array that is changed, and how."""
READING = {"charsets": "MODEL", "pages": "PAGES"}
"""Each model that reads: its name in the declaration of `ingest`. The world's files need neither."""


def test_every_model_of_the_package_is_replaced():
    models = {path.stem for path in (ROOT / "filters/models").glob("*.npz")}
    assert models == {*MODELS, *READING}, "a new model is a new case of MODELS or READING"


@pytest.mark.parametrize("name", READING)
def test_a_replaced_model_of_reading_has_every_document_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    settings = tmp_path / "config.yaml"
    settings.write_text(yaml.safe_dump(plain(make_world(tmp_path / "world"))), "utf-8")
    config = load_config(settings)
    before = [task.key for task in ingest_tasks(config)]
    other = tmp_path / f"{name}.npz"
    other.write_bytes((ROOT / f"filters/models/{name}.npz").read_bytes() + b"\0")
    monkeypatch.setattr(declaration, READING[name], other)
    after = [task.key for task in ingest_tasks(config)]
    assert len(after) == len(before) and not set(after) & set(before)


@pytest.mark.skipif(not FULL, reason="BIBIM_ORACLES=full runs it")
@pytest.mark.parametrize("name", MODELS)
def test_a_replaced_model_of_the_package_makes_the_same_as_a_fresh_run(tmp_path: Path, name: str):
    tree = tmp_path / "tree"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package)
    world = make_world(tmp_path / "world")
    run(tree, world, tmp_path / "out")
    before = tmp_path / "before"
    shutil.copytree(tmp_path / "out", before)
    path = tree / f"filters/models/{name}.npz"
    with np.load(path) as saved:
        arrays = {key: saved[key] for key in saved.files}
    array, change = MODELS[name]
    np.savez(path, **arrays | {array: change(arrays[array])})
    run(tree, world, tmp_path / "out")
    run(tree, world, tmp_path / "fresh")
    assert differences(tmp_path / "fresh", before), f"{name}: decides nothing here: a blind case"
    found = differences(tmp_path / "fresh", tmp_path / "out")
    assert not found, f"{name}: {len(found)} files differ: " + "; ".join(found[:4])


@pytest.mark.skipif(not FULL, reason="BIBIM_ORACLES=full runs it")
def test_another_language_model_in_the_package_is_refused(tmp_path: Path):
    tree = tmp_path / "tree"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package)
    world = make_world(tmp_path / "world")
    shutil.copyfile(world / "models/lid-other.ftz", tree / "filters/models/lid.176.ftz")
    with pytest.raises(AssertionError, match=r"not lid\.176\.ftz; delete it and run"):
        run(tree, world, tmp_path / "out")


def run(tree: Path, world: Path, out: Path) -> None:
    """Run the config of the world with the packages of `tree`, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, "-c", RUN, str(world), str(out)]
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
