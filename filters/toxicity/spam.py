"""Spam: how densely a document advertises gambling, sex, loans, drugs or other things.

Each window (`filters/columnar/windows.py`) gets a probability from counted evidence:

    evidence    = 1.2 · offers + 0.3 · min(topics, 4) + [offers] · contact − 0.8 · reports
    probability = 1 − exp(−1.5 · max(evidence, 0))

`offers`, `topics` and `reports` count the phrases of `filters/toxicity/lexicon.py`; `contact` is
0.5 for a web address or a telephone number, only beside an offer, because a page about poker has
links too. The score of a document is the mean over windows, weighted by characters. The weights
were set by hand: two offers, or one with a topic and a contact, make a window spam (over 0.9); bare
topics do not (at most 0.83, an article about poker); a report about the trade stays near 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.columnar.arrays import Bytes, Floats, Ints, Longs
from filters.columnar.kernels import buffers, kernel
from filters.columnar.windows import (
    LINE_CHARS,
    MAX_CHARS,
    SPACE_CODE,
    TARGET_CHARS,
    is_letter,
    read_window,
)
from filters.toxicity.lexicon import CLASSES, OFFER, REPORT, TOPIC, automaton

Shorts = npt.NDArray[np.int16]

OFFER_WEIGHT = 1.2
TOPIC_WEIGHT = 0.3
MAX_TOPICS = 4
CONTACT_WEIGHT = 0.5
REPORT_WEIGHT = 0.8
STEEPNESS = 1.5
TOPICS_FOR_CLASS = 2
"""A document is assigned a class for one of its offers or slurs, or for so many of its
topics. Topics that overlap (토토 in 토토사이트) are one."""

_DIGIT = 48
_PHONE_DIGITS = 9


def spam(text: pa.Array) -> tuple[Floats, pa.ListArray]:
    """Return the spam score (float32 in [0, 1]) and the classes found (list<string>) by text.

    0 and an empty list for empty text and null. The classes name what occurs, the score how much of
    the text is an offer: a page of law has classes and a low score.
    """
    data, offsets = buffers(text)
    score = np.zeros(len(text), np.float32)
    found = np.zeros((len(text), len(CLASSES)), np.int32)
    table = automaton()
    _spam(
        data,
        offsets,
        table.symbol,
        table.step,
        table.output,
        table.suffix,
        table.length,
        table.kind,
        table.role,
        table.gaps,
        score,
        found,
    )
    named = found >= TOPICS_FOR_CLASS
    counts = named.sum(axis=1)
    values = pa.array(CLASSES).take(pa.array(np.nonzero(named)[1]))
    ends = np.zeros(len(text) + 1, np.int32)
    np.cumsum(counts, out=ends[1:])
    return score, pa.ListArray.from_arrays(pa.array(ends), values)


def compile_kernels() -> None:
    """Compile (or load from the cache) the kernels of this module."""
    spam(pa.array(["가 a"], pa.large_string()))


@kernel
def _squeeze(chars: Ints, count: int, out: Ints, gap: Shorts) -> int:
    """Copy letters, and digits as 0, to `out`; a space stays beside ASCII letters only.

    `gap[i]` is the number of breaks (white space, punctuation) before `out[i]`.
    """
    used = 0
    breaks = 0
    open_break = False
    for index in range(count):
        code = chars[index]
        if is_letter(code):
            latin = code < 128
            if open_break or index == 1:
                breaks += open_break
                if used == 0 or (out[used - 1] != SPACE_CODE and (latin or out[used - 1] < 128)):
                    out[used] = SPACE_CODE
                    gap[used] = breaks
                    used += 1
            elif used > 0 and latin != (out[used - 1] < 128):  # "click여기"
                out[used] = SPACE_CODE
                gap[used] = breaks
                used += 1
            open_break = False
            out[used] = code
            gap[used] = breaks
            used += 1
        else:
            open_break = True
    out[used] = SPACE_CODE
    gap[used] = breaks
    return used + 1


@kernel
def _has_contact(chars: Ints, count: int) -> bool:
    """Return whether the window holds "://", "www." or a number of 9 to 12 grouped digits."""
    digits = 0
    for index in range(count):
        code = chars[index]
        if code == _DIGIT:
            digits += 1
            if digits >= _PHONE_DIGITS:
                return True
        elif code not in (45, 46, 41, SPACE_CODE):  # - . )
            digits = 0
        if index >= 2 and code == 47 and chars[index - 1] == 47 and chars[index - 2] == 58:
            return True
        if index >= 3 and code == 46 and chars[index - 1] == 119 and chars[index - 2] == 119:
            return True
    return False


@kernel
def _visible(chars: Ints, count: int) -> int:
    """Return how many characters of the window are not white space."""
    size = 0
    for index in range(count):
        size += chars[index] != SPACE_CODE
    return size


@kernel
def _spam(
    data: Bytes,
    offsets: Longs,
    symbol: npt.NDArray[np.uint16],
    step: npt.NDArray[np.int16],
    output: Shorts,
    suffix: Shorts,
    length: Shorts,
    kind: Shorts,
    role: Shorts,
    gaps: Shorts,
    score: Floats,
    found: Ints,
) -> None:
    chars = np.zeros(MAX_CHARS + 3, np.int32)
    out = np.zeros(2 * MAX_CHARS + 6, np.int32)
    gap = np.zeros(2 * MAX_CHARS + 6, np.int16)
    roles = np.zeros(4, np.int64)
    topic_ends = np.zeros(found.shape[1], np.int64)
    for row in range(offsets.size - 1):
        at, end = offsets[row], offsets[row + 1]
        mass = total = 0.0
        while at < end:
            at, count = read_window(data, at, end, TARGET_CHARS, LINE_CHARS, MAX_CHARS, chars)
            size = _visible(chars, count)
            if size == 0:
                continue
            total += size
            used = _squeeze(chars, count, out, gap)
            roles[:] = 0
            topic_ends[:] = 0
            state = 0
            for index in range(used):
                code = out[index]
                state = step[state, symbol[code]] if code < 65536 else 0
                ends = state
                while ends > 0:
                    phrase = output[ends]
                    if phrase >= 0:
                        first = index - length[phrase] + 1
                        if code == SPACE_CODE or gap[index] - gap[first] <= gaps[phrase]:
                            roles[role[phrase]] += 1
                            if role[phrase] == TOPIC:
                                # Neighbours in English share the space between them.
                                found[row, kind[phrase]] += first >= topic_ends[kind[phrase]]
                                topic_ends[kind[phrase]] = index
                            elif role[phrase] != REPORT:
                                found[row, kind[phrase]] += TOPICS_FOR_CLASS
                    ends = suffix[ends]
            if roles[OFFER] + roles[TOPIC] == 0:
                continue
            evidence = OFFER_WEIGHT * roles[OFFER] + TOPIC_WEIGHT * min(roles[TOPIC], MAX_TOPICS)
            evidence -= REPORT_WEIGHT * roles[REPORT]
            if roles[OFFER] > 0 and _has_contact(chars, count):
                evidence += CONTACT_WEIGHT
            if evidence > 0:
                mass += size * (1.0 - np.exp(-STEEPNESS * evidence))
        if total > 0:
            score[row] = mass / total
