"""`bibim audit`, `explain`, `what-if` and `card`: what reads a finished run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bibim.cli.audit_old_form import OLD_FORM, AuditGroup, old_form
from bibim.cli.figures import (
    check_figures,
    compare_figures,
    serve_report,
    show_figures,
    write_html,
)
from bibim.cli.options import (
    EXIT_CODES,
    HOST,
    PORT,
    FailOnChange,
    Json,
    Out,
    commands,
    console,
    exit_codes,
    load_run,
    to_path,
)
from pipelines.storage.layout import MIXTURE
from schemas.errors import InputError

app = commands()
audit_app = commands(
    "Show, check, serve and compare the figures of a run.",
    "bibim audit show out/demo",
    "bibim audit check out/demo",
    "bibim audit serve out/demo",
    cls=AuditGroup,
)
app.add_typer(audit_app, name="audit")
audit_app.command(
    OLD_FORM,
    hidden=True,
    epilog="""Examples:

    bibim audit show out/demo
""",
)(old_form)

Report = Annotated[
    Path, typer.Option("--html", "--out", metavar="FILE", dir_okay=False, help="The file to write.")
]
Other = Annotated[
    Path, typer.Argument(metavar="OTHER", parser=to_path, help="The earlier run's output folder.")
]


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


@audit_app.command(
    epilog="""Examples:

    bibim audit report out/demo --html report.html
"""
)
def report(out: Out, file: Report) -> None:
    """Write the report as one HTML file that needs no network. It masks personal data."""
    with exit_codes():
        write_html(out, file)


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
