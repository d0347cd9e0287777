"""The digits of `benchmarks/sbr.py`: the image check, and the control of the head's decay."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import xxhash
from torch import nn

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from sbr_runs import (  # noqa: E402
    HEAD_ALONE,
    TRIAL_SEED,
    WORLD,
    Choice,
    Encoded,
    Results,
    accuracy,
    settings,
    trials,
)

from trainer.finetune.config import (  # noqa: E402
    FineTuneSettings,
    MethodConfig,
    SamplerConfig,
    TuneOptimiser,
)
from trainer.finetune.features import Features  # noqa: E402
from trainer.finetune.methods import METHODS  # noqa: E402
from trainer.finetune.tuning import Tuning  # noqa: E402


class DigitNet(nn.Module):
    """A small convolutional network on images [64], as a backbone."""

    def __init__(self) -> None:
        super().__init__()
        self.dim = 64
        self.first = nn.Conv2d(1, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 32, 3, padding=1)
        self.last = nn.Linear(32 * 4, self.dim)

    def enter(self, texts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return list(texts)

    def forward(self, inputs: Sequence[torch.Tensor]) -> Features:
        x = torch.stack(list(inputs)).view(-1, 1, 8, 8)
        one = nn.functional.max_pool2d(torch.relu(self.first(x)), 2)
        two = nn.functional.max_pool2d(torch.relu(self.second(one)), 2)
        z = torch.relu(self.last(two.flatten(1)))
        # places of a feature map are to DELTA what tokens are
        return Features(
            z,
            (two.flatten(2).transpose(1, 2).flatten(0, 1),),
            torch.repeat_interleave(torch.arange(len(x)), 4),
        )


DIGIT_SIZES = (3, 5, 10, 20)
DIGIT_SEEDS = 10
DIGIT_STEPS = 60


class DigitRunner:
    """Source: digits 0 to 4. Target: 5 to 9, few of them; a third of them is the test part."""

    def __init__(self) -> None:
        from sklearn.datasets import load_digits

        data = load_digits()
        images = torch.tensor(data.data / 16.0, dtype=torch.float32)
        labels = torch.tensor(data.target)
        sixth = torch.tensor(
            [xxhash.xxh3_64_intdigest(str(n).encode(), seed=9) % 6 for n in range(len(labels))]
        )
        torch.manual_seed(0)
        self.backbone = DigitNet()
        source = FineTuneSettings(
            method=MethodConfig(name="plain"),
            sampler=SamplerConfig(kind="shuffled", size=32),
            optimiser=TuneOptimiser(lr=2e-3, betas=(0.9, 0.95), warmup=None, floor=0.1),
            steps=400,
        )
        old = labels < 5
        Tuning(self.backbone, 5, source, list(images[old]), labels[old], WORLD).run()
        self.state = {k: v.clone() for k, v in self.backbone.state_dict().items()}
        within = {"test": sixth < 2, "validation": sixth == 2, "pool": sixth > 2}
        self.parts: dict[str, Encoded] = {
            name: (list(images[~old & own]), labels[~old & own] - 5) for name, own in within.items()
        }

    def part(self, name: str, part: str) -> Encoded:
        return self.parts[part]

    def tune(
        self,
        name: str,
        size: int | str,
        seed: int,
        method: str,
        choice: Choice,
        per_class: int = 8,
    ) -> Tuning:
        self.backbone.load_state_dict(self.state)
        rng = np.random.default_rng([seed, 23])
        inputs, labels = self.parts["pool"]
        own = [np.flatnonzero(labels.numpy() == c) for c in range(5)]
        chosen = np.concatenate([rng.permutation(part)[:size] for part in own])
        given = settings(method, choice, seed, DIGIT_STEPS, per_class)
        tuning = Tuning(self.backbone, 5, given, [inputs[n] for n in chosen], labels[chosen], WORLD)
        tuning.run()
        return tuning

    def run(self, size: int, seed: int, method: str, choice: Choice, part: str) -> float:
        tuning = self.tune("digits", size, seed, method, choice)
        return round(accuracy(tuning, *self.parts[part]), 5)


def digits(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    results = Results(args.results)
    tune_digits(results, tuple(METHODS), "run")


def control(args: argparse.Namespace) -> None:
    """Run the digits with plain fine-tuning and α·‖head‖²: what SBR adds is measured against it."""
    torch.set_num_threads(1)
    tune_digits(Results(args.results), (HEAD_ALONE,), "control")


def tune_digits(results: Results, methods: Sequence[str], act: str) -> None:
    """Choose each method's trial on the validation part, then run all sizes and seeds as `act`."""
    runner = DigitRunner()
    for method in methods:
        for choice in trials("digits", method):
            row = {"act": "trial", "task": "digits", "method": method, **asdict(choice)}
            if not results.has(row):
                some = [
                    runner.run(10, TRIAL_SEED + n, method, choice, "validation") for n in range(3)
                ]
                results.add(row | {"accuracy": round(float(np.mean(some)), 5)})
        best = results.best("digits", method)
        for size, seed in itertools.product(DIGIT_SIZES, range(DIGIT_SEEDS)):
            row = {"act": act, "task": "digits", "size": size, "seed": seed, "method": method}
            if not results.has(row):
                found = runner.run(size, seed, method, best, "test")
                results.add(row | asdict(best) | {"accuracy": found})
