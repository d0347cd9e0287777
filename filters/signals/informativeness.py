"""Informativeness: how much a document defines, measures, cites and has headings.

HyperCLOVA X upsamples data that contains knowledge, after Gopher (Rae et al. 2021); neither the
signal nor the factor is published. This signal is ours: marks of reference works per thousand
characters. Each kind of mark has a cap, so that a table of numbers alone does not score high.
"""

from __future__ import annotations

import numpy as np

from filters.columnar.arrays import Bytes, Doubles, Mask, Offsets
from filters.columnar.kernels import HANGUL, classify, kernel, next_codepoint
from filters.columnar.patterns import compile_patterns, found_at, may_begin, strings
from filters.signals.family import PROSE, Family

_DEFINES, _CITES = 1, 2
_PHRASES = {
    _DEFINES: """
        이란_ 란_무엇 을_말한다 를_말한다 을_뜻한다 를_뜻한다 을_의미한다 를_의미한다 을_의미합니다
        를_의미합니다 을_가리 를_가리 라고_한다 라고_합니다 라고_부른다 라고_부릅니다 로_정의
        을_나타냅니다 를_나타냅니다 을_나타낸다 를_나타낸다 에_속한다 에_속하는 로_이루어 로_구성
        의_일종 _is_a_ _is_an_ _are_a_ _refers_to_ _defined_as_ _known_as_ _consists_of_ _denotes_
        _represents_ _means_that_ _specifies_ _a_type_of_
    """,
    _CITES: """
        참고_문헌 참고문헌 각주 출처: 에_따르면 참고하세요 참조하세요 참조하십시오 et_al doi:
        doi.org isbn rfc_ ibid see_also according_to
    """,
}
"""Strings to look for, in lower case; `_` stands for a space."""
_UNITS = """
    % km kg cm mm hz mb gb kb tb ms bit bits byte bytes °c ㎞ ㎡ ㎏ 년 월 일 명 개 원 미터 킬로
    퍼센트 세기 도 회 배 위
"""
_WANTED = compile_patterns(
    [
        (phrase.replace("_", " "), kind)
        for kind, phrases in _PHRASES.items()
        for phrase in phrases.split()
    ]
)
_UNIT = strings([(unit, 1) for unit in _UNITS.split()])
_FOLLOWS = np.zeros(1 << 16, np.bool_)
_FOLLOWS[[ord(c) for c in "이가은는을를의에와과도로으만부까마씩간당대여째차월동후전정쯤"]] = True
"""By codepoint: syllables with which a particle or a suffix of a Korean unit begins."""
PER = 1000
"""Marks are counted per so many characters."""
CAPS = (4.0, 4.0, 2.0, 3.0)
"""Marks per PER characters that count at most: definitions, numbers with units, citations,
headings."""
WEIGHTS = (0.45, 0.15, 0.35, 0.2)
"""What one mark of each kind adds to the sum; the score is 1 - exp(-sum)."""
MIN_CHARS = 1000
"""A shorter document counts as this long: one definition does not make a reference work."""


@kernel
def _is_unit(data, at, end, text, starts, kinds):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return whether a unit is at `at`, and not a longer word: `10 bitcoins`, `3 도서관`.

    A letter ends no unit of letters; after a Korean unit a particle may follow.
    """
    for unit in range(len(kinds)):
        if not found_at(data, at, end, text, starts[unit : unit + 2], kinds[unit : unit + 1]):
            continue
        after = at + starts[unit + 1] - starts[unit]
        if after >= end:
            return True
        last, byte = data[after - 1], data[after]
        if last >= 128 and 0xEA <= byte <= 0xED:
            cp, _ = next_codepoint(data, after)
            if classify(cp) != HANGUL or _FOLLOWS[cp]:
                return True
        elif last >= 128 or not 97 <= last | 32 <= 122 or not 97 <= byte | 32 <= 122:
            return True
    return False


@kernel
def _measure(data, offsets, where, wanted, units):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return float64 [rows, 1], the column of SIGNALS."""
    text, starts, kinds, begins = wanted
    unit_text, unit_starts, unit_kinds = units
    rows = len(offsets) - 1
    out = np.zeros((rows, 1))
    marks = np.zeros(4)
    for row in range(rows):
        if not where[row]:
            continue
        at, end = offsets[row], offsets[row + 1]
        marks[:] = 0
        chars = 0
        digits = line_start = False
        heading = True  # at the start of a line
        while at < end:
            byte = data[at]
            if heading and byte == 35:
                place = at
                while place < end and data[place] == 35:
                    place += 1
                marks[3] += place < end and data[place] == 32
            line_start = byte == 10
            if may_begin(data, at, end, begins):
                found = found_at(data, at, end, text, starts, kinds)
                marks[0] += found & _DEFINES != 0
                marks[2] += found & _CITES != 0
            if digits:
                unit = at + (byte == 32)
                if found_at(data, unit, end, unit_text, unit_starts, unit_kinds):  # most have none
                    marks[1] += _is_unit(data, unit, end, unit_text, unit_starts, unit_kinds)
            if byte == 91 and at + 2 < end and 48 <= data[at + 1] <= 57:  # [12]
                place = at + 1
                while place < end and 48 <= data[place] <= 57:
                    place += 1
                marks[2] += place < end and data[place] == 93
            # A unit directly follows the last digit of a number.
            digits = 48 <= byte <= 57 and at + 1 < end and not 48 <= data[at + 1] <= 57
            heading = line_start
            chars += byte & 0xC0 != 0x80
            at += 1
        total = 0.0
        for kind in range(4):
            total += WEIGHTS[kind] * min(marks[kind] * PER / max(chars, MIN_CHARS), CAPS[kind])
        out[row, 0] = 1 - np.exp(-total)
    return out


def compute(data: Bytes, offsets: Offsets, where: Mask) -> Doubles:
    """Return the column of SIGNALS for each row."""
    return np.asarray(_measure(data, offsets, where, _WANTED, _UNIT))


SIGNALS = Family(
    columns={
        "knowledge": "0 to 1: density of definitions, numbers with units, citations and headings"
    },
    compute=compute,
    kind=PROSE,
)
