"""What a file is: by its first bytes, unpacked; its name decides among kinds of text only.

A file that begins as a Parquet file is one whatever it is called. A name's ending, compared without
case and without that of a compression, tells only what bytes of a text cannot: a page without a
`<html>`, code, a table, JSON Lines whose first lines are damaged.
"""

from __future__ import annotations

import codecs
import re
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO, Literal

from filters.text.charset.unicode import unicode_codec
from pipelines.ingest.readers.magic import (
    ASSETS,
    ENCRYPTED_PARQUET,
    PARQUET,
    TAR,
    ZIP,
    binary_kind,
    central_names,
    valid_header,
    zip_kind,
)
from pipelines.ingest.readers.streams import StreamFault
from pipelines.ingest.readers.streams import head as unpacked_head
from pipelines.storage.files import open_input
from schemas import packing

HEAD = 1 << 16
"""Unpacked bytes at a file's start by which its kind is found."""
Form = Literal[
    "parquet", "warc", "jsonl", "json", "html", "notebook", "archive", "code", "text", "data", ""
]
"""What reads a kind. `json`: one object on one line, which is JSON Lines too; `data`: text that has
a reader within a source tree only (XML, tables, JSON over several lines); empty: nothing."""
TEXTUAL = frozenset(("jsonl", "json", "html", "notebook", "code", "text", "data"))
"""Forms whose bytes are text."""


@dataclass(frozen=True)
class Kind:
    """What a file is: its name in messages, what reads it, and how it can be read otherwise."""

    name: str
    form: Form
    advice: str = ""
    sure: bool = True
    """Whether the bytes show it; else its name's ending, or nothing, chose among kinds of text."""
    markup: bool = False
    """Whether a text that its name says nothing about has elements of HTML."""

    @property
    def is_asset(self) -> bool:
        """Whether it belongs to a source tree and holds no text."""
        return not self.form and any(word in self.name for word in ASSETS)


CARD = "a dataset card of the Hub"
UNREADABLE = "a file that cannot be read"
PACKED_ENDINGS = (".gz", ".gzip", ".zst", ".zstd", ".bz2", ".xz", ".lz4", ".z")
PAGE_ENDINGS = (".html", ".htm", ".xhtml", ".shtml")
LINE_ENDINGS = (".jsonl", ".ndjson", ".jsonlines")
TAR_ENDINGS = (".tar", ".tgz", ".tbz2", ".txz", ".tzst")
TABLE_ENDINGS = (".csv", ".tsv", ".psv")
WEB_ENDINGS = frozenset(("css", "js", "mjs", "cjs", "map", "less", "scss", "sass"))
"""Code that pages bring along."""
_CODE_ENDINGS = """
    asm awk bas bash bat bzl c cc cjs clj cljs cmake cmd coffee cpp cs css cu cuh cxx d dart el
    elm erl ex exs f f90 f95 for fs fsx go gradle groovy h hh hpp hrl hs hxx java jl js jsp jsx
    kt kts less lisp lua m mjs ml mli mm nim pas php pl pm proto ps1 py pyi pyx r rb rkt rs s
    sass scala scm scss sh sol sql sv svelte swift tcl ts tsx v vb vba vhd vhdl vim vue zig zsh
    aspx asp erb ejs hbs jinja j2 tmpl mustache twig
"""
_CODE = frozenset(_CODE_ENDINGS.split())
_CODE_NAMES = frozenset({"makefile", "dockerfile", "cmakelists.txt", "rakefile", "gemfile"})
_SHEBANG = re.compile(rb"#!\s*/")
_CONTROLS = bytes(set(range(32)) - {8, 9, 10, 11, 12, 13, 14, 15, 26, 27})
"""Bytes that text of no charset has: escapes, shifts, back spaces and DOS's end mark may stand."""
CONTROLS = 0.02
"""Share of such bytes from which content is binary."""
_PAGE = re.compile(
    rb"<(?:!doctype\s+html|html|head|body|title|meta|base|frameset|center)[\s>]", re.IGNORECASE
)
_SVG = re.compile(rb"<svg[\s>]", re.IGNORECASE)
_XML = re.compile(rb"<\?xml[\s?]", re.IGNORECASE)
_PROLOGUE = ((b"<!--", b"-->"), (b"<?", b"?>"))
"""What may stand before a page's first tag."""
_TAG = re.compile(
    rb"<(?:p|div|span|br|a|h[1-6]|table|ul|ol|body|html|article|section|font|b|i|img)[\s>/]", re.I
)
_CARD = re.compile(
    rb"---\r?\n(?:(?!---).*\n)*?(?:dataset_info|configs|task_categories|task_ids|size_categories|"
    rb"pretty_name|annotations_creators|language_creators|multilinguality|source_datasets|viewer):"
)
_FRONT = re.compile(rb"---\r?\n[a-z_]+:")
_PROSE_ENDINGS = (".txt", ".text", ".md", ".markdown", ".rst", ".adoc", ".org", ".tex", ".log")
_OBJECT = re.compile(rb'\s*\{\s*(?:".*)?\}\s*', re.DOTALL)
_OBJECT_START = re.compile(rb'\{\s*"')
_CELLS = re.compile(rb'"cell_type"\s*:\s*"(?:markdown|code|raw)"')
SAVED_ENDINGS = (".php", ".asp", ".aspx", ".jsp")
"""Endings of scripts that pages keep when they are saved."""
_SCRIPT = re.compile(rb"<\?(?:php|=)|<%|<jsp:|runat=", re.I)
_HEADERS = re.compile(
    rb"(?:[A-Za-z][\w-]{0,60}:[^\n]{0,1000}\r?\n(?:[ \t][^\n]{0,1000}\r?\n)*){2,80}"
)
"""The header of a message: at least two lines of a name and a value, which may be folded."""
_WARC = re.compile(rb"(?:^|\n)WARC/(?:0\.\d+|1\.\d)\r?\n")
_ARC = re.compile(rb"filedesc://\S+ [\d.]+ \d{8,14} \S+ \d+\r?\n")
_AS_LINES = "write one object per line (`jq -c '.[]'`)"
_UNPACK = "unpack it first"


def ending_of(name: str) -> str:
    """Return the name in lower case without the ending of a compression."""
    low = name.lower()
    for packed in PACKED_ENDINGS:
        if low.endswith(packed) and len(low) > len(packed):
            return low[: -len(packed)]
    return low


def is_binary(data: bytes) -> bool:
    """Return whether bytes are not a text in any charset; UTF-16 and UTF-32 are text."""
    window = data[:HEAD]
    if not window or _wide_codec(window):
        return False
    return len(window) - len(window.translate(None, _CONTROLS)) > CONTROLS * len(window)


def _wide_codec(head: bytes, encoding: str | None = None) -> str | None:
    """Return the codec of UTF-16 and UTF-32: found from the bytes, or declared by the source."""
    found = unicode_codec(head) or (encoding if b"\0" in head else None) or ""
    return found if found.lower().replace("_", "-").startswith(("utf-16", "utf-32")) else None


def kind_of(head: bytes, name: str, encoding: str | None = None) -> Kind:
    """Return what a file is, from its first `HEAD` bytes, unpacked, and its name.

    `encoding`: the charset that the source declares.
    """
    low = ending_of(name)
    if not head:
        return _named(low, b"")
    if pointer := _pointer(head):
        return pointer
    if wide := _wide_codec(head, encoding):
        text = head[: len(head) // 4 * 4].decode(wide, "replace").encode("utf-8", "replace")
        return _text(text.removeprefix(codecs.BOM_UTF8), low, len(head) >= HEAD)
    binary = is_binary(head) or (low.endswith(".parquet") and head.startswith(b"PAR1"))
    if known := binary_kind(head, binary):
        return _of_signature(known)
    if warc := _warc(head, low):
        return warc
    if binary:
        return _binary(head, low)
    return _text(head.removeprefix(codecs.BOM_UTF8), low, len(head) >= HEAD)


def _pointer(head: bytes) -> Kind | None:
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        return Kind("a Git LFS pointer, not the file itself", "", "run `git lfs pull` there")
    if re.match(rb"(?:\.\./)*(?:\.git)?/annex/objects/", head):
        return Kind("a git-annex pointer, not the file itself", "", "run `git annex get` there")
    return None


def _of_signature(name: str) -> Kind:
    if name in (PARQUET, ENCRYPTED_PARQUET):
        return Kind(name, "parquet")
    if name in (TAR, ZIP):
        return Kind(name, "archive")
    if "archive" in name:
        return Kind(name, "", f"{_UNPACK}, or pack it as .zip or .tar")
    if any(word in name for word in ("document", "book", "sheet", "PowerPoint")):
        return Kind(name, "", "convert it to text")
    if any(word in name for word in ("Arrow", "Avro", "ORC", "Feather", "SQLite", "database")):
        return Kind(name, "", "convert it to Parquet or JSON Lines")
    if name.endswith(("gzip file", "bzip2 file", "xz file", "lz4 file", "zstd file", "(.Z) file")):
        return Kind(name, "", f"{_UNPACK}; it is packed twice or damaged")
    return Kind(name, "")


def _warc(head: bytes, low: str) -> Kind | None:
    """Return the kind of web archives, also where the first record is damaged."""
    if _ARC.match(head):
        return Kind("an ARC file", "warc")
    claimed = low.endswith((".warc", ".wet")) or b"\nWARC-" in head
    if not (_WARC.search(head) or (head.lstrip()[:5] == b"WARC/" and claimed)):
        return None
    types = re.findall(rb"\nWARC-Type:\s*(\w+)", head, re.I)
    if set(types) <= {b"warcinfo", b"metadata"} and b'"Envelope"' in head:
        return Kind("a WAT file (metadata of a crawl)", "", "take its WARC or WET files")
    return Kind("a WARC file", "warc")


def _binary(head: bytes, low: str) -> Kind:
    """Return the kind of content without a signature: damaged, or in no format that is known."""
    if sum(_is_object(line) for line in head.split(b"\n")[:-1]) > 1:
        return Kind("JSON lines", "jsonl", sure=False)
    if low.endswith(TAR_ENDINGS) and any(
        valid_header(head[at : at + 512]) for at in range(0, len(head), 512)
    ):
        return Kind(TAR, "archive", sure=False)
    if low.endswith(".parquet") and head[4:8].strip(b"\0"):
        return Kind("a damaged Parquet file", "parquet", sure=False)
    if low.endswith((".warc", ".wet", ".arc")):
        return Kind("a damaged WARC file", "warc", sure=False)
    if low.endswith((*TAR_ENDINGS, ".zip")):
        return Kind("a damaged archive", "archive", sure=False)
    return Kind("binary content", "", sure=False)


def _is_object(line: bytes) -> bool:
    return len(line) > 1 and _OBJECT.fullmatch(line) is not None


def _text(head: bytes, low: str, cut: bool) -> Kind:
    """Return the kind of a text. `cut`: whether the file may be longer than its head."""
    code = low.rsplit(".", 1)[-1] in _CODE if "." in low else False
    if json := _json(head, low, cut):
        return json
    if mail := _mail(head):
        return mail
    first = _without_prologue(head)
    if low.endswith(SAVED_ENDINGS) and _PAGE.match(first) and not _SCRIPT.search(head):
        return Kind("a page (HTML)", "html")
    if (not code or low.endswith(".jl")) and _mostly_objects(head, cut):  # .jl is Julia's too
        return Kind("JSON lines", "jsonl", sure=False)
    if not code:
        if _SVG.match(first):
            return Kind("an SVG image", "data")
        if _PAGE.match(first):
            return Kind("a page (HTML)", "html")
        if _XML.match(head.lstrip()):
            return Kind("an XML file", "data", "convert it to text or JSON Lines")
    return _named(low, head)


def _mail(head: bytes) -> Kind | None:
    """Return the kind of a page or a message in MIME, whose body is not the text that it shows."""
    match = _HEADERS.match(head.lstrip())
    if not match or not re.search(rb"^MIME-Version:", match[0], re.I | re.M):
        return None
    if re.search(rb"^Content-Type:\s*multipart/related", match[0], re.I | re.M):
        return Kind("a saved page (MHTML)", "", "save it as HTML")
    if re.search(rb"multipart/|Encoding:\s*(?:base64|quoted-printable)", match[0], re.I):
        return Kind("an e-mail message", "", "convert it to text")
    return None


def _mostly_objects(head: bytes, cut: bool) -> bool:
    """Return whether most lines of a text are JSON objects: a part of a file, a damaged start."""
    lines = [line for line in head.split(b"\n")[: -1 if cut else None] if line.strip()]
    objects = sum(map(_is_object, lines))
    return objects >= 2 and objects * 2 > len(lines)


def _without_prologue(head: bytes) -> bytes:
    """Return what follows the comments and instructions at the start of a page."""
    at = 0
    while True:
        while head[at : at + 1].isspace():
            at += 1
        for start, end in _PROLOGUE:
            if head.startswith(start, at):
                stop = head.find(end, at + len(start))
                if stop < 0:
                    return b""
                at = stop + len(end)
                break
        else:
            return head[at : at + 100]


def _json(head: bytes, low: str, cut: bool) -> Kind | None:
    """Return the kind of a text that begins as JSON does, by the shape of its first lines."""
    start = head.lstrip()
    if start[:1] not in (b"{", b"["):
        return None
    lines = [line for line in start.split(b"\n") if line.strip()]
    whole = (lines[:-1] if cut else lines)[:5]
    objects = sum(map(_is_object, whole))
    mapping = start[:1] == b"{"
    cells = low.endswith(".ipynb") or _CELLS.search(start[:8192])
    if mapping and cells and not (objects and len(lines) > 1):
        return Kind("a notebook", "notebook")
    if mapping and (objects * 2 >= len(whole) if whole else _OBJECT_START.match(start)):
        if len(lines) > 1 or low.endswith(LINE_ENDINGS):
            return Kind("JSON lines", "jsonl")
        return Kind("a JSON object on one line", "json")
    if low.endswith(".json") or _whole_json(start, cut):
        name = "a JSON object over several lines" if mapping else "a JSON array"
        return Kind(name, "data", _AS_LINES)
    return None


def _whole_json(start: bytes, cut: bool) -> bool:
    """Return whether text is one JSON value; of one that is cut, whether it begins as one does."""
    import orjson

    if cut:
        return re.match(rb'(?:\[\s*)?\{\s*"[^"\n]*"\s*:|\[\s*["\d\[{-]', start) is not None
    try:
        orjson.loads(start)
    except orjson.JSONDecodeError:
        return False
    return True


def _named(low: str, head: bytes) -> Kind:
    """Return the kind of a text, or of an empty file, by its name's ending."""
    if low.endswith(PAGE_ENDINGS):
        return Kind("a page (HTML)", "html", sure=False)
    if low.endswith(LINE_ENDINGS) or (low.endswith(".json") and not head):
        return Kind("JSON lines", "jsonl", sure=False)
    if low.endswith(TABLE_ENDINGS):
        return Kind("a table (CSV)", "data", "convert it to Parquet or JSON Lines", sure=False)
    if not head and (form := _form_named(low)):
        return Kind("an empty file", form, sure=False)
    if low.endswith(".ipynb"):
        return Kind("a notebook", "notebook", sure=False)
    name = low.rsplit("/", 1)[-1]
    if name == "readme.md" and _FRONT.match(head):
        return Kind(CARD, "text", sure=_CARD.match(head) is not None)
    if name.rsplit(".", 1)[-1] in _CODE or name in _CODE_NAMES or _SHEBANG.match(head):
        return Kind("code", "code", sure=False)
    markup = not low.endswith(_PROSE_ENDINGS) and _TAG.search(head) is not None
    return Kind("plain text", "text", sure=False, markup=markup)


@dataclass(frozen=True)
class Look:
    """What the first bytes of a file show."""

    kind: Kind
    packed: str | None
    """What packs it: `gzip`, `zstd`, `bzip2`, `xz`, `lz4`."""


@lru_cache(1 << 17)
def look(path: str, size: int, stamp: str, encoding: str | None = None) -> Look:
    """Return what a file is. `size` and `stamp`: those of the version that is looked at.

    A file that cannot be read, or unpacked, is what its name says; its reader reports the fault.
    """
    low = ending_of(path)
    try:
        with open_input(path) as file:
            raw = _first(file, HEAD)
            packed = packing.kind_of(raw)
            if packed is None:
                kind = kind_of(raw, path, encoding)
                if kind.name == ZIP:
                    file.seek(0)
                    return Look(_of_signature(zip_kind(raw, central_names(file))), None)
                if not kind.sure and kind.form not in TEXTUAL and zipfile.is_zipfile(file):
                    return Look(Kind(ZIP, "archive"), None)  # something stands before it
                if kind.sure or kind.form in TEXTUAL or low == path.lower():
                    return Look(kind, None)
        head = unpacked_head(path, HEAD)
    except (OSError, StreamFault):
        return Look(_damaged(low), None)
    return Look(kind_of(head, path, encoding) if head else _damaged(low), packed)


def _first(file: BinaryIO, count: int) -> bytes:
    """Return the first `count` bytes of a file, or all."""
    data = b""
    while len(data) < count and (piece := file.read(count - len(data))):
        data += piece
    return data


def _damaged(low: str) -> Kind:
    """Return what the name says of a file whose bytes cannot be had."""
    return Kind(UNREADABLE, _form_named(low) or "text", sure=False)


def _form_named(low: str) -> Form:
    """Return the form that a name's ending claims, none for those of texts without one."""
    claims: tuple[tuple[Form, tuple[str, ...]], ...] = (
        ("parquet", (".parquet",)),
        ("warc", (".warc", ".wet", ".arc")),
        ("archive", (*TAR_ENDINGS, ".zip")),
        ("jsonl", LINE_ENDINGS),
        ("html", PAGE_ENDINGS),
    )
    return next((form for form, endings in claims if low.endswith(endings)), "")
