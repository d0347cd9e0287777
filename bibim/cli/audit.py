"""`bibim audit`, `explain`, `what-if` and `card`: what reads a finished run."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from bibim.cli.options import (
    EXIT_CODES,
    Json,
    Out,
    commands,
    complain,
    console,
    exit_codes,
    load_run,
    to_path,
)
from pipelines.storage.layout import MIXTURE
from schemas.errors import InputError, RunFault

if TYPE_CHECKING:
    from audit.query.frame import Frame

HOST, PORT = "127.0.0.1", 8642
OLD_FORM = "old-form"
"""The hidden command that takes `bibim audit OUT …`, the form before 0.2."""


class AuditGroup(TyperGroup):
    """The commands of `audit`. What begins with an option or a path is the form before 0.2."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that `args` name, or the old form for `OUT [OPTION]…`."""
        if args and args[0] not in self.commands and ("/" in args[0] or Path(args[0]).exists()):
            args = [OLD_FORM, *args]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take an option before OUT as the old form too, as in `audit --check OUT`."""
        if args and args[0].startswith("-") and args[0] not in ctx.help_option_names:
            args = [OLD_FORM, *args]
        return super().parse_args(ctx, args)


app = commands()
audit_app = commands(
    "Show, check, serve and compare the figures of a run.",
    "bibim audit show out/demo",
    "bibim audit check out/demo",
    "bibim audit serve out/demo",
    cls=AuditGroup,
)
app.add_typer(audit_app, name="audit")

Report = Annotated[
    Path, typer.Option("--html", "--out", metavar="FILE", dir_okay=False, help="The file to write.")
]
Other = Annotated[
    Path, typer.Argument(metavar="OTHER", parser=to_path, help="The earlier run's output folder.")
]
FailOnChange = Annotated[bool, typer.Option("--fail-on-change", help="Exit 1 if data changed.")]


@audit_app.command(
    epilog="""Examples:

    bibim audit show out/demo

    bibim audit show out/demo --json > ledger.json
"""
)
def show(out: Out, as_json: Json = False) -> None:
    """Show what every rule dropped, by source and language."""
    with exit_codes():
        show_figures(out, as_json)


def show_figures(out: Path, as_json: bool) -> None:
    """Print the ledger, the stages and the findings of the run in `out`."""
    settings = load_run(out)
    from audit.accounting.stats import stats
    from audit.report.tables import print_findings, print_ledger, print_stages

    figures = stats(out, settings)
    if as_json:
        print(json.dumps(figures.model_dump(), indent=1, ensure_ascii=False))
        return
    print_ledger(console(), figures)
    print_stages(console(), figures)
    print_findings(console(), figures.guards)


@audit_app.command(
    epilog=f"""{EXIT_CODES}

Examples:

    bibim audit check out/demo

    bibim audit check out/demo --json
"""
)
def check(out: Out, as_json: Json = False) -> None:
    """Count every stage again and compare every file with its manifest."""
    with exit_codes():
        check_figures(out, as_json)


def check_figures(out: Path, as_json: bool) -> None:
    """Print the checks of the run in `out`. Raises typer.Exit(1) where one fails."""
    settings = load_run(out)
    from audit.accounting.check import check_run
    from audit.report.tables import print_checks

    checks = check_run(out, settings)
    if as_json:
        print(json.dumps([c.model_dump() for c in checks], indent=1, ensure_ascii=False))
    else:
        print_checks(console(), checks)
    if not all(c.holds for c in checks):
        raise typer.Exit(1)


@audit_app.command(
    epilog="""Examples:

    bibim audit report out/demo --html report.html
"""
)
def report(out: Out, file: Report) -> None:
    """Write the report as one HTML file that needs no network. It masks personal data."""
    with exit_codes():
        write_html(out, file)


def write_html(out: Path, file: Path) -> None:
    """Write the report of the run in `out` to `file`."""
    frame = _frame(out)
    from audit.query.views import Views
    from audit.report.page import write_report

    size = write_report(Views(frame), file)
    console().print(f"[bold]{file}[/bold]: {size:,} bytes", highlight=False)


@audit_app.command(
    epilog="""Examples:

    bibim audit serve out/demo

    bibim audit serve out/demo --port 0 --show-pii
"""
)
def serve(
    out: Out,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = HOST,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free port.")] = PORT,
    show_pii: Annotated[bool, typer.Option("--show-pii", help="Show personal data.")] = False,
) -> None:
    """Serve the report, with live thresholds, until interrupted."""
    with exit_codes():
        serve_report(out, host, port, show_pii)


def serve_report(out: Path, host: str, port: int, show_pii: bool) -> None:
    """Serve the report of the run in `out` until interrupted."""
    frame = _frame(out)
    from audit.query.views import Views
    from audit.report.server import serve as start

    with suppress(KeyboardInterrupt):  # Ctrl-C is how a server ends: there is nothing to resume
        start(
            Views(frame, show_pii), host, port, lambda url: console().print(f"[bold]{url}[/bold]")
        )


def _frame(out: Path) -> Frame:
    settings = load_run(out)
    from audit.query.frame import Frame

    return Frame(out, settings)


@audit_app.command(
    epilog="""Examples:

    bibim audit compare out/tonight out/last

    bibim audit compare out/tonight out/last --json --fail-on-change --tolerance 0.01
"""
)
def compare(
    out: Out,
    other: Other,
    as_json: Json = False,
    fail_on_change: FailOnChange = False,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance", min=0, help="Ignore relative changes up to this fraction, e.g. 0.01."
        ),
    ] = None,
) -> None:
    """Show what changed since another run, and why."""
    with exit_codes():
        if tolerance is not None and not (fail_on_change or as_json):
            raise InputError("--tolerance: add --fail-on-change or --json, which use it")
        compare_figures(out, other, as_json, fail_on_change, tolerance or 0.0)


def compare_figures(
    out: Path, other: Path, as_json: bool, fail_on_change: bool, tolerance: float
) -> None:
    """Print what changed from `other` to `out`; RunFault where that is to fail and data changed."""
    runs = (out, load_run(out)), (other, load_run(other))
    from audit.accounting.compare import compare_runs
    from audit.report.tables import print_difference

    difference = compare_runs(*runs)
    changes = difference.changes(tolerance)
    if as_json:
        printed = {**difference.model_dump(), "changes": changes}
        print(json.dumps(printed, indent=1, ensure_ascii=False))
    else:
        print_difference(console(), difference)
    if fail_on_change and changes:
        raise RunFault(f"{len(changes)} figures changed since {other}; first: {changes[0]}")


@audit_app.command(
    OLD_FORM,
    hidden=True,
    epilog="""Examples:

    bibim audit show out/demo
""",
)
def old_form(
    out: Out,
    as_json: Json = False,
    check: Annotated[bool, typer.Option("--check")] = False,
    html: Annotated[Path | None, typer.Option("--html", dir_okay=False)] = None,
    serve: Annotated[bool, typer.Option("--serve")] = False,
    host: Annotated[str | None, typer.Option("--host")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535)] = None,
    show_pii: Annotated[bool, typer.Option("--show-pii")] = False,
    against: Annotated[Path | None, typer.Option("--against", parser=to_path)] = None,
    fail_on_change: FailOnChange = False,
    tolerance: Annotated[float | None, typer.Option("--tolerance", min=0)] = None,
) -> None:
    """Take `bibim audit OUT [OPTION]…` for one more release. Use the commands of `bibim audit`."""
    with exit_codes():
        given = {
            "--json": as_json,
            "--check": check,
            "--html": html is not None,
            "--serve": serve,
            "--host": host is not None,
            "--port": port is not None,
            "--show-pii": show_pii,
            "--against": against is not None,
            "--fail-on-change": fail_on_change,
            "--tolerance": tolerance is not None,
        }
        command = new_form([option for option, present in given.items() if present])
        complain(f"bibim: use `{command}`; the form `bibim audit OUT …` ends with the next release")
        if html is not None:
            write_html(out, html)
        elif serve:
            serve_report(out, host or HOST, PORT if port is None else port, show_pii)
        elif against is not None:
            compare_figures(out, against, as_json, fail_on_change, tolerance or 0.0)
        elif check:
            check_figures(out, as_json)
        else:
            show_figures(out, as_json)


TAKES = {
    "show": {"--json"},
    "--check": {"--json"},
    "--html": set(),
    "--serve": {"--host", "--port", "--show-pii"},
    "--against": {"--json", "--fail-on-change", "--tolerance"},
}
"""What the old form chooses a command by → the options that the command takes."""
NEW = {
    "show": "bibim audit show OUT",
    "--check": "bibim audit check OUT",
    "--html": "bibim audit report OUT --html FILE",
    "--serve": "bibim audit serve OUT",
    "--against": "bibim audit compare OUT OTHER",
}


def new_form(options: list[str]) -> str:
    """Return the command that replaces `bibim audit OUT` with `options`.

    Raises InputError, naming both options, for two of which one would be ignored.
    """
    modes = [option for option in options if option in TAKES]
    if len(modes) > 1:
        commands = " and ".join(f"`{NEW[mode]}`" for mode in modes)
        raise InputError(f"{' and '.join(modes)} are separate commands; run {commands}")
    mode = modes[0] if modes else "show"
    for option in options:
        if option != mode and option not in TAKES[mode]:
            owners = [name for name, taken in TAKES.items() if option in taken and name != "show"]
            if mode == "show":
                raise InputError(f"{option} needs {owners[0]}; run `{NEW[owners[0]]} {option}`")
            raise InputError(f"{option} does not go with {mode}; `{NEW[mode]}` has no such option")
    return NEW[mode]


@app.command(
    epilog="""Examples:

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
    shard: Annotated[
        int | None, typer.Option(help="A shard of the mixture, from 0; with --token.")
    ] = None,
    token: Annotated[
        int | None, typer.Option(help="A position in the shard, from 0: show its document.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show one document: its origin, its signals, the verdict, where its tokens went."""
    with exit_codes():
        settings = load_run(out)
        if shard is not None and token is not None and document is None:
            from mixtures.shards.megatron import locate

            document = locate(out / MIXTURE, shard, token)["id"].hex()
        elif document is None or shard is not None or token is not None:
            raise InputError("name a document by its ID, or a token by --shard and --token")
        from audit.query.explain import explain_document
        from audit.report.tables import print_explanation

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
    as_json: Json = False,
) -> None:
    """Show what an added or changed rule would keep. Recomputes no signal."""
    with exit_codes():
        settings = load_run(out)
        from audit.query.what_if import compare_rules
        from audit.report.tables import print_what_if

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
        typer.Option("--out", metavar="FOLDER", help="Default: OUT/mixture."),
    ] = None,
) -> None:
    """Write a Hugging Face dataset card and Croissant metadata with the run's figures."""
    with exit_codes():
        settings = load_run(out)
        from audit.report.card import write_card

        for path in write_card(out, settings, to or out / MIXTURE):
            console().print(f"[bold]{path}[/bold]: {path.stat().st_size:,} bytes")
