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
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import sbr_page
import torch
from torch.profiler import ProfilerActivity, profile

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from sbr_digits import DigitRunner, control, digits  # noqa: E402
from sbr_runs import (  # noqa: E402
    PAGE,
    PICTURE,
    RESULTS,
    SEEDS,
    SHARES,
    SIZES,
    TOKENS,
    TRIAL_SEED,
    TRIAL_SIZES,
    TUNED_LAYERS,
    WORLD,
    Choice,
    Results,
    accuracy,
    read_results,
    settings,
    tidy,
)
from sbr_text import TASKS, TextRunner, text  # noqa: E402

from trainer.config import ModelConfig  # noqa: E402
from trainer.finetune.features import DecoderFeatures  # noqa: E402
from trainer.finetune.tuning import Tuning, features_of  # noqa: E402
from trainer.model.model import Decoder  # noqa: E402

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
