"""A stream with a bounded view back, so that reading can resume before the place of a fault."""

from __future__ import annotations

import re
from collections.abc import Callable

CHUNK = 1 << 20
"""Bytes that are read at once."""
KEEP = 8 << 20
"""Bytes before the last ones read that can be read again."""


class Window:
    """Random access to the last KEEP bytes of a stream and to all that follow.

    Offsets count the bytes of the stream from 0.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._data = bytearray()
        self._ended = False
        self.base = 0
        """The first offset that can still be read."""

    @property
    def end(self) -> int:
        """The offset behind the last byte read so far; the stream's size once it has ended."""
        return self.base + len(self._data)

    def _more(self) -> bool:
        """Read on; return whether anything came."""
        if self._ended:
            return False
        more = self._read(CHUNK)
        self._ended = not more
        if len(self._data) > 2 * KEEP:
            dropped = len(self._data) - KEEP
            del self._data[:dropped]
            self.base += dropped
        self._data += more
        return not self._ended

    def read(self, at: int, count: int) -> bytes:
        """Return up to `count` bytes from offset `at` (at least `base`); fewer only at the end.

        `count` is at most KEEP.
        """
        while self.end < at + count and self._more():
            pass
        start = max(0, at - self.base)
        return bytes(memoryview(self._data)[start : start + count])

    def find(self, pattern: re.Pattern[bytes], at: int, longest: int) -> int | None:
        """Return the offset of the first match of `pattern` from offset `at` on, or None.

        `longest`: bytes of the longest match. Without a match, the stream is read to its end.
        """
        while True:
            at = max(at, self.base)
            match = pattern.search(self._data, at - self.base)
            found = self.base + match.start() if match else None
            del match  # it would keep the data from growing
            if found is not None and (self._ended or found + longest <= self.end):
                return found
            if self._ended:
                return None
            at = max(at, self.end - longest + 1) if found is None else found
            self._more()
