"""Jupyter notebooks as text: the sources of their cells, in order; outputs are left out."""

from __future__ import annotations

from typing import Any


def cells_text(data: bytes) -> str:
    """Return the Markdown and code of a notebook, cells apart by an empty line.

    Formats 3 (worksheets) and 4 are read. Raises ValueError for what is not a notebook.
    """
    import json

    value = json.loads(data.decode("utf-8-sig"))
    if not isinstance(value, dict):
        raise ValueError("not an object with cells")
    cells = value.get("cells")
    if cells is None:
        sheets = value.get("worksheets")
        sheets = sheets if isinstance(sheets, list) else []
        cells = [cell for sheet in sheets for cell in _list(sheet, "cells")]
        if not sheets:
            raise ValueError("no `cells` in it")
    if not isinstance(cells, list):
        raise ValueError("its `cells` are not a list")
    sources = (_source(cell) for cell in cells)
    return "\n\n".join(source for source in sources if source.strip())


def _list(value: Any, key: str) -> list[Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _source(cell: Any) -> str:
    """Return the source of a cell: a string, or a list of lines; `input` in format 3."""
    if not isinstance(cell, dict):
        return ""
    source = cell.get("source", cell.get("input", ""))
    lines = source if isinstance(source, list) else [source]
    text = "".join(line for line in lines if isinstance(line, str)).rstrip("\n")
    if cell.get("cell_type") == "heading" and isinstance(cell.get("level"), int):
        return f"{'#' * cell['level']} {text}"
    return text
