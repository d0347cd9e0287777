"""Files of a run that are whole or absent, on this machine (`schemas.files`) and on stores.

Inputs are opened by `open_input`, wherever they are stored; the output folder is on a file system
that this machine (and every worker) mounts, or on a store (see `pipelines.storage.store`).
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from pipelines.storage.store import StorePath, upload
from schemas import files
from schemas.errors import InputError
from schemas.files import TEMPORARY
from schemas.manifest import MANIFEST, Manifest

REMOTE = ("gs://", "s3://", "hdfs://", "hf://")


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a path to write to; on leaving, `path` is that file, synced and whole.

    For local paths that is `schemas.files.atomic_path`. For a path on a store a local file is
    yielded, which is uploaded whole; RunFault if that fails.
    """
    if isinstance(path, StorePath):
        with tempfile.TemporaryDirectory(prefix="bibim-") as folder:
            yield Path(folder) / path.name
            upload(Path(folder) / path.name, path)
        return
    with files.atomic_path(path) as temporary:
        yield temporary


def write_text(path: Path, text: str) -> None:
    """Write a small text file atomically, UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `_manifest.json`. A stage does so last."""
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=1) + "\n")


def remove_temporary(folder: Path) -> int:
    """Remove partial files of a killed run in `folder` and one level below; return their number."""
    left = [*folder.glob(f"{TEMPORARY}*"), *folder.glob(f"*/{TEMPORARY}*")]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def is_remote(path: str) -> bool:
    return path.startswith(REMOTE)


def open_input(path: str) -> BinaryIO:
    """Open an input for reading bytes: a local path, or a URL of a store or of the Hub.

    Raises OSError as `open` does, InputError where the package for the URL is
    not installed.
    """
    if not is_remote(path):
        return open(path, "rb")  # the caller closes it
    if path.startswith("hf://"):
        try:
            from huggingface_hub import HfFileSystem
        except ImportError:
            raise InputError(f"{path}: reading hf:// needs `pip install huggingface_hub`") from None
        opened: BinaryIO = HfFileSystem().open(path, "rb")
        return opened
    return cast(BinaryIO, StorePath(path).open("rb"))
