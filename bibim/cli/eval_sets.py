"""`bibim benchmarks`: the evaluation sets that decontamination looks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bibim.cli.options import commands, console, exit_codes

app = commands()
benchmarks_app = commands(
    "The evaluation sets that decontamination looks for.",
    "bibim benchmarks list",
    "bibim benchmarks fetch kmmlu gsm8k --out benchmarks.jsonl",
)
app.add_typer(benchmarks_app, name="benchmarks")


@benchmarks_app.command(
    "list",
    epilog="""Examples:

    bibim benchmarks list
""",
)
def benchmarks_list() -> None:
    """Show the known benchmarks and where their items are published."""
    from rich.table import Table

    from pipelines.dedup.eval_sets import BENCHMARKS

    table = Table(box=None)
    for heading in ("name", "language", "fields of an item", "on the Hugging Face Hub, or a note"):
        table.add_column(heading)
    for one in BENCHMARKS:
        where = ", ".join(place for place, _ in one.places[:2]) + (" …" if one.places[2:] else "")
        table.add_row(one.name, one.lang, ", ".join(one.fields), where or one.note)
    console().print(table)


@benchmarks_app.command(
    "fetch",
    epilog="""Examples:

    bibim benchmarks fetch kmmlu gsm8k humaneval kold=kold_v1.json --out benchmarks.jsonl

and in the config

    decontaminate: {against: [benchmarks.jsonl]}
""",
)
def benchmarks_fetch(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME[=FILE]…",
            help="A benchmark from the Hugging Face Hub, or from a file as published.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="The JSONL file to write, for `decontaminate.against`.")
    ],
) -> None:
    """Write the items of benchmarks to one file."""
    with exit_codes():
        from pipelines.dedup.eval_sets import read_benchmark
        from pipelines.storage.files import write_text

        found = {name: read_benchmark(name) for name in names}
        lines = [json.dumps(item, ensure_ascii=False) for part in found.values() for item in part]
        write_text(out, "\n".join(lines) + "\n")
        for name, part in found.items():
            console().print(f"{name}: {len(part):,} items")
        console().print(f"[bold]{out}[/bold]: {len(lines):,} items")
