"""`bibim train`, `export` and `evaluate`: the trainer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bibim.cli.options import Json, Overrides, commands, console, exit_codes, parse_count
from schemas.errors import InputError

app = commands()
train_app = commands(
    "Pre-train and fine-tune on a mixture.",
    "bibim train pretrain trainer/configs/tiny.yaml --out out/tiny",
)
app.add_typer(train_app, name="train")

TrainFile = Annotated[
    Path,
    typer.Argument(metavar="CONFIG", help="A training config, such as trainer/configs/tiny.yaml."),
]
TrainOut = Annotated[
    Path, typer.Option("--out", file_okay=False, help="Folder for checkpoints and metrics.")
]


@train_app.command(
    "pretrain",
    epilog="""Examples:

    bibim train pretrain trainer/configs/tiny.yaml --out out/tiny

    bibim train pretrain trainer/configs/tiny.yaml --out out/tiny --set run.steps=200
    torchrun --nproc-per-node 8 -m trainer.pretrain trainer/configs/1b.yaml --out out/1b
""",
)
def train_pretrain(file: TrainFile, out: TrainOut, overrides: Overrides = None) -> None:
    """Train a model on a mixture; the same command resumes an interrupted training."""
    with exit_codes():
        from trainer.config import load_training
        from trainer.pretrain import pretrain

        last = pretrain(load_training(file, overrides or ()), out, _print_line)
        console().print(f"[bold]{last}[/bold]")


@train_app.command(
    "sft",
    epilog="""Examples:

    bibim train sft sft.yaml --out out/chat

with sft.yaml

    name: chat
    checkpoint: out/tiny
    chats: [chats.jsonl]           # {"messages": [{"role", "content"}, …], "task": a tag}
    sbr: {strength: 1.0e-3}        # optional: pulls chats of one task together
""",
)
def train_sft(file: TrainFile, out: TrainOut, overrides: Overrides = None) -> None:
    """Fine-tune a checkpoint on chats, with the loss on the assistant's turns only."""
    with exit_codes():
        from trainer.sft import load_sft, tune

        last = tune(load_sft(file, overrides or ()), out, _print_line)
        console().print(f"[bold]{last}[/bold]")


@train_app.command(
    "sbr",
    epilog="""Examples:

    bibim train sbr sbr.yaml --out out/sentiment

with sbr.yaml

    name: sentiment
    checkpoint: out/tiny
    train: [reviews.jsonl]
    method: {name: sbr, strength: 1.0e-3}
""",
)
def train_sbr(file: TrainFile, out: TrainOut, overrides: Overrides = None) -> None:
    """Fine-tune on a few labelled texts, with sample-based regularisation or a baseline."""
    with exit_codes():
        from trainer.finetune.config import load_fine_tuning
        from trainer.finetune.finetune import fine_tune

        card = fine_tune(load_fine_tuning(file, overrides or ()), out, _print_line)
        console().print(f"[bold]{card}[/bold]")


def _print_line(line: str) -> None:
    console().print(line, highlight=False)


Checkpoint = Annotated[
    Path, typer.Argument(metavar="CKPT", help="A checkpoint, or the output folder of a training.")
]


@app.command(
    epilog="""Examples:

    bibim export out/tiny --to hf --out out/tiny-hf
"""
)
def export(
    checkpoint: Checkpoint,
    out: Annotated[
        Path, typer.Option("--out", file_okay=False, help="Folder for the exported model.")
    ],
    to: Annotated[
        str, typer.Option(help="The format. `hf`: a Llama model for transformers.")
    ] = "hf",
    tokenizer: Annotated[
        Path | None, typer.Option(help="The mixture's tokenizer, if it was moved.")
    ] = None,
) -> None:
    """Write a checkpoint and its tokenizer for other programs."""
    with exit_codes():
        if to != "hf":
            raise InputError(f"--to {to}: no such format; choose hf")
        from trainer.export import export_hf

        for path in export_hf(checkpoint, out, tokenizer):
            console().print(f"[bold]{path}[/bold]: {path.stat().st_size:,} bytes")


@app.command(
    epilog="""Examples:

    bibim evaluate out/tiny

    bibim evaluate out/tiny --task nli_ko.jsonl.zst --limit 500
"""
)
def evaluate(
    checkpoint: Checkpoint,
    task: Annotated[
        list[Path] | None,
        typer.Option(help="JSONL of {prompt, choices, answer}, sentence pairs or reviews."),
    ] = None,
    tokens: Annotated[
        int,
        typer.Option(parser=parse_count, metavar="COUNT", help="Held-out tokens per component."),
    ] = "100k",  # type: ignore[assignment]  # parsed like a given one
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum questions per task.")] = None,
    as_json: Json = False,
) -> None:
    """Measure loss and bits per byte per component, and accuracy on multiple-choice tasks."""
    with exit_codes():
        from trainer.evaluate import evaluate_checkpoint

        found = evaluate_checkpoint(checkpoint, tokens, task or [], limit)
        if as_json:
            print(json.dumps(found, indent=1))
            return
        for name, value in found.items():
            console().print(f"{name}: {value:.4f}", highlight=False)
