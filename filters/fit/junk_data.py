"""Labelled rows for a quality model, from good text: `python -m filters.fit.junk_data OUT.jsonl …`.

Each further argument is NAME=FILE, a JSON Lines file of good text (label 1; one junk text is
made of each, label 0), or NAME~FILE, text that is neither good nor bad: its label is drawn, 1
in MIDDLING of cases, and no junk is made of it, so that a fitted probability comes out between.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filters.fit.junk import KINDS, make_junk
from filters.fit.labelled import fold_of, out_and_files, read_texts

MAX_CHARS = 4000
MIDDLING = 0.95


def labelled_rows(name: str, path: Path, middling: bool, most: int) -> Iterator[dict[str, Any]]:
    """Yield rows {id, text, label, kind} from at most `most` documents, drawn by hash.

    A junk text has the id of what it was made of, so both fall on one side of a split. Each
    text is cut at a length drawn by hash between 60 and MAX_CHARS characters, so that short
    ones are known too.
    """
    rows = [(row.id, row.text) for row in read_texts(path) if row.text.strip()]
    rows.sort(key=lambda row: fold_of(row[0], 1 << 60, salt="draw"))
    kinds = list(KINDS)
    for identity, text in rows[:most]:
        draw = fold_of(identity, 1000, salt="length") / 1000
        seen = text[: int(60 * (MAX_CHARS / 60) ** draw)]
        good = not middling or fold_of(identity, 1000, salt="label") < MIDDLING * 1000
        yield {"id": identity, "text": seen, "label": int(good), "kind": name}
        if middling:
            continue
        kind = kinds[fold_of(identity, len(kinds), salt="junk")]
        junk = make_junk(kind, seen, fold_of(identity, 1 << 31, salt="seed"))
        if junk.strip():
            yield {"id": identity, "text": junk, "label": 0, "kind": kind}


MAX_DOCUMENTS, MAX_MIDDLING = 6000, 12_000
"""Documents that are taken of a file."""


def main() -> None:
    """Write the rows of all named files."""
    target, files = out_and_files(__doc__, "OUT.jsonl", marks="=~")
    with target.open("w", encoding="utf-8") as out:
        for name, mark, path in files:
            middling = mark == "~"
            for row in labelled_rows(
                name, path, middling, MAX_MIDDLING if middling else MAX_DOCUMENTS
            ):
                out.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
