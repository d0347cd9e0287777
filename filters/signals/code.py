"""Signals of source code (StarCoder, The Stack): encoded data, generated files, comments."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from filters.kernels import Bytes, Mask, Offsets, kernel
from filters.signals.family import CODE, Family

ENCODED_RUN = 64
"""Bytes of letters, digits and `+/=` without a break from which a run counts as encoded data."""
HEAD = 2000
"""Bytes from the start in which markers of generated files and licences are looked for."""
_GENERATED = re.compile(
    rb"auto-?generated|automatically generated|generated (?:by|from|code|file)"
    rb"|do not (?:edit|modify)|@generated",
    re.I,
)
_LICENSE = re.compile(rb"licen[sc]e|copyright|spdx-", re.I)
_MARKUP = re.compile(rb"\s*(?:<\?xml|<!doctype|<html|<svg)", re.I)

_PLAIN, _UPPER, _DIGIT, _BLANK = 1, 2, 4, 8
_BYTES = np.zeros(256, np.uint8)
_BYTES[[ord(c) for c in "abcdefghijklmnopqrstuvwxyz+/="]] = _PLAIN
_BYTES[[ord(c) for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]] = _PLAIN | _UPPER
_BYTES[[ord(c) for c in "0123456789"]] = _PLAIN | _DIGIT
_BYTES[[ord(c) for c in " \t\r"]] = _BLANK


@kernel
def _scan(data, offsets, where):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return float64 [rows, 3]: shares of bytes in encoded runs, comment lines, data lines."""
    rows = len(offsets) - 1
    out = np.zeros((rows, 3))
    for row in range(rows):
        if not where[row]:
            continue
        begin, end = offsets[row], offsets[row + 1]
        at = begin
        encoded = lines = comments = values = 0
        while at < end:
            while at < end and _BYTES[data[at]] & _BLANK:
                at += 1
            first = data[at] if at < end else 10
            second = data[at + 1] if at + 1 < end else 10
            start = at
            letters = digits = 0
            while at < end and data[at] != 10:
                run_start = at
                run_digits = uppers = 0
                while at < end:
                    flags = _BYTES[data[at]]
                    if not flags & _PLAIN:
                        break
                    run_digits += (flags & _DIGIT) >> 2
                    uppers += (flags & _UPPER) >> 1
                    at += 1
                run = at - run_start
                digits += run_digits
                letters += run - run_digits
                if run >= ENCODED_RUN and (run_digits > 3 or uppers > 3):
                    encoded += run
                if at < end and data[at] != 10:
                    at += 1
            if at > start:
                lines += 1
                # // /* * /// # and the rest of a block comment
                slashes = first == 47 and second in (42, 47)
                if first == 35 or slashes or (first == 42 and second in (10, 32, 42, 47)):
                    comments += 1
                elif digits > 2 * letters:
                    values += 1
            at += 1
        out[row, 0] = encoded / max(end - begin, 1)
        out[row, 1] = comments / max(lines, 1)
        out[row, 2] = values / max(lines, 1)
    return out


def compute(data: Bytes, offsets: Offsets, where: Mask) -> npt.NDArray[np.float64]:
    """Return the columns of SIGNALS for each row."""
    heads = np.zeros((len(where), 3))
    for row in np.flatnonzero(where):
        start, stop = int(offsets[row]), int(offsets[row + 1])
        head = data[start : min(stop, start + HEAD)].tobytes()
        heads[row, 0] = _GENERATED.search(head) is not None
        heads[row, 1] = _LICENSE.search(head) is not None
        heads[row, 2] = _MARKUP.match(head) is not None
    return np.column_stack([_scan(data, offsets, where), heads])


SIGNALS = Family(
    columns={
        "encoded_runs": "share of bytes in runs of 64 or more of base64 or hexadecimal data",
        "comment_lines": "share of lines that are comments (`//`, `/*`, `*`, `#`)",
        "data_lines": "share of lines that are mostly digits",
        "generated": "1 where the head of the file says that it was generated",
        "license_header": "1 where the head of the file names a licence or copyright",
        "markup": "1 where the file begins as XML, SVG or HTML does",
    },
    compute=compute,
    kind=CODE,
)
