"""`bibim fit`: train a classifier from labelled JSONL."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bibim.cli.options import commands, console, exit_codes
from schemas.errors import InputError

app = commands()
fit_app = commands(
    "Train a classifier from labelled JSONL.",
    "bibim fit toxicity --data comments.jsonl --out toxicity.npz",
    "bibim fit quality --data pages.jsonl --out quality.npz",
)
app.add_typer(fit_app, name="fit")

Data = Annotated[
    list[Path], typer.Option("--data", help="Labelled JSONL (`text`, `label`); repeatable.")
]
ModelOut = Annotated[Path, typer.Option("--out", help="The model file, ending in .npz.")]
Note = Annotated[str, typer.Option(help="A note on the data, for the model card.")]
Licence = Annotated[str, typer.Option(help="The data's licence, for the model card.")]


@fit_app.command(
    "toxicity",
    epilog="""Examples:

    bibim fit toxicity --data comments.jsonl.zst --out toxicity.npz

    bibim fit toxicity --data comments.jsonl.zst --transformer --text reviews.jsonl.zst --out slow
""",
)
def fit_toxicity_command(
    data: Data,
    out: Annotated[
        Path, typer.Option(help="The model file to write (.npz), or the folder of a transformer.")
    ],
    transformer: Annotated[
        bool, typer.Option("--transformer", help="Train a small transformer: slower, for Korean.")
    ] = False,
    text: Annotated[
        list[Path] | None,
        typer.Option(help="JSONL of unlabelled text like the data, for --transformer; repeatable."),
    ] = None,
    epochs: Annotated[
        int, typer.Option(min=1, help="Passes over the rows, for --transformer.")
    ] = 4,
    seed: Annotated[int, typer.Option(help="Random seed, for --transformer.")] = 0,
    note: Note = "",
    licence: Licence = "",
) -> None:
    """Train the toxicity model from rows {text, label: 1 = toxic}; write model and card."""
    with exit_codes():
        if transformer:
            from filters.fit.transformer import fit_transformer

            progress = partial(typer.echo, err=True)  # the card's figures are the output
            card = fit_transformer(
                data, out, text or [], epochs, seed, note=note, licence=licence, report=progress
            )
        else:
            if text:
                raise InputError("--text needs --transformer; the linear model takes --data only")
            from filters.fit.linear import fit_toxicity

            card = fit_toxicity(data, out, note, licence)
        console().print_json(data=card)


@fit_app.command(
    "quality",
    epilog="""Examples:

    bibim fit quality --data pages.jsonl --out quality.npz
""",
)
def fit_quality_command(
    data: Data,
    out: ModelOut,
    embedder: Annotated[
        str, typer.Option(help="The embedder, as `quality.embedder` in a config.")
    ] = "default",
    device: Annotated[str, typer.Option(help="Where to embed: auto, cpu or cuda.")] = "auto",
    note: Note = "",
    licence: Licence = "",
) -> None:
    """Train the quality head from rows {text, label: 1 = good}; write head and card."""
    with exit_codes():
        from filters.fit.linear import fit_quality

        console().print_json(data=fit_quality(data, out, embedder, device, note, licence))
