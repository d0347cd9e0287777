"""`bibim tokenizer`: train, use and measure a tokenizer without a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bibim.cli.options import Json, Out, commands, console, exit_codes, load_run
from pipelines.stages.tokenize import STAGE as TOKENIZE
from schemas.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from mixtures.tokenizer.fertility import Fertility

app = commands()
tokenizer_app = commands(
    "Train, use and measure a tokenizer without a run.",
    "bibim tokenizer train ko.jsonl.zst en.jsonl --out tok",
    "bibim tokenizer encode tok 비빔밥",
)
app.add_typer(tokenizer_app, name="tokenizer")


@tokenizer_app.command(
    "train",
    epilog="""Examples:

    bibim tokenizer train ko.jsonl.zst en.jsonl --out tok --vocab-size 32000
""",
)
def tokenizer_train(
    files: Annotated[
        list[str], typer.Argument(help="JSONL with a `text` field, or plain text; .gz, .zst.")
    ],
    out: Annotated[
        Path, typer.Option("--out", file_okay=False, help="Folder for model, vocabulary and card.")
    ],
    vocab_size: Annotated[
        int, typer.Option(help="Number of pieces, special ones included.")
    ] = 32_000,
    morphemes: Annotated[
        bool, typer.Option(help="Let no piece cross a boundary between Korean morphemes.")
    ] = True,
    sample: Annotated[str, typer.Option(help="Size of the text sample to train on.")] = "24MB",
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
) -> None:
    """Train a SentencePiece BPE model with byte fallback."""
    with exit_codes():
        from pydantic import ValidationError

        from pipelines.tokenize.standalone import train_from_files
        from schemas.config import Tokenizer

        try:
            settings = Tokenizer.model_validate(
                {"vocab_size": vocab_size, "morphemes": morphemes, "sample": sample, "seed": seed}
            )
        except ValidationError as error:
            fault = error.errors()[0]
            raise InputError(f"--{fault['loc'][0]}: {fault['msg']}".replace("_", "-")) from None
        card = train_from_files(files, settings, out)
        console().print_json(card.model_dump_json())


@tokenizer_app.command(
    "encode",
    epilog="""Examples:

    echo "비빔밥 한 그릇" | bibim tokenizer encode out/demo/tokenizer
""",
)
def tokenizer_encode(
    model: Annotated[Path, typer.Argument(help="A model file, or the folder that holds it.")],
    text: Annotated[str | None, typer.Argument(help="Default: standard input.")] = None,
    ids: Annotated[bool, typer.Option("--ids", help="Print token ids only.")] = False,
) -> None:
    """Show the tokens of a text."""
    with exit_codes():
        from mixtures.tokenizer.tokenizer import Tokenizer
        from pipelines.tokenize.standalone import encode_text

        tokens = encode_text(Tokenizer.load(model), text if text is not None else sys.stdin.read())
        if ids:
            print(" ".join(str(token.id) for token in tokens))
        else:
            for token in tokens:
                print(f"{token.id}\t{token.text!r}")


@tokenizer_app.command(
    "stats",
    epilog="""Examples:

    bibim tokenizer stats out/demo --against llama=llama.model
""",
)
def tokenizer_stats(
    out: Out,
    against: Annotated[
        list[str] | None,
        typer.Option("--against", help="Another tokenizer, NAME=MODEL_FILE; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare a run's tokenizer with plain BPE of the same size and with others, per component."""
    with exit_codes():
        settings = load_run(out)
        from pipelines.engine.context import Context
        from pipelines.tokenize.standalone import run_stats

        others = {}
        for pair in against or ():
            name, equals, path = pair.partition("=")
            if not equals:
                raise InputError(f"--against {pair}: write NAME=MODEL_FILE")
            others[name] = Path(path)
        rows = run_stats(Context(out, settings, TOKENIZE.name), others)
        if as_json:
            print(json.dumps([row.model_dump() for row in rows], indent=1, ensure_ascii=False))
        else:
            print_fertility(console(), rows)


@tokenizer_app.command(
    "export",
    epilog="""Examples:

    bibim tokenizer export out/demo/tokenizer --out hf
""",
)
def tokenizer_export(
    model: Annotated[Path, typer.Argument(help="A tokenizer's folder or .model file.")],
    out: Annotated[
        Path,
        typer.Option("--out", file_okay=False, help="Folder for tokenizer.json and its config."),
    ],
) -> None:
    """Write the tokenizer for Hugging Face: the same ids for every text."""
    with exit_codes():
        from mixtures.tokenizer.huggingface import export_tokenizer
        from mixtures.tokenizer.tokenizer import Tokenizer

        for path in export_tokenizer(Tokenizer.load(model), out):
            console().print(f"[bold]{path}[/bold]: {path.stat().st_size:,} bytes")


def print_fertility(console: Console, rows: Sequence[Fertility]) -> None:
    """Print tokens per document and bytes per token, by tokenizer and component."""
    from rich.table import Table

    table = Table(title="Tokenizers on the same documents", title_justify="left")
    table.add_column("tokenizer")
    table.add_column("component")
    for column in ("vocabulary", "tokens/document", "bytes/token", "on morphemes"):
        table.add_column(column, justify="right")
    for row in rows:
        share = row.morpheme_alignment
        aligned = "–" if share is None else f"{share:.1%}"
        table.add_row(
            row.tokenizer,
            row.component,
            f"{row.vocab_size:,}",
            f"{row.tokens_per_document:,.1f}",
            f"{row.bytes_per_token:.3f}",
            aligned,
        )
    console.print(table)
