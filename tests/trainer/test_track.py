"""Trackers: the same figures in JSON lines, TensorBoard and MLflow, read back by their own code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import InputError
from tests.support import ROOT
from trainer.track import METRICS, TensorBoard, Trackers

PEERS = ROOT / "build" / "peers"
LOG_AND_READ = """
import json, sys
from pathlib import Path
sys.path.append(sys.argv[2])
from trainer.track import Trackers
folder = Path(sys.argv[1])
tracker = Trackers(["tensorboard", "mlflow"], folder, 0, "night", {"lr": 0.002})
tracker.log(1, {"loss": 2.5})
tracker.log(2, {"loss": 2.0, "bits/ko": 1.5})
tracker.close()
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(str(folder / "tensorboard")).Reload()
import mlflow
client = mlflow.MlflowClient()
(run,) = client.search_runs([client.get_experiment_by_name("bibim").experiment_id])
history = client.get_metric_history(run.info.run_id, "loss")
print(json.dumps({
    "tensorboard": {n: [[s.step, s.value] for s in events.Scalars(n)] for n in ("loss", "bits/ko")},
    "mlflow": [[m.step, m.value] for m in history],
    "run": [run.info.run_name, run.data.params],
}))
"""


def test_tensorboard_and_mlflow_hold_what_was_logged(tmp_path: Path):
    if not (PEERS / "mlflow").exists():
        pytest.skip("tensorboard and mlflow are not in build/peers: `make dev` puts them there")
    folder = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", LOG_AND_READ, folder, PEERS],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "MLFLOW_TRACKING_URI": f"file:{tmp_path / 'mlruns'}",
            "MLFLOW_ALLOW_FILE_STORE": "true",
        },
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "tensorboard": {"loss": [[1, 2.5], [2, 2.0]], "bits/ko": [[2, 1.5]]},
        "mlflow": [[1, 2.5], [2, 2.0]],
        "run": ["night", {"lr": "0.002"}],
    }
    lines = (folder / METRICS).read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 1, "loss": 2.5},
        {"step": 2, "loss": 2.0, "bits/ko": 1.5},
    ]


def test_lines_of_steps_that_are_done_again_are_dropped(tmp_path: Path):
    first = Trackers([], tmp_path, 0, "night", {})
    for step in (1, 2, 3):
        first.log(step, {"loss": float(step)})
    first.close()
    again = Trackers([], tmp_path, 2, "night", {})
    again.log(3, {"loss": 0.5})
    again.close()
    lines = (tmp_path / METRICS).read_text("utf-8").splitlines()
    assert [json.loads(line)["loss"] for line in lines] == [1.0, 2.0, 0.5]


def test_a_tracker_whose_package_is_missing_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match="pip install tensorboard"):
        TensorBoard(tmp_path)
