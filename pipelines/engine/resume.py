"""What is done in a folder of shards, and what a stage still has to do there.

Each finished shard leaves a receipt beside it. The manifest is written last, from the receipts, so
a folder with a manifest is complete and a killed stage resumes at the shards without a receipt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from pipelines.engine.progress import Done
from pipelines.storage.files import remove_temporary, write_manifest, write_text
from pipelines.storage.layout import RECEIPTS, SHARD_FILES, STAGE_KEY, receipt_name
from pipelines.storage.shards import read_receipts, write_receipt
from pipelines.storage.store import remove_tree
from schemas.errors import RunFault
from schemas.manifest import MANIFEST, Manifest, Shard, content_key, read_manifest


class Task(Protocol):
    """A piece of work that makes one shard: its name, and the key under which it is done."""

    @property
    def name(self) -> str: ...

    @property
    def key(self) -> str: ...


T = TypeVar("T", bound=Task)


def documents_digest(manifest: Manifest) -> str:
    """Return a key of all document shards: their names and hashes, in any order."""
    return content_key(sorted([shard.name, shard.sha256] for shard in manifest.shards))


def begin(folder: Path, key: str, tasks: Sequence[T], keep: bool) -> list[T]:
    """Make `folder` ready for a stage and return the tasks that still have to run.

    `key`: the stage's; receipts of another one are dropped. With `keep`, shards of the last
    manifest whose own key still holds get a receipt, so they are not run again. Shards that no
    task names are removed, with the files beside them.
    """
    receipts = folder / RECEIPTS
    marker = receipts / STAGE_KEY
    last = read_manifest(folder)
    if not marker.exists() or marker.read_text("utf-8") != key:
        remove_tree(receipts)
        write_text(marker, key)
        wanted = {task.name: task.key for task in tasks}
        for shard in last.shards if last and keep else ():
            if wanted.get(shard.name) == shard.key and is_whole(folder, shard):
                write_receipt(folder, shard)
    (folder / MANIFEST).unlink(missing_ok=True)
    remove_temporary(folder)
    names = {task.name for task in tasks}
    for pattern in SHARD_FILES:
        for path in folder.glob(pattern):
            if f"{path.stem}.parquet" not in names:
                path.unlink()
    done = read_receipts(folder)
    return [task for task in tasks if task.name not in done or done[task.name].key != task.key]


def is_whole(folder: Path, shard: Shard) -> bool:
    """Return whether a shard's file, and those that belong to it, are there in full size."""
    sizes = {shard.name: shard.bytes}
    sizes.update({file["name"]: file["bytes"] for file in shard.stats.get("files", [])})
    return all(
        (folder / name).exists() and (folder / name).stat().st_size == size
        for name, size in sizes.items()
    )


def finish(folder: Path, stage: str, key: str, tasks: Sequence[Task]) -> Manifest:
    """Write the manifest of a stage from its receipts, shards by name.

    Raises RunFault if one is missing.
    """
    receipts = read_receipts(folder)
    missing = [task.name for task in tasks if task.name not in receipts]
    if missing:
        raise RunFault(
            f"{folder}: {len(missing)} shards were not written (first: {missing[0]}). "
            "Run the same command again: it resumes with these."
        )
    shards = [receipts[name] for name in sorted(task.name for task in tasks)]
    manifest = Manifest(stage=stage, key=key, shards=shards)
    write_manifest(folder, manifest)
    remove_tree(folder / RECEIPTS)
    return manifest


def counter(folder: Path, sizes: dict[str, int]) -> Callable[[], Done]:
    """Return a function that sums the receipts in `folder`; each is read once.

    `sizes`: bytes of text per shard, for shards whose receipt does not note them.
    """
    seen: dict[str, tuple[int, int]] = {}

    def poll() -> Done:
        for path in (folder / RECEIPTS).glob(receipt_name("*")):
            if path.name not in seen:
                try:
                    shard = Shard.model_validate_json(path.read_text("utf-8"))
                except (FileNotFoundError, ValueError):
                    continue
                size = sizes.get(shard.name, int(shard.stats.get("text_bytes", 0)))
                seen[path.name] = (shard.rows, size)
        values = list(seen.values())
        return Done(len(values), sum(v[0] for v in values), sum(v[1] for v in values))

    return poll
