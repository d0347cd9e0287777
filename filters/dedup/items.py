"""Benchmark items, as `decontaminate.against` names their files."""

from __future__ import annotations

from pathlib import Path

from filters.text.repair import normalise
from schemas.errors import InputError
from schemas.json_lines import nothing_in, read_objects, text_of


def read_items(path: str) -> list[tuple[str, str, str]]:
    """Return (id, text, language) of every item of a JSONL file, plain or packed (gzip, zstd).

    Texts are normalised as those of documents are, so an item in NFD matches. Raises InputError
    naming file and line; for a file that holds no text.
    """
    file = Path(path)
    if not file.exists():
        raise InputError(f"decontaminate.against: {path}: no such file; check the path")
    name = f"decontaminate.against: {path}"
    items = []
    for number, value in read_objects(file, "items with a text", name):
        try:
            text = normalise(text_of(value))
        except ValueError as error:
            raise InputError(f"{name}: line {number}: {error}; an item needs a `text`") from None
        identity = str(value.get("id", f"{file.name}:{number}"))
        items.append((identity, text, str(value.get("lang", ""))))
    if not any(text.strip() for _, text, _ in items):
        raise nothing_in(name, "item with a text")
    return items
