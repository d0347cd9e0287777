"""Manifests: which shards a folder holds, and the proof that they are whole.

A folder's `_manifest.json` is written last, so a folder with a manifest is complete. Each
shard was written under a temporary name, synced and renamed before it was listed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from schemas.errors import RunFault

MANIFEST = "_manifest.json"


class Shard(BaseModel):
    """One file of a folder: name within it, rows, size in bytes, SHA-256 in hex."""

    model_config = ConfigDict(frozen=True)

    name: str
    rows: int
    bytes: int
    sha256: str
    key: str = ""
    """Content key of the work that made it: same key, same bytes."""
    stats: dict[str, Any] = {}
    """Exact counts of this shard (records read, text bytes …), by name."""


class Manifest(BaseModel):
    """What a stage wrote: its content key and its shards in name order."""

    stage: str
    key: str
    shards: list[Shard]
    extra: dict[str, Any] = {}

    @property
    def rows(self) -> int:
        return sum(shard.rows for shard in self.shards)

    def by_name(self) -> dict[str, Shard]:
        return {shard.name: shard for shard in self.shards}


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of `folder`, or None if it has none (the stage did not finish).

    Raises RunFault if the file exists but is not a manifest.
    """
    path = folder / MANIFEST
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    try:
        return Manifest.model_validate_json(text)
    except ValueError as error:
        raise RunFault(
            f"{path}: not a manifest ({str(error).splitlines()[0]}). "
            "Delete it; the stage then checks its shards again."
        ) from None


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file in hex, read in 1 MiB pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_key(*parts: Any) -> str:
    """Return a 32-digit hex key of JSON-able `parts`: equal parts, equal key, on any machine."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
