"""Which files a source has, and how they are dealt into splits: one split, one shard.

The number of splits follows from sizes alone, so shards have their names before anything is
read, and the same files always make the same shards.
"""

from __future__ import annotations

import glob
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipelines.ingest.readers.base import File, FileStats, Split
from pipelines.ingest.readers.lines import owned_lines
from pipelines.ingest.readers.streams import StreamFault
from pipelines.ingest.readers.whole import is_archive, wanted
from pipelines.storage.files import is_remote, open_input
from pipelines.storage.layout import shard_name
from pipelines.storage.store import listed
from schemas.config import Ingest, Source
from schemas.documents import document_id
from schemas.errors import InputError

RATIO = {".zst": 6, ".gz": 4}
"""Bytes of text that a compressed byte holds, about."""
MAX_SPLITS = 64
"""Splits of one file at the most: each reads the file from its start."""
WARC_SPLIT = 2_000_000
"""Compressed bytes of a WARC in one split: extraction is slow."""
DIVISIBLE = {"jsonl", "parquet", "warc"}

_FORMATS = (
    ((".warc.gz", ".warc", ".wet.gz", ".wet", ".warc.wet.gz"), "warc"),
    ((".jsonl", ".ndjson", ".json"), "jsonl"),
    ((".parquet",), "parquet"),
    ((".html", ".htm", ".xhtml"), "html"),
    ((".txt", ".md", ".text"), "text"),
)


def format_of(name: str) -> str | None:
    """Return the format that a file's name tells, or None."""
    plain = name.removesuffix(".zst").removesuffix(".gz")
    for endings, kind in _FORMATS:
        if name.endswith(endings) or plain.endswith(endings):
            return kind
    return "tree" if is_archive(name) else None


def plan_splits(name: str, source: Source, ingest: Ingest) -> list[Split]:
    """Return the splits of the source `name`, in shard order.

    Raises InputError if its path holds no file, naming source and path.
    """
    files = list_files(name, source)
    kinds: dict[str, str] = {file.relative: source.format for file in files}
    if source.format == "auto":
        _refuse_unknown(name, source, files)
        tree = source.include or all(format_of(file.path) is None for file in files)
        kinds = {f.relative: "tree" if tree else format_of(f.path) or "text" for f in files}
    below = _limit(name, source, files, kinds) if source.limit else None
    pieces: list[tuple[str, tuple[File, ...], int, int]] = []
    group: list[File] = []
    for file in files:
        kind = kinds[file.relative]
        if kind in DIVISIBLE:
            count = _count(file, kind, ingest)
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

    In a folder such files may lie beside others, and are rejected one by one.
    """
    if os.path.isdir(source.path):
        return
    for file in files:
        if _NO_TEXT.search(file.path):
            endings = ", ".join(ending for known, _ in _FORMATS for ending in known)
            raise InputError(
                f"sources.{name}.path: {file.path}: no reader for such a file; turn it into one of "
                f"{endings} (.gz, .zst too), or say what it is with sources.{name}.format"
            )


def expansion(path: str) -> int:
    """Return how many bytes of text a byte of the file holds, about, by its compression."""
    return next((ratio for ending, ratio in RATIO.items() if path.endswith(ending)), 1)


def estimated_bytes(sources: Mapping[str, Source]) -> int:
    """Return how many bytes of text the sources hold, about, from the sizes of their files."""
    return sum(
        file.size * expansion(file.path)
        for name, source in sources.items()
        for file in list_files(name, source)
    )


def _count(file: File, kind: str, ingest: Ingest) -> int:
    expanded = file.size * expansion(file.path)
    share = file.size / WARC_SPLIT if kind == "warc" else expanded / ingest.shard_bytes
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
            f"(looked at {resolved}); paths count from the folder in which bibim is run"
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


def _positions(file: File, kind: str, source: Source) -> Iterator[str]:
    """Yield the position of every record of a file, cheaply: nothing is parsed."""
    if kind == "jsonl":
        try:
            for line in owned_lines(file.path, 0, 1, 64 << 20, FileStats(file.relative)):
                if line.data is None or line.data.strip():
                    yield str(line.number)
        except StreamFault:
            return  # told when it is read
    elif kind == "parquet":
        import pyarrow.parquet as pq

        with open_input(file.path) as raw:
            yield from map(str, range(pq.read_metadata(raw).num_rows))
    elif kind == "warc":
        from warcio.archiveiterator import ArchiveIterator
        from warcio.exceptions import ArchiveLoadFailed

        try:
            with open_input(file.path) as raw:
                for ordinal, record in enumerate(ArchiveIterator(raw)):
                    if record.rec_type in ("response", "conversion", "resource"):
                        yield str(ordinal)
        except (ArchiveLoadFailed, EOFError, OSError, ValueError):
            return  # told when it is read
    else:
        yield "0"


def _limit(name: str, source: Source, files: list[File], kinds: dict[str, str]) -> int:
    """Return the rank below which exactly `source.limit` records lie, by a hash of their ids."""
    ranks = sorted(
        int.from_bytes(document_id(name, f"{file.relative}:{position}")[:8], "big")
        for file in files
        for position in _positions(file, kinds[file.relative], source)
    )
    limit = source.limit or 0
    return ranks[limit] if len(ranks) > limit else 2**64
