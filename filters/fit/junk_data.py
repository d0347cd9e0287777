"""Labelled rows for a quality model, from good text: `python -m filters.fit.junk_data OUT.jsonl …`.

Each further argument is NAME=FILE or NAME~FILE, a JSON Lines file. `=`: good text (label 1), and a
junk text made of each (label 0). `~`: text that is neither good nor bad. Its label is 1 with
probability MIDDLING, drawn by hash, and no junk is made of it: a fitted probability comes out
between.
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


def labelled_rows(name: str, path: Path, middling: bool, limit: int) -> Iterator[dict[str, Any]]:
    """Yield rows {id, text, label, kind} from at most `limit` documents, drawn by hash.

    A junk text has the id of its source, so both are on the same side of a split. Each text is cut
    to a length between 60 and MAX_CHARS characters, drawn by hash, so that short texts occur too.
    """
    rows = [(row.id, row.text) for row in read_texts(path) if row.text.strip()]
    rows.sort(key=lambda row: fold_of(row[0], 1 << 60, salt="draw"))
    kinds = list(KINDS)
    for identity, text in rows[:limit]:
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
"""Documents of a file, at most."""


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
