"""WARC files made in memory: records, pages, and what servers do to their bodies."""

from __future__ import annotations

import gzip
from collections.abc import Sequence

SENTENCE = "바닷가 마을에는 오래된 등대가 있고, 저녁마다 불빛이 물결 위를 천천히 지나갑니다. "


def html(number: int) -> bytes:
    """Return a page whose text names its number."""
    text = f"{number}번째 글입니다. " + SENTENCE * 6
    return f"<html><body><article><p>{text}</p></article></body></html>".encode()


def http(
    body: bytes,
    content_type: str | None = "text/html; charset=utf-8",
    *fields: str,
    status: str = "200 OK",
) -> bytes:
    """Return an HTTP response. `fields`: further lines of its header."""
    lines = [f"HTTP/1.1 {status}", *fields]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def record(
    block: bytes, *fields: str, kind: str = "response", length: str | None = None, number: int = 0
) -> bytes:
    """Return a WARC record. `fields`: further lines of its header; `length`: what it states."""
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Target-URI: http://a.example/{number}",
        "WARC-Date: 2024-05-01T00:00:00Z",
        "Content-Type: application/http; msgtype=response",
        *fields,
        f"Content-Length: {len(block) if length is None else length}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def pages(count: int) -> list[bytes]:
    """Return records of as many pages."""
    return [record(http(html(number)), number=number) for number in range(count)]


def members(records: Sequence[bytes]) -> list[bytes]:
    """Return a gzip member per record, as archives are stored."""
    return [gzip.compress(each) for each in records]
