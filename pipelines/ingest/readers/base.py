"""What readers give: records and rejects, each with the place that it came from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

EXCERPT = 200
"""Characters of a reject's excerpt."""

_ADDRESS = re.compile(r"[^\s@<>\"']{1,64}@")
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class File:
    """One input file: its address, its name within the source, and what tells its version."""

    path: str
    relative: str
    size: int
    stamp: str
    """Modification time or etag: with the size it says whether the file has changed."""


@dataclass(frozen=True)
class Split:
    """What makes one document shard: a share of one file, or several small files.

    Of each file it owns the blocks whose number modulo `count` is `index`.
    """

    name: str
    """The shard's name."""
    source: str
    format: str
    files: tuple[File, ...]
    index: int = 0
    count: int = 1
    below: int | None = None
    """With a limit: only documents whose id hashes below this."""

    @property
    def fingerprint(self) -> list[Any]:
        """What its content key is made of; no absolute path, so data may move."""
        files = [[file.relative, file.size, file.stamp] for file in self.files]
        return [self.name, self.format, files, self.index, self.count, self.below]


@dataclass(frozen=True)
class Record:
    """A document's parts as they were read. `position` is unique within its file."""

    file: str
    position: str
    raw_bytes: int
    text: str
    url: str | None = None
    license: str | None = None
    timestamp: str | None = None
    meta: dict[str, Any] | None = None


@dataclass(frozen=True)
class Reject:
    """What could not become a document. A `fault` counts towards `max_reject_share`."""

    file: str
    position: str
    raw_bytes: int
    reason: str
    detail: str = ""
    excerpt: str = ""
    fault: bool = True


Item = Record | Reject


@dataclass
class FileStats:
    """What a split saw of a file: what it owns, and how long the whole is."""

    file: str
    records: int = 0
    raw_bytes: int = 0
    file_records: int = 0
    file_bytes: int = 0


@dataclass
class ReadStats:
    """Exact counts of one split, complete when its items have been read to the end."""

    structural_bytes: int = 0
    """Bytes that hold no record: blank lines, headers, what lies outside a sample."""
    files: list[FileStats] = field(default_factory=list)


Items = Iterator[Item]


def excerpt(data: bytes | str) -> str:
    """Return the start of `data` for a reject, digits and addresses blanked."""
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    return _DIGIT.sub("#", _ADDRESS.sub("*@", text[: EXCERPT * 2]))[:EXCERPT]
