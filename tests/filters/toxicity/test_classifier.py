"""Transformers in `screen`: the same windows, columns and order of rows; models named wrongly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.columnar.windows import split_windows
from filters.toxicity.annotator import DEFAULT_MODEL, Screen, model_files, ngram_model
from filters.toxicity.classifier import ScreenByTransformer, load_classifier
from filters.toxicity.ngram_model import density
from filters.toxicity.small_transformer import NGRAM, WEIGHTS, ngram_probability, read, save
from filters.toxicity.tokens import tokenise
from schemas.config import Toxicity
from schemas.errors import InputError
from tests.support.tiny_models import SENTENCES, save_checkpoint, save_small

LONG = "\n".join(SENTENCES * 12)
TEXTS = [
    LONG,
    SENTENCES[0],
    "",
    None,
    " \n\t",
    SENTENCES[3],
    "A line of plain English.",
    LONG[:700],
]


def batch(texts: list[str | None]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(texts, pa.large_string())], names=["text"])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    save_small(folder / "ours")
    save_checkpoint(folder / "two", ["fine", "toxic"])
    save_checkpoint(folder / "many", ["clean", "insult", "threat"], several=True)
    return {path.name: str(path) for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["ours", "two"])
def test_columns_and_rows_are_those_of_the_fast_model(models: dict[str, str], name: str):
    screen = ScreenByTransformer(Toxicity(model=models[name], batch=3))
    found, fast = screen(batch(TEXTS)), Screen(Toxicity())(batch(TEXTS))
    assert found.schema == fast.schema
    for column in ("spam", "lexicon"):
        assert found[column] == fast[column]
    for column in ("toxicity", "toxic_share"):
        values = found[column].to_pylist()
        assert [value == 0 for value in values][2:5] == [True] * 3
        assert all(0 <= value <= 1 for value in values)
    alone = [screen(batch([text]))["toxicity"][0].as_py() for text in TEXTS]
    assert found["toxicity"].to_pylist() == pytest.approx(alone, abs=2e-4)
    assert len({round(value, 3) for value in alone}) > 4


def test_a_long_document_is_the_mean_of_its_windows_by_length(models: dict[str, str]):
    settings = Toxicity(model=models["two"])
    windows = split_windows(pa.array([LONG], pa.large_string()))
    texts = windows.texts(pa.array([LONG], pa.large_string()))
    assert len(texts) > 10
    assert "".join(texts.to_pylist()) == LONG
    chance = load_classifier(settings)(texts, windows.kind)
    size = np.array([len("".join(text.split())) for text in texts.to_pylist()])
    (found,) = ScreenByTransformer(settings)(batch([LONG])).to_pylist()
    assert found["toxicity"] == pytest.approx(float(chance @ size / size.sum()), abs=2e-4)
    assert found["toxic_share"] == pytest.approx(float(np.mean(chance > 0.5)), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=("Cs",)), max_size=900),
            st.lists(st.sampled_from(SENTENCES), max_size=30).map("\n".join),
        ),
        max_size=4,
    )
)
def test_windows_are_those_of_the_fast_model(texts: list[str]):
    column = pa.array(texts, pa.large_string())
    model = ngram_model.load(DEFAULT_MODEL)
    windows = split_windows(column)
    score, share = density(windows, ngram_probability(model, windows.texts(column)), len(texts))
    assert score == pytest.approx(model.score(column)[0], abs=1e-5)
    assert share == pytest.approx(model.score(column)[1], abs=1e-6)


def test_windows_of_other_scripts_keep_the_ngram_models_probability(models: dict[str, str]):
    text = pa.array(
        ["A line of plain English.", "오늘은 날씨가 좋아요", "꺼져 123"], pa.large_string()
    )
    kind = split_windows(text).kind
    assert kind.tolist() == [1, 0, 0]
    scores = load_classifier(Toxicity(model=models["ours"]))(text, kind)
    plain = ngram_probability(ngram_model.load(Path(models["ours"]) / NGRAM), text)
    assert scores[0] == plain[0]
    assert (scores[1:] != plain[1:]).all()


def test_tokens_of_a_batch_are_those_of_its_rows():
    texts = ["안녕하세요 여러분", "", "가나다라마바사아자차카타파하 끝", "ㅋㅋㅋㅋ 1234"]
    whole = tokenise(pa.array(texts, pa.large_string()), 12)
    assert whole.lengths().tolist() == [2, 0, 4, 2]
    for row, text in enumerate(texts):
        alone = tokenise(pa.array([text], pa.large_string()), 12)
        part = whole.take(np.array([row]))
        assert (part.ids == alone.ids).all()
        assert (part.begins == alone.begins).all()
    many = tokenise(pa.array(["가 " * 500], pa.large_string()), 12)
    assert many.lengths().tolist() == [64]


def test_a_spelling_differs_in_a_final_consonant_and_shares_ngrams():
    one, other, far = (
        set(tokenise(pa.array([word], pa.large_string()), 16).ids.tolist())
        for word in ("멋져요", "멎져요", "한강은")
    )
    assert len(one & other) >= 4 > len(one & far)


def test_a_saved_model_is_read_as_it_was(tmp_path: Path):
    save_small(tmp_path / "a")
    save(read(tmp_path / "a"), tmp_path / "b")
    for name in (WEIGHTS, NGRAM):
        assert (tmp_path / "b" / name).exists()
    one, two = read(tmp_path / "a"), read(tmp_path / "b")
    for name, value in one.weights.items():
        assert np.abs(value - two.weights[name]).max() <= np.abs(value).max() / 127
    assert (one.slope == two.slope).all()


def test_a_label_is_found_by_name_where_there_are_more_than_two(models: dict[str, str]):
    with pytest.raises(InputError, match=r"toxicity\.label: .* 'insult', 'threat', got None"):
        load_classifier(Toxicity(model=models["many"]))
    with pytest.raises(InputError, match="got 'rude'"):
        load_classifier(Toxicity(model=models["two"], label="rude"))
    text, kind = pa.array(SENTENCES[:3], pa.large_string()), np.zeros(3, np.int32)
    toxic = load_classifier(Toxicity(model=models["two"]))(text, kind)
    fine = load_classifier(Toxicity(model=models["two"], label="fine"))(text, kind)
    assert toxic + fine == pytest.approx(np.ones(3), abs=1e-5)
    several = [
        load_classifier(Toxicity(model=models["many"], label=label))(text, kind)
        for label in ("clean", "insult", "threat")
    ]
    assert sum(several) != pytest.approx(np.ones(3), abs=1e-3)  # each a probability of its own


def test_a_model_that_is_not_there_names_key_and_remedy(tmp_path: Path, models: dict[str, str]):
    with pytest.raises(InputError, match=r"toxicity\.model: .*no such folder.*bibim fit toxicity"):
        model_files(Toxicity(model=str(tmp_path / "none")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"toxicity\.model: .*cannot be loaded"):
        load_classifier(Toxicity(model=str(tmp_path / "empty")))
    save_small(tmp_path / "broken")
    (tmp_path / "broken" / NGRAM).unlink()
    with pytest.raises(InputError, match=NGRAM):
        load_classifier(Toxicity(model=str(tmp_path / "broken")))
    save_small(tmp_path / "cut")
    (tmp_path / "cut" / WEIGHTS).write_bytes(b"no model")
    with pytest.raises(InputError, match=WEIGHTS):
        load_classifier(Toxicity(model=str(tmp_path / "cut")))
    assert {path.name for path in model_files(Toxicity(model=models["ours"]))} == {WEIGHTS, NGRAM}
    assert model_files(Toxicity(model="someone/classifier")) == []
