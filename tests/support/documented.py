"""Commands that pages show, and whether the command line and the Makefile have them."""

from __future__ import annotations

import re
import shlex
from functools import cache
from typing import Any

import typer.main

from bibim.cli.app import app
from tests.support import ROOT

FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`((?:\.venv/bin/)?bibim [^`]+|make [a-z][^`]*)`")
PROMPT = re.compile(r"^(?:\$ |# )?(?:\.venv/bin/)?(bibim|make) (?=[a-z-])")
TARGET = re.compile(r"[a-z][a-z-]*$")


def commands(page: str) -> list[str]:
    """Return the lines and the inline code of a page that call `bibim` or `make`, in order.

    A line is one of a code block, of an indented block or of a script; `\\` joins it to the next.
    """
    text = page.replace("\\\n", " ")
    lines = [line.strip() for line in text.split("\n")]
    found = [line for line in lines if PROMPT.match(line)]
    return found + INLINE.findall(FENCE.sub("", text))


def fault(command: str) -> str | None:
    """Return what a command names that does not exist; None where all of it does."""
    try:
        words = shlex.split(command.removeprefix("$ "), comments=True)
    except ValueError as error:
        return str(error)
    words = words[: next((n for n, w in enumerate(words) if w in ("|", "&&", ">", "--")), None)]
    if words[0] == "make":
        named = {word for word in words[1:] if TARGET.match(word)}
        return ", ".join(sorted(named - targets())) or None
    return unknown(words[1:])


def unknown(words: list[str]) -> str | None:
    """Return the sub-command or option of `bibim` that does not exist, or None."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name = words.pop(0)
        if hasattr(command, "load") and name in command.table:
            command.load(name)
        if name not in command.commands:
            return name
        command = command.commands[name]
    if hasattr(command, "commands") and not words:
        return None  # a group, named as such
    options = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    given = (word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word))
    return next((word for word in given if word not in {*options, "--help", "-h"}), None)


@cache
def targets() -> set[str]:
    """Return the targets of the Makefile."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
