"""Checkpoints: all state that a run needs to resume, written whole or not at all."""

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
    """Write `state`, whole or not at all; keep the last `keep` checkpoints.

    Deletes files that a killed process left incomplete, and checkpoints of later steps: a run
    resumes from an earlier one only if the later ones are damaged or of another run. Raises
    RunFault if the checkpoint cannot be written; the existing ones are kept then.
    """
    path = checkpoint_path(folder, step)
    try:
        for left in folder.glob(f"{TEMPORARY}step-*.pt-*"):
            left.unlink(missing_ok=True)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            torch.save({"format": FORMAT, "step": step, **state}, file)
    except (OSError, RuntimeError) as error:
        before = checkpoints(folder)
        rest = f"{before[-1].name} is unchanged" if before else "no earlier one exists"
        raise RunFault(
            f"{path}: cannot be written ({error}); {rest}. Free disk space, then resume."
        ) from None
    there = checkpoints(folder)
    last = there.index(path) + 1
    for other in (*there[: max(0, last - keep)], *there[last:]):
        other.unlink()
    return path


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint: a file, or the last one of a folder that loads.

    Raises InputError if there is none.
    """
    if path.is_dir():
        for candidate in reversed(checkpoints(path)):
            try:
                return load_checkpoint(candidate)
            except InputError:
                continue
        raise InputError(f"{path}: it holds no checkpoint; name a run's folder or a step-*.pt")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except Exception as error:  # a damaged file may raise any error in the unpickler
        raise InputError(f"{path}: damaged, or not a checkpoint ({type(error).__name__})") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(f"{path}: not a checkpoint of Bibim's trainer")
    return state
