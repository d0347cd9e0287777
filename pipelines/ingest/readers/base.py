"""What a reader is, and what it yields: records and rejects, each with its position in a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from schemas.config import Ingest, Source
from schemas.documents import document_id

EXCERPT = 200
"""Characters of a reject's excerpt."""

_ADDRESS = re.compile(r"[^\s@<>\"']{1,64}@")
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class Passed:
    """Why a file is not read: the reject that it becomes."""

    reason: str
    detail: str
    fault: bool


@dataclass(frozen=True)
class File:
    """One input file: its address, its name within the source, its size in bytes, its version."""

    path: str
    relative: str
    size: int
    stamp: str
    """Modification time or etag: a file with another size or stamp has changed."""
    passed: Passed | None = None
    """Set where it is not to be opened."""


@dataclass(frozen=True)
class Split:
    """The input of one document shard: a share of one file, or several small files.

    Of each file it owns the blocks whose number modulo `count` is `index`.
    """

    name: str
    """The shard's name."""
    source: str
    format: str
    """The name of its reader."""
    files: tuple[File, ...]
    index: int = 0
    count: int = 1
    below: int | None = None
    """With a limit: only documents whose rank (`rank`) is below this."""

    @property
    def fingerprint(self) -> list[Any]:
        """What its content key is made of; without absolute paths, so data may move."""
        files = [
            [file.relative, file.size, file.stamp, *([file.passed.reason] if file.passed else [])]
            for file in self.files
        ]
        return [self.name, self.format, files, self.index, self.count, self.below]


@dataclass(frozen=True)
class Record:
    """The parts of a document as they were read. `position` is unique within its file."""

    file: str
    position: str
    raw_bytes: int
    text: str
    url: str | None = None
    license: str | None = None
    timestamp: str | None = None
    meta: dict[str, Any] | None = None
    left_out: tuple[str, ...] = ()
    """Paths of fields that the reader has left out of `meta`: bytes, what cannot be read."""
    page: bool = False
    """Whether the text was extracted from HTML: what looks like a tag there is text."""


@dataclass(frozen=True)
class Reject:
    """A record that could not become a document. A `fault` counts towards `max_reject_share`."""

    file: str
    position: str
    raw_bytes: int
    reason: str
    detail: str = ""
    excerpt: str = ""
    fault: bool = True
    lost_bytes: int = 0
    """Bytes that damage cost besides, estimated: of what `raw_bytes` counts, never read."""


Item = Record | Reject


@dataclass
class FileStats:
    """Records and bytes of one file: those that the split owns, and those of the whole file."""

    file: str
    records: int = 0
    raw_bytes: int = 0
    file_records: int = 0
    file_bytes: int = 0


@dataclass
class ReadStats:
    """Exact counts of one split, complete when its items have been read to the end."""

    structural_bytes: int = 0
    """Bytes without a record: blank lines, headers, records outside of a sample."""
    files: list[FileStats] = field(default_factory=list)


Items = Iterator[Item]


def one_per_file(file: File, source: Source) -> Iterator[str]:
    """Yield the position of the only record of a file that is one document."""
    yield "0"


@dataclass(frozen=True)
class Reader:
    """How files of one format become documents. Each is declared in the file that reads them."""

    name: str
    """What `sources.NAME.format` calls it; `schemas.config.Format` lists the names."""
    endings: tuple[str, ...]
    """Endings of the names of its files, lower case, without .gz and .zst."""
    read: Callable[[Split, Source, Ingest, ReadStats], Items]
    """Yields every document and reject of a split, and fills the counts meanwhile."""
    positions: Callable[[File, Source], Iterator[str]] = one_per_file
    """Yields the position of every record of a file, without parsing one: a limit counts them."""
    divisible: bool = False
    """Whether several splits share one file; else several small files share one split."""
    split_bytes: int | None = None
    """Bytes of a divisible file per split; None: as many as expand to `ingest.shard_bytes`."""
    slow: bool = False
    """Whether its splits start before those of other formats, so that all end together."""


def rank(source: str, file: File, position: str) -> int:
    """Return a record's rank, uniform in [0, 2**64): a limit keeps the records of lowest rank."""
    return int.from_bytes(document_id(source, f"{file.relative}:{position}")[:8], "big")


def sampled(split: Split, file: File, position: str) -> bool:
    """Return whether the record at `position` is within the source's limit."""
    return split.below is None or rank(split.source, file, position) < split.below


def too_long(size: int, ingest: Ingest) -> str:
    """Return the detail of a reject with reason `too_long`."""
    return f"{size} bytes; the maximum is {ingest.max_document_bytes}"


def excerpt(data: bytes | str) -> str:
    """Return the start of `data` for a reject, digits and addresses blanked."""
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    return _DIGIT.sub("#", _ADDRESS.sub("*@", text[: EXCERPT * 2]))[:EXCERPT]
