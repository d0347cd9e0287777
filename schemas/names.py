"""Names of sources and components: they become names of files and shards, on any file system."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

MAX_BYTES = 100
"""Bytes of a name in UTF-8; a shard's name adds a number and endings, and systems allow 255."""
_REFUSED = re.compile(r'[/\\:*?"<>|\[\]\x00-\x1f\x7f-\x9f\u2028\u2029]')
_EDGES = re.compile(r"\A[-.\s]+|[-.\s]+\Z")
REMEDY = "write letters, digits, '-' and '_'"


def name_fault(name: str) -> str | None:
    """Return why a name cannot be that of a file, with a suggestion; None where it can."""
    size = len(name.encode("utf-8", "surrogatepass"))
    bad = _REFUSED.search(name)
    if not name.strip():
        reason = "a name has at least one character that is not white space"
    elif bad:
        shown = bad.group() if bad.group().isprintable() else f"U+{ord(bad.group()):04X}"
        reason = f"a name becomes that of a file, which cannot contain {shown!r}"
    elif name.startswith(".") or name != name.strip() or name.endswith("."):
        reason = (
            "a name becomes that of a file, and neither begins with '.' nor ends with it or a space"
        )
    elif size > MAX_BYTES:
        reason = f"a name has {MAX_BYTES} bytes at most, this one {size}"
    elif any("\ud800" <= char <= "\udfff" for char in name):
        reason = "a name is valid UTF-8"
    else:
        return None
    near = suggestion(name)
    return f"{reason}; write {near}" if near else f"{reason}; {REMEDY}"


def suggestion(name: str) -> str:
    """Return a name like `name` that a file can have; empty where nothing is left of it."""
    plain = "".join(" " if "\ud800" <= char <= "\udfff" else char for char in name)
    near = _EDGES.sub("", re.sub(r"[-\s]*-[-\s]*", "-", _REFUSED.sub("-", plain)))
    return _EDGES.sub("", near.encode()[:MAX_BYTES].decode("utf-8", "ignore"))


def same_names(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (name, earlier name) where two differ in case or Unicode form only.

    Many file systems take both for one file.
    """
    known: dict[str, str] = {}
    for name in names:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        if folded in known and known[folded] != name:
            yield name, known[folded]
        known.setdefault(folded, name)
