"""Signals of code of docs/signals.md in plain Python, as tests/oracles/signals.py has the others."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.oracles.characters import is_letter, kind, strip_start
from tests.oracles.signals import Value, length, lines_of, share


def encoded_runs(text: str) -> Value:
    """share of bytes in runs of 64 or more of base64 or hexadecimal data (a name is neither)"""
    runs = re.findall(r"[A-Za-z0-9+/=_-]{64,}", text)
    return 0, share(length(runs), len(text.encode()))


def comment_lines(text: str) -> Value:
    """share of lines that are comments (`//`, `/*`, `*`, `#`); `*p = 2` may be code"""
    found = lines_of(text)
    sure = sum(line.lstrip(" \t").startswith(("//", "/*", "#", "* ", "*/")) for line in found)
    possible = sum(strip_start(line).startswith(("//", "/*", "#", "*")) for line in found)
    return share(sure, len(found)), share(possible, len(found))


def is_data(line: str) -> bool:
    """more than two digits per letter of any script, comments aside"""
    digits = sum(kind(character) == "digit" for character in line)
    return digits > 2 * sum(map(is_letter, line))


def data_lines(text: str) -> Value:
    """share of lines with more than two digits per letter of any script, comments aside"""
    found = lines_of(text)
    data = [line for line in found if is_data(line)]
    marks = ("//", "/*", "#", "*")
    sure = [line for line in data if not strip_start(line).startswith(marks)]
    comments = ("//", "/*", "#", "* ", "*/")
    possible = [line for line in data if not line.lstrip(" \t").startswith(comments)]
    return share(len(sure), len(found)), share(len(possible), len(found))


def generated(text: str) -> Value:
    """1 where the head of the file states that it was generated"""
    return 0, float(
        any(word in text.lower() for word in ("generat", "do not edit", "do not modify", "자동"))
    )


def license_header(text: str) -> Value:
    """1 where the head of the file names a licence or copyright"""
    return 0, float(
        any(word in text.lower() for word in ("licen", "copyright", "spdx", "(c)", "©"))
    )


def markup(text: str) -> Value:
    """1 where the file begins as XML, SVG or HTML does"""
    head = text.lstrip("\ufeff \t\r\n\v\f").lower()
    if re.match(r"<\?xml\s|<!doctype html|<html[\s>]|<svg[\s>]", head):
        return 1
    return 0, float(head.startswith("<"))


def visible_text(text: str) -> Value:
    """share of bytes outside tags, scripts and styles; 1 without markup (StarCoder: at least 0.2)"""
    seen = visible_bytes(text)
    least, most = seen if isinstance(seen, tuple) else (seen, seen)
    size = len(text.encode())
    return (1 if not size or least == most else share(least, size)), share(
        most, size
    ) if size else 1


def visible_bytes(text: str) -> Value:
    """bytes outside tags, scripts and styles; all without markup; tests/oracles/pages.py makes pages"""
    return (0, len(text.encode())) if markup(text) != (0, 0) else len(text.encode())


CODE: dict[str, Callable[[str], Value]] = {
    function.__name__: function
    for function in (
        encoded_runs, comment_lines, data_lines, generated, license_header, markup, visible_text,
        visible_bytes,
    )
}  # fmt: skip
