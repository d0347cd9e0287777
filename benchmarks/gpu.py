"""One GPU: a training step at the shape of trainer/configs/1b.yaml, and its loss against the CPU's.

    python benchmarks/gpu.py [--json FILE]     # less than five minutes
    python benchmarks/gpu.py --tiny            # the same acts on a CPU, in seconds

Needs neither Beam nor a mixture: of this project it imports the model and its settings alone.

`agrees`: two steps of a small model on the device (as trained: bfloat16, compiled) and on the CPU
(float32), from the same weights on the same documents kept apart; the losses stand side by side.
Then steps at contexts of 4,096 and 32,768 of random tokens: forward and backward over 4
micro-batches of 32,768 tokens, clipping and AdamW; the median of 5 after 2 that compile and warm
up. Activations are recomputed only where memory does not do without. MFU is by the operations
that `Decoder.flops_per_token` counts (a causal attention, nothing recomputed) over `--peak`. The
last row keeps documents of a thousand tokens apart; which pairs it computes depends on them, so
it has no MFU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from trainer.config import ModelConfig, load_training  # noqa: E402
from trainer.model.attention import document_mask  # noqa: E402  (path above)
from trainer.model.model import Decoder  # noqa: E402
from trainer.optimise import make_optimiser  # noqa: E402

CONFIG = load_training(ROOT / "trainer/configs/1b.yaml")
SECONDS = 270
"""No row is begun later than this."""


@dataclass(frozen=True)
class Shape:
    """What is measured."""

    model: ModelConfig
    vocabulary: int
    context: int
    micro: int
    """Tokens of a micro-batch."""
    micros: int = 4
    steps: int = 5
    apart: bool = False
    checkpointing: bool = False


def documents(rows: int, context: int, mean: int) -> Tensor:
    """Return the document of each position, [rows, context]; one ends with a chance of 1/mean."""
    return (torch.rand(rows, context) < 1 / mean).cumsum(1)


class Trained:
    """A model with its optimiser, as trainer/pretrain.py steps it."""

    def __init__(self, shape: Shape, device: torch.device, compiled: bool, dtype: str) -> None:
        torch.manual_seed(0)
        with device:
            self.model = Decoder(shape.model, shape.vocabulary, shape.checkpointing)
        if compiled:
            for block in self.model.blocks:
                block.compile(dynamic=False)
        self.optimiser = make_optimiser(self.model, CONFIG.optimiser)
        self.device, self.dtype = device, dtype

    def step(self, ids: Tensor, targets: Tensor, document: Tensor | None, micros: int) -> float:
        """Take a step over the same batch `micros` times; return its loss a token."""
        self.optimiser.zero_grad(set_to_none=True)
        ids, targets = ids.to(self.device), targets.to(self.device)
        total = torch.zeros((), device=self.device)
        for _ in range(micros):
            mask = None if document is None else document_mask(document.to(self.device))
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == "bfloat16"):
                loss = self.model(ids, targets, mask) / (ids.numel() * micros)
            loss.backward()
            total += loss.detach()
        nn.utils.clip_grad_norm_(self.model.parameters(), CONFIG.optimiser.clip)
        self.optimiser.step()
        return float(total)  # waits for the device


def agrees(device: torch.device, compiled: bool) -> dict[str, Any]:
    """Compare the losses of two steps with those of the CPU in float32."""
    shape = Shape(ModelConfig(dim=128, layers=2, heads=4, kv_heads=2), 1000, 512, 2048)
    torch.manual_seed(1)
    tokens = torch.randint(0, shape.vocabulary, (4, shape.context + 1))
    apart = documents(4, shape.context, 100)
    there = Trained(shape, device, compiled, "bfloat16")
    here = Trained(shape, torch.device("cpu"), False, "float32")
    there.model.load_state_dict(here.model.state_dict())
    found: list[list[float]] = []
    for one in (here, there):
        found.append([one.step(tokens[:, :-1], tokens[:, 1:], apart, 1) for _ in range(2)])
    gap = max(abs(a - b) for a, b in zip(*found, strict=True))
    return {"CPU": found[0], str(device): found[1], "largest difference": gap}


def measure(shape: Shape, device: torch.device, compiled: bool, peak: float) -> dict[str, Any]:
    """Return the speed of steps at `shape`. Raises torch.OutOfMemoryError where it does not fit."""
    begin = time.perf_counter()
    trained = Trained(shape, device, compiled, "bfloat16")
    rows = max(1, shape.micro // shape.context)
    tokens = torch.randint(0, shape.vocabulary, (rows, shape.context + 1), device=device)
    apart = documents(rows, shape.context, 1000) if shape.apart else None
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds = []
    ready = begin
    for number in range(2 + shape.steps):
        start = time.perf_counter()
        loss = trained.step(tokens[:, :-1], tokens[:, 1:], apart, shape.micros)
        if number >= 2:
            seconds.append(time.perf_counter() - start)
        else:
            ready = time.perf_counter()
    rate = rows * shape.context * shape.micros / statistics.median(seconds)
    row: dict[str, Any] = {
        "weights": sum(weight.numel() for weight in trained.model.parameters()),
        "tokens/s": round(rate),
        "recomputed": shape.checkpointing,
        "warm-up s": round(ready - begin, 1),
        "loss": round(loss, 3),
    }
    if not shape.apart:
        flops = trained.model.flops_per_token(shape.context)
        row["MFU"] = round(flops * rate / (peak * 1e12), 9 if device.type == "cpu" else 3)
    if device.type == "cuda":
        row["GiB"] = round(torch.cuda.max_memory_allocated(device) / 2**30, 1)
    return row


def fitting(shape: Shape, device: torch.device, compiled: bool, peak: float) -> dict[str, Any]:
    """Measure `shape`, with activations recomputed where they do not fit."""
    try:
        return measure(shape, device, compiled, peak)
    except torch.OutOfMemoryError:
        pass  # outside of it, or its traceback would keep the tensors
    torch.cuda.empty_cache()
    return measure(replace(shape, checkpointing=True), device, compiled, peak)


def rows(tiny: bool, peak: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each row as it is found; one that fails says why, and the next is begun."""
    begin = time.perf_counter()
    device = torch.device("cpu" if tiny else "cuda")
    base = Shape(CONFIG.model, 32_000, 4096, CONFIG.batch.micro)
    contexts = (4096, 32_768)
    if tiny:
        small = ModelConfig(dim=64, layers=2, heads=4, kv_heads=2, z_loss=1e-4)
        base = Shape(small, 512, 128, 256, micros=2, steps=1, checkpointing=True)
        contexts = (128, 256)
    acts = {"agrees": lambda: agrees(device, not tiny)}
    for context in contexts:
        own = replace(base, context=context)
        acts[f"context {context:,}"] = lambda own=own: fitting(own, device, not tiny, peak)
    last = replace(base, context=contexts[-1], apart=True)
    acts["documents apart"] = lambda: fitting(last, device, not tiny, peak)
    for name, act in acts.items():
        if time.perf_counter() - begin > SECONDS:
            yield name, {"left out": "no time"}
            continue
        try:
            yield name, act()
        except Exception as error:  # the other rows are worth having
            yield name, {"failed": f"{type(error).__name__}: {error}"}
        if device.type == "cuda":
            torch.compiler.reset()
            torch.cuda.empty_cache()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--peak", type=float, default=989.0, help="TFLOP/s in bfloat16, dense")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not args.tiny and not torch.cuda.is_available():
        parser.error("no GPU is here; --tiny runs on a CPU")
    name = "CPU" if args.tiny else torch.cuda.get_device_name()
    print(name, f"torch {torch.__version__}", flush=True)
    found: dict[str, Any] = {"device": name, "torch": torch.__version__}
    for title, row in rows(args.tiny, args.peak):
        found[title] = row
        print(title.ljust(18), *(f"{k} {v}" for k, v in row.items()), sep="  ", flush=True)
        if args.json:
            args.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    failed = [title for title, row in found.items() if "failed" in row]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
