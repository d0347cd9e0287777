"""Which files a source has, and how they are grouped into splits: one split per shard.

The number of splits follows from sizes alone, so shards have their names before anything is
read, and the same files always make the same shards.
"""

from __future__ import annotations

import glob
import math
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pipelines.ingest.readers import READERS
from pipelines.ingest.readers.base import File, Passed, Reader, Split, rank
from pipelines.ingest.readers.choice import RECORDS, TREE, choose, is_tree
from pipelines.ingest.readers.kinds import CARD, Kind, Look, ending_of, look
from pipelines.ingest.readers.walk import (
    is_included,
    is_passed,
    local_files,
    local_path,
    named_below,
    none_included,
    passed_by_name,
    shown,
)
from pipelines.storage.files import is_remote
from pipelines.storage.layout import shard_name
from pipelines.storage.store import listed
from schemas.config import Ingest, Source
from schemas.errors import InputError

RATIO = {"zstd": 6, "gzip": 4, "bzip2": 5, "xz": 6, "lz4": 3}
"""Bytes of text that a packed byte expands to, about."""
MAX_SPLITS = 64
"""Splits of one file at the most: each reads the file from its start."""
AT_ONCE = 32
"""Files of a store that are looked at together: each is a request."""
_BY_BYTES = (TREE, "parquet", "warc")
"""Readers of files that their bytes show: an ending does not make a text one of them."""
SHOWN = 5
"""Kinds that the message about a source without a file to read names."""


def plan_splits(name: str, source: Source, ingest: Ingest) -> list[Split]:
    """Return the splits of the source `name`, in shard order.

    Files that are passed over stand in the last one. Raises InputError, naming source and path,
    where the path has no file that is read.
    """
    chosen = _choose_all(name, source, list_files(name, source))
    below = _limit(name, source, chosen) if source.limit else None
    pieces: list[tuple[str, tuple[File, ...], int, int]] = []
    groups: dict[str, list[File]] = {}
    passed = [file for file, _ in chosen if file.passed]
    for file, kind in chosen:
        if file.passed:
            continue
        if READERS[kind].divisible:
            count = _count(file, source, READERS[kind], ingest)
            pieces += [(kind, (file,), index, count) for index in range(count)]
            continue
        group = groups.setdefault(kind, [])
        if group and sum(f.size for f in group) + file.size > ingest.shard_bytes:
            pieces.append((kind, tuple(group), 0, 1))
            group.clear()
        group.append(file)
    pieces += [(kind, tuple(group), 0, 1) for kind, group in groups.items() if group]
    if passed:
        pieces.append((TREE, tuple(passed), 0, 1))
    return [
        Split(shard_name(name, number), name, kind, members, index, count, below)
        for number, (kind, members, index, count) in enumerate(pieces)
    ]


def _choose_all(name: str, source: Source, files: list[File]) -> list[tuple[File, str]]:
    """Return every file with its reader's name; those that are passed over say why.

    Raises InputError where a path that names files gives none to read.
    """
    folder = _is_folder(local_path(name, source.path), files)
    looks = _look_at(source, [file for file in files if not file.passed])
    tree = source.format == "auto" and is_tree(
        source,
        ((f.relative, looks[f.path].kind, f.size * _ratio(looks[f.path])) for f in files
         if f.path in looks),
    )  # fmt: skip
    records = any(found.kind.form in RECORDS for found in looks.values())
    chosen = []
    for file in files:
        reader: str | Passed
        if file.passed:
            reader = file.passed
        else:
            kind = looks[file.path].kind
            if kind.name == CARD and records:  # beside records any front matter makes a card
                kind = replace(kind, sure=True)
            reader = _reader(file, kind, source, name, tree, folder)
        if isinstance(reader, Passed):
            chosen.append((replace(file, passed=reader), ""))
        else:
            chosen.append((file, reader))
    if not folder and all(file.passed for file, _ in chosen):
        raise InputError(_nothing(name, source, [file for file, _ in chosen]))
    return chosen


def _is_folder(path: str, files: list[File]) -> bool:
    """Return whether a source's path is a folder, not a file or a glob."""
    if not is_remote(path):
        return os.path.isdir(path)
    return not glob.has_magic(path) and all(file.path != path for file in files)


def _reader(
    file: File, kind: Kind, source: Source, name: str, tree: bool, folder: bool
) -> str | Passed:
    """Return the reader of a file: that of its bytes, or of its ending among kinds of text."""
    if (
        source.format == "auto"
        and kind.form in ("text", "code", "data")
        and not (kind.sure or tree)
    ):
        low = ending_of(file.path)
        for reader in READERS.values():
            if reader.name not in _BY_BYTES and low.endswith(reader.endings):
                return reader.name
    return choose(kind, source, name, tree, folder)


def _nothing(name: str, source: Source, files: list[File]) -> str:
    """Return the message about a source of which no file is read."""
    if len(files) == 1 and (why := files[0].passed):
        return f"sources.{name}.path: {shown(files[0].path)}: {why.detail}"
    counts = Counter(file.passed.detail.split(":")[0] for file in files if file.passed)
    most = ", ".join(f"{count:,} × {what}" for what, count in counts.most_common(SHOWN))
    return (
        f"sources.{name}.path: {source.path}: no file of it is read: {most}; convert them, or "
        f"change sources.{name}.path, format or include"
    )


def _look_at(source: Source, files: list[File]) -> dict[str, Look]:
    """Return path → what the file is; those on a store are looked at side by side."""

    def one(file: File) -> Look:
        return look(file.path, file.size, file.stamp, source.encoding)

    if files and is_remote(files[0].path):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip((file.path for file in files), pool.map(one, files), strict=True))
    return {file.path: one(file) for file in files}


def _ratio(found: Look) -> int:
    return RATIO.get(found.packed or "", 1)


def expansion(file: File, source: Source) -> int:
    """Return the expansion ratio of a file, about, by what packs it: text bytes / file bytes."""
    if file.passed:
        return 0
    return _ratio(look(file.path, file.size, file.stamp, source.encoding))


def read_share(splits: Sequence[Split]) -> float:
    """Return the share of a source's records that its `limit` lets through, about.

    Ranks are hashes, so as many records are below a rank as numbers are.
    """
    below = splits[0].below if splits else None
    return 1.0 if below is None else below / 2**64


def estimated_bytes(sources: Mapping[str, Source]) -> int:
    """Return how many bytes of text the sources have, about, from the sizes of their files."""
    return sum(
        file.size * expansion(file, source)
        for name, source in sources.items()
        for file in list_files(name, source)
    )


def _count(file: File, source: Source, reader: Reader, ingest: Ingest) -> int:
    """Return how many splits share a file of a divisible format."""
    if reader.split_bytes is None:
        share = file.size * expansion(file, source) / ingest.shard_bytes
    else:
        share = file.size / reader.split_bytes
    return max(1, min(MAX_SPLITS, math.ceil(share)))


def list_files(name: str, source: Source) -> list[File]:
    """Return the files of a source, sorted by their names within it.

    Those that are not to be opened (a pipe, a link to nothing, a helper file) are `passed`.
    """
    path = local_path(name, source.path)
    if is_remote(path):
        return _remote(name, source)
    return local_files(name, path, source.include)


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
        several = glob.has_magic(source.path)
        files = [
            File(
                f"hf://{e['name']}",
                e["name"],
                int(e["size"]),
                str(e.get("blob_id", "")),
                passed_by_name(e["name"]) if several else None,
            )
            for e in entries
            if e["type"] == "file"
        ]
    else:
        files = _stored(name, source)
    if not files:
        raise InputError(f"sources.{name}.path: {source.path}: nothing is there")
    return named_below(files)


def _stored(name: str, source: Source) -> list[File]:
    """Return the files of a source on a store, named as those of the same source on a disk."""
    path = source.path.rstrip("/")
    magic = re.search(r"[*?[]", path)
    root = path[: magic.start() if magic else None].rpartition("/")[0] + "/"
    found = listed(path)
    folder = not found and not magic
    if folder:
        root = path + "/"
        found = listed(root + "**")
    files = []
    for one in found:
        relative = str(one.path).removeprefix(root)
        if not is_passed(relative) and folder and not is_included(relative, source.include):
            continue
        why = passed_by_name(relative) if folder or magic else None
        stamp = str(one.last_updated_in_seconds)
        files.append(File(str(one.path), relative, one.size_in_bytes, stamp, why))
    if folder and found and not files:
        raise InputError(none_included(name, path, len(found), source.include))
    return files


def _limit(name: str, source: Source, chosen: list[tuple[File, str]]) -> int:
    """Return the rank below which exactly `source.limit` records are.

    Positions come up to a file's fault, which reading reports.
    """
    ranks = sorted(
        rank(name, file, position)
        for file, kind in chosen
        if not file.passed
        for position in READERS[kind].positions(file, source)
    )
    limit = source.limit or 0
    return ranks[limit] if len(ranks) > limit else 2**64
