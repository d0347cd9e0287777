"""What the commands of `bibim audit` do: print, check, serve and compare the figures of a run."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bibim.cli.options import console, load_run
from schemas.errors import RunFault

if TYPE_CHECKING:
    from audit.query.frame import Frame


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


def write_html(out: Path, file: Path) -> None:
    """Write the report of the run in `out` to `file`."""
    frame = _frame(out)
    from audit.report.page import write_report
    from audit.report.views import Views

    size = write_report(Views(frame), file)
    console().print(f"[bold]{file}[/bold]: {size:,} bytes", highlight=False)


def serve_report(out: Path, host: str, port: int, show_pii: bool) -> None:
    """Serve the report of the run in `out` until interrupted."""
    frame = _frame(out)
    from audit.report.server import serve as start
    from audit.report.views import Views

    with suppress(KeyboardInterrupt):  # Ctrl-C is how a server ends: there is nothing to resume
        start(
            Views(frame, show_pii), host, port, lambda url: console().print(f"[bold]{url}[/bold]")
        )


def _frame(out: Path) -> Frame:
    settings = load_run(out)
    from audit.query.frame import Frame

    return Frame(out, settings)


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
