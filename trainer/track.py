"""Trackers of a run's figures: JSON lines always, TensorBoard and MLflow if configured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from schemas.errors import InputError

METRICS = "metrics.jsonl"


class Tracker(Protocol):
    """Records the figures of steps."""

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Record `figures` of `step`."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


class JsonLines:
    """`metrics.jsonl`: one object per step, `step` first."""

    def __init__(self, folder: Path, step: int) -> None:
        """Resume after `step`: drop lines of later steps, which an interrupted run left."""
        path = folder / METRICS
        kept = []
        if path.exists():
            for line in path.read_text("utf-8").splitlines():
                try:
                    if json.loads(line)["step"] <= step:
                        kept.append(line)
                except (ValueError, KeyError):
                    continue
        path.write_text("".join(line + "\n" for line in kept), "utf-8")
        self._file = path.open("a", encoding="utf-8")

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self._file.write(json.dumps({"step": step, **figures}) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class TensorBoard:
    """An event file that `tensorboard --logdir` shows."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise InputError("run.trackers: tensorboard needs `pip install tensorboard`") from None
        self._writer: Any = SummaryWriter(str(folder / "tensorboard"))

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class Mlflow:
    """A run of the MLflow server that the environment names (`MLFLOW_TRACKING_URI`)."""

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        try:
            import mlflow
        except ImportError:
            raise InputError("run.trackers: mlflow needs `pip install mlflow-skinny`") from None
        self._mlflow: Any = mlflow
        mlflow.set_experiment("bibim")
        mlflow.start_run(run_name=name)
        mlflow.log_params({key: str(value)[:500] for key, value in config.items()})

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(dict(figures), step=step)

    def close(self) -> None:
        self._mlflow.end_run()


class Trackers:
    """All trackers of a run as one."""

    def __init__(
        self, names: Sequence[str], folder: Path, step: int, name: str, config: Mapping[str, Any]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._all: list[Tracker] = [JsonLines(folder, step)]
        if "tensorboard" in names:
            self._all.append(TensorBoard(folder))
        if "mlflow" in names:
            self._all.append(Mlflow(name, config))

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Record `figures` of `step` everywhere."""
        for tracker in self._all:
            tracker.log(step, figures)

    def close(self) -> None:
        """Close all."""
        for tracker in self._all:
            tracker.close()
