"""The command line. Every command is a thin layer over a function that tests call directly.

Each other file of this folder defines some commands; this one lists them, and imports a file only
when one of its commands is run.
"""

from __future__ import annotations

from typing import Annotated

import typer

from bibim.cli.lazy import Lazy, LazyGroup
from bibim.cli.options import MARKUP, SETTINGS

COMMANDS = {
    "run": Lazy(
        "bibim.cli.run",
        "Run everything from raw corpora to token shards; finished steps are skipped.",
    ),
    "plan": Lazy(
        "bibim.cli.run",
        "Check a config and its inputs; show stages, rules and the mixture. Writes nothing.",
    ),
    "measure": Lazy("bibim.cli.measure", "Show every signal of one text."),
    "audit": Lazy("bibim.cli.audit", "Show, check, serve and compare the figures of a run."),
    "explain": Lazy(
        "bibim.cli.audit",
        "Show one document: its origin, its signals, the verdict, where its tokens went.",
    ),
    "what-if": Lazy(
        "bibim.cli.audit", "Show what an added or changed rule would keep. Recomputes no signal."
    ),
    "card": Lazy(
        "bibim.cli.audit",
        "Write a Hugging Face dataset card and Croissant metadata with the run's figures.",
    ),
    "benchmarks": Lazy(
        "bibim.cli.eval_sets", "The evaluation sets that decontamination looks for."
    ),
    "tokenizer": Lazy("bibim.cli.tokenizer", "Train, use and measure a tokenizer without a run."),
    "fit": Lazy("bibim.cli.fit", "Train a classifier from labelled JSONL."),
    "train": Lazy("bibim.cli.train", "Pre-train and fine-tune on a mixture."),
    "evaluate": Lazy(
        "bibim.cli.train",
        "Measure loss and bits per byte per component, and accuracy on multiple-choice tasks.",
    ),
    "export": Lazy("bibim.cli.train", "Write a checkpoint and its tokenizer for other programs."),
    "submit": Lazy("bibim.cli.run", "Write a job for another machine's cluster."),
}


class CommandLine(LazyGroup):
    """The commands of `bibim`."""

    table = COMMANDS


app = typer.Typer(
    name="bibim",
    cls=CommandLine,
    no_args_is_help=True,
    rich_markup_mode=MARKUP,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"bibim {version('bibim')}")
        raise typer.Exit


@app.callback(
    epilog="""Examples:

    bibim run mixtures/demo.yaml --out out/demo

    bibim audit show out/demo

    bibim run --help
"""
)
def bibim(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Curate Korean, English and code corpora into balanced, sharded token mixtures."""


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
