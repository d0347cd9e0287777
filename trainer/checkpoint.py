"""Checkpoints: everything that a run needs to go on, written whole or not at all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from schemas.errors import InputError, RunFault
from schemas.files import TEMPORARY, atomic_path

PATTERN = re.compile(r"step-(\d{8})\.pt")
FORMAT = "bibim-checkpoint-1"


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return the file of the checkpoint after `step` steps."""
    return folder / f"step-{step:08d}.pt"


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in `folder`, oldest first."""
    return sorted(path for path in folder.glob("step-*.pt") if PATTERN.fullmatch(path.name))


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], keep: int) -> Path:
    """Write `state`, whole or not at all; the last `keep` stay, what a kill left half-written goes.

    One of a later step goes too: whoever went on from an earlier one found it damaged, or it is
    another run's. Raises RunFault where it cannot be written; those that are there stay.
    """
    path = checkpoint_path(folder, step)
    try:
        for left in folder.glob(f"{TEMPORARY}step-*.pt-*"):
            left.unlink(missing_ok=True)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            torch.save({"format": FORMAT, "step": step, **state}, file)
    except (OSError, RuntimeError) as error:
        before = checkpoints(folder)
        rest = f"{before[-1].name} still loads" if before else "there is none before it"
        raise RunFault(f"{path}: cannot be written ({error}); {rest}. Make room, go on.") from None
    there = checkpoints(folder)
    last = there.index(path) + 1
    for other in (*there[: max(0, last - keep)], *there[last:]):
        other.unlink()
    return path


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint: a file, or the last one that loads in a folder.

    Raises InputError where there is none.
    """
    if path.is_dir():
        for candidate in reversed(checkpoints(path)):
            try:
                return load_checkpoint(candidate)
            except InputError:
                continue
        raise InputError(f"{path}: no checkpoint is here; name a run's folder or a step-*.pt")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except Exception as error:  # whatever a damaged file makes of the unpickler
        raise InputError(f"{path}: no whole checkpoint ({type(error).__name__})") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(f"{path}: not a checkpoint of Bibim's trainer")
    return state
