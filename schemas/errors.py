"""The two ways in which Bibim stops: the user's input is wrong, or the run found a fault."""

from __future__ import annotations


class BibimError(Exception):
    """A stop with a message for the user; no traceback is shown. `exit_code` is the process's."""

    exit_code = 1


class RunFault(BibimError):
    """The run found a fault (too many rejects, books that don't balance, a changed file)."""

    exit_code = 1


class InputError(BibimError):
    """The user's input is wrong (config, arguments, a path). The message names the remedy."""

    exit_code = 2
