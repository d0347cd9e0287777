"""The runs of `benchmarks/sbr.py`: trials, settings, and the JSON lines of what is done."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import sbr_page
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from trainer.finetune.config import (  # noqa: E402
    FineTuneSettings,
    HeadConfig,
    MethodConfig,
    SamplerConfig,
    TuneOptimiser,
)
from trainer.finetune.tuning import Tuning, features_of  # noqa: E402
from trainer.processes import World  # noqa: E402

DATA = ROOT.parent / "shared" / "data"
RESULTS = ROOT / "benchmarks" / "results" / "sbr.jsonl"
PAGE = ROOT / "docs" / "sbr.md"
PICTURE = ROOT / "docs" / "sbr-features.png"
WORLD = World(0, 1, torch.device("cpu"))
SEEDS = 5
SIZES = (8, 16, 32, 64, 128)
SHARES = (15, 30, 50, 100)
"""Percent of a pool of 1,000, drawn independently of the labels."""
POOL, TEST, VALIDATION = 1000, 300, 200
TOKENS = 32
STEPS = 40
TUNED_LAYERS = 2
TRIAL_SEED = 1000
TRIAL_SIZES = (16, 64)
"""A trial's accuracy is the mean over these."""

RATES = (3e-4, 1e-2)
"""Of the feature extractor; the head's is ten times it."""
STRENGTHS: dict[str, tuple[float, float]] = {
    "l2": (1e-4, 1e-1),
    "l2-sp": (1e-3, 1.0),
    "delta": (1e-3, 1.0),
    "bss": (1e-4, 1e-1),
    "supcon": (0.1, 0.9),
    "mixout": (0.1, 0.9),
}
"""Three decades around what the papers use, or nearly all there is where it is a share."""
DIGIT_RATES = (1e-3, 3e-2)
BETAS, DIGIT_BETAS = (1e-5, 1e-2), (1e-4, 1e-1)
"""SBR's strengths, by the mean squared distance of two samples under the source model: 110 to 380
on the text tasks, 11 to 23 on the digits."""
SHARES_OF_ONE = ("supcon", "mixout")
HEAD_DECAY = 1e-2
"""α of ‖head‖², in every method but plain fine-tuning."""
HEAD_ALONE = "plain+head"
"""The control: plain fine-tuning with α·‖head‖² and nothing else."""


Encoded = tuple[list[torch.Tensor], torch.Tensor]
"""What has entered the backbone, and classes [samples]."""


@dataclass(frozen=True)
class Choice:
    """What a trial varies."""

    rate: float
    strength: float


def choices(
    method: str, rates: tuple[float, float] = RATES, betas: tuple[float, float] = BETAS
) -> list[Choice]:
    """Return a method's trials: random search (Bergstra and Bengio 2012), the same for all.

    Rates and places in the range of strengths are drawn once, one in each of TRIALS equal parts
    of a range (on a logarithmic scale, but for shares). Plain fine-tuning has no strength.
    """
    rng = np.random.default_rng(31)
    parts = np.arange(sbr_page.TRIALS)
    first, second = ((rng.permutation(parts) + rng.random(len(parts))) for _ in range(2))
    low, high = {**STRENGTHS, "sbr": betas}.get(method, (0.0, 0.0))
    found = []
    for rate, place in zip(first / len(parts), second / len(parts), strict=True):
        if low == 0.0:
            strength = 0.0
        elif method in SHARES_OF_ONE:
            strength = low + (high - low) * place
        else:
            strength = low * (high / low) ** place
        size = rates[0] * (rates[1] / rates[0]) ** rate
        found.append(Choice(float(f"{size:.3g}"), float(f"{strength:.3g}")))
    return found


def trials(task: str, method: str) -> list[Choice]:
    """Return a method's trials on a task."""
    return choices(method, DIGIT_RATES, DIGIT_BETAS) if task == "digits" else choices(method)


def settings(
    method: str,
    choice: Choice,
    seed: int,
    steps: int,
    per_class: int = 8,
    dtype: Literal["float32", "bfloat16"] = "float32",
) -> FineTuneSettings:
    head = 0.0 if method == "plain" else HEAD_DECAY
    name = "plain" if method == HEAD_ALONE else method
    return FineTuneSettings(
        method=MethodConfig(name=name, strength=choice.strength, head=head),
        sampler=SamplerConfig(per_class=per_class),
        optimiser=TuneOptimiser(lr=choice.rate),
        head=HeadConfig(lr=10 * choice.rate),
        steps=steps,
        seed=seed,
        dtype=dtype,
    )


def read_results(path: Path) -> list[dict[str, Any]]:
    """Return the finished runs, without a line that a kill cut off."""
    found = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def tidy(path: Path) -> None:
    """Write the file without a line that a kill has cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in read_results(path)), "utf-8")


class Results:
    """The JSON lines: runs in them are not repeated. Several processes may append."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = {self.key(row): row for row in read_results(path)}

    @staticmethod
    def key(row: dict[str, Any]) -> str:
        names = ("act", "task", "size", "seed", "method", "rate", "strength")
        return json.dumps(
            [
                row.get(name)
                for name in names
                if name in row and (row["act"] == "trial" or name not in ("rate", "strength"))
            ]
        )

    def add(self, row: dict[str, Any]) -> None:
        self.rows[self.key(row)] = row
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def has(self, row: dict[str, Any]) -> bool:
        return self.key(row) in self.rows

    def replace(self, act: str, rows: Sequence[dict[str, Any]]) -> None:
        """Put `rows` in place of all of `act`."""
        kept = [row for row in self.rows.values() if row["act"] != act] + list(rows)
        text = "".join(json.dumps(row) + "\n" for row in kept)
        self.path.write_text(text, "utf-8")

    def best(self, task: str, method: str) -> Choice:
        """Return the choice of a method's best trial. SystemExit where it has none."""
        rows = [
            {"act": "trial", "task": task, "method": method, **asdict(one)}
            for one in trials(task, method)
        ]
        own = [self.rows[self.key(row)] for row in rows if self.has(row)]  # none of a former range
        if not own:
            raise SystemExit(f"{self.path}: no trial of {method} on {task}; run that act first")
        row = max(own, key=lambda row: row["accuracy"])
        return Choice(row["rate"], row["strength"])


def accuracy(tuning: Tuning, inputs: list[torch.Tensor], truth: torch.Tensor) -> float:
    with torch.inference_mode():
        found = tuning.head(features_of(tuning.backbone, inputs)).argmax(dim=1)
    return float((found == truth).float().mean())
