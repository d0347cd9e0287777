"""Runs Presidio over windows, many per call, without a model and without a download.

Context words raise scores if they occur in the characters around a value. So no tokens or lemmas
are needed, and a window gives what the whole text gives.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from filters.pii.entities import KINDS, MAIL
from filters.pii.recognisers import GAP, LANGUAGE, make_engine
from schemas.extras import hidden

TOGETHER = 16_384
"""Characters per call, at most, unless one text is longer."""

_WIDE_DIGITS = {0xFF10 + digit: 0x30 + digit for digit in range(10)}
_MAIL_PLAIN = {0xFF20: ord("@")}
_PLAIN = {
    **_WIDE_DIGITS,
    0xFF20: ord("@"),
    **dict.fromkeys((0xA0, 0x3000, *range(0x2000, 0x200B)), ord(" ")),
    **dict.fromkeys((*range(0x2010, 0x2016), 0x2212, 0xB7, 0x30FB, 0xFF0D, 0xFF0E), ord("-")),
    0xFF5E: ord("~"),
    0xFF08: ord("("),
    0xFF09: ord(")"),
}


@dataclass(frozen=True, order=True)
class Hit:
    """A value: characters `[start, end)` of the text, entity type, score."""

    start: int
    end: int
    entity: str
    score: float


def plain(text: str, kind: int) -> str:
    """Return `text` with wide digits and unusual dashes and blanks made plain, same length."""
    if text.isascii():
        return text
    return text.translate(_MAIL_PLAIN if kind == MAIL else _PLAIN)


class Analyser:
    """Presidio's engine, loaded once per process (about 90 MB and a second; no torch)."""

    def __init__(self, disable: Iterable[str] = (), threshold: float = 0.5) -> None:
        self._threshold = threshold
        self._entities = [
            [entity for entity in kind.entities if entity not in set(disable)] for kind in KINDS
        ]
        self._engine = _engine()

    def analyse(self, texts: Sequence[str], kind: int) -> list[list[Hit]]:
        """Return the hits of a kind's entities in each of `texts`, sorted.

        These are all that reach the threshold, and may overlap. Texts are joined up to TOGETHER
        characters per call; none influences another.
        """
        hits: list[list[Hit]] = [[] for _ in texts]
        if not self._entities[kind]:
            return hits
        first, size = 0, 0
        for index, text in enumerate(texts):
            if size and size + len(text) > TOGETHER:
                self._read(texts, first, index, kind, hits)
                first, size = index, 0
            size += len(text) + 1
        self._read(texts, first, len(texts), kind, hits)
        return hits

    def _read(
        self, texts: Sequence[str], first: int, last: int, kind: int, hits: list[list[Hit]]
    ) -> None:
        if first == last:
            return
        starts: list[int] = []
        at = 0
        for index in range(first, last):
            starts.append(at)
            at += len(texts[index]) + 1
        joined = plain(GAP.join(texts[first:last]), kind)
        results = self._engine.analyze(
            text=joined,
            language=LANGUAGE,
            entities=self._entities[kind],
            score_threshold=self._threshold,
        )
        for result in results:
            which = bisect_right(starts, result.start) - 1
            offset = starts[which]
            hits[first + which].append(
                Hit(
                    result.start - offset,
                    result.end - offset,
                    result.entity_type,
                    round(result.score, 6),
                )
            )
        for index in range(first, last):
            hits[index].sort()


@lru_cache(maxsize=1)
def _engine() -> Any:
    """Load Presidio and make its engine, once per process."""
    for name in ("presidio-analyzer", "decision_process"):
        # Some of its messages contain the value that was read.
        logging.getLogger(name).addFilter(lambda record: False)
    # Presidio tries to import transformers, and spaCy's thinc torch. Both are hidden: a
    # transformers
    # that found no torch at its import would run without torch as long as the process lives.
    with hidden("torch", "transformers"):
        return make_engine()
