"""Which files a source has, and how they are grouped into splits: one split per shard.

The number of splits follows from sizes alone, so shards have their names before anything is
read, and the same files always make the same shards.
"""

from __future__ import annotations

import glob
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.ingest.readers import READERS
from pipelines.ingest.readers.base import File, Reader, Split, rank
from pipelines.ingest.readers.whole import wanted
from pipelines.storage.files import is_remote
from pipelines.storage.layout import shard_name
from pipelines.storage.store import listed
from schemas.config import Ingest, Source
from schemas.errors import InputError

RATIO = {".zst": 6, ".gz": 4}
"""Bytes of text that a compressed byte expands to, about."""
MAX_SPLITS = 64
"""Splits of one file at the most: each reads the file from its start."""
TREE, TEXT = "tree", "text"
"""Formats of files without a known ending: in a folder of such files alone, and beside others."""


def format_of(name: str) -> str | None:
    """Return the format that a file's ending tells, or None."""
    plain = name.removesuffix(".zst").removesuffix(".gz")
    for reader in READERS.values():
        if name.endswith(reader.endings) or plain.endswith(reader.endings):
            return reader.name
    return None


def plan_splits(name: str, source: Source, ingest: Ingest) -> list[Split]:
    """Return the splits of the source `name`, in shard order.

    Raises InputError, naming source and path, where the path has no file.
    """
    files = list_files(name, source)
    kinds: dict[str, str] = {file.relative: source.format for file in files}
    if source.format == "auto":
        _refuse_unknown(name, source, files)
        tree = source.include or all(format_of(file.path) is None for file in files)
        kinds = {f.relative: TREE if tree else format_of(f.path) or TEXT for f in files}
    below = _limit(name, source, files, kinds) if source.limit else None
    pieces: list[tuple[str, tuple[File, ...], int, int]] = []
    group: list[File] = []
    for file in files:
        kind = kinds[file.relative]
        if READERS[kind].divisible:
            count = _count(file, READERS[kind], ingest)
            pieces += [(kind, (file,), index, count) for index in range(count)]
            continue
        if group and (
            kinds[group[0].relative] != kind
            or sum(f.size for f in group) + file.size > ingest.shard_bytes
        ):
            pieces.append((kinds[group[0].relative], tuple(group), 0, 1))
            group = []
        group.append(file)
    if group:
        pieces.append((kinds[group[0].relative], tuple(group), 0, 1))
    return [
        Split(shard_name(name, number), name, kind, members, index, count, below)
        for number, (kind, members, index, count) in enumerate(pieces)
    ]


_NO_TEXT = re.compile(
    r"\.(?:csv|tsv|xlsx?|arrow|feather|avro|orc|bz2|xz|lz4|7z|rar|br|pdf|docx?|hwpx?|epub|png|jpe?g|gif)$",
    re.IGNORECASE,
)


def _refuse_unknown(name: str, source: Source, files: list[File]) -> None:
    """Raise InputError where the path itself names a file that no reader reads.

    In a folder such files may stand beside others, and are rejected one by one.
    """
    if os.path.isdir(source.path):
        return
    for file in files:
        if _NO_TEXT.search(file.path):
            endings = ", ".join(e for reader in READERS.values() for e in reader.endings)
            raise InputError(
                f"sources.{name}.path: {file.path}: no reader for such a file; convert it to one "
                f"of {endings} (also .gz, .zst), or set sources.{name}.format"
            )


def expansion(path: str) -> int:
    """Return the expansion ratio of a file, about, by its compression: text bytes / file bytes."""
    return next((ratio for ending, ratio in RATIO.items() if path.endswith(ending)), 1)


def read_share(splits: Sequence[Split]) -> float:
    """Return the share of a source's records that its `limit` lets through, about.

    Ranks are hashes, so as many records are below a rank as numbers are.
    """
    below = splits[0].below if splits else None
    return 1.0 if below is None else below / 2**64


def estimated_bytes(sources: Mapping[str, Source]) -> int:
    """Return how many bytes of text the sources have, about, from the sizes of their files."""
    return sum(
        file.size * expansion(file.path)
        for name, source in sources.items()
        for file in list_files(name, source)
    )


def _count(file: File, reader: Reader, ingest: Ingest) -> int:
    """Return how many splits share a file of a divisible format."""
    if reader.split_bytes is None:
        share = file.size * expansion(file.path) / ingest.shard_bytes
    else:
        share = file.size / reader.split_bytes
    return max(1, min(MAX_SPLITS, math.ceil(share)))


def list_files(name: str, source: Source) -> list[File]:
    """Return the files of a source, sorted by their names within it."""
    path = source.path
    if is_remote(path):
        return _remote(name, source)
    if os.path.isdir(path):
        root = Path(path)
        found = sorted(
            os.path.join(folder, each)
            for folder, _, names in os.walk(root)
            for each in names
            if wanted(os.path.relpath(os.path.join(folder, each), root), source.include)
        )
    elif glob.has_magic(path):
        fixed = path[: re.search(r"[*?[]", path).start()]  # type: ignore[union-attr]  # has_magic
        root = Path(fixed) if fixed.endswith("/") else Path(fixed).parent
        found = sorted(p for p in glob.glob(path, recursive=True) if os.path.isfile(p))
    else:
        root = Path(path).parent
        found = [path] if os.path.exists(path) else []
    if not found:
        resolved = Path(path).absolute()
        raise InputError(
            f"sources.{name}.path: {path}: there is no such file or folder, or it is empty "
            f"(looked at {resolved}); relative paths start at the folder in which bibim is run"
        )
    return [
        File(p, Path(os.path.relpath(p, root)).as_posix(), s.st_size, str(s.st_mtime_ns))
        for p in found
        for s in (os.stat(p),)
    ]


def _remote(name: str, source: Source) -> list[File]:
    if source.path.startswith("hf://"):
        try:
            from huggingface_hub import HfFileSystem
        except ImportError:
            raise InputError(
                f"sources.{name}.path: hf:// needs `pip install 'bibim[hf]'`"
            ) from None
        hub = HfFileSystem()
        entries = [hub.info(found) for found in sorted(hub.glob(source.path))]
        files = [
            File(f"hf://{e['name']}", e["name"], int(e["size"]), str(e.get("blob_id", "")))
            for e in entries
            if e["type"] == "file"
        ]
    else:
        files = _stored(source)
    if not files:
        raise InputError(f"sources.{name}.path: {source.path}: nothing is there")
    return files


def _stored(source: Source) -> list[File]:
    """Return the files of a source on a store, named as those of the same source on a disk."""
    path = source.path.rstrip("/")
    magic = re.search(r"[*?[]", path)
    root = path[: magic.start() if magic else None].rpartition("/")[0] + "/"
    found = listed(path)
    if not found and not magic:
        root = path + "/"
        found = [
            one
            for one in listed(root + "**")
            if wanted(str(one.path).removeprefix(root), source.include)
        ]
    return [
        File(
            str(one.path),
            str(one.path).removeprefix(root),
            one.size_in_bytes,
            str(one.last_updated_in_seconds),
        )
        for one in found
    ]


def _limit(name: str, source: Source, files: list[File], kinds: dict[str, str]) -> int:
    """Return the rank below which exactly `source.limit` records are."""
    ranks = sorted(
        rank(name, file, position)
        for file in files
        for position in READERS[kinds[file.relative]].positions(file, source)
    )
    limit = source.limit or 0
    return ranks[limit] if len(ranks) > limit else 2**64
