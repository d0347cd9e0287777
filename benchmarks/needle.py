"""A needle in its context: does the long stage of a training extend the reach of the model?

    python benchmarks/needle.py [--tokens 8M] [--work FOLDER] [--json FILE]

A document is a list of statements, a name and its value: two words, two tokens. Each name has one
value in a document, drawn per document, so the value can be predicted only by attending to an
earlier occurrence of its name. In a short document a few names occur four times each; in a long
one some names fill it, and all others occur twice, anywhere. Both go through `bibim run` into a
mixture of two stages, nine tenths in contexts of 256 and the last tenth in 2,048 on long documents
alone, and a small decoder is trained on it by `bibim train pretrain`, with another rotary base in
the second stage. Before and after that stage it is asked for the value of a name that occurs
once, at five depths of haystacks of 128 to 2,048 tokens. Chance is one in 32.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mixtures.tokenizer.tokenizer import Tokenizer  # noqa: E402  (path above)
from pipelines.driver import Run  # noqa: E402
from pipelines.engine.progress import LogReporter  # noqa: E402
from pipelines.runners.runner import Runner  # noqa: E402
from schemas.config import Config  # noqa: E402
from schemas.values import parse_count  # noqa: E402
from trainer.checkpoint import checkpoint_path  # noqa: E402
from trainer.config import TrainConfig  # noqa: E402
from trainer.data import Corpus  # noqa: E402
from trainer.export import load_model  # noqa: E402
from trainer.model.model import Decoder  # noqa: E402
from trainer.pretrain import plan_steps, pretrain  # noqa: E402

SHORT, LONG = 256, 2048
WORDS = [chr(code) for code in range(0xAC00, 0xAC00 + 96 * 113, 113)]
"""Syllables of Hangul, each a word."""
NAMES, VALUES = WORDS[:64], WORDS[64:]
OPENING = "글"
"""First word of a document: there a word is another token than behind a space."""
FEW = (2, 3, 4, 8)
"""Names of a short document: looking back is learned on few, and then holds for many."""
FILLING = (8, 16, 32)
"""Names that fill a long one."""
STATEMENTS = 1000
"""Of a long document."""
HAYSTACKS = (128, 256, 512, 1024, 2048)
DEPTHS = (0.0, 0.25, 0.5, 0.75, 0.95)
ASKED = 40
"""Questions for each haystack and depth."""


def document(rng: random.Random, stated: list[str]) -> str:
    """Return a document: statements on the names `stated`, in order, each with its own value."""
    value = {name: rng.choice(VALUES) for name in NAMES}
    return " ".join([OPENING, *(f"{name} {value[name]}" for name in stated)])


def short(rng: random.Random) -> list[str]:
    """Return the names that a short document states, in order."""
    stated = 4 * rng.sample(NAMES, rng.choice(FEW))
    rng.shuffle(stated)
    return stated


def long(rng: random.Random) -> list[str]:
    """Return the names that a long document states, in order."""
    names = rng.sample(NAMES, len(NAMES))
    count = rng.choice(FILLING)
    filling, rare = names[:count], names[count:]
    stated = 2 * rare + [rng.choice(filling) for _ in range(STATEMENTS - 2 * len(rare))]
    rng.shuffle(stated)
    return stated


def write_documents(folder: Path, tokens: int) -> None:
    """Write short and long documents, as many tokens of each as its stage takes, and a rest."""
    rng = random.Random(20)
    for kind, names, share in (("short", short, 0.95), ("long", long, 0.15)):
        written = 0
        with (folder / f"{kind}.jsonl").open("w", encoding="utf-8") as file:
            while written < tokens * share:
                stated = names(rng)
                written += 2 * len(stated) + 2
                file.write(json.dumps({"text": document(rng, stated)}, ensure_ascii=False) + "\n")


def make_mixture(folder: Path, tokens: int) -> Path:
    """Run the pipeline over the documents; return the mixture's folder."""
    sources = {
        kind: {"component": "ko", "path": str(folder / f"{kind}.jsonl")}
        for kind in ("short", "long")
    }
    config = Config.model_validate(
        {
            "name": "needle",
            "sources": sources,
            "dedup": {"enabled": False},
            "pii": {"action": "keep"},
            "toxicity": {"drop_above": None, "spam_above": None},
            "tokenizer": {"vocab_size": 512, "morphemes": False},
            "mixture": {
                "tokens": tokens,
                "weights": {"ko": 1},
                "max_epochs": 2,
                "allow_short": True,
                "shards": 10,
                "stages": [
                    {"share": 0.9, "context": SHORT, "only": ["chars<=1000"]},
                    {"share": 0.1, "context": LONG, "only": ["chars>1000"]},
                ],
            },
        }
    )
    Run(config, folder / "out", Runner("local", 2), LogReporter()).execute()
    return folder / "out" / "mixture"


def questions(haystack: int, depth: float) -> list[tuple[str, str]]:
    """Return pairs (prompt of `haystack` tokens, value that it asks for)."""
    rng = random.Random(f"{haystack} {depth}")
    found = []
    for _ in range(ASKED):
        count = (haystack - 2) // 2
        needle, *others = rng.sample(NAMES, rng.choice(FILLING) + 1)
        stated = [rng.choice(others) for _ in range(count)]
        place = int(depth * (count - 1))
        stated[place] = needle
        prompt = document(rng, stated)
        found.append((f"{prompt} {needle}", prompt.split()[2 * place + 2]))
    return found


@torch.no_grad()
def accuracy(model: Decoder, tokenizer: Tokenizer, asked: list[tuple[str, str]]) -> float:
    """Return the share of questions whose likeliest next token is the value's first."""
    right = 0
    for prompt, value in asked:
        both = tokenizer.encode(f"{prompt} {value}")
        before = tokenizer.encode(prompt)
        hidden, _ = model.hidden(torch.tensor([list(before)]))
        right += int(model.logits(hidden[0, -1]).argmax()) == int(both[len(before)])
    return right / len(asked)


def table(model: Decoder, tokenizer: Tokenizer) -> dict[str, dict[str, float]]:
    """Return accuracy by haystack and depth."""
    return {
        str(haystack): {
            f"{depth:.0%}": accuracy(model, tokenizer, questions(haystack, depth))
            for depth in DEPTHS
        }
        for haystack in HAYSTACKS
    }


def measure(folder: Path, tokens: int) -> dict[str, Any]:
    """Make the mixture, train, ask before and after the long stage."""
    write_documents(folder, tokens)
    mixture = make_mixture(folder, tokens)
    settings: dict[str, Any] = {
        "name": "needle",
        "mixture": str(mixture),
        "model": {"dim": 128, "layers": 3, "heads": 4, "kv_heads": 2, "long_rope_base": 80_000},
        "batch": {"tokens": 4096, "context": SHORT, "micro": 4096},
        "optimiser": {"lr": 2e-3, "schedule": "wsd", "warmup": 0.1, "decay": 0.05},
        "run": {
            "keep": 9,
            "evaluate_every": 10**9,
            "evaluate_tokens": 10_000,
            "device": "cpu",
            "dtype": "bfloat16",
        },
    }
    corpus = Corpus(TrainConfig.model_validate(settings))
    plan = plan_steps(corpus.stages, corpus.config)
    first = sum(step.stage == 0 for step in plan)
    settings["run"] |= {"save_every": first, "log_every": max(1, len(plan) // 40)}
    out = folder / "model"
    last = pretrain(TrainConfig.model_validate(settings), out, lambda line: print(line, flush=True))
    found: dict[str, Any] = {"tokens": corpus.stages[0].tokens + corpus.stages[1].tokens}
    for name, path in (("before", checkpoint_path(out, first)), ("after", last)):
        model, _ = load_model(path)
        found[name] = table(model, corpus.tokenizer)
    return found


def main() -> None:
    """Measure, print a table, write it as JSON where that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tokens", default="8M")
    parser.add_argument("--work", type=Path, help="kept; left out: a temporary folder")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.work or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = measure(folder, parse_count(args.tokens))
    print(f"\n{found['tokens']:,} tokens; right answers by depth of the needle")
    for when in ("before", "after"):
        print(f"\n{when} the long stage\n{'haystack':>9}" + "".join(f"{d:>8.0%}" for d in DEPTHS))
        for haystack, row in found[when].items():
            print(f"{haystack:>9}" + "".join(f"{share:>8.0%}" for share in row.values()))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
