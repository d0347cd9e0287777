"""What an oracle finds out, once per test run: its cases take seconds, its promises share them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock


def once(
    temporary: pytest.TempPathFactory,
    worker: str,
    name: str,
    find: Callable[[Path], dict[str, Any]],
    as_json: Callable[[object], str] = str,
) -> dict[str, Any]:
    """Return what `find` returns for a folder called `name`; the processes of one run share it.

    `as_json` writes what JSON has no form for.
    """
    base = temporary.getbasetemp()
    folder = (base if worker == "master" else base.parent) / name
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        path = folder / "found.json"
        if not path.exists():
            path.write_text(json.dumps(find(folder), default=as_json), "utf-8")
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found
