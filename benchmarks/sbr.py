"""SBR and its baselines on few samples: the protocol, one JSON line a run.

    python benchmarks/sbr.py digits                     the image check, a minute
    python benchmarks/sbr.py text --source CHECKPOINT   the protocol; goes on where it stopped
    python benchmarks/sbr.py cost                       seconds a step, bytes held, peak memory
    python benchmarks/sbr.py analysis --source CHECKPOINT   distances, singular values, a picture
    python benchmarks/sbr.py page                       docs/sbr.md's tables from the JSON lines

Order of `text`: size by size, small ones first; in a size seed by seed, in a seed task by task, in
a task all methods. Stopped anywhere it has compared all methods on the same cells. A task's trials
(as many for each method, on the validation part alone, one seed that no run uses) come before its
first run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash
import zstandard
from torch import nn

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from mixtures.tokenizer import Tokenizer  # noqa: E402
from trainer.baselines import METHODS, MethodConfig  # noqa: E402
from trainer.card import class_figures  # noqa: E402
from trainer.config import OptimiserConfig  # noqa: E402
from trainer.export import load_model  # noqa: E402
from trainer.features import DecoderFeatures, Features  # noqa: E402
from trainer.finetune import (  # noqa: E402
    FineTuneSettings,
    HeadConfig,
    SamplerConfig,
    Tuning,
    encode_samples,
    features_of,
    our_encoder,
)
from trainer.labelled import Sample  # noqa: E402
from trainer.processes import World  # noqa: E402

DATA = ROOT.parent / "shared" / "data"
RESULTS = ROOT / "benchmarks" / "results" / "sbr.jsonl"
WORLD = World(0, 1, torch.device("cpu"))
SEEDS = 5
SIZES = (8, 16, 32, 64, 128)
SHARES = (15, 30, 50, 100)
"""Percent of a pool of 1,000, drawn without a look at the labels."""
POOL, TEST, VALIDATION = 1000, 300, 200
TOKENS = 32
STEPS = 30
TUNED_LAYERS = 2
TRIAL_SEED, TRIAL_SIZE = 1000, 32

RATES = (3e-4, 1e-3)
STRENGTHS: dict[str, tuple[float, ...]] = {
    "l2": (1e-3, 1e-2),
    "l2-sp": (1e-2, 1e-1),
    "delta": (1e-2, 1e-1),
    "bss": (1e-3, 1e-2),
    "supcon": (0.1, 0.5),
    "mixout": (0.3, 0.7),
    "sbr": (1e-4, 1e-3),
}
PLAIN_RATES = (1e-4, 3e-4, 1e-3, 2e-3)
HEAD_DECAY = 1e-2
"""α of ‖head‖², the same in every method that has one."""


@dataclass(frozen=True)
class Choice:
    """What a trial varies."""

    rate: float
    strength: float


def choices(method: str) -> list[Choice]:
    """Four for every method: plain fine-tuning has no strength, and gets four rates."""
    if method == "plain":
        return [Choice(rate, 0.0) for rate in PLAIN_RATES]
    return [Choice(*pair) for pair in itertools.product(RATES, STRENGTHS[method])]


def settings(method: str, choice: Choice, seed: int, steps: int, **extra: Any) -> FineTuneSettings:
    return FineTuneSettings(
        method=MethodConfig(name=method, strength=choice.strength, head=HEAD_DECAY, **extra),
        sampler=SamplerConfig(per_class=8),
        optimiser=OptimiserConfig(
            lr=choice.rate, weight_decay=0.0, betas=(0.9, 0.999), warmup=0.1, floor=0.0
        ),
        head=HeadConfig(lr=10 * choice.rate),
        steps=steps,
        seed=seed,
    )


# Results -----------------------------------------------------------------------------------------


def read_results(path: Path) -> list[dict[str, Any]]:
    """Return the runs that are done; a line cut off by a kill is left out."""
    found = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


class Results:
    """The JSON lines: what is in them is not run again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = read_results(path)
        text = "".join(json.dumps(row) + "\n" for row in rows)
        path.write_text(text, "utf-8")
        self.rows = {self.key(row): row for row in rows}

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


# Text --------------------------------------------------------------------------------------------


@dataclass
class Task:
    """Encoded parts of a labelled set: the lower layers' states are computed once."""

    name: str
    classes: int
    pool: tuple[list[torch.Tensor], torch.Tensor]
    """Candidates for training, in a fixed order."""
    validation: tuple[list[torch.Tensor], torch.Tensor]
    test: tuple[list[torch.Tensor], torch.Tensor]


def _rows(name: str) -> Iterator[dict[str, Any]]:
    raw = zstandard.ZstdDecompressor().decompressobj().decompress((DATA / name).read_bytes())
    for line in raw.decode("utf-8").split("\n"):
        if line.strip():
            yield json.loads(line)


def _passage(text: str, key: str) -> str:
    """Some 160 characters from a place in the document that its id decides."""
    start = xxhash.xxh3_64_intdigest(key.encode(), seed=7) % max(1, len(text) - 160)
    return text[start : start + 160]


def labelled(name: str) -> list[tuple[str, tuple[str, ...], str]]:
    """Return (id, texts, label) of a task."""
    found = []
    if name == "nli_ko":
        return [
            (r["id"], (r["sentence1"], r["sentence2"]), r["label"])
            for r in _rows("labelled/nli_ko.jsonl.zst")
        ]
    if name in ("nsmc_sentiment", "toxicity_ko", "toxicity_en"):
        rows = _rows(f"labelled/{name}.jsonl.zst")
        return [(r["id"], (r["text"],), str(r["label"])) for r in rows if r["text"].strip()]
    if name == "language_of_code":
        for r in _rows("corpora/code.jsonl.zst"):
            found.append((r["id"], (_passage(r["text"], r["id"]),), r["meta"]["language"]))
    else:  # source
        for file in ("ko_docs", "en_docs"):
            for r in _rows(f"corpora/{file}.jsonl.zst"):
                found.append((r["id"], (_passage(r["text"], r["id"]),), r["source"]))
    counts: dict[str, int] = {}
    for _, _, label in found:
        counts[label] = counts.get(label, 0) + 1
    most = sorted(counts, key=lambda label: (-counts[label], label))[:4]
    return [
        (key, texts, label) for key, texts, label in found if label in most and texts[0].strip()
    ]


TASKS = (
    "nsmc_sentiment",
    "toxicity_ko",
    "toxicity_en",
    "source",
    "language_of_code",
    "nli_ko",
)


def load_task(name: str, tokenizer: Tokenizer, backbone: DecoderFeatures) -> Task:
    """Cut a set by hashes of its ids into test, validation and pool; classes are in equal parts."""
    rows = sorted(labelled(name), key=lambda row: xxhash.xxh3_64_intdigest(row[0].encode(), seed=8))
    labels = sorted({label for _, _, label in rows})
    seen: set[tuple[str, ...]] = set()
    by_label: dict[str, list[tuple[str, ...]]] = {label: [] for label in labels}
    for _, texts, label in rows:
        if texts not in seen:  # no text is in two parts
            seen.add(texts)
            by_label[label].append(texts)
    parts = []
    start = 0
    for wanted in (TEST, VALIDATION, POOL):
        each = wanted // len(labels)
        chosen = [
            (texts, place)
            for place, label in enumerate(labels)
            for texts in by_label[label][start : start + each]
        ]
        start += each
        samples = [Sample(texts, place, "") for texts, place in chosen]
        ids = encode_samples(our_encoder(tokenizer), samples, tokenizer.eod_id, TOKENS, cut=True)
        parts.append((backbone.enter(ids), torch.tensor([place for _, place in chosen])))
    test, validation, pool = parts
    return Task(name, len(labels), pool, validation, test)


def draw(task: Task, size: int | str, seed: int) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Return a seed's samples: `size` of each class, or a share such as "15%" of the pool."""
    chance = np.random.default_rng([seed, 17])
    inputs, labels = task.pool
    if isinstance(size, str):
        count = len(inputs) * int(size.rstrip("%")) // 100
        places = chance.permutation(len(inputs))[:count]
    else:
        parts = [np.flatnonzero(labels.numpy() == c) for c in range(task.classes)]
        places = np.concatenate([chance.permutation(part)[:size] for part in parts])
    return [inputs[at] for at in places], labels[places]


class TextRunner:
    """Runs on a source model: each begins with its weights."""

    def __init__(self, source: Path, tokenizer: Path) -> None:
        model, _ = load_model(source)
        self.tokenizer = Tokenizer.load(tokenizer)
        self.backbone = DecoderFeatures(model, "mean", TUNED_LAYERS)
        self.state = {k: v.clone() for k, v in self.backbone.state_dict().items()}
        self.tasks: dict[str, Task] = {}

    def task(self, name: str) -> Task:
        if name not in self.tasks:
            self.backbone.load_state_dict(self.state)
            self.tasks[name] = load_task(name, self.tokenizer, self.backbone)
        return self.tasks[name]

    def tune(self, name: str, size: int | str, seed: int, method: str, choice: Choice) -> Tuning:
        task = self.task(name)
        self.backbone.load_state_dict(self.state)
        inputs, labels = draw(task, size, seed)
        tuning = Tuning(
            self.backbone,
            task.classes,
            settings(method, choice, seed, STEPS),
            inputs,
            labels,
            WORLD,
        )
        tuning.run()
        return tuning

    def run(
        self, name: str, size: int | str, seed: int, method: str, choice: Choice, part: str
    ) -> dict[str, float]:
        begun = time.perf_counter()
        tuning = self.tune(name, size, seed, method, choice)
        trained = time.perf_counter() - begun
        inputs, truth = getattr(self.tasks[name], part)
        with torch.inference_mode():
            found = tuning.head(features_of(self.backbone, inputs)).argmax(dim=1)
        matrix, figures = class_figures(truth, found, self.tasks[name].classes)
        return {
            "accuracy": round(float(np.diag(matrix).sum() / matrix.sum()), 5),
            "f1": round(float(figures[:, 2].mean()), 5),
            "seconds": round(trained, 2),
        }


def text(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    results = Results(args.results)
    runner = TextRunner(args.source, args.tokenizer)
    until = time.time() + args.minutes * 60
    sizes: list[int | str] = [*SIZES, *(f"{share}%" for share in SHARES)]
    for size, seed, task in itertools.product(sizes, range(SEEDS), args.tasks):
        best = {}
        for method, choice in ((m, c) for m in METHODS for c in choices(m)):
            row = {
                "act": "trial",
                "task": task,
                "method": method,
                "rate": choice.rate,
                "strength": choice.strength,
            }
            if not results.has(row):
                if time.time() > until:
                    return
                results.add(
                    row | runner.run(task, TRIAL_SIZE, TRIAL_SEED, method, choice, "validation")
                )
            row = results.rows[Results.key(row)]
            if method not in best or row["accuracy"] > best[method][0]:
                best[method] = (row["accuracy"], choice)
        cell = [
            {"act": "run", "task": task, "size": size, "seed": seed, "method": m} for m in METHODS
        ]
        if any(not results.has(row) for row in cell) and time.time() > until:
            return
        for row in cell:  # a cell is done whole
            if not results.has(row):
                choice = best[row["method"]][1]
                found = runner.run(task, size, seed, row["method"], choice, "test")
                results.add(row | {"rate": choice.rate, "strength": choice.strength} | found)
                print(*row.values(), found["accuracy"], found["seconds"], flush=True)


# Digits ------------------------------------------------------------------------------------------


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
DIGIT_STRENGTHS: dict[str, tuple[float, ...]] = {
    "l2": (1e-3, 1e-2),
    "l2-sp": (1e-2, 1e-1),
    "delta": (1e-2, 1e-1),
    "bss": (1e-3, 1e-2),
    "supcon": (0.1, 0.5),
    "mixout": (0.3, 0.7),
    "sbr": (1e-3, 1e-2),
}
DIGIT_RATES = (1e-3, 3e-3)
DIGIT_PLAIN_RATES = (3e-4, 1e-3, 3e-3, 1e-2)


def digits(args: argparse.Namespace) -> None:
    """Source: digits 0 to 4. Target: 5 to 9, few of them; a third of them is the test part."""
    from sklearn.datasets import load_digits

    torch.set_num_threads(1)
    results = Results(args.results)
    data = load_digits()
    images = torch.tensor(data.data / 16.0, dtype=torch.float32)
    labels = torch.tensor(data.target)
    part = torch.tensor(
        [xxhash.xxh3_64_intdigest(str(n).encode(), seed=9) % 6 for n in range(len(labels))]
    )
    old = torch.nonzero(labels < 5)[:, 0].tolist()
    torch.manual_seed(0)
    net = DigitNet()
    source = FineTuneSettings(
        method=MethodConfig(name="plain"),
        sampler=SamplerConfig(kind="shuffled", size=32),
        optimiser=OptimiserConfig(lr=2e-3, weight_decay=0.0),
        steps=400,
    )
    Tuning(net, 5, source, [images[n] for n in old], labels[old], WORLD).run()
    state = {k: v.clone() for k, v in net.state_dict().items()}
    places = {
        name: torch.nonzero(
            (labels >= 5)
            & (
                (part < 2)
                if name == "test"
                else (part == 2)
                if name == "validation"
                else (part > 2)
            )
        )[:, 0]
        for name in ("test", "validation", "pool")
    }

    def run(size: int, seed: int, method: str, choice: Choice, name: str) -> dict[str, float]:
        net.load_state_dict(state)
        chance = np.random.default_rng([seed, 23])
        pool = places["pool"].numpy()
        own = [pool[labels[pool].numpy() == c] for c in range(5, 10)]
        chosen = np.concatenate([chance.permutation(p)[:size] for p in own])
        given = settings(method, choice, seed, DIGIT_STEPS)
        tuning = Tuning(net, 5, given, [images[n] for n in chosen], labels[chosen] - 5, WORLD)
        tuning.run()
        at = places[name]
        with torch.inference_mode():
            found = tuning.head(features_of(net, [images[n] for n in at])).argmax(dim=1)
        return {"accuracy": round(float((found == labels[at] - 5).float().mean()), 5)}

    for method in METHODS:
        options = (
            [Choice(rate, 0.0) for rate in DIGIT_PLAIN_RATES]
            if method == "plain"
            else [Choice(*p) for p in itertools.product(DIGIT_RATES, DIGIT_STRENGTHS[method])]
        )
        best: tuple[float, Choice] | None = None
        for choice in options:
            row = {
                "act": "trial",
                "task": "digits",
                "method": method,
                "rate": choice.rate,
                "strength": choice.strength,
            }
            if not results.has(row):
                some = [run(10, TRIAL_SEED + n, method, choice, "validation") for n in range(3)]
                results.add(
                    row | {"accuracy": round(float(np.mean([s["accuracy"] for s in some])), 5)}
                )
            accuracy = results.rows[Results.key(row)]["accuracy"]
            if best is None or accuracy > best[0]:
                best = (accuracy, choice)
        assert best is not None
        for size, seed in itertools.product(DIGIT_SIZES, range(DIGIT_SEEDS)):
            row = {"act": "run", "task": "digits", "size": size, "seed": seed, "method": method}
            if not results.has(row):
                chosen = {"rate": best[1].rate, "strength": best[1].strength}
                results.add(row | chosen | run(size, seed, method, best[1], "test"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    acts = {act.__name__: act for act in (digits, text)}
    parser.add_argument("act", choices=acts)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=TASKS)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    acts[args.act](args)


if __name__ == "__main__":
    main()
