"""The text tasks of `benchmarks/sbr.py`: samples, runs, and the protocol."""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash
from torch.nn.attention import SDPBackend, sdpa_kernel

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from sbr_runs import (  # noqa: E402
    DATA,
    POOL,
    SEEDS,
    SHARES,
    SIZES,
    STEPS,
    TEST,
    TOKENS,
    TRIAL_SEED,
    TRIAL_SIZES,
    TUNED_LAYERS,
    VALIDATION,
    WORLD,
    Choice,
    Encoded,
    Results,
    settings,
    trials,
)

from mixtures.tokenizer.tokenizer import Tokenizer  # noqa: E402
from schemas.files import read_lines  # noqa: E402
from trainer.export import load_model  # noqa: E402
from trainer.finetune.card import class_figures  # noqa: E402
from trainer.finetune.features import DecoderFeatures  # noqa: E402
from trainer.finetune.methods import METHODS  # noqa: E402
from trainer.finetune.samples import Sample  # noqa: E402
from trainer.finetune.source import encode_samples, our_encoder  # noqa: E402
from trainer.finetune.tuning import Tuning, features_of  # noqa: E402


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
