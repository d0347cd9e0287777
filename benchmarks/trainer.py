"""The trainer: a step against transformers' Llama, the loader alone, and a 5-gram model.

    python benchmarks/trainer.py step   [--nanogpt FILE]
    python benchmarks/trainer.py loader --mixture OUT/mixture [--tokens 1B]
    python benchmarks/trainer.py resume --mixture OUT/mixture
    python benchmarks/trainer.py ngram  --mixture OUT/mixture --tokens 5M [--checkpoint OUT]

`step`: forward, backward and AdamW of the shape of trainer/configs/tiny.yaml on the same batch,
in turns, the least of several; the peers are transformers' Llama and GPT-2 at the same number of
layers, width, heads and vocabulary, written as in nanoGPT (below), or with `--nanogpt` its own
file `model.py` too. `loader`: sequences alone, as many passes over the mixture as so many tokens
take, with the memory held after each tenth. `resume`: 200 steps of a small model straight,
against a run that is killed after 100 and resumed, and against two processes. `ngram`: an
interpolated 5-gram model of tokens (Witten-Bell) made from so many training tokens, on the same
held-out documents as `bibim evaluate`, in bits per byte; with a checkpoint its figures are
printed too.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # the name that everybody gives it
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from schemas.values import parse_count  # noqa: E402  (path above)
from trainer.checkpoint import checkpoint_path, load_checkpoint  # noqa: E402
from trainer.config import ModelConfig, load_training  # noqa: E402
from trainer.data import Corpus  # noqa: E402
from trainer.evaluate import evaluate_checkpoint  # noqa: E402
from trainer.export import llama_config  # noqa: E402
from trainer.model.model import Decoder  # noqa: E402
from trainer.optimise import make_optimiser  # noqa: E402

VOCABULARY = 16_000


class GPTBlock(nn.Module):
    """A layer of GPT-2 as nanoGPT writes it: LayerNorm, one product for q, k and v, GELU."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = (nn.LayerNorm(dim, bias=False) for _ in range(2))
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.up = nn.Linear(dim, 4 * dim, bias=False)
        self.down = nn.Linear(4 * dim, dim, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, length, dim = x.shape
        q, k, v = (
            part.view(rows, length, self.heads, -1).transpose(1, 2)
            for part in self.qkv(self.ln_1(x)).split(dim, dim=2)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).contiguous().view(rows, length, dim))
        grown: torch.Tensor = x + self.down(F.gelu(self.up(self.ln_2(x))))
        return grown


class GPT(nn.Module):
    """GPT-2 in nanoGPT's shape: learned positions, tied embeddings, all logits at once."""

    def __init__(self, config: ModelConfig, context: int) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCABULARY, config.dim), nn.Embedding(context, config.dim)
        self.blocks = nn.ModuleList(
            GPTBlock(config.dim, config.heads) for _ in range(config.layers)
        )
        self.ln_f = nn.LayerNorm(config.dim, bias=False)
        for weight in self.parameters():
            if weight.dim() >= 2:
                nn.init.normal_(weight, std=0.02)

    def forward(self, ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.view(-1, VOCABULARY), targets.view(-1), ignore_index=-1)


def step(args: argparse.Namespace) -> dict[str, Any]:
    from transformers import LlamaConfig, LlamaForCausalLM

    class Symbols:
        eod_id, pad_id = 2, 0

    config = load_training(ROOT / "trainer/configs/tiny.yaml")
    context, rows = config.batch.context, 8192 // config.batch.context
    ids = torch.randint(0, VOCABULARY, (rows, context))
    model = Decoder(config.model, VOCABULARY)
    model.context = context
    described = llama_config(model, Symbols, chats=False)  # type: ignore[arg-type]
    peer = LlamaForCausalLM(LlamaConfig(**described, attn_implementation="sdpa"))
    like = GPT(config.model, context)
    contenders: dict[str, tuple[Any, Callable[[], torch.Tensor]]] = {
        "Bibim": (model, lambda: model(ids, ids) / ids.numel()),
        "GPT-2 as in nanoGPT": (like, lambda: like(ids, ids)),
        "transformers Llama": (peer, lambda: peer(ids, labels=ids).loss),
    }
    if args.nanogpt:
        found = importlib.util.spec_from_file_location("nanogpt", args.nanogpt)
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        sys.modules["nanogpt"] = module
        found.loader.exec_module(module)
        shape = module.GPTConfig(
            block_size=context,
            vocab_size=VOCABULARY,
            n_layer=config.model.layers,
            n_head=config.model.heads,
            n_embd=config.model.dim,
            dropout=0.0,
            bias=False,
        )
        gpt = module.GPT(shape)
        contenders["nanoGPT"] = (gpt, lambda: gpt(ids, ids)[1])
    times: dict[str, list[float]] = {name: [] for name in contenders}
    optimisers = {
        name: make_optimiser(one, config.optimiser) for name, (one, _) in contenders.items()
    }
    for _ in range(args.rounds):
        for name, (_, loss) in contenders.items():
            begin = time.perf_counter()
            optimisers[name].zero_grad(set_to_none=True)
            loss().backward()
            optimisers[name].step()
            times[name].append(time.perf_counter() - begin)
    best = min(times["Bibim"])
    return {
        name: {
            "weights": sum(p.numel() for p in contenders[name][0].parameters()),
            "tokens/s": round(ids.numel() / min(seconds)),
            "Bibim's rate to its": round(min(seconds) / best, 2),
        }
        for name, seconds in times.items()
    }


def _corpus(args: argparse.Namespace) -> Corpus:
    config = load_training(ROOT / "trainer/configs/tiny.yaml", [f"mixture={args.mixture}"])
    return Corpus(config, verify=False)


def _memory() -> dict[str, int]:
    """Return MiB that this process holds: all of it, and without pages of mapped files."""
    status = Path("/proc/self/status").read_text("utf-8")
    rows = dict(line.split(":", 1) for line in status.splitlines())
    names = {"MiB": "VmRSS", "without mapped files": "RssAnon"}
    return {name: int(rows[key].split()[0]) >> 10 for name, key in names.items()}


def loader(args: argparse.Namespace) -> dict[str, Any]:
    corpus = _corpus(args)
    wanted = parse_count(args.tokens)
    walk = ((stage, number) for stage in corpus.stages for number in range(stage.sequences))
    order = itertools.cycle(list(walk))
    once = sum(stage.tokens for stage in corpus.stages)
    rows: dict[str, Any] = {}
    begin = last = time.perf_counter()
    seen = 0
    for share in range(1, 11):
        before = seen
        while seen < wanted * share // 10:
            stage, number = next(order)
            corpus.sample(stage, number)
            seen += min(stage.context, stage.tokens - 1 - number * stage.context)
        now = time.perf_counter()
        rows[f"{seen:,} tokens"] = {"tokens/s": round((seen - before) / (now - last)), **_memory()}
        print(f"{seen:,} of {wanted:,} tokens", file=sys.stderr)
        last = now
    rows["all"] = {"tokens/s": round(seen / (last - begin)), "passes": round(seen / once, 1)}
    return rows


RESUMED = {
    "model": "{dim: 32, layers: 2, heads: 4, kv_heads: 2}",
    "batch": "{tokens: 512, context: 64, micro: 256}",
    "run": "{steps: 200, save_every: 100, log_every: 1, evaluate_every: 200, evaluate_tokens: 1k, "
    "keep: 9, device: cpu}",
}


def resume(args: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return _resumed(Path(folder), args.mixture)


def _resumed(folder: Path, mixture: Path) -> dict[str, Any]:
    """Train four times over: straight, killed at 100, on from there, and on two processes."""
    file = folder / "small.yaml"
    lines = {"name": "small", "mixture": mixture.absolute(), **RESUMED}
    file.write_text("".join(f"{key}: {value}\n" for key, value in lines.items()), "utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

    def start(out: str, *before: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, *before, "-m", "trainer.pretrain", str(file)]
        command += ["--out", str(folder / out)]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)

    def finish(process: subprocess.Popen[bytes]) -> None:
        if process.wait():
            sys.exit(f"a run ended with {process.returncode}")

    finish(start("straight"))
    killed = start("killed")
    while killed.poll() is None and not checkpoint_path(folder / "killed", 100).exists():
        time.sleep(0.01)
    killed.kill()
    if killed.wait() != -signal.SIGKILL:
        sys.exit("the run ended before it could be killed")
    finish(start("killed"))
    finish(start("two", *launch))
    states = {out: load_checkpoint(folder / out) for out in ("straight", "killed", "two")}
    losses = {out: _losses(folder / out) for out in states}
    one, again, two = states.values()
    pairs = list(zip(losses["straight"], losses["two"], strict=True))
    return {
        "killed at 100": {
            "steps": again["step"],
            "weights equal": _same(one["model"], again["model"]),
            "optimiser equal": _same(one["optimiser"], again["optimiser"]),
            "losses equal": losses["straight"] == losses["killed"],
        },
        "two processes": {
            "steps": two["step"],
            "largest difference of a loss": max(abs(a - b) for a, b in pairs),
            "first loss": pairs[0][0],
            "last loss": pairs[-1][0],
        },
    }


def _losses(out: Path) -> list[float]:
    rows = map(json.loads, (out / "metrics.jsonl").read_text("utf-8").splitlines())
    return [row["loss"] for row in rows if "loss" in row]


def _same(one: Any, other: Any) -> bool:
    """Return whether two states are equal, bit by bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(one == other)


ORDER = 5


def _keys(tokens: np.ndarray[Any, Any], n: int) -> np.ndarray[Any, Any]:
    """Return a hash of the `n` tokens that end at each place from n − 1 on."""
    value = np.zeros(len(tokens) - n + 1, np.uint64)
    for at in range(n):
        value = value * np.uint64(0x9E3779B97F4A7C15) + tokens[at : len(tokens) - n + 1 + at] + 1
        value ^= value >> np.uint64(29)
    return value


class NGrams:
    """Counts of all orders, and the interpolated probability of a token (Witten and Bell 1991)."""

    def __init__(self, tokens: np.ndarray[Any, Any], vocabulary: int) -> None:
        self.vocabulary = vocabulary
        padded = np.concatenate([np.full(ORDER - 1, vocabulary), tokens]).astype(np.uint64)
        self.tables = []
        for n in range(1, ORDER + 1):
            grams = _keys(padded[ORDER - n :], n)
            contexts = _keys(padded[ORDER - n : -1], n - 1) if n > 1 else np.zeros_like(grams)
            keys, first, counts = np.unique(grams, return_index=True, return_counts=True)
            owners, of = np.unique(contexts[first], return_inverse=True)
            kinds = np.bincount(of)
            totals = np.bincount(of, weights=counts)
            self.tables.append((keys, counts, owners, kinds, totals))

    def bits(self, tokens: np.ndarray[Any, Any]) -> float:
        """Return the summed information of `tokens`."""
        padded = np.concatenate([np.full(ORDER - 1, self.vocabulary), tokens]).astype(np.uint64)
        chance = np.full(len(tokens), 1 / self.vocabulary)
        for n, (keys, counts, owners, kinds, totals) in enumerate(self.tables, 1):
            grams = _keys(padded[ORDER - n :], n)
            contexts = _keys(padded[ORDER - n : -1], n - 1) if n > 1 else np.zeros_like(grams)
            count = _found(keys, counts, grams)
            kind, total = _found(owners, kinds, contexts), _found(owners, totals, contexts)
            seen = total > 0
            mixed = (count + kind * chance) / np.maximum(total + kind, 1)
            chance = np.where(seen, mixed, chance)
        return float(-np.log2(chance).sum())


def _found(
    keys: np.ndarray[Any, Any], values: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0).astype(np.float64)


def ngram(args: argparse.Namespace) -> dict[str, Any]:
    corpus = _corpus(args)
    stage = corpus.stages[0]
    tokens, _ = corpus.slice(stage, 0, min(stage.tokens, parse_count(args.tokens)))
    model = NGrams(tokens, corpus.tokenizer.vocab_size)
    sizes = np.array([len(piece) for piece in corpus.tokenizer.piece_bytes])
    figures = evaluate_checkpoint(args.checkpoint, args.held, []) if args.checkpoint else {}
    rows: dict[str, Any] = {}
    for component in corpus.components:
        held = np.concatenate(list(corpus.held_out(component, args.held)))[: args.held]
        size = int(sizes[held.astype(np.int64)].sum())
        rows[component] = {
            "held-out tokens": len(held),
            "5-gram bits/byte": round(model.bits(held) / size, 4),
        }
        name = f"held_out/{component}/bits_per_byte"
        if name in figures:
            rows[component]["model bits/byte"] = round(figures[name], 4)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    acts = {act.__name__: act for act in (step, loader, resume, ngram)}
    parser.add_argument("act", choices=acts)
    parser.add_argument("--mixture", type=Path)
    parser.add_argument("--tokens", default="5M")
    parser.add_argument("--held", type=int, default=50_000)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--nanogpt", type=Path)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.act != "step" and not args.mixture:
        parser.error(f"{args.act} needs --mixture")
    found = acts[args.act](args)
    for name, row in found.items():
        print(name.ljust(20), *(f"{key} {value}" for key, value in row.items()), sep="  ")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
