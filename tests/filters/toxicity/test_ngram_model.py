"""The n-gram model: windows, folding, density, and batches that change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.columnar.kernels import buffers
from filters.columnar.windows import MAX_CHARS
from filters.toxicity.ngram_model import NgramModel, features, load, save
from schemas.errors import InputError

ANY_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=600)


def model(seed: int = 0, bits: int = 12) -> NgramModel:
    rng = np.random.default_rng(seed)
    return NgramModel(
        rng.integers(-127, 128, (2, 1 << bits)).astype(np.int8),
        np.full(2, 1e-3, np.float32),
        np.ones(2, np.float32),
        np.zeros(2, np.float32),
        {"made": "here"},
    )


def column(*texts: str | None) -> pa.Array:
    return pa.array(list(texts), pa.large_string())


def buckets(text: str) -> list[int]:
    return sorted(features(column(text), 16)[0].tolist())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), ANY_TEXT), max_size=6))
def test_a_batch_gives_what_its_rows_give_alone(texts: list[str | None]):
    score, share = model().score(column(*texts))
    assert ((score >= 0) & (score <= 1) & (share >= 0) & (share <= 1)).all()
    for row, text in enumerate(texts):
        alone, alone_share = model().score(column(text))
        assert alone[0] == score[row]
        assert alone_share[0] == share[row]


@settings(max_examples=40, deadline=None)
@given(st.lists(ANY_TEXT, min_size=3, max_size=8), st.integers(1, 2))
def test_a_slice_scores_as_its_rows_do(texts: list[str], start: int):
    whole, _ = model().score(column(*texts))
    part, _ = model().score(column(*texts).slice(start))
    assert (part == whole[start:]).all()


@settings(max_examples=30, deadline=None)
@given(ANY_TEXT)
def test_every_byte_is_in_a_window(text: str):
    """A text of visible characters never has less mass than its windows: no window is lost."""
    steady = model()
    steady.codes[:] = 0
    score, _ = steady.score(column(text))
    assert score[0] in (0.0, 0.5)
    if any(letter.isalnum() and ord(letter) < 0x2000 for letter in text):
        assert score[0] == 0.5


def test_spelling_that_hides_a_word_still_shares_its_letters():
    plain = set(buckets("시발점"))
    for hidden in ("시.발.점", "시 발 점", "시1발2점", "시\u200b발점"):
        assert len(plain & set(buckets(hidden))) >= 3, hidden


def test_case_width_digits_and_long_runs_are_folded():
    assert buckets("HELLO 123") == buckets("hello 987")
    assert buckets("ＡＢＣ") == buckets("abc")
    assert buckets("ㅋㅋㅋㅋㅋㅋ") == buckets("ㅋㅋ")
    assert buckets("see http://a.example/b?c") == buckets("see http://another")
    assert buckets("@one hi") == buckets("@two hi")


def test_hangul_and_other_windows_have_weights_of_their_own():
    kinds = features(
        column("오늘은 맑습니다", "it is sunny", "오늘 the weather forecast says"), 10
    )[2]
    assert kinds.tolist() == [0, 1, 1]


def test_a_long_text_is_scored_by_density():
    """One line in a hundred decides a hundredth of the score, not all of it."""
    pointed = model(bits=16)
    pointed.codes[:] = 0
    pointed.codes[1, features(column("zzyzx"), 16)[0]] = 127
    pointed.scale[:] = 0.003
    pointed.offset[:] = -9.0
    short, _ = pointed.score(column("zzyzx"))
    clean = "one ordinary line of about fifty characters follows\n"
    long, share = pointed.score(
        column(clean * 99 + "the single line that has the word zzyzx in it now\n")
    )
    assert short[0] > 0.99
    assert 0 < long[0] < 0.03
    assert 0 < share[0] < 0.03


def test_a_text_without_white_space_is_cut_and_scored():
    score, _ = model().score(column("a1b2c3" * (20 * MAX_CHARS)))
    assert 0 < score[0] < 1


def test_a_model_comes_back_as_it_was_saved(tmp_path: Path):
    saved = model()
    save(saved, tmp_path / "one.npz")
    save(saved, tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    again = load(tmp_path / "one.npz")
    assert (again.codes == saved.codes).all()
    assert again.card["made"] == "here"
    text = column("abc def", "가나다")
    assert (again.score(text)[0] == saved.score(text)[0]).all()


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04broken"])
def test_a_file_that_is_not_a_model_is_the_users_error(tmp_path: Path, content: bytes):
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.npz"):
        load(path)
    with pytest.raises(InputError, match="missing"):
        load(tmp_path / "missing.npz")


def test_buffers_are_not_copied_and_nulls_are_empty():
    data, offsets = buffers(column("ab", None, "가"))
    assert offsets.tolist() == [0, 2, 2, 5]
    assert bytes(data[:5]) == "ab가".encode()
    with pytest.raises(TypeError, match="int64"):
        buffers(pa.array([1, 2]))
