"""The screen stage with a transformer: the columns and rows of the fast model, survivors only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.toxicity.annotator import Screen
from filters.toxicity.classifier import ScreenByTransformer
from pipelines.engine.keys import parameter_key
from pipelines.runners.runner import Runner
from pipelines.stages.catalog import stage
from pipelines.wiring import WIRING
from schemas.config import Toxicity
from tests.support.small_run import SmallContext, config, keep, shard_tasks, write_documents
from tests.support.tiny_models import SENTENCES, save_checkpoint, save_small

TEXTS = {
    "ko": [f"{n}번째 글입니다. " + "\n".join(SENTENCES[: n % 5] * (n % 7)) for n in range(70)],
    "en": [f"Chapter {n} explains how the parser reads its input. " * (n % 9) for n in range(20)],
}


@pytest.fixture(scope="module", params=["ours", "checkpoint"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model") / request.param
    if request.param == "ours":
        save_small(folder)
    else:
        save_checkpoint(folder, ["fine", "toxic"])
    return str(folder)


def run(out: Path, model: str) -> dict[str, pa.Table]:
    """Run the stage as a run does; return its annotation shards by name."""
    settings = config(
        {"ko": "ko", "en": "en"}, mixture={"strategy": "unimax"}, toxicity={"model": model}
    )
    ctx = SmallContext(out, settings, "screen")
    WIRING["screen"](Runner(), ctx, shard_tasks(out, "k"))
    return {
        path.name: pq.read_table(path)
        for path in (out / "annotations/screen").iterdir()
        if path.suffix == ".parquet"
    }


def test_the_stage_writes_the_annotators_values_in_row_order(tmp_path: Path, model: str):
    write_documents(tmp_path, TEXTS, {"ko": "ko", "en": "en"}, rows=60)
    found = run(tmp_path, model)
    alone = ScreenByTransformer(Toxicity(model=model))
    for name, texts in (
        ("ko-00000", TEXTS["ko"][:60]),
        ("ko-00001", TEXTS["ko"][60:]),
        ("en-00000", TEXTS["en"]),
    ):
        table = found[f"{name}.parquet"]
        batch = pa.RecordBatch.from_arrays([pa.array(texts, pa.large_string())], names=["text"])
        assert table.schema.names == Screen.schema.names
        assert table.schema.types == Screen.schema.types
        expected = alone(batch)
        assert table["toxicity"].to_pylist() == pytest.approx(
            expected["toxicity"].to_pylist(), abs=2e-4
        )
        assert table["lexicon"].to_pylist() == expected["lexicon"].to_pylist()
    fast = run_fast(tmp_path)
    for name, table in fast.items():
        assert table["spam"] == found[name]["spam"]
        assert table["toxicity"] != found[name]["toxicity"]


def run_fast(out: Path) -> dict[str, pa.Table]:
    (out / "annotations/screen").rename(out / "slow")
    return run(out, "default")


def test_only_survivors_are_screened(tmp_path: Path, model: str):
    write_documents(tmp_path, TEXTS, {"ko": "ko", "en": "en"}, rows=60)
    keep(tmp_path, lambda source, row: source == "ko" and row % 3 == 0)
    found = run(tmp_path, model)
    values = found["ko-00000.parquet"]["toxicity"].to_pylist()
    assert [value is not None for value in values] == [row % 3 == 0 for row in range(60)]
    assert found["en-00000.parquet"]["toxicity"].to_pylist() == [None] * 20


def test_a_hub_name_label_and_files_are_part_of_the_key(model: str):
    def key(**toxicity: Any) -> str:
        settings = config({"ko": "ko"}, mixture={"strategy": "unimax"}, toxicity=toxicity)
        return parameter_key(stage("screen"), settings)

    keys = [
        key(),
        key(model=model),
        key(model=model, label="fine"),
        key(model="some/one"),
        key(model="some/other"),
    ]
    assert len(set(keys)) == 5
    assert key(model=model, batch=7, device="cpu", drop_above=0.5) == keys[1]
