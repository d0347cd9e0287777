"""gzip: members one after another, each with a checksum and its length."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any

from schemas.packing import frames
from schemas.packing.frames import Cut, Damage, Gap
from schemas.packing.window import CHUNK, Window

FEED = 64 << 10
"""Packed bytes per call: what follows a member is copied, so small members need small feeds."""
_MEMBER = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]")
_TRIED = 1024
"""Packed bytes that must unpack where a member is found by its first four bytes, …"""
_STEP = 32
_GIVEN = 256
"""… or give so many bytes before damage."""
_TRAILER = ("incorrect data check", "incorrect length check")


class _Member:
    def __init__(self, window: Window, at: int) -> None:
        self._window = window
        self.at = at
        self.size: int | None = None

    def pieces(self) -> Iterator[bytes]:
        member = zlib.decompressobj(wbits=31)
        first = True
        while not member.eof:
            data = self._window.read(self.at, FEED)
            if not data:
                if rest := member.flush():
                    yield rest
                raise Cut
            before = zlib.decompressobj(wbits=31) if first else member.copy()
            first = False
            given = 0
            rest = data
            while rest and not member.eof:
                try:
                    out = member.decompress(rest, CHUNK)
                except zlib.error as error:
                    yield from self._salvage(before, data, given)
                    raise self._damage(error) from None
                given += len(out)
                if out:
                    yield out
                rest = member.unconsumed_tail
            self.at += len(data) - len(member.unused_data)

    def _salvage(self, member: Any, data: bytes, given: int) -> Iterator[bytes]:
        """Yield what `data` gives before its fault, less the first `given` bytes."""
        for place in range(len(data)):
            rest = data[place : place + 1]
            try:
                while rest:
                    out = member.decompress(rest, CHUNK)
                    rest = member.unconsumed_tail
                    skipped = min(given, len(out))
                    given -= skipped
                    if out := out[skipped:]:
                        yield out
            except zlib.error:
                self.at += place + 1
                return

    def _damage(self, error: zlib.error) -> Damage:
        detail = str(error).partition(": ")[2] or str(error)
        if detail == _TRAILER[0]:
            self.at += 4  # the length follows the checksum
        return Damage(detail, self.at, detail in _TRAILER and self._ends())

    def _ends(self) -> bool:
        """Return whether the member ends here: damage can make it run into those that follow."""
        after = frames.skip_padding(self._window, self.at)
        following = self._window.read(after, 4)
        return not following or _MEMBER.match(following) is not None


class _Gzip:
    name, unit, ratio, alone = "gzip", "member", 4.0, False

    def skip(self, window: Window, at: int) -> int:
        return frames.skip_padding(window, at) if at else at

    def open(self, window: Window, at: int) -> _Member:
        if window.read(at, 2) not in (b"\x1f\x8b", b"\x1f"):
            raise Damage("not a gzip member", at)
        return _Member(window, at)

    def find(self, window: Window, at: int) -> int | None:
        while (found := window.find(_MEMBER, at, 4)) is not None:
            if _gives(window.read(found, _TRIED)):
                return found
            at = found + 1
        return None


def _gives(data: bytes) -> bool:
    """Return whether a member begins with `data`, which may be damaged after its first bytes."""
    member = zlib.decompressobj(wbits=31)
    given = 0
    try:
        for at in range(0, len(data), _STEP):
            given += len(member.decompress(data[at : at + _STEP]))
    except zlib.error:
        return given >= _GIVEN
    return True


def unpack(window: Window) -> Iterator[bytes | Gap]:
    """Yield the unpacked pieces of a gzip stream, and its gaps."""
    return frames.unpack(window, _Gzip())
