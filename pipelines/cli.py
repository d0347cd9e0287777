"""The command line. Every command is a thin layer over a function that tests call directly."""

from __future__ import annotations

import json
import logging
import os
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipelines.store import StorePath, place
from schemas.config import Config
from schemas.errors import BibimError, InputError, RunFault
from schemas.extras import TORCH, needs

PREPARED_ROWS = 2_000_000
"""Documents up to which a run ends with the audit's index; else the first question makes it."""

app = typer.Typer(
    name="bibim",
    help="Curate Korean, English and code corpora into balanced, sharded token mixtures.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
tokenizer_app = typer.Typer(no_args_is_help=True, help="Train, use and measure a tokenizer alone.")
fit_app = typer.Typer(no_args_is_help=True, help="Train a classifier from labelled JSONL.")
benchmarks_app = typer.Typer(no_args_is_help=True, help="The items that decontamination looks for.")
submit_app = typer.Typer(no_args_is_help=True, help="Make a job for another machine's cluster.")
train_app = typer.Typer(no_args_is_help=True, help="Pre-train and tune on a mixture.")
app.add_typer(submit_app, name="submit")
app.add_typer(train_app, name="train")
app.add_typer(benchmarks_app, name="benchmarks")
app.add_typer(tokenizer_app, name="tokenizer")
app.add_typer(fit_app, name="fit")

ConfigFile = Annotated[
    Path,
    typer.Argument(metavar="CONFIG", parser=place, help="A recipe, such as mixtures/demo.yaml."),
]
Out = Annotated[
    Path, typer.Argument(metavar="OUT", parser=place, help="The output folder of a run.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one key; may be given repeatedly."),
]


def load(file: Path, overrides: list[str] | None) -> Config:
    """Load a config; `${BIBIM_STDLIB}` in it is this interpreter's standard library."""
    from schemas.load import load_config

    os.environ.setdefault("BIBIM_STDLIB", sysconfig.get_paths()["stdlib"])
    return load_config(file, overrides or ())


def load_run(out: Path) -> Config:
    """Return the config that made `out`. Raises InputError where there is no run."""
    if not (out / "config.yaml").exists():
        raise InputError(f"{out}: no run is here (no config.yaml); name the --out of a run")
    return load(out / "config.yaml", None)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn the two kinds of stop into exit codes 1 and 2, with the message and no traceback."""
    quiet_libraries()
    try:
        with needs(TORCH, "this command"):
            yield
    except BibimError as error:
        if os.environ.get("BIBIM_DEBUG") and error.__cause__ is not None:
            Console(stderr=True).print(str(error.__cause__), highlight=False, markup=False)
        Console(stderr=True, soft_wrap=True).print(
            f"bibim: {error}", style="red", highlight=False, markup=False
        )
        raise typer.Exit(error.exit_code) from None
    except (FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        if error.filename is None or os.environ.get("BIBIM_DEBUG"):
            raise
        Console(stderr=True, soft_wrap=True).print(
            f"bibim: {error.filename}: {error.strerror}; name another place, or make room there",
            style="red",
            highlight=False,
            markup=False,
        )
        raise typer.Exit(InputError.exit_code) from None
    except KeyboardInterrupt:
        Console(stderr=True).print("bibim: stopped; run the same command again to go on")
        raise typer.Exit(130) from None


def _count(text: str) -> int:
    """Return 100_000 for "100k"."""
    from schemas.config import parse_count

    try:
        count = int(parse_count(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if count < 1:
        raise typer.BadParameter(f"{text!r} is less than 1")
    return count


def console() -> Console:
    """Return the console for results: as wide as the terminal, 100 columns elsewhere."""
    return Console() if sys.stdout.isatty() else Console(width=100)


@app.command(
    context_settings={"allow_extra_args": True},
    epilog="""Examples:

    bibim run mixtures/demo.yaml --out out/demo

    bibim run mixtures/ko-en-code.yaml --out out/full --set mixture.tokens=10M

    bibim run mixtures/ko-en-code.yaml --out out/full --stages ingest,identify --workers 1
""",
)
def run(
    context: typer.Context,
    config: ConfigFile,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            parser=place,
            metavar="PATH",
            help="Output folder, s3://, gs:// and hdfs:// too; an earlier run goes on there.",
        ),
    ],
    stages: Annotated[
        str | None, typer.Option("--stages", help="Only these, comma-separated, in their order.")
    ] = None,
    overrides: Overrides = None,
    runner: Annotated[str, typer.Option("--runner", help="local, spark or dataflow.")] = "local",
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            min=0,
            help="Worker processes, or cores of a cluster; 0: as many as cores and data ask.",
        ),
    ] = 0,
) -> None:
    """Run everything from raw corpora to token shards; what is done already is not done again.

    Beam options may follow `--`.
    """
    with exit_codes():
        settings = load(config, overrides)
        chosen = parse_stages(stages)
        if runner not in ("local", "spark", "dataflow"):
            raise InputError(f"--runner {runner}: no such runner; known: local, spark, dataflow")
        from pipelines.progress import reporter
        from pipelines.run import Run
        from pipelines.runners import Runner, usable_cores
        from pipelines.summary import print_summary

        count = workers
        if runner == "local":
            count = workers or min(usable_cores(), workers_for(settings))
        beam_runner = Runner(runner, count, tuple(context.args), out / f"{runner}.log")
        job = Run(settings, out, beam_runner, reporter())
        job.execute(chosen)
        print_summary(console(), out, job)
        guard(out, settings)


def prepare(out: Path, config: Config) -> None:
    """Make the index that a question is answered from, for runs of a size that takes seconds."""
    from audit.frame import Frame
    from audit.reading import documents_of, finished_steps

    if isinstance(out, StorePath) or "measure" not in finished_steps(out, config):
        return
    if sum(shard.rows for shard in documents_of(out).shards) <= PREPARED_ROWS:
        with suppress(InputError):  # more rules than the audit shows: said where it is asked
            Frame(out, config)


def guard(out: Path, config: Config) -> None:
    """Write `audit/stats.json`, print what the guards find; RunFault where `fail_on` says so."""
    from audit.guards import failing
    from audit.reading import finished_steps
    from audit.stats import STATS, write_stats
    from audit.tables import print_findings

    if "identify" not in finished_steps(out, config):
        return
    findings = write_stats(out, config).guards
    prepare(out, config)
    print_findings(console(), findings)
    if stopped := failing(findings, config):
        names = ", ".join(sorted({finding.guard for finding in stopped}))
        raise RunFault(
            f"guards.fail_on: {len(stopped)} findings of {names}, see above and {out / STATS}; "
            "the output is whole. Mend the rules or the sources, or change the guard's limit."
        )


@submit_app.command(
    name="spark",
    context_settings={"allow_extra_args": True},
    epilog="""Examples:

    bibim submit spark mixtures/ko-en-code.yaml --out /shared/out/full --output job.jar
""",
)
def submit_spark(
    context: typer.Context,
    config: ConfigFile,
    out: Annotated[
        Path,
        typer.Option(
            "--out", parser=place, metavar="PATH", help="Output folder, as every node sees it."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", metavar="JAR", dir_okay=False, help="The jar to write.")
    ],
    stages: Annotated[
        str | None, typer.Option("--stages", help="Only these, comma-separated, in their order.")
    ] = None,
    overrides: Overrides = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Cores to use; 0: what spark-submit says.")
    ] = 0,
) -> None:
    """Write a jar that spark-submit runs on a Spark 3.5 cluster: a whole run, resumable.

    Beam options may follow `--`.
    """
    with exit_codes():
        settings = load(config, overrides)
        from pipelines.spark.submit import job_of, submission, write_job

        write_job(job_of(settings, out, parse_stages(stages), workers, context.args), output)
        print(submission(output, "MASTER"))


BYTES_PER_WORKER = 16_000_000
"""Text below which another worker costs more to start, at every stage, than it gives."""


def workers_for(config: Config) -> int:
    """Return how many workers the data is worth: small corpora are done in one process."""
    from pipelines.readers.plan import estimated_bytes

    return 1 + estimated_bytes(config.sources) // BYTES_PER_WORKER


def parse_stages(text: str | None) -> tuple[str, ...]:
    """Return the stages named in `a,b`, in their fixed order; all of them for None."""
    from pipelines.catalog import STAGES

    if text is None:
        return STAGES
    named = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in named if name not in STAGES]
    if unknown or not named:
        raise InputError(
            f"--stages {text}: no stage {', '.join(unknown)!r}; known: {', '.join(STAGES)}"
        )
    return tuple(stage for stage in STAGES if stage in named)


def quiet_libraries() -> None:
    """Keep libraries' chatter off the screen; their errors still show."""
    logging.basicConfig(level=logging.ERROR)
    for name in ("presidio-analyzer", "trafilatura"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)


@app.command(
    epilog="""Examples:

    bibim plan mixtures/ko-en-code.yaml

    bibim plan mixtures/public-billion.yaml --offline

    bibim plan mixtures/ko-en-code.yaml --scale 1T --measured out/small --measured out/large
"""
)
def plan(
    config: ConfigFile,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", parser=place, metavar="PATH", help="A run's folder: show what would be re-run."
        ),
    ] = None,
    overrides: Overrides = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Check the config only; open no source.")
    ] = False,
    scale: Annotated[
        str | None,
        typer.Option("--scale", help="What a run of so much would take: 1T tokens, 4TB of text."),
    ] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            "--measured", parser=place, metavar="OUT", help="A finished run to reckon from; or two."
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Cores, for --scale.")] = 100,
) -> None:
    """Check a config and its inputs; show stages, rules and the mixture. Touches nothing."""
    with exit_codes():
        settings = load(config, overrides)
        if runs and scale is None:
            raise InputError("--measured: for a forecast only; say --scale 1T too")
        if scale is not None:
            from pipelines.scale import forecast, measured, print_forecast, target_bytes

            finished = [measured(run, settings) for run in runs or ([out] if out else [])]
            if not finished:
                raise InputError("--scale: name a finished run to reckon from: --measured OUT")
            size = target_bytes(scale, finished)
            print_forecast(console(), forecast(settings, finished, size, workers), finished)
            return
        from pipelines.summary import print_plan

        print_plan(console(), settings, out, offline)


@app.command(
    epilog="""Examples:

    bibim audit out/demo

    bibim audit out/demo --check

    bibim audit out/demo --json > funnel.json

    bibim audit out/demo --html report.html

    bibim audit out/demo --serve

    bibim audit out/tonight --against out/last --json --fail-on-change --tolerance 0.01
"""
)
def audit(
    out: Out,
    as_json: Annotated[bool, typer.Option("--json", help="The figures as JSON.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Check the books; exit 1 if they do not balance.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", dir_okay=False, help="Write the report: one file."),
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve the report, live, until interrupted.")
    ] = False,
    host: Annotated[str, typer.Option("--host", help="Where --serve listens.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")
    ] = 8642,
    show_pii: Annotated[
        bool, typer.Option("--show-pii", help="Do not mask personal data in --serve.")
    ] = False,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", parser=place, metavar="OTHER", help="Show what changed since another run."
        ),
    ] = None,
    fail_on_change: Annotated[
        bool, typer.Option("--fail-on-change", help="Exit 1 if data changed; with --against.")
    ] = False,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, help="Relative change that is none, as 0.01.")
    ] = 0.0,
) -> None:
    """Show what every rule dropped, by source and language, or check the books."""
    with exit_codes():
        if fail_on_change and against is None:
            raise InputError("--fail-on-change: against which run? Name it with --against OTHER")
        settings = load_run(out)
        if html is not None or serve:
            show_audit(out, settings, html, (host, port) if serve else None, show_pii)
            return
        if against is not None:
            compare(out, settings, against, as_json, tolerance if fail_on_change else None)
            return
        from audit.check import check_run
        from audit.stats import stats
        from audit.tables import print_checks, print_findings, print_ledger, print_stages

        if check:
            checks = check_run(out, settings)
            if as_json:
                print(json.dumps([c.model_dump() for c in checks], indent=1, ensure_ascii=False))
            else:
                print_checks(console(), checks)
            if not all(c.holds for c in checks):
                raise typer.Exit(1)
            return
        books = stats(out, settings)
        if as_json:
            print(json.dumps(books.model_dump(), indent=1, ensure_ascii=False))
        else:
            print_ledger(console(), books)
            print_stages(console(), books)
            print_findings(console(), books.guards)


def show_audit(
    out: Path, settings: Config, html: Path | None, address: tuple[str, int] | None, show_pii: bool
) -> None:
    """Write the report to `html`, then serve it at `address`, each where it is asked for."""
    if show_pii and address is None:
        raise InputError("--show-pii goes with --serve: a report never shows personal data")
    from audit.frame import Frame
    from audit.views import Views

    frame = Frame(out, settings)
    if html is not None:
        from audit.report.page import write_report

        size = write_report(Views(frame), html)
        console().print(f"[bold]{html}[/bold]: {size:,} bytes", highlight=False)
    if address is not None:
        from audit.server import serve as start

        start(Views(frame, show_pii), *address, lambda url: console().print(f"[bold]{url}[/bold]"))


def compare(
    out: Path, settings: Config, other: Path, as_json: bool, tolerance: float | None
) -> None:
    """Print what changed from `other` to `out`; RunFault where it is more than `tolerance`."""
    from audit.compare import compare_runs
    from audit.tables import print_difference

    difference = compare_runs((out, settings), (other, load_run(other)))
    changes = difference.changes(tolerance or 0.0)
    if as_json:
        found = {**difference.model_dump(), "changes": changes}
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        print_difference(console(), difference)
    if tolerance is not None and changes:
        raise RunFault(f"{len(changes)} figures changed since {other}; first: {changes[0]}")


@app.command(
    epilog="""Example:

    bibim explain out/demo 8f14e45fceea167a5a36dedd4bea2543

    bibim explain out/demo --shard 3 --token 1048576
"""
)
def explain(
    out: Out,
    document: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="A document's id in hex, or its origin FILE:LINE."),
    ] = None,
    shard: Annotated[int | None, typer.Option(help="Of the mixture, from 0; with --token.")] = None,
    token: Annotated[
        int | None, typer.Option(help="Of the shard, from 0: shows the document that it is of.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show one document: where it came from, its signals, the verdict, where its tokens went."""
    with exit_codes():
        settings = load_run(out)
        if shard is not None and token is not None and document is None:
            from mixtures.shards import locate

            document = locate(out / "mixture", shard, token)["id"].hex()
        elif document is None or shard is not None or token is not None:
            raise InputError("name a document by its ID, or a token by --shard and --token")
        from audit.explain import explain_document
        from audit.tables import print_explanation

        explanation = explain_document(out, settings, document)
        if as_json:
            print(json.dumps(explanation.model_dump(), indent=1, ensure_ascii=False, default=str))
        else:
            print_explanation(console(), explanation)


@app.command(
    "what-if",
    epilog="""Examples:

    bibim what-if out/demo --rule "ko.hangul_ratio>=0.3"

    bibim what-if out/demo --rule "en.stop_words>=4" --rule "all.chars>=200"
""",
)
def what_if(
    out: Out,
    rule: Annotated[
        list[str], typer.Option("--rule", help='Such as "ko.hangul_ratio>=0.3"; repeatable.')
    ],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show what changes if a rule is added or altered. Recomputes no signal."""
    with exit_codes():
        settings = load_run(out)
        from audit.tables import print_what_if
        from audit.what_if import compare_rules

        comparison = compare_rules(out, settings, rule)
        if as_json:
            print(json.dumps(comparison.model_dump(), indent=1, ensure_ascii=False))
        else:
            print_what_if(console(), comparison)


@app.command(
    epilog="""Examples:

    bibim card out/demo

    bibim card out/demo --out card
"""
)
def card(
    out: Out,
    to: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Left out: beside the shards, OUT/mixture."),
    ] = None,
) -> None:
    """Write a Hugging Face dataset card and Croissant metadata with the ledger's figures."""
    with exit_codes():
        settings = load_run(out)
        from audit.card import write_card

        for path in write_card(out, settings, to or out / "mixture"):
            console().print(f"[bold]{path}[/bold]: {path.stat().st_size:,} bytes")


@benchmarks_app.command("list")
def benchmarks_list() -> None:
    """Show the benchmarks that are known, and where their items are."""
    from rich.table import Table

    from pipelines.benchmarks import BENCHMARKS

    table = Table(box=None)
    for heading in ("name", "language", "columns of an item", "on the hub, or a note"):
        table.add_column(heading)
    for one in BENCHMARKS:
        where = ", ".join(place for place, _ in one.places[:2]) + (" …" if one.places[2:] else "")
        table.add_row(one.name, one.lang, ", ".join(one.fields), where or one.note)
    console().print(table)


@benchmarks_app.command(
    "fetch",
    epilog="""Example:

    bibim benchmarks fetch kmmlu gsm8k humaneval kold=kold_v1.json --out benchmarks.jsonl

and in the config

    decontaminate: {against: [benchmarks.jsonl]}
""",
)
def benchmarks_fetch(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME[=FILE]…", help="From the hub, or from a file as published."),
    ],
    out: Annotated[Path, typer.Option("--out", help="JSONL for `decontaminate.against`.")],
) -> None:
    """Gather the items of benchmarks in one file."""
    with exit_codes():
        from pipelines.benchmarks import read_benchmark
        from pipelines.files import write_text

        found = {name: read_benchmark(name) for name in names}
        lines = [json.dumps(item, ensure_ascii=False) for part in found.values() for item in part]
        write_text(out, "\n".join(lines) + "\n")
        for name, part in found.items():
            console().print(f"{name}: {len(part):,} items")
        console().print(f"[bold]{out}[/bold]: {len(lines):,} items")


@tokenizer_app.command(
    "train",
    epilog="""Example:

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
    vocab_size: Annotated[int, typer.Option(help="Pieces, special ones included.")] = 32_000,
    morphemes: Annotated[
        bool, typer.Option(help="No piece crosses a boundary between Korean morphemes.")
    ] = True,
    sample: Annotated[str, typer.Option(help="Text to train on.")] = "24MB",
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 0,
) -> None:
    """Train a SentencePiece BPE model with byte fallback."""
    with exit_codes():
        from pydantic import ValidationError

        from pipelines.tokenizers import train_from_files
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
    epilog="""Example:

    echo "비빔밥 한 그릇" | bibim tokenizer encode out/demo/tokenizer
""",
)
def tokenizer_encode(
    model: Annotated[Path, typer.Argument(help="A model file, or the folder that holds it.")],
    text: Annotated[str | None, typer.Argument(help="Left out: standard input.")] = None,
    ids: Annotated[bool, typer.Option("--ids", help="Print numbers only.")] = False,
) -> None:
    """Show the tokens of a text."""
    with exit_codes():
        from mixtures.tokenizer import Tokenizer
        from pipelines.tokenizers import encode_text

        tokens = encode_text(Tokenizer.load(model), text if text is not None else sys.stdin.read())
        if ids:
            print(" ".join(str(token.id) for token in tokens))
        else:
            for token in tokens:
                print(f"{token.id}\t{token.text!r}")


@tokenizer_app.command(
    "stats",
    epilog="""Example:

    bibim tokenizer stats out/demo --against llama=llama.model
""",
)
def tokenizer_stats(
    out: Out,
    against: Annotated[
        list[str] | None, typer.Option("--against", help="NAME=MODEL_FILE; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Compare a run's tokenizer with plain BPE of its size and with others, by component."""
    with exit_codes():
        settings = load_run(out)
        from pipelines.context import Context
        from pipelines.summary import print_fertility
        from pipelines.tokenizers import run_stats

        others = {}
        for pair in against or ():
            name, equals, path = pair.partition("=")
            if not equals:
                raise InputError(f"--against {pair}: write NAME=MODEL_FILE")
            others[name] = Path(path)
        rows = run_stats(Context(out, settings, "tokenize"), others)
        if as_json:
            print(json.dumps([row.model_dump() for row in rows], indent=1, ensure_ascii=False))
        else:
            print_fertility(console(), rows)


Data = Annotated[
    list[Path], typer.Option("--data", help="Labelled JSONL (`text`, `label`); repeatable.")
]
ModelOut = Annotated[Path, typer.Option("--out", help="The model file, ending in .npz.")]
Note = Annotated[str, typer.Option(help="What the card says of the data.")]
Licence = Annotated[str, typer.Option(help="The data's licence, for the card.")]


@tokenizer_app.command(
    "export",
    epilog="""Example:

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
        from mixtures.huggingface import export_tokenizer
        from mixtures.tokenizer import Tokenizer

        for path in export_tokenizer(Tokenizer.load(model), out):
            console().print(f"[bold]{path}[/bold]: {path.stat().st_size:,} bytes")


TrainFile = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="A training file, as in trainer/configs/.")
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
    """Train a model on a mixture; the same command goes on where it stopped."""
    with exit_codes():
        from trainer.config import load_training
        from trainer.pretrain import pretrain

        last = pretrain(load_training(file, overrides or ()), out, _say)
        console().print(f"[bold]{last}[/bold]")


@train_app.command(
    "sft",
    epilog="""Example:

    bibim train sft sft.yaml --out out/chat

with sft.yaml

    name: chat
    checkpoint: out/tiny
    chats: [chats.jsonl]           # {"messages": [{"role", "content"}, …], "task": a tag}
    sbr: {strength: 1.0e-3}        # if wanted: chats of a task pull each other together
""",
)
def train_sft(file: TrainFile, out: TrainOut, overrides: Overrides = None) -> None:
    """Tune a checkpoint on chats: loss on the assistant's turns only."""
    with exit_codes():
        from trainer.sft import load_sft, tune

        last = tune(load_sft(file, overrides or ()), out, _say)
        console().print(f"[bold]{last}[/bold]")


@train_app.command(
    "sbr",
    epilog="""Example:

    bibim train sbr sbr.yaml --out out/sentiment

with sbr.yaml

    name: sentiment
    checkpoint: out/tiny
    train: [reviews.jsonl]
    method: {name: sbr, strength: 1.0e-3}
""",
)
def train_sbr(file: TrainFile, out: TrainOut, overrides: Overrides = None) -> None:
    """Fine-tune on few labelled texts, with sample-based regularisation or a baseline."""
    with exit_codes():
        from trainer.finetune import fine_tune, load_fine_tuning

        card = fine_tune(load_fine_tuning(file, overrides or ()), out, _say)
        console().print(f"[bold]{card}[/bold]")


def _say(line: str) -> None:
    console().print(line, highlight=False)


Checkpoint = Annotated[
    Path, typer.Argument(metavar="CKPT", help="A checkpoint, or the folder of a training.")
]


@app.command(
    epilog="""Example:

    bibim export out/tiny --to hf --out out/tiny-hf
"""
)
def export(
    checkpoint: Checkpoint,
    out: Annotated[
        Path, typer.Option("--out", file_okay=False, help="Folder for the exported model.")
    ],
    to: Annotated[str, typer.Option(help="`hf`: a Llama that transformers loads.")] = "hf",
    tokenizer: Annotated[
        Path | None, typer.Option(help="Where the mixture's tokenizer lies, if it moved.")
    ] = None,
) -> None:
    """Write a checkpoint and its tokenizer for other programs."""
    with exit_codes():
        if to != "hf":
            raise InputError(f"--to {to}: only `hf` is known")
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
        typer.Option(parser=_count, metavar="COUNT", help="Held-out tokens of each component."),
    ] = "100k",  # type: ignore[assignment]  # parsed like a given one
    limit: Annotated[int | None, typer.Option(min=1, help="Questions of each task.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Measure loss and bits a byte by component, and accuracy on multiple-choice tasks."""
    with exit_codes():
        from trainer.evaluate import evaluate_checkpoint

        found = evaluate_checkpoint(checkpoint, tokens, task or [], limit)
        if as_json:
            print(json.dumps(found, indent=1))
            return
        for name, value in found.items():
            console().print(f"{name}: {value:.4f}", highlight=False)


@fit_app.command(
    "toxicity",
    epilog="""Example:

    bibim fit toxicity --data comments.jsonl.zst --out toxicity.npz

    bibim fit toxicity --data comments.jsonl.zst --transformer --text reviews.jsonl.zst --out slow
""",
)
def fit_toxicity_command(
    data: Data,
    out: Annotated[Path, typer.Option(help="The model file, .npz; a transformer's folder.")],
    transformer: Annotated[
        bool, typer.Option("--transformer", help="A small transformer: slower, for Hangul.")
    ] = False,
    text: Annotated[
        list[Path] | None, typer.Option(help="For it: JSONL of text like the data; repeatable.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="For it: passes over the rows.")] = 4,
    seed: Annotated[int, typer.Option(help="For it: of its random numbers.")] = 0,
    note: Note = "",
    licence: Licence = "",
) -> None:
    """Train the toxicity model from rows {text, label: 1 = toxic}; writes model and card."""
    with exit_codes():
        if transformer:
            from filters.fit_transformer import fit_transformer

            progress = partial(typer.echo, err=True)  # the card's figures are the output
            card = fit_transformer(
                data, out, text or [], epochs, seed, note=note, licence=licence, say=progress
            )
        else:
            from filters.fit import fit_toxicity

            card = fit_toxicity(data, out, note, licence)
        console().print_json(data=card)


@fit_app.command(
    "quality",
    epilog="""Example:

    bibim fit quality --data pages.jsonl --out quality.npz
""",
)
def fit_quality_command(
    data: Data,
    out: ModelOut,
    embedder: Annotated[str, typer.Option(help="As quality.embedder in a config.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda.")] = "auto",
    note: Note = "",
    licence: Licence = "",
) -> None:
    """Train the quality head from rows {text, label: 1 = good}; writes head and card."""
    with exit_codes():
        from filters.fit import fit_quality

        console().print_json(data=fit_quality(data, out, embedder, device, note, licence))


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
