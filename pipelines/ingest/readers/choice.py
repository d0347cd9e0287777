"""Which reader a kind of file goes to, by the source's `format`, or why it is passed over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pipelines.ingest.readers.base import Passed
from pipelines.ingest.readers.kinds import CARD, TEXTUAL, UNREADABLE, WEB_ENDINGS, Kind
from schemas.config import Source

TREE, TEXT, HTML, JSONL = "tree", "text", "html", "jsonl"
_OF_ITSELF = {
    "parquet": "parquet",
    "warc": "warc",
    "jsonl": JSONL,
    "json": JSONL,
    "html": HTML,
    "archive": TREE,
    "notebook": TREE,
    "code": TEXT,
    "text": TEXT,
}
"""Form → reader of a file in no source tree; `data` and what has no form: none."""
_TAKES = {
    "parquet": ("parquet",),
    "warc": ("warc",),
    JSONL: ("jsonl", "json"),
    HTML: ("html", "archive"),
    TEXT: ("text", "code", "notebook", "archive"),
    TREE: (*TEXTUAL, "archive"),
}
"""Format → the forms of files that are of it, in a folder."""
_ANY_TEXT = (JSONL, HTML, TEXT, TREE)
"""Formats that take a file of any text where the path names files, not their folder."""
RECORDS = ("jsonl", "parquet", "warc")


def is_tree(source: Source, kinds: Iterable[tuple[str, Kind, int]]) -> bool:
    """Return whether the files of an `auto` source are a source tree, one document per file.

    `kinds`: name, kind and bytes of each. In the component `code` they are one unless most bytes
    are records (JSON Lines, Parquet); elsewhere where code has more bytes than pages and records,
    styles and scripts left out where there are pages.
    """
    size = {"records": 0, "pages": 0, "web": 0, "code": 0, "text": 0}
    for name, kind, count in kinds:
        if kind.form in RECORDS:
            size["records"] += count
        elif kind.form == "html":
            size["pages"] += count
        elif kind.form in ("code", "notebook"):
            web = name.rsplit(".", 1)[-1].lower() in WEB_ENDINGS
            size["web" if web else "code"] += count
        elif kind.form in TEXTUAL:
            size["text"] += count
    if source.component == "code":
        return sum(size.values()) - size["records"] > size["records"]
    code = size["code"] + (0 if size["pages"] else size["web"])
    return code > size["pages"] + size["records"]


def choose(kind: Kind, source: Source, name: str, tree: bool, folder: bool) -> str | Passed:
    """Return the reader of a file, or why it is passed over.

    `name`: the source's; `tree`: whether its files are a source tree; `folder`: whether its path is
    a folder, of which only files of the format are read.
    """
    wanted = source.format
    if kind.name == CARD and kind.sure and not (tree or wanted == TREE):
        return Passed("helper_file", f"{kind.name}; it describes the data", False)
    if wanted == "auto":
        if tree and kind.form in (*TEXTUAL, "archive"):
            return TREE
        if kind.form in _OF_ITSELF:
            return _OF_ITSELF[kind.form]
    elif (
        kind.name == UNREADABLE
        or kind.form in _TAKES.get(wanted, ())
        or (wanted == HTML and kind.markup)
        or (wanted in _ANY_TEXT and kind.form in TEXTUAL and not folder)
        or (wanted not in _TAKES and kind.form in TEXTUAL)
        or (not kind.form and not kind.sure and wanted in RECORDS)
    ):
        return wanted
    tree = tree or wanted == TREE
    if tree and kind.is_asset:
        return Passed("binary", f"{kind.name}, which holds no text", False)
    if kind.form and wanted != "auto":
        detail = f"{kind.name}, and sources.{name}.format is {wanted}"
        return Passed("other_format", f"{detail}; {_choose_others(name, folder)}", True)
    advice = f"{kind.advice}; or " if kind.advice else ""
    raw = f"set sources.{name}.format: tree to read it as it is, or " if kind.form else ""
    detail = f"{kind.name}: no reader takes it; {advice}{raw}{_choose_others(name, folder)}"
    return Passed("unknown_format", detail, True)


def choose_member(kind: Kind, source: Source, name: str) -> str | Passed:
    """Return how a member of an archive is read, as `choose` does for a file.

    An archive is a source tree in the component `code` or by `format: tree`. Records inside one are
    not read.
    """
    tree = source.format == TREE or (source.format == "auto" and source.component == "code")
    records = ("parquet", "warc") if tree else ("parquet", "warc", "jsonl", "json")
    if kind.form in records or kind.form == "archive":
        kind = replace(kind, name=f"{kind.name} inside an archive", form="", advice="unpack it")
    return choose(kind, source, name, tree, folder=True)


def _choose_others(name: str, folder: bool) -> str:
    if folder:
        return f"leave it out by sources.{name}.include"
    return f"change sources.{name}.path"
