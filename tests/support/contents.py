"""Contents of files of many kinds, as small as they can be."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq

KOREAN = "한국어 문장이 여러 개 있는 글이다. 이 글은 시험을 위해 쓴다.\n"
LINES = b"".join(
    json.dumps({"text": f"{n}번째 {KOREAN}"}, ensure_ascii=False).encode() + b"\n" for n in range(3)
)
PAGE = (
    f"<!DOCTYPE html>\n<html><head><title>제목</title></head><body><article><p>{KOREAN * 5}</p>"
    "</article></body></html>"
).encode()
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" + bytes(range(256)) * 4
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
CARD = b"---\nlicense: mit\ntask_categories:\n- text-generation\n---\n# Data\n\nAbout it.\n"
HWP = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1024) + "FileHeader".encode("utf-16-le")
WARC = b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 0\r\n\r\n\r\n\r\n"


def parquet(*texts: str) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"text": list(texts)}), out)
    return out.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return out.getvalue()


def tarred(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as made:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return out.getvalue()


DOCX = zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w/>"})
HWPX = zipped({"mimetype": b"application/hwp+zip", "Contents/section0.xml": b"<s/>"})
EPUB = zipped({"mimetype": b"application/epub+zip", "META-INF/container.xml": b"<c/>"})


def notebook(*cells: tuple[str, str]) -> bytes:
    """Return a notebook of (type, source), its code cells with an output."""
    made = [
        {"cell_type": kind, "metadata": {}, "source": source.splitlines(keepends=True)}
        | ({"outputs": [{"data": {"image/png": "iVBOR" * 50}}]} if kind == "code" else {})
        for kind, source in cells
    ]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4}, indent=1).encode()
