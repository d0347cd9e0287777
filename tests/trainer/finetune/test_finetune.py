"""`bibim train sbr`: from labelled lines to a model, a card and pictures; what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from bibim.cli.app import app
from schemas.errors import InputError
from trainer.checkpoint import checkpoints
from trainer.finetune.classifier import Classifier
from trainer.finetune.config import FineTuneConfig, FineTuneSettings, SamplerConfig
from trainer.finetune.finetune import fine_tune
from trainer.finetune.samples import balanced_batches, read_samples
from trainer.finetune.tuning import Tuning
from trainer.processes import World

CPU = torch.device("cpu")


def silent(line: str) -> None:
    """Say nothing."""


def write(file: Path, rows: list[Any]) -> Path:
    file.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    return file


def clear_cut(count: int) -> list[dict[str, Any]]:
    """Two classes that one word tells apart."""
    words = ("아주 좋아요 정말", "너무 싫어요 별로")
    return [{"text": f"{words[n % 2]} {n}", "label": ("good", "bad")[n % 2]} for n in range(count)]


def config(source: Path, train: Path, **changes: Any) -> FineTuneConfig:
    given = {
        "name": "t",
        "checkpoint": str(source),
        "train": (str(train),),
        "steps": 30,
        "device": "cpu",
        "optimiser": {"lr": 3e-3},
        "sampler": {"per_class": 4},
        "pictures": False,
        **changes,
    }
    return FineTuneConfig.model_validate(given)


@pytest.mark.parametrize("method", ["plain", "l2-sp", "delta", "bss", "supcon", "mixout", "sbr"])
def test_every_method_learns_two_classes_that_a_word_tells_apart(
    pretrained: Path, tmp_path: Path, method: str
):
    file = write(tmp_path / "train.jsonl", clear_cut(60))
    strength = {"supcon": 0.3, "mixout": 0.2}.get(method, 1e-3)
    done = config(pretrained, file, method={"name": method, "strength": strength})
    card = json.loads(fine_tune(done, tmp_path / "out", silent).read_text("utf-8"))
    found = Classifier(tmp_path / "out").scores(
        [("아주 좋아요 정말 99",), ("너무 싫어요 별로 98",)]
    )
    labels = Classifier(tmp_path / "out").labels
    assert [labels[int(row.argmax())] for row in found] == ["good", "bad"]
    assert "accuracy" in json.dumps(card)
    assert torch.allclose(found.sum(dim=1), torch.ones(2))


def test_the_same_seed_gives_the_same_model(pretrained: Path, tmp_path: Path):
    file = write(tmp_path / "train.jsonl", clear_cut(30))
    for name in ("one", "two"):
        fine_tune(config(pretrained, file, steps=5), tmp_path / name, silent)
    one, two = (torch.load(tmp_path / name / "head.pt") for name in ("one", "two"))
    assert torch.equal(one["weight"], two["weight"])


def test_a_shorter_tuning_takes_the_place_of_a_longer_one(pretrained: Path, tmp_path: Path):
    file = write(tmp_path / "train.jsonl", clear_cut(30))
    for steps in (6, 4):
        fine_tune(config(pretrained, file, steps=steps), tmp_path / "out", silent)
    assert [path.name for path in checkpoints(tmp_path / "out")] == ["step-00000004.pt"]
    with pytest.raises(InputError, match="it holds the checkpoint of another training"):
        fine_tune(config(pretrained, file), pretrained, silent)


def test_one_key_of_the_optimiser_leaves_the_others_as_they_are():
    given = {"name": "s", "checkpoint": "x", "train": ("y",)}
    changed = FineTuneConfig.model_validate(given | {"optimiser": {"clip": 1.0}})
    assert changed == FineTuneConfig.model_validate(given)


def test_the_classifier_cuts_where_the_tuning_did(pretrained: Path, tmp_path: Path):
    # what tells the classes apart stands behind the eighth token
    rows = [{"text": f"{row['text']} " * 6, "label": row["label"]} for row in clear_cut(40)]
    file = write(tmp_path / "train.jsonl", rows)
    done = config(pretrained, file, tokens=8, longer="cut", steps=3)
    fine_tune(done, tmp_path / "out", silent)
    classifier = Classifier(tmp_path / "out")
    text = rows[0]["text"]
    assert torch.equal(classifier.scores([(text,)]), classifier.scores([(text + " 너무 싫어요",)]))


@pytest.mark.parametrize("projection", ["pca", "tsne"])
def test_one_sample_held_out_has_its_pictures(pretrained: Path, tmp_path: Path, projection: str):
    rows = [{"text": f"책 {n}", "label": n} for n in range(8)]
    file = write(tmp_path / "r.jsonl", rows)
    done = config(
        pretrained, file, kind="regression", steps=2, pictures=True, projection=projection
    )
    card = fine_tune(done, tmp_path / "out", silent)
    assert {"card.json", "features.png"} <= {path.name for path in card.parent.iterdir()}


def test_steps_with_fewer_samples_than_processes_are_refused():
    backbone = nn.Linear(2, 2)
    backbone.dim = 2  # type: ignore[assignment]
    given = FineTuneSettings(sampler=SamplerConfig(kind="shuffled", size=1))
    with pytest.raises(InputError, match="2 processes for 1 samples per step"):
        Tuning(backbone, 1, given, [torch.zeros(2)] * 4, torch.zeros(4), World(0, 2, CPU))


def test_numbers_are_learned_too(pretrained: Path, tmp_path: Path):
    rows = [{"text": f"{'좋아요 ' * (n % 4)}책 {n}", "label": n % 4} for n in range(40)]
    done = config(pretrained, write(tmp_path / "r.jsonl", rows), kind="regression", steps=5)
    fine_tune(done, tmp_path / "out", silent)
    assert Classifier(tmp_path / "out").scores([("책",)]).shape == (1, 1)


def test_the_command_line_writes_model_card_and_pictures(pretrained: Path, tmp_path: Path):
    train = write(tmp_path / "train.jsonl", clear_cut(40))
    file = tmp_path / "sbr.yaml"
    file.write_text(
        f"name: cli\ncheckpoint: {pretrained}\ntrain: [{train}]\nsteps: 4\ndevice: cpu\n", "utf-8"
    )
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["train", "sbr", str(file), "--out", str(out)])
    assert done.exit_code == 0, done.output
    names = {path.suffix for path in out.iterdir()}
    assert {".png", ".json", ".pt"} <= names


def test_a_batch_holds_two_samples_of_each_class():
    classes = [0] * 9 + [1] * 2 + [2] * 5
    for batch in balanced_batches(classes, 20, per_class=3, at_once=None, seed=1):
        kinds = [classes[at] for at in batch]
        assert [kinds.count(kind) for kind in range(3)] == [3, 2, 3]
        assert len(set(batch)) == len(batch)


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([{"text": "", "label": 0}], {}, "line 2: text is empty"),
        ([{"text": "   ", "label": 0}], {}, "line 2: text is empty"),
        ([{"text": "a"}], {}, "line 2: label not found; fields: text"),
        ([{"text": "a", "label": "one"}], {}, "line 2: label 'one' is a string"),
        ([{"text": "a", "label": True}], {}, "line 2: label True is neither"),
        ([{"text": "a", "label": 7}], {"labels": (0, 1)}, "line 2: label 7 is unknown; known"),
        ([{"text": "a", "label": 0}], {"labels": (0, 1)}, "no sample has label 1"),
        ([{"text": "a", "label": 0}], {}, "all samples have label 0"),
        ([{"text": "긴 " * 300, "label": 1}], {"test": True}, "line 2: .* tokens, the model sees"),
        (["text"], {}, "line 2: a string, not an object"),
    ],
)
def test_a_bad_line_is_named(
    pretrained: Path, tmp_path: Path, rows: list[Any], settings: dict[str, Any], message: str
):
    file = write(tmp_path / "bad.jsonl", [{"text": "좋은 책", "label": 0}, *rows])
    if "test" in settings:
        settings = {"test": (str(write(tmp_path / "t.jsonl", [{"text": "b", "label": 1}])),)}
    with pytest.raises(InputError, match=message):
        fine_tune(config(pretrained, file, **settings), tmp_path / "out", silent)


def test_the_error_names_a_line_other_than_json(tmp_path: Path):
    file = tmp_path / "x.jsonl"
    file.write_text('{"text": "a", "label": 0}\n{"text": \n', "utf-8")
    with pytest.raises(InputError, match=r"x\.jsonl: line 2: not JSON"):
        read_samples(file, "classification")


def test_a_method_that_needs_classes_is_refused_for_numbers(pretrained: Path, tmp_path: Path):
    with pytest.raises(ValueError, match="supcon needs classes"):
        config(pretrained, tmp_path / "x", kind="regression", method={"name": "supcon"})
