"""`bibim audit OUT [OPTION]…`, the form before 0.2: it prints what replaces it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bibim.cli.figures import (
    check_figures,
    compare_figures,
    serve_report,
    show_figures,
    write_html,
)
from bibim.cli.options import HOST, PORT, FailOnChange, Json, Out, complain, exit_codes, to_path
from schemas.errors import InputError

OLD_FORM = "old-form"
"""The hidden command that takes the old form."""
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
