"""A group of commands whose files are imported only when a command is named.

`--help` lists names and one-line helps from a table, so it imports none of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typer.core import TyperCommand, TyperGroup
from typer.main import get_group


@dataclass(frozen=True)
class Lazy:
    """Where a command is defined: a module whose `app` has it under the same name."""

    module: str
    help: str
    """What `--help` of the group shows; equal to the first paragraph of the command's own help."""


class LazyGroup(TyperGroup):
    """A Typer group with `commands` from `table`; subclasses set the table."""

    table: Mapping[str, Lazy] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command if it was loaded, else a stand-in with its name and help."""
        if cmd_name in self.commands or cmd_name not in self.table:
            return super().get_command(ctx, cmd_name)
        return TyperCommand(cmd_name, help=self.table[cmd_name].help)

    def load(self, name: str) -> Any:
        """Import the command `name` and return it. KeyError where the table lacks it."""
        if name not in self.commands:
            module = importlib.import_module(self.table[name].module)
            self.commands[name] = get_group(module.app).commands[name]
        return self.commands[name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load the command that `args` name, then let Typer find it."""
        if args and args[0] in self.table:
            self.load(args[0])
        return super().resolve_command(ctx, args)
