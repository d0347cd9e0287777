"""Labelled text, JSON Lines with `text` and optionally `label` and `id`, and its split by hash."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from schemas.errors import InputError
from schemas.json_lines import kind_of, not_found, read_objects, text_of

HELD_OUT_PARTS = 5
"""One part in so many is held out of training; the figures of a card are measured on it."""


@dataclass(frozen=True)
class Row:
    """A text; `label` is None in unlabelled files; `id` defaults to the text's hash."""

    id: str
    text: str
    label: bool | None
    kind: str = ""
    """Sort of text, where the file has it; figures are reported by kind."""
    source: str = ""
    """Collection that the text is from, where the file has it."""
    classes: tuple[str, ...] = ()
    """The finer classes of that collection, where the file has them (`fine`)."""


def fold_of(identity: str, parts: int, salt: str = "") -> int:
    """Return the part of an id: xxh3-64 of the salt and the id, modulo `parts`."""
    key = f"{salt}\0{identity}" if salt else identity
    return int(xxhash.xxh3_64_intdigest(key.encode())) % parts


def is_held_out(identity: str) -> bool:
    """Return whether a row is held out of training (a fifth, by the hash of its id)."""
    return fold_of(identity, HELD_OUT_PARTS) == 0


def read_texts(path: Path) -> Iterator[Row]:
    """Yield the rows of a JSON Lines file, plain or packed (gzip, zstd).

    `label` may be 0, 1, false or true. Raises InputError with file and line where a record
    is not an object, has no `text`, or has another label; where the file cannot be read or has
    no rows.
    """
    for number, record in read_objects(path, "labelled rows"):
        try:
            yield _row(record)
        except ValueError as error:
            raise InputError(f"{path}: line {number}: {error}") from None


def read_labelled(paths: list[Path]) -> list[Row]:
    """Return the rows of all files. Raises InputError as `read_texts`; for a row without label."""
    rows = []
    for path in paths:
        for number, record in read_objects(path, "labelled rows"):
            try:
                row = _row(record)
                if row.label is None:
                    raise ValueError(f"{not_found('label', record)}; write 0 or 1")
            except ValueError as error:
                raise InputError(f"{path}: line {number}: {error}") from None
            rows.append(row)
    return rows


def _row(record: dict[str, Any]) -> Row:
    """Return the row of a record. Raises ValueError for a text or label that it cannot have."""
    try:
        text = text_of(record)
    except ValueError as error:
        raise ValueError(f'{error}; add a "text"') from None
    label = record.get("label")
    if label is not None and (not isinstance(label, int | float) or label not in (0, 1)):
        shown = repr(label) if isinstance(label, int | float | str) else kind_of(label)
        raise ValueError(f"label {shown:.60}; write 0 or 1, or leave it out")
    identity = str(record.get("id") or xxhash.xxh3_128_hexdigest(text.encode()))
    kind = record.get("kind")
    return Row(
        identity,
        text,
        None if label is None else bool(label),
        kind if isinstance(kind, str) else "",
        str(record.get("source") or ""),
        tuple(part.strip() for part in str(record.get("fine") or "").split(",") if part.strip()),
    )


def out_and_files(
    description: str | None, out: str, marks: str = "="
) -> tuple[Path, list[tuple[str, str, Path]]]:
    """Return the command line's OUT, and each further NAME=FILE as (name, mark, file).

    `marks`: characters that may separate the two. Prints the usage and exits with 2 without one.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar=out)
    parser.add_argument("files", nargs="+", metavar="NAME=FILE")
    arguments = parser.parse_args()
    found = []
    for text in arguments.files:
        mark = next((char for char in text if char in marks), None)
        if mark is None:
            parser.error(f"{text}: write NAME{marks[0]}FILE")
        name, _, file = text.partition(mark)
        found.append((name, mark, Path(file)))
    return arguments.out, found
