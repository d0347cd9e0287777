"""SBR and seven other methods on few samples: the protocol, one JSON line per run.

    python benchmarks/sbr.py digits                     the image check, a minute
    python benchmarks/sbr.py control                    the digits by plain with α·‖head‖² alone
    python benchmarks/sbr.py text --source CHECKPOINT   the protocol; resumes where it stopped
    python benchmarks/sbr.py cost                       time of a step, bytes held, peak memory
    python benchmarks/sbr.py sweep [--source CHECKPOINT]    SBR's β and batches, validation parts
    python benchmarks/sbr.py analysis [--source CHECKPOINT] distances, singular values, a picture
    python benchmarks/sbr.py page                       docs/sbr.md's tables from the JSON lines

`text --jobs 2` takes two processes.
`sweep` and `analysis` do the digits, and with --source the first task of --tasks too.

Order of `text`: size by size, small ones first; in a size seed by seed, in a seed task by task, in
a task all methods. Stopped anywhere it has compared all methods on the same cells. A task's trials
(as many for each method, on the validation part alone, one seed that no run uses) come before its
first run.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import math
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import sbr_page
import torch
import xxhash
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from mixtures.tokenizer.tokenizer import Tokenizer  # noqa: E402
from schemas.files import read_lines  # noqa: E402
from trainer.config import ModelConfig  # noqa: E402
from trainer.export import load_model  # noqa: E402
from trainer.finetune.card import class_figures  # noqa: E402
from trainer.finetune.config import (  # noqa: E402
    FineTuneSettings,
    HeadConfig,
    MethodConfig,
    SamplerConfig,
    TuneOptimiser,
)
from trainer.finetune.features import DecoderFeatures, Features  # noqa: E402
from trainer.finetune.methods import METHODS  # noqa: E402
from trainer.finetune.samples import Sample  # noqa: E402
from trainer.finetune.source import encode_samples, our_encoder  # noqa: E402
from trainer.finetune.tuning import Tuning, features_of  # noqa: E402
from trainer.model.model import Decoder  # noqa: E402
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
BETAS, DIGIT_BETAS = (1e-5, 1e-2), (1e-4, 1e-1)
"""SBR's strengths, by the mean squared distance of two samples under the source model: 110 to 380
on the text tasks, 11 to 23 on the digits."""
SHARES_OF_ONE = ("supcon", "mixout")
HEAD_DECAY = 1e-2
"""α of ‖head‖², in every method but plain fine-tuning."""
HEAD_ALONE = "plain+head"
"""The control: plain fine-tuning with α·‖head‖² and nothing else."""


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


# Results -----------------------------------------------------------------------------------------


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


# Text --------------------------------------------------------------------------------------------


Encoded = tuple[list[torch.Tensor], torch.Tensor]
"""What has entered the backbone, and classes [samples]."""


@dataclass
class Task:
    """Encoded parts of a labelled set: the lower layers' states are computed once."""

    name: str
    classes: int
    pool: Encoded
    """Candidates for training, in a fixed order."""
    validation: Encoded
    test: Encoded


def _rows(name: str) -> Iterator[dict[str, Any]]:
    for _, line in read_lines(DATA / name, "records"):
        yield json.loads(line)


def _passage(text: str, key: str) -> str:
    """Return some 160 characters of the document, from a place that its id decides."""
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
    largest = sorted(counts, key=lambda label: (-counts[label], label))[:4]
    return [
        (key, texts, label) for key, texts, label in found if label in largest and texts[0].strip()
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


def draw(task: Task, size: int | str, seed: int) -> Encoded:
    """Return a seed's samples: `size` of each class, or a share such as "15%" of the pool."""
    rng = np.random.default_rng([seed, 17])
    inputs, labels = task.pool
    if isinstance(size, str):
        count = len(inputs) * int(size.rstrip("%")) // 100
        places = rng.permutation(len(inputs))[:count]
    else:
        parts = [np.flatnonzero(labels.numpy() == c) for c in range(task.classes)]
        places = np.concatenate([rng.permutation(part)[:size] for part in parts])
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

    def part(self, name: str, part: str) -> Encoded:
        found: Encoded = getattr(self.task(name), part)
        return found

    def tune(
        self,
        name: str,
        size: int | str,
        seed: int,
        method: str,
        choice: Choice,
        per_class: int = 8,
    ) -> Tuning:
        task = self.task(name)
        self.backbone.load_state_dict(self.state)
        inputs, labels = draw(task, size, seed)
        tuning = Tuning(
            self.backbone,
            task.classes,
            settings(method, choice, seed, STEPS, per_class, "bfloat16"),
            inputs,
            labels,
            WORLD,
        )
        tuning.run()
        return tuning

    def trial(self, name: str, method: str, choice: Choice) -> dict[str, float]:
        """Return the mean over TRIAL_SIZES on the validation part."""
        parts = [
            self.run(name, size, TRIAL_SEED, method, choice, "validation") for size in TRIAL_SIZES
        ]
        return {key: round(float(np.mean([part[key] for part in parts])), 5) for key in parts[0]}

    def run(
        self, name: str, size: int | str, seed: int, method: str, choice: Choice, part: str
    ) -> dict[str, float]:
        begun = time.perf_counter()
        tuning = self.tune(name, size, seed, method, choice)
        trained = time.perf_counter() - begun
        inputs, truth = self.part(name, part)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            found = tuning.head(features_of(self.backbone, inputs)).argmax(dim=1)
        matrix, figures = class_figures(truth, found, self.tasks[name].classes)
        return {
            "accuracy": round(float(np.diag(matrix).sum() / matrix.sum()), 5),
            "f1": round(float(figures[:, 2].mean()), 5),
            "seconds": round(trained, 2),
        }


def text(args: argparse.Namespace) -> None:
    """Run the protocol in `--jobs` processes, each with some of the tasks."""
    parts = [args.tasks[job :: args.jobs] for job in range(args.jobs)]
    if len(parts) == 1:
        text_of(args, parts[0])
        return
    with ProcessPoolExecutor(len(parts), multiprocessing.get_context("spawn")) as pool:
        for done in [pool.submit(text_of, args, part) for part in parts]:
            done.result()


@sdpa_kernel(SDPBackend.MATH)  # a fifth faster than the fused kernel on rows this short
def text_of(args: argparse.Namespace, tasks: Sequence[str]) -> None:
    torch.set_num_threads(1)
    results = Results(args.results)
    runner = TextRunner(args.source, args.tokenizer)
    until = time.time() + args.minutes * 60
    parent = multiprocessing.parent_process()

    def over() -> bool:
        return time.time() > until or (parent is not None and not parent.is_alive())

    sizes: list[int | str] = [*SIZES, *(f"{share}%" for share in SHARES)]
    for size, seed, task in itertools.product(sizes, range(SEEDS), tasks):
        cell = [
            {"act": "run", "task": task, "size": size, "seed": seed, "method": m} for m in METHODS
        ]
        for method, choice in ((m, c) for m in METHODS for c in trials(task, m)):
            row = {"act": "trial", "task": task, "method": method, **asdict(choice)}
            if not results.has(row):
                if over():
                    return
                results.add(row | runner.trial(task, method, choice))
        if any(not results.has(row) for row in cell) and over():
            return
        for row in cell:  # a cell is done whole
            if not results.has(row):
                best = results.best(task, row["method"])
                found = runner.run(task, size, seed, row["method"], best, "test")
                results.add(row | asdict(best) | found)
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
DIGIT_RATES = (1e-3, 3e-2)


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


def accuracy(tuning: Tuning, inputs: list[torch.Tensor], truth: torch.Tensor) -> float:
    with torch.inference_mode():
        found = tuning.head(features_of(tuning.backbone, inputs)).argmax(dim=1)
    return float((found == truth).float().mean())


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


# Cost --------------------------------------------------------------------------------------------

ROUNDS = 25
COMPARED = ("plain", "sbr", "l2-sp", "delta")


def cost(args: argparse.Namespace) -> None:
    """Take a step of each of four methods in turn, round by round; the model's weights are random.

    Time is processor time, because the machine may be shared. The peak is what a
    step allocates at most beyond the memory in use before it; `held` is what a method keeps.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Decoder(ModelConfig(dim=256, layers=4, heads=4, kv_heads=2, tied=False), 16_000)
    texts = list(torch.randint(0, 16_000, (64, TOKENS)))
    labels = torch.arange(64) % 4
    tunings = {}
    for method in COMPARED:
        backbone = DecoderFeatures(copy.deepcopy(model), "mean", TUNED_LAYERS)
        given = settings(method, Choice(3e-4, 1e-3), 0, ROUNDS)
        tunings[method] = Tuning(backbone, 4, given, backbone.enter(texts), labels, WORLD)
    seconds: dict[str, list[float]] = {method: [] for method in COMPARED}
    for number in range(ROUNDS - 1):
        order = list(COMPARED)
        for method in order[number % len(order) :] + order[: number % len(order)]:
            begun = time.process_time()
            tunings[method].step(number)
            seconds[method].append(time.process_time() - begun)
    rows: list[dict[str, Any]] = []
    for method, tuning in tunings.items():
        warm = np.array(seconds[method][5:])
        row = {
            "act": "cost",
            "method": method,
            "seconds": round(float(np.median(warm)), 5),
            "ratio": round(float(np.median(warm / np.array(seconds["plain"][5:]))), 4),
            "peak": peak(tuning, ROUNDS - 1),
            "held": tuning.method.bytes_kept(),
        }
        print(*row.values(), flush=True)
        rows.append(row)
    Results(args.results).replace("cost", rows)


def peak(tuning: Tuning, number: int) -> int:
    """Return the maximum of bytes that a step has allocated at a time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        tuning.step(number)
    assert seen.profiler is not None
    events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    sizes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return int(np.cumsum(sizes).max())


# Why ---------------------------------------------------------------------------------------------

SWEEP_STRENGTHS = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
SWEEP_PER_CLASS = (2, 4, 8)
SWEEP_SEEDS = 5
SHOWN_SINGULAR = 40


def cases(args: argparse.Namespace) -> list[tuple[str, int, TextRunner | DigitRunner]]:
    """Return (task, samples per class, runner): the digits; a text task if a source is named."""
    torch.set_num_threads(1)
    found: list[tuple[str, int, TextRunner | DigitRunner]] = [("digits", 10, DigitRunner())]
    if args.source:
        found.append((args.tasks[0], TRIAL_SIZES[0], TextRunner(args.source, args.tokenizer)))
    return found


def distances(z: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Return the mean squared distance of pairs within a class, and of pairs between classes."""
    apart = torch.cdist(z, z).square()
    same = labels[:, None] == labels[None, :]
    pairs = ~torch.eye(len(z), dtype=torch.bool)
    return float(apart[same & pairs].mean()), float(apart[~same].mean())


def sweep(args: argparse.Namespace) -> None:
    """SBR by β and by samples per class in a step, on the validation part; nothing is chosen.

    β = 0 is plain fine-tuning with ‖head‖². The rate is that of SBR's best trial.
    """
    results = Results(args.results)
    rows: list[dict[str, Any]] = []
    for task, size, runner in cases(args):
        best = results.best(task, "sbr")
        tried = [(strength, 8) for strength in SWEEP_STRENGTHS]
        tried += [(best.strength, some) for some in SWEEP_PER_CLASS[:-1]]
        for strength, per_class in tried:
            inputs, labels = runner.part(task, "validation")
            found, ratios = [], []
            for seed in range(TRIAL_SEED, TRIAL_SEED + SWEEP_SEEDS):
                choice = Choice(best.rate, strength)
                tuning = runner.tune(task, size, seed, "sbr", choice, per_class)
                found.append(accuracy(tuning, inputs, labels))
                within, between = distances(features_of(runner.backbone, inputs), labels)
                ratios.append(within / between)
            row = {
                "act": "sweep",
                "task": task,
                "size": size,
                "method": f"sbr {strength:g} {per_class}",
                "strength": strength,
                "per_class": per_class,
                "accuracy": round(float(np.mean(found)), 5),
                "sd": round(float(np.std(found, ddof=1)), 5),
                "ratio": round(float(np.mean(ratios)), 5),
            }
            print(*row.values(), flush=True)
            rows.append(row)
    results.replace("sweep", rows)


def analysis(args: argparse.Namespace) -> None:
    """Features of the test part under the source model, plain fine-tuning and SBR: one seed."""
    results = Results(args.results)
    rows: list[dict[str, Any]] = []
    for task, size, runner in cases(args):
        inputs, labels = runner.part(task, "test")
        for method in ("source", "plain", "sbr"):
            if method == "source":
                runner.backbone.load_state_dict(runner.state)
            else:
                runner.tune(task, size, 0, method, results.best(task, method))
            z = features_of(runner.backbone, inputs)
            within, between = distances(z, labels)
            singular = torch.linalg.svdvals(z - z.mean(dim=0))
            share = singular.square() / singular.square().sum()
            entropy = -(share * share.clamp(min=1e-12).log()).sum()
            row = {
                "act": "analysis",
                "task": task,
                "size": size,
                "method": method,
                "within": round(within, 6),
                "between": round(between, 6),
                "rank": round(float(entropy.exp()), 3),
                "singular": [float(f"{value:.4g}") for value in singular[:SHOWN_SINGULAR]],
            }
            print(*list(row.values())[:-1], flush=True)
            rows.append(row)
    results.replace("analysis", rows)
    sbr_page.draw(rows, PICTURE)


def page(args: argparse.Namespace) -> None:
    made = page_parts(args.results)
    PAGE.write_text(sbr_page.filled(PAGE.read_text("utf-8"), made), "utf-8")


def page_parts(results: Path) -> dict[str, str]:
    cells = len(TASKS) * (len(SIZES) + len(SHARES)) * SEEDS
    return sbr_page.parts(read_results(results), TASKS, cells)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    acts = {act.__name__: act for act in (digits, control, text, cost, sweep, analysis, page)}
    parser.add_argument("act", choices=acts)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=TASKS)
    parser.add_argument("--jobs", type=int, default=1, help="processes of `text`")
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    tidy(args.results)
    acts[args.act](args)


if __name__ == "__main__":
    main()
