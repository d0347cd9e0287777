"""Fitting: labelled rows in, a model and an honest card out; wrong input named by line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from filters.fit.junk_data import labelled_rows
from filters.fit.labelled import is_held_out, read_labelled, read_texts
from filters.fit.linear import fit_quality, fit_toxicity
from filters.fit.logistic import figures, fit_logistic, platt
from filters.quality.annotator import Score
from filters.toxicity.annotator import Screen, ngram_model
from schemas.config import Quality, Toxicity
from schemas.errors import InputError

NOUNS = ["강", "산", "길", "집", "책", "배", "꽃", "별", "눈", "비"]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def planted(count: int) -> list[dict[str, Any]]:
    """Texts whose label is a word: `gromp` in English, 푸륵 in Korean; one in ten is wrong."""
    rng = np.random.default_rng(5)
    rows = []
    for number in range(count):
        label = int(rng.integers(2))
        wrong = rng.random() < 0.1
        words = [NOUNS[int(rng.integers(10))] for _ in range(4)]
        bad = "푸륵" if number % 2 else "gromp"
        if number % 2 == 0:
            words = ["river", "stone", "paper", *map(str, rng.permutation(["a", "of", "by"]))]
        words.insert(2, bad if label != wrong else "보통" if number % 2 else "plain")
        rows.append({"id": f"r{number}", "text": " ".join(words), "label": label})
    return rows


def test_a_planted_word_is_learned_and_the_score_is_a_probability(tmp_path: Path):
    data = write(tmp_path / "rows.jsonl", planted(3000))
    card = fit_toxicity([data], tmp_path / "model.npz", licence="none needed")
    for kind in ("Hangul", "other"):
        figure = card["figures"][kind]
        assert figure["auc"] > 0.85
        assert figure["ece"] < 0.06
    screen = Screen(Toxicity(model=str(tmp_path / "model.npz")))
    text = pa.array(
        ["강 산 푸륵 길", "강 산 보통 길", "river gromp of", "river plain of"], pa.large_string()
    )
    found = screen(pa.RecordBatch.from_arrays([text], names=["text"]))["toxicity"].to_pylist()
    assert found[0] > 0.65 > 0.35 > found[1]
    assert found[2] > 0.65 > 0.35 > found[3]


def test_the_card_says_what_was_measured_and_how_to_make_it_again(tmp_path: Path):
    rows = planted(1500)
    data = write(tmp_path / "rows.jsonl", rows)
    card = fit_toxicity([data], tmp_path / "model.npz", licence="CC0-1.0")
    text = (tmp_path / "model.md").read_text("utf-8")
    assert "bibim fit toxicity --data rows.jsonl --out model.npz" in text
    assert "CC0-1.0" in text
    assert str(tmp_path) not in text
    held = [row for row in rows if is_held_out(row["id"])]
    assert card["rows"] == len(rows) - len(held)
    model = ngram_model.load(tmp_path / "model.npz")
    for kind, odd in (("Hangul", 1), ("other", 0)):
        part = [row for row in held if int(row["id"][1:]) % 2 == odd]
        score, _ = model.score(pa.array([row["text"] for row in part], pa.large_string()))
        measured = figures(score, np.array([row["label"] == 1 for row in part]))
        assert card["figures"][kind] == measured.as_dict()
        assert f"{measured.auc:.4f}" in text


def test_the_order_of_rows_and_files_changes_nothing(tmp_path: Path):
    rows = planted(800)
    one = write(tmp_path / "one.jsonl", rows)
    first, second = (
        write(tmp_path / "a.jsonl", rows[500:][::-1]),
        write(tmp_path / "b.jsonl", rows[:500]),
    )
    fit_toxicity([one], tmp_path / "x.npz")
    fit_toxicity([second, first], tmp_path / "y.npz")
    left, right = ngram_model.load(tmp_path / "x.npz"), ngram_model.load(tmp_path / "y.npz")
    assert (left.codes == right.codes).all()
    assert (left.offset == right.offset).all()


def test_a_quality_head_is_fitted_and_used(tmp_path: Path):
    source = write(
        tmp_path / "good.jsonl",
        [
            {
                "id": f"g{n}",
                "text": f"{n}번째 절에서는 설정 방법을 설명합니다. 파일을 열어 확인하세요. " * 4,
            }
            for n in range(300)
        ],
    )
    data = write(tmp_path / "rows.jsonl", list(labelled_rows("good", source, False, 300)))
    card = fit_quality([data], tmp_path / "head.npz")
    assert card["figures"]["all"]["auc"] > 0.9
    assert card["kinds"]["good"][0] > 30
    score = Score(Quality(model=str(tmp_path / "head.npz")))
    text = pa.array(["설정 방법을 설명합니다. 파일을 열어 확인하세요."], pa.large_string())
    assert score(pa.RecordBatch.from_arrays([text], names=["text"])).column(0)[0].as_py() > 0.5


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{not json", r"rows\.jsonl: line 2: not JSON"),
        ('{"label": 1, "body": "a"}', r"rows\.jsonl: line 2: text not found; fields: label, body"),
        ('{"text": ["a"]}', "line 2: text is a list, not a string"),
        ('["a"]', "line 2: a list, not an object"),
        ('{"text": "a", "label": 2}', "label 2; write 0 or 1"),
        ('{"text": "a"}', "line 2: label not found; fields: text"),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line(tmp_path: Path, line: str, says: str):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "fine", "label": 0}\n' + line + "\n", "utf-8")
    with pytest.raises(InputError, match=says):
        read_labelled([path])


def test_too_few_rows_and_a_wrong_name_are_the_users_error(tmp_path: Path):
    data = write(tmp_path / "rows.jsonl", planted(40))
    with pytest.raises(InputError, match="at least 50"):
        fit_toxicity([data], tmp_path / "m.npz")
    with pytest.raises(InputError, match=r"m\.npz"):
        fit_toxicity([data], tmp_path / "m.bin")
    with pytest.raises(InputError, match="cannot be read"):
        fit_toxicity([tmp_path / "none.jsonl"], tmp_path / "m.npz")


def test_compressed_files_read_as_plain_ones(tmp_path: Path):
    plain = write(tmp_path / "rows.jsonl", planted(20))
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert list(read_texts(packed)) == list(read_texts(plain))


def test_figures_are_those_of_the_definitions():
    """Checked by hand: one of four pairs is out of order; three of four rows are right at 0.5."""
    found = figures(np.array([0.9, 0.4, 0.6, 0.1]), np.array([True, True, False, False]))
    assert found.auc == 0.75
    assert found.macro_f1 == pytest.approx(0.5)
    assert found.ece == pytest.approx((0.1 + 0.6 + 0.6 + 0.1) / 4)
    tied = figures(np.array([0.5, 0.5]), np.array([True, False]))
    assert tied.auc == 0.5


def test_logistic_regression_and_platt_find_planted_curves():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20_000, 2))
    labels = rng.random(20_000) < 1 / (1 + np.exp(-(x @ [2.0, -1.0] + 0.5)))
    weights, intercept = fit_logistic(x, labels, cost=1.0)
    assert weights == pytest.approx([2.0, -1.0], abs=0.1)
    assert intercept == pytest.approx(0.5, abs=0.1)
    slope, offset = platt(2 * (x @ weights), labels)
    assert (slope, offset) == (pytest.approx(0.5, abs=0.03), pytest.approx(0.5, abs=0.1))
