"""Several strings at once, beside Python's own search."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.columnar.kernels import buffers
from filters.columnar.patterns import compile_patterns, found_at, found_between

WORDS = ("cookie", "쿠키", "(c)", "이란 ", "©2", "use of cookies", "무단 전재")
WANTED = compile_patterns([(word, 1 << place) for place, word in enumerate(WORDS)])
pieces = st.lists(
    st.one_of(st.sampled_from([*WORDS, "Cookie", "COOKIE", "쿠", "키", " "]), st.text(max_size=3))
)


def found(text: str) -> int:
    data, offsets = buffers(pa.array([text.replace("\0", "")], pa.large_string()))
    return int(found_between(data, int(offsets[0]), int(offsets[1]), *WANTED))


@given(pieces)
def test_what_is_found_is_what_a_search_finds(parts: list[str]):
    text = "".join(parts).replace("\0", "")
    lower = "".join(c.lower() if c.isascii() else c for c in text)
    assert found(text) == sum(1 << place for place, word in enumerate(WORDS) if word in lower)


def test_a_needle_at_the_very_end_is_found():
    assert found("all rights (C)") == 1 << WORDS.index("(c)")


def test_a_needle_that_the_end_cuts_is_not():
    data, _ = buffers(pa.array(["a cookie"], pa.large_string()))
    assert found_between(data, 0, 7, *WANTED) == 0
    assert found_at(data, 2, 8, *WANTED[:3]) == 1


def test_too_short_a_needle_is_refused():
    with pytest.raises(ValueError, match="three bytes"):
        compile_patterns([("©", 1)])


def test_an_empty_text_holds_nothing():
    assert found_between(np.zeros(0, np.uint8), 0, 0, *WANTED) == 0
