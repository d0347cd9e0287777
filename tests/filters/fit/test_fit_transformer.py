"""Fitting the small transformer: a planted word is learned, the card is true, same in same out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from filters.fit.labelled import Row, is_held_out
from filters.fit.logistic import figures
from filters.fit.transformer import fit_transformer, make_targets
from filters.toxicity.classifier import ScreenByTransformer
from filters.toxicity.network import Shape
from filters.toxicity.small_transformer import CARD, NGRAM, WEIGHTS, load
from schemas.config import Toxicity
from schemas.errors import InputError

NOUNS = ["강", "산", "길", "집", "책", "배", "꽃", "별", "눈", "비"]
SHAPE = Shape(bits=12, width=16, layers=1, heads=2)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def planted(count: int) -> list[dict[str, Any]]:
    """Texts whose label is the word 푸륵; one in ten is wrong. Two sources, one with classes."""
    rng = np.random.default_rng(5)
    rows = []
    for number in range(count):
        label = int(rng.integers(2))
        words = [NOUNS[int(rng.integers(10))] for _ in range(4)]
        words.insert(2, "푸륵" if label != (rng.random() < 0.1) else "보통")
        row = {"id": f"r{number}", "text": " ".join(words), "label": label}
        rows.append(row | {"source": "a" if number % 2 else "b", "fine": "rude" if label else "ok"})
    return rows


def test_a_planted_word_is_learned_and_the_card_tells_the_truth(tmp_path: Path):
    rows = planted(1500)
    data = write(tmp_path / "rows.jsonl", rows)
    more = write(tmp_path / "more.jsonl", [{"text": "강 길 집 꽃 별 눈 비 산"}] * 20)
    out = tmp_path / "slow"
    reports: list[str] = []
    card = fit_transformer(
        [data], out, [more], epochs=2, shape=SHAPE, licence="CC0-1.0", report=reports.append
    )
    assert reports[-1] == "pass 2/2 over the labels"
    assert {path.name for path in out.iterdir()} == {WEIGHTS, NGRAM, CARD}
    held = [row for row in rows if is_held_out(row["id"])]
    assert card["rows"] == len(rows) - len(held)
    score = load(out, "cpu")(
        pa.array([row["text"] for row in held], pa.large_string()), np.zeros(len(held), np.int32)
    )
    measured = figures(score, np.array([row["label"] == 1 for row in held]))
    assert card["figures"]["Hangul"] == measured.as_dict()
    assert measured.auc > 0.85
    assert measured.ece < 0.1
    text = (out / CARD).read_text("utf-8")
    assert f"{measured.auc:.4f}" in text
    assert "CC0-1.0" in text
    assert "--data rows.jsonl --text more.jsonl --epochs 2 --seed 0 --out slow" in text
    assert str(tmp_path) not in text
    screen = ScreenByTransformer(Toxicity(model=str(out)))
    batch = pa.RecordBatch.from_arrays(
        [pa.array(["강 산 푸륵 길", "강 산 보통 길"], pa.large_string())], names=["text"]
    )
    toxic, fine = screen(batch)["toxicity"].to_pylist()
    assert toxic > 0.65 > 0.35 > fine


def test_the_same_rows_in_another_order_give_the_same_bytes(tmp_path: Path):
    rows = planted(500)
    for name, part in (("one", rows), ("two", rows[::-1])):
        folder = tmp_path / name
        folder.mkdir()
        data = write(folder / "rows.jsonl", part)
        fit_transformer([data], folder / "slow", epochs=1, shape=SHAPE)
    for name in (WEIGHTS, NGRAM, CARD):
        one, two = (tmp_path / folder / "slow" / name for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_targets_are_unknown_where_another_source_draws_the_line():
    names, targets = make_targets(
        [
            Row("1", "가", True, source="a", classes=("rude", "lewd")),
            Row("2", "나", False, source="a", classes=("ok",)),
            Row("3", "다", True, source="b"),
        ]
    )
    nan = np.nan
    expected = {
        "label": [1, 0, 1],
        "label of a": [1, 0, nan],
        "a": [1, 1, 0],
        "label of b": [nan, nan, 1],
        "b": [0, 0, 1],
        "a: lewd": [1, 0, nan],
        "a: rude": [1, 0, nan],
    }
    assert names == list(expected)
    assert targets == pytest.approx(np.column_stack(list(expected.values())), nan_ok=True)


def test_too_few_rows_in_hangul_and_a_wrong_name_are_the_users_error(tmp_path: Path):
    data = write(tmp_path / "rows.jsonl", planted(60))
    with pytest.raises(InputError, match="at least 50"):
        fit_transformer([data], tmp_path / "slow", shape=SHAPE)
    with pytest.raises(InputError, match="is written as a folder"):
        fit_transformer([data], tmp_path / "m.npz", shape=SHAPE)
    english = [
        {"id": f"e{n}", "text": f"line {n} of the paper", "label": n % 2} for n in range(400)
    ]
    with pytest.raises(InputError, match="in Hangul with label"):
        fit_transformer([write(tmp_path / "e.jsonl", english)], tmp_path / "slow", shape=SHAPE)
