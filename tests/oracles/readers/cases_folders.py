"""Folders: helper files, pictures, programs, pointers, notebooks, links, odd names."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import zlib
from collections.abc import Sequence
from pathlib import Path

from tests.oracles.readers.cases_streams import put
from tests.oracles.readers.pack import gz, jsonl, parquet
from tests.oracles.readers.prose import code, page, paragraph, paragraphs
from tests.oracles.readers.rig import Outcome, Right

TEXTS = paragraphs(6, first=800)
NOISE = random.Random(11).randbytes(4000)
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + NOISE
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01" + NOISE
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 132735\n"
)


def fill(folder: Path, files: dict[str, bytes], name: str = "in") -> str:
    for path, data in files.items():
        target = folder / name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return name


def named(*names: str) -> object:
    """Return a check that each of `names` is a reject or in the output."""

    def check(got: Outcome) -> str | None:
        gone = [
            n
            for n in names
            if n not in got.output and not any(n in r["origin"] for r in got.rejects)
        ]
        return f"without a word: {gone}" if gone else None

    return check


def texts_beside(
    folder: Path, others: dict[str, bytes], words: Sequence[str], faults: tuple[int, int]
) -> Right:
    """Return the right outcome of a folder of texts and of files that no reader knows."""
    files = {f"t{n}.txt": text.encode() for n, text in enumerate(TEXTS)}
    return Right(fill(folder, {**files, **others}), TEXTS, faults=faults, check=named(*words))


def helper_files_of_spark(folder: Path) -> Right:
    files = {
        "part-00000.jsonl": jsonl(TEXTS),
        "_SUCCESS": b"",
        "_committed_4018742": b'{"added":["part-00000.jsonl"],"removed":[]}',
        "_started_4018742": b"",
        ".part-00000.jsonl.crc": b"crc\0\0\0\x02\0" + NOISE[:40],
        "_metadata": parquet({"n": [1]}),
        "_delta_log/00000000000000000000.json": b'{"commitInfo": {"text": "not a document"}}\n',
    }
    return Right(fill(folder, files), TEXTS)


def helper_files_of_the_hub(folder: Path) -> Right:
    files = {
        "data/train-00000-of-00001.parquet": parquet({"text": TEXTS}),
        "README.md": b"---\nlicense: mit\n---\n# A data set\n\nIt has texts.\n",
        "dataset_infos.json": b'{"default": {"text": "an info"}}',
        "dataset_dict.json": b'{"splits": ["train"]}',
        "state.json": b'{"_data_files": []}',
        ".gitattributes": b"*.parquet filter=lfs\n",
        ".DS_Store": b"\0\0\0\x01Bud1" + NOISE[:200],
        "Thumbs.db": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + NOISE[:200],
    }
    return Right(fill(folder, files), TEXTS, faults=(0, 3))


def pictures_called_html(folder: Path) -> Right:
    pages = {f"p{n}.html": page([text] * 3).encode() for n, text in enumerate(TEXTS)}
    pictures = {
        "a.html": PNG,
        "b.htm": JPEG,
        "c.html": b"GIF89a" + NOISE,
        "d.html": b"RIFF\0\0\0\0WEBP" + NOISE,
    }
    source = {"s": {"path": fill(folder, {**pages, **pictures}), "format": "html"}}

    def check(got: Outcome) -> str | None:
        quiet = [r["origin"] for r in got.rejects if not r["fault"]]
        return f"counted as no fault: {quiet}" if quiet else None

    return Right(source, docs=6, holds=TEXTS, faults=4, check=check)


def a_pdf_called_txt(folder: Path) -> Right:
    stream = zlib.compress(b"BT /F1 12 Tf (Hello) Tj ET" * 20)
    pdf = (
        b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Length 9 >>\nstream\n"
        + stream
        + b"\nendstream\nendobj\n%%EOF\n"
    )
    return texts_beside(folder, {"report.txt": pdf}, ["report.txt"], (1, 1))


def a_pdf_of_plain_bytes_called_txt(folder: Path) -> Right:
    pdf = b"%PDF-1.1\n1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj\nxref\n0 2\ntrailer << /Root 1 0 R >>\n%%EOF\n"
    return texts_beside(folder, {"report.txt": pdf}, ["report.txt"], (1, 1))


def rich_text_called_txt(folder: Path) -> Right:
    rtf = b"{\\rtf1\\ansi\\deff0{\\fonttbl{\\f0 Times;}}\\f0\\fs24 Hello \\b world\\b0.\\par}"
    return texts_beside(folder, {"letter.txt": rtf}, ["letter.txt"], (1, 1))


def programs_and_data_bases(folder: Path) -> Right:
    base = sqlite3.connect(folder / "x.db")
    base.execute("create table t (a text)")
    base.executemany("insert into t values (?)", [(text,) for text in TEXTS])
    base.commit()
    base.close()
    others = {
        "tool": b"\x7fELF\x02\x01\x01" + NOISE,
        "tool.exe.txt": b"MZ\x90\0\x03" + NOISE,
        "books": (folder / "x.db").read_bytes(),
        "model.txt": b"\x80\x04\x95" + NOISE,
    }
    return texts_beside(folder, others, ["tool.exe.txt", "model.txt", "books", "tool"], (2, 4))


def pointers_of_git_lfs(folder: Path) -> Right:
    files = {"a.jsonl": jsonl(TEXTS), "b.jsonl": POINTER, "c.parquet": POINTER, "d.txt": POINTER}

    def check(got: Outcome) -> str | None:
        named_so = [r for r in got.faults if "lfs" in (r["reason"] + r["detail"]).lower()]
        return None if len(named_so) == 3 else f"{len(named_so)} of 3 pointers are called pointers"

    return Right(fill(folder, files), TEXTS, faults=3, check=check)


def a_page_of_an_error_called_jsonl(folder: Path) -> Right:
    """The page may be read as the page that it is, or named; XML must be named."""
    files = {
        "a.jsonl": jsonl(TEXTS),
        "b.jsonl": b"<!DOCTYPE html><html><head><title>404</title></head><body>Not found</body></html>\n",
        "c.jsonl": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    }

    def check(got: Outcome) -> str | None:
        read = sum(doc["text"] in TEXTS for doc in got.docs)
        page = [doc for doc in got.docs if "b.jsonl" in doc["origin"]]
        named = [one for one in got.rejects if "b.jsonl" in one["origin"]]
        if read != 6 or len(got.docs) - len(page) != 6:
            return f"{read} of 6 texts in {len(got.docs)} documents"
        return None if named or page else "b.jsonl went without a word"

    return Right(fill(folder, files), faults=(1, 2), check=check, words=["c.jsonl"], code=(0, 1),
                 config={"ingest": {"max_reject_share": 0.1}})  # fmt: skip


def tables_lines_and_texts_in_one_folder(folder: Path) -> Right:
    files = {
        "a.jsonl.gz": gz(jsonl(TEXTS[:2])),
        "b.parquet": parquet({"text": TEXTS[2:4]}),
        "c.txt": TEXTS[4].encode(),
        "deep/er/d.md": TEXTS[5].encode(),
    }
    return Right(fill(folder, files), TEXTS)


def lines_behind_an_unknown_ending(folder: Path) -> Right:
    name = fill(
        folder, {"a.dat": jsonl(TEXTS[:3]), "b.corpus": jsonl(TEXTS[3:]), "c.bak": jsonl(["weg"])}
    )
    return Right({"s": {"path": name, "include": ["*.dat", "*.corpus"]}}, TEXTS)


def include_does_not_choose_the_format(folder: Path) -> Right:
    files = {
        "a.html": page(TEXTS).encode(),
        "b.py": code(1).encode(),
        "c.html.gz": gz(page([paragraph(850)] * 3).encode()),
    }
    source = {"s": {"path": fill(folder, files), "include": ["*.html", "*.html.gz"]}}
    return Right(source, docs=2, holds=[TEXTS[0], TEXTS[5], paragraph(850)], lacks=["<p>", "<html"])


def endings_in_capitals_with_compression(folder: Path) -> Right:
    files = {
        "A.JSONL.GZ": gz(jsonl(TEXTS[:3])),
        "B.Parquet": parquet({"text": TEXTS[3:5]}),
        "C.TXT": TEXTS[5].encode(),
    }
    return Right(fill(folder, files), TEXTS)


def notebook(version: int, cells: list[tuple[str, str]]) -> bytes:
    """Return a notebook of format 3 or 4 with a picture among the outputs."""
    if version == 4:
        rows = [{"cell_type": kind, "metadata": {}, "source": text.splitlines(True),
                 **({"outputs": [{"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo" * 90}}],
                     "execution_count": 1} if kind == "code" else {})} for kind, text in cells]  # fmt: skip
        return json.dumps(
            {"cells": rows, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        ).encode()
    rows = [{"cell_type": kind, "metadata": {}, **({"input": text.splitlines(True), "language": "python",
             "outputs": [{"output_type": "display_data", "png": "iVBORw0KGgo" * 90}]} if kind == "code"
             else {"source": text})} for kind, text in cells]  # fmt: skip
    sheets = [{"cells": rows, "metadata": {}}]
    return json.dumps(
        {"worksheets": sheets, "metadata": {"name": ""}, "nbformat": 3, "nbformat_minor": 0}
    ).encode()


def notebooks_of_two_formats(folder: Path) -> Right:
    cells = [("markdown", f"# 머리\n{TEXTS[0]}"), ("code", code(3, 2)), ("markdown", TEXTS[1])]
    files = {"a.ipynb": notebook(3, cells), "b.ipynb": notebook(4, cells), "c.py": code(4).encode()}
    source = {"s": {"path": fill(folder, files), "format": "tree"}}

    def check(got: Outcome) -> str | None:
        books = [d["text"] for d in got.docs if ".ipynb" in d["origin"]]
        whole = [
            t
            for t in books
            if TEXTS[0] in t and TEXTS[1] in t and "def step_3_1(value):\n    return" in t
        ]
        return None if len(whole) == 2 else f"{len(whole)} of 2 notebooks have their cells"

    return Right(source, docs=3, lacks=["iVBORw0KGgo", "nbformat", "cell_type"], check=check)


def a_folder_of_git_is_passed_over(folder: Path) -> Right:
    files = {
        "a.py": code(5).encode(),
        ".git/HEAD": b"ref: refs/heads/main\n",
        ".git/config": b"[core]\n\tbare = false\n",
        ".git/hooks/pre-commit.sample": b"#!/bin/sh\nexit 0\n",
        ".git/objects/ab/cd": zlib.compress(b"blob 3\0abc"),
        "node.js": b"",
        "pkg/__init__.py": b"",
        "pkg/empty.ts": b"",
    }
    source = {"s": {"path": fill(folder, files), "format": "tree"}}
    return Right(source, docs=1, lacks=["refs/heads", "bare = false"])


def links_that_dangle_and_loop(folder: Path) -> Right:
    name = fill(folder, {f"a/{n}.txt": text.encode() for n, text in enumerate(TEXTS)})
    os.symlink("nowhere/at/all.txt", folder / "in/gone.txt")
    os.symlink("gone.txt", folder / "in/second.txt")
    os.symlink("third.txt", folder / "in/third.txt")
    os.symlink("../..", folder / "in/a/up")
    os.symlink(".", folder / "in/a/here")
    os.mkfifo(folder / "in/pipe.txt")
    return Right(name, TEXTS, faults=(0, 5))


def a_linked_folder_is_read_once(folder: Path) -> Right:
    fill(folder, {f"{n}.txt": text.encode() for n, text in enumerate(TEXTS)}, "store")
    (folder / "in").mkdir()
    os.symlink("../store", folder / "in/link")
    return Right("in", TEXTS)


def names_of_stars_and_brackets(folder: Path) -> Right:
    names = ["a[1].txt", "b*.txt", "c?.txt", "{d}.txt", "e#f%20.txt", "g 한글.txt"]
    return Right(
        fill(folder, {n: t.encode() for n, t in zip(names, TEXTS, strict=True)}, "x[y] {z}*"), TEXTS
    )


def names_that_are_not_utf8(folder: Path) -> Right:
    (folder / "in").mkdir()
    for number, text in enumerate(TEXTS):
        with open(os.fsencode(folder / "in") + b"/\xb0\xa1%d.txt" % number, "wb") as stream:
            stream.write(text.encode())
    return Right("in", TEXTS)


def one_file_with_a_star_in_its_name(folder: Path) -> Right:
    put(folder, "a*.jsonl", jsonl(TEXTS))
    put(folder, "ab.jsonl", jsonl(["ein anderer Text"]))
    return Right("a*.jsonl", TEXTS)


def texts_in_other_charsets(folder: Path) -> Right:
    codecs = ["cp949", "utf-16", "utf-16-be", "utf-8-sig", "iso2022_kr", "johab"]
    files = {
        f"{codec}.txt": ("\n".join([text] * 4)).encode(codec)
        for codec, text in zip(codecs, TEXTS, strict=True)
    }
    return Right(fill(folder, files), ["\n".join([text] * 4) for text in TEXTS])


def source_files_that_name_their_charset(folder: Path) -> Right:
    head = "# -*- coding: {} -*-\n"
    texts = [
        head.format(name) + f"# {TEXTS[0]}\nprint('한글')\n"
        for name in ("euc-kr", "cp949", "utf-8")
    ]
    files = {
        f"{n}.py": text.encode(("euc-kr", "cp949", "utf-8")[n]) for n, text in enumerate(texts)
    }
    files["3.py"] = "# vim: set fileencoding=latin-1 :\nx = 'é°ü'\n".encode("latin-1")
    source = {"s": {"path": fill(folder, files), "format": "tree"}}
    return Right(source, [*texts, "# vim: set fileencoding=latin-1 :\nx = 'é°ü'\n"])


CASES = [
    helper_files_of_spark,
    helper_files_of_the_hub,
    pictures_called_html,
    a_pdf_called_txt,
    a_pdf_of_plain_bytes_called_txt,
    rich_text_called_txt,
    programs_and_data_bases,
    pointers_of_git_lfs,
    a_page_of_an_error_called_jsonl,
    tables_lines_and_texts_in_one_folder,
    lines_behind_an_unknown_ending,
    include_does_not_choose_the_format,
    endings_in_capitals_with_compression,
    notebooks_of_two_formats,
    a_folder_of_git_is_passed_over,
    links_that_dangle_and_loop,
    a_linked_folder_is_read_once,
    names_of_stars_and_brackets,
    names_that_are_not_utf8,
    one_file_with_a_star_in_its_name,
    texts_in_other_charsets,
    source_files_that_name_their_charset,
]
