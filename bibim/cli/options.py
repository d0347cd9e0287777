"""Arguments and options that several commands take, and how a command ends.

Imports stay inside functions: `--help` of a command then takes a third of a second.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer.core import TyperGroup

from schemas.errors import BibimError, InputError
from schemas.extras import TORCH, needs

if TYPE_CHECKING:
    from rich.console import Console

    from schemas.config import Config

MARKUP: Literal["markdown"] = "markdown"
SETTINGS = {"help_option_names": ["-h", "--help"]}
EXIT_CODES = """Exit codes: 0 success; 1 the run or a check failed; 2 a wrong argument, config or
input; 130 interrupted."""


HOST, PORT = "127.0.0.1", 8642
"""Where `audit serve` listens."""


def commands(
    help: str | None = None, *examples: str, cls: type[TyperGroup] | None = None
) -> typer.Typer:
    """Return an empty Typer app: a group of commands, described by `help` and command lines."""
    return typer.Typer(
        cls=cls,
        help=help,
        epilog="\n\n".join(("Examples:", *examples)) if examples else None,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=MARKUP,
        context_settings=SETTINGS,
    )


def to_path(text: str) -> Path:
    """Return a local path, or one of an object store (`s3://`, `gs://`, `hdfs://`)."""
    if "://" not in text and not text.startswith(("s3:/", "gs:/", "hdfs:/")):
        return Path(text)
    from pipelines.storage.store import as_path

    return as_path(text)


def parse_count(text: str) -> int:
    """Return 100_000 for "100k"."""
    from schemas.values import parse_count as parse

    try:
        count = int(parse(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if count < 1:
        raise typer.BadParameter(f"{text!r} is less than 1")
    return count


def parse_stages(text: str | None) -> tuple[str, ...]:
    """Return the stages named in `a,b`, in the order in which they run; all of them for None."""
    from pipelines.stages.catalog import COMMANDS

    if text is None:
        return COMMANDS
    named = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in named if name not in COMMANDS]
    if unknown or not named:
        raise InputError(
            f"--stages {text}: no stage {', '.join(unknown)!r}; choose from {', '.join(COMMANDS)}"
        )
    return tuple(stage for stage in COMMANDS if stage in named)


ConfigFile = Annotated[
    Path,
    typer.Argument(metavar="CONFIG", parser=to_path, help="A recipe, such as mixtures/demo.yaml."),
]
Out = Annotated[
    Path, typer.Argument(metavar="OUT", parser=to_path, help="The output folder of a run.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the config; repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FailOnChange = Annotated[bool, typer.Option("--fail-on-change", help="Exit 1 if data changed.")]


def load(file: Path, overrides: list[str] | None, secrets: bool = True) -> Config:
    """Load a config; `${BIBIM_STDLIB}` in it is this interpreter's standard library."""
    import sysconfig

    from schemas.load import load_config

    os.environ.setdefault("BIBIM_STDLIB", sysconfig.get_paths()["stdlib"])
    return load_config(file, overrides or (), secrets)


def load_run(out: Path) -> Config:
    """Return the config that made `out`, secrets aside. Raises InputError where there is no run."""
    from pipelines.storage.layout import CONFIG

    if not (out / CONFIG).exists():
        raise InputError(f"{out}: is not a run (no config.yaml); name the --out of a run")
    return load(out / CONFIG, None, secrets=False)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn the two kinds of stop into exit codes 1 and 2, with the message and no traceback."""
    quiet_libraries()
    try:
        with needs(TORCH, "this command"):
            yield
    except BibimError as error:
        if os.environ.get("BIBIM_DEBUG") and error.__cause__ is not None:
            complain(str(error.__cause__))
        complain(f"bibim: {error}", "red")
        raise typer.Exit(error.exit_code) from None
    except (FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        if error.filename is None or os.environ.get("BIBIM_DEBUG"):
            raise
        complain(
            f"bibim: {error.filename}: {error.strerror}; name another place, or make room there",
            "red",
        )
        raise typer.Exit(InputError.exit_code) from None
    except KeyboardInterrupt:
        complain("bibim: interrupted; run the same command again to resume")
        raise typer.Exit(130) from None


def complain(text: str, style: str | None = None) -> None:
    """Print a message on standard error, in colour on a terminal."""
    from rich.console import Console

    Console(stderr=True, soft_wrap=True).print(
        text, style=style, highlight=False, markup=False, emoji=False
    )


def console() -> Console:
    """Return the console for results: as wide as the terminal, 100 columns elsewhere."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=100)


INTERRUPTED_WORKER = re.compile(r"Worker subprocess exited with return code (-2|130)$")
"""What Beam's thread of a local worker raises when Ctrl-C has ended the worker."""


def thread_error(error: threading.ExceptHookArgs) -> None:
    """Print the traceback of a thread, except that of a worker that Ctrl-C has ended."""
    if not INTERRUPTED_WORKER.match(str(error.exc_value)):
        threading.__excepthook__(error)


def quiet_libraries() -> None:
    """Keep libraries' log messages off the screen; their errors still show."""
    threading.excepthook = thread_error
    logging.basicConfig(level=logging.ERROR)
    for name in ("presidio-analyzer",):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)
