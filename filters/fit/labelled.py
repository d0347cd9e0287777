"""Labelled text: JSON Lines with `text`, perhaps `label` and `id`; and its split by hash."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import xxhash

from schemas.errors import InputError
from schemas.files import read_lines

HELD_OUT_PARTS = 5
"""One of so many parts is held out of training, and what the card's figures are measured on."""


@dataclass(frozen=True)
class Row:
    """A text; `label` is None in unlabelled files; `id` is the text's hash where none is given."""

    id: str
    text: str
    label: bool | None
    kind: str = ""
    """What sort of text it is, where the file says so; figures are given by kind."""
    source: str = ""
    """Which collection it is from, and below its finer classes there, where the file says so."""
    classes: tuple[str, ...] = ()


def fold_of(identity: str, parts: int, salt: str = "") -> int:
    """Return which of `parts` an id falls in: xxh3-64 of the salt and the id, modulo `parts`."""
    key = f"{salt}\0{identity}" if salt else identity
    return int(xxhash.xxh3_64_intdigest(key.encode())) % parts


def is_held_out(identity: str) -> bool:
    """Return whether a row is held out of training (a fifth, by the hash of its id)."""
    return fold_of(identity, HELD_OUT_PARTS) == 0


def read_texts(path: Path) -> Iterator[Row]:
    """Yield the rows of a JSON Lines file, plain or packed (gzip, zstd).

    `label` may be 0, 1, false or true. Raises InputError with file and line where a record
    is no object, has no `text`, or has another label; where the file cannot be read.
    """
    for number, line in read_lines(path, "JSON Lines"):
        yield _row(path, number, line)


def read_labelled(paths: list[Path]) -> list[Row]:
    """Return the rows of all files. Raises InputError where a row has no label."""
    rows = []
    for path in paths:
        for number, row in enumerate(read_texts(path), 1):
            if row.label is None:
                raise InputError(f'{path}, record {number}: no "label"; write 0 or 1')
            rows.append(row)
    return rows


def _row(path: Path, number: int, line: str) -> Row:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise InputError(f"{path}:{number}: not JSON ({error})") from None
    text = record.get("text") if isinstance(record, dict) else None
    if not isinstance(text, str):
        raise InputError(f'{path}:{number}: no "text" of type string')
    label = record.get("label")
    if label is not None and label not in (0, 1):
        raise InputError(f"{path}:{number}: label {label!r}; write 0 or 1 (or none at all)")
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
    """Return the command line's OUT, and each further NAME=FILE as name, mark and file.

    `marks`: what may stand between the two. Prints the usage and exits with 2 where there is none.
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
