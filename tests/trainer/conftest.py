"""A small mixture in two stages, made by the real stages from raw text."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipelines.driver import Run
from pipelines.engine.progress import LogReporter
from pipelines.runners.runner import Runner
from schemas.config import Config
from trainer.config import TrainConfig
from trainer.pretrain import pretrain

KO = "바다 하늘 구름 나무 아침 저녁 사람 마을 시장 편지 노래 그림 학교 버스 기차 우산 의자 창문".split()  # noqa: SIM905
EN = "river cloud garden letter window bridge winter market story pencil engine harbour".split()  # noqa: SIM905


def text(kind: str, seed: int) -> str:
    chance = random.Random(f"{kind}{seed}")
    lines = []
    for number in range(chance.randint(4, 25)):
        if kind == "ko":
            lines.append(" ".join(chance.choice(KO) + "에서" for _ in range(6)) + " 있었다.")
        elif kind == "en":
            words = " ".join(chance.choice(EN) for _ in range(7))
            lines.append(f"The {words} was there and it is of the {number}.")
        else:
            name = chance.choice(EN)
            lines.append(f"def {name}_{seed}_{number}(x):\n    return x * {number} + {name}_{seed}")
    return "\n".join(lines)


@pytest.fixture(scope="session")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a mixture of 100,000 tokens: contexts of 64 and, in its last fifth, 256."""
    folder = tmp_path_factory.mktemp("trainer")
    for kind in ("ko", "en", "code"):
        rows = [json.dumps({"text": text(kind, n)}, ensure_ascii=False) for n in range(260)]
        (folder / f"{kind}.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    config = Config.model_validate(
        {
            "name": "small",
            "sources": {
                kind: {"component": kind, "path": str(folder / f"{kind}.jsonl")}
                for kind in ("ko", "en", "code")
            },
            "dedup": {"enabled": False},
            "tokenizer": {"vocab_size": 600, "morphemes": False},
            "mixture": {
                "tokens": 100_000,
                "weights": {"ko": "1/3", "en": "1/3", "code": "1/3"},
                "max_epochs": 20,
                "shards": 5,
                "window": 20_000,
                "stages": [{"share": 0.8, "context": 64}, {"share": 0.2, "context": 256}],
            },
        }
    )
    Run(config, folder / "out", Runner("local", 1), LogReporter()).execute()
    return folder / "out" / "mixture"


def settings_on(mixture: Path, **changes: dict[str, Any]) -> TrainConfig:
    """Return a training file on `mixture`; sections may be changed by name."""
    sections: dict[str, Any] = {
        "model": {"dim": 32, "layers": 2, "heads": 4, "kv_heads": 2, "long_rope_base": 50_000},
        "batch": {"tokens": 1024, "context": 64, "micro": 512},
        "optimiser": {"lr": 3e-3},
        "run": {
            "held_out": 0.05,
            "evaluate_every": 1000,
            "evaluate_tokens": 2000,
            "save_every": 1000,
            "log_every": 1,
            "device": "cpu",
        },
    }
    for name, section in changes.items():
        sections[name] = {**sections[name], **section}
    return TrainConfig.model_validate({"name": "t", "mixture": str(mixture), **sections})


@pytest.fixture
def training(mixture: Path) -> Callable[..., TrainConfig]:
    """Return a training file on that mixture; sections may be changed by name."""
    return partial(settings_on, mixture)


@pytest.fixture(scope="session")
def pretrained(mixture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that was trained for four steps."""
    folder = tmp_path_factory.mktemp("pretrained")
    pretrain(settings_on(mixture, run={"steps": 4}), folder, lambda line: None)
    return folder
