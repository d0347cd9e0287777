"""Quality: well-made text above junk, the same in every batch, heads that fit their embedder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.fit.junk import KINDS, make_junk
from filters.quality.annotator import (
    DEFAULT_HEAD,
    Head,
    Score,
    head_path,
    load_head,
    model_files,
    save_head,
)
from schemas.config import Quality
from schemas.errors import InputError

SCORE = Score(Quality())
GOOD = [
    "이 절에서는 서버를 설치하는 방법을 설명합니다. 먼저 패키지를 내려받아 압축을 풀고, 설정 파일에서 포트 "
    "번호를 확인하세요. 그런 다음 아래 명령을 실행하면 서비스가 시작됩니다. 오류가 나타나면 로그를 살펴보고 "
    "권한이 올바른지 확인해야 합니다.",
    "This chapter describes how the scheduler chooses the next task. Each task has a priority and a "
    "deadline; the scheduler first looks at those whose deadline is near, and then at the priority. "
    "If two tasks are equal in both, the one that has waited longer runs first.",
    'def read_lines(path):\n    """Return the lines of a file without their ends."""\n'
    '    with open(path, encoding="utf-8") as file:\n'
    '        return [line.rstrip("\\n") for line in file]\n',
]
REVIEW = "배우들 연기 진짜 좋았어요ㅋㅋ 근데 후반부는 좀 지루했음.. 그래도 볼만해요 추천합니다~"


def score(*texts: str | None) -> list[float]:
    batch = pa.RecordBatch.from_arrays([pa.array(list(texts), pa.large_string())], names=["text"])
    found = SCORE(batch)
    assert found.schema == Score.schema
    return found.column(0).to_pylist()


@pytest.mark.parametrize("text", [*GOOD, REVIEW])
def test_well_made_and_informal_text_is_kept(text: str):
    assert score(text)[0] > 0.3


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("word_salad", "shuffled_words")])
def test_junk_scores_below_what_it_was_made_of(kind: str):
    for seed, text in enumerate(GOOD[:2]):
        good, bad = score(text * 3, make_junk(kind, text * 3, seed))
        assert bad < good - 0.2, (kind, good, bad)


def test_a_text_without_a_word_is_zero_and_never_null():
    assert score("", None, "  \n") == [0, 0, 0]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=("Cs",)), max_size=300), st.sampled_from(GOOD)
        ),
        max_size=6,
    )
)
def test_any_batch_gives_what_its_rows_give_alone(texts: list[str]):
    whole = score(*texts)
    assert whole == [score(text)[0] for text in texts]
    assert all(0 <= value <= 1 for value in whole)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("text", ["", "a", "한 줄", "x y z\n" * 50])
def test_junk_of_any_text_is_the_same_for_the_same_seed(kind: str, text: str):
    assert make_junk(kind, text, 7) == make_junk(kind, text, 7)
    assert len(make_junk(kind, text, 7)) < 10 * len(text) + 2000


def test_a_head_comes_back_as_it_was_saved(tmp_path: Path):
    head = Head(np.linspace(-1, 1, 64), 0.25, "default", {"rows": 3})
    save_head(head, tmp_path / "h.npz")
    again = load_head(tmp_path / "h.npz")
    assert (again.weights == head.weights).all()
    assert (again.intercept, again.embedder) == (0.25, "default")
    assert again.card["rows"] == 3


def test_a_head_of_another_embedder_is_refused(tmp_path: Path):
    save_head(Head(np.zeros(64), 0.0, "some/model", {}), tmp_path / "h.npz")
    with pytest.raises(InputError, match="some/model"):
        Score(Quality(model=str(tmp_path / "h.npz")))
    save_head(Head(np.zeros(3), 0.0, "default", {}), tmp_path / "h.npz")
    with pytest.raises(InputError, match="64 dimensions"):
        Score(Quality(model=str(tmp_path / "h.npz")))


def test_another_embedder_needs_a_head_of_its_own(tmp_path: Path):
    with pytest.raises(InputError, match="bibim fit quality"):
        head_path(Quality(embedder="some/model"))
    with pytest.raises(InputError, match="none"):
        head_path(Quality(model=str(tmp_path / "none.npz")))
    (tmp_path / "bad.npz").write_text("no head")
    with pytest.raises(InputError, match="bad"):
        load_head(tmp_path / "bad.npz")
    assert model_files(Quality())[0] == DEFAULT_HEAD
