"""The score stage: survivors only, stored scores stay, any number of shards."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.quality.annotator import Score
from pipelines.inference.run import Inferred, Model, ShardHandler, WriteValues
from pipelines.inference.score import make_score, run_score
from pipelines.runners.runner import Runner
from pipelines.storage.shards import read_receipts
from schemas.config import Quality
from schemas.errors import RunFault
from tests.support import ROOT
from tests.support.small_run import SmallContext, config, keep, shard_tasks, write_documents

TEXTS = {
    "ko": [
        f"{n}번째 장에서는 배포 절차를 설명합니다. 먼저 설정 파일을 확인하세요." for n in range(90)
    ],
    "en": [f"Chapter {n} explains how the parser reads its input." for n in range(30)],
}


def make_run(out: Path) -> SmallContext:
    write_documents(out, TEXTS, {"ko": "ko", "en": "en"}, rows=60)
    return SmallContext(
        out, config({"ko": "ko", "en": "en"}, mixture={"strategy": "unimax"}), "score"
    )


def scores(out: Path) -> dict[str, list[float | None]]:
    folder = out / "annotations" / "score"
    return {
        path.name: pq.read_table(path).column("quality").to_pylist()
        for path in sorted(folder.glob("*.parquet"))
    }


def test_scores_are_those_of_the_annotator_in_row_order(tmp_path: Path):
    ctx = make_run(tmp_path)
    run_score(Runner(), ctx, shard_tasks(tmp_path, "k"))
    text = pa.array(TEXTS["ko"][:60], pa.large_string())
    alone = Score(Quality())(pa.RecordBatch.from_arrays([text], names=["text"]))
    assert scores(tmp_path)["ko-00000.parquet"] == alone.column(0).to_pylist()
    groups = pq.ParquetFile(tmp_path / "annotations/score/ko-00000.parquet").num_row_groups
    assert groups == pq.ParquetFile(tmp_path / "documents/ko-00000.parquet").num_row_groups


def test_rows_that_do_not_survive_stay_null(tmp_path: Path):
    ctx = make_run(tmp_path)
    keep(tmp_path, lambda source, row: source == "ko" and row % 3 == 0)
    run_score(Runner(), ctx, shard_tasks(tmp_path, "k"))
    found = scores(tmp_path)
    assert all(
        (value is not None) == (row % 3 == 0) for row, value in enumerate(found["ko-00000.parquet"])
    )
    assert found["en-00000.parquet"] == [None] * 30


def test_a_second_run_computes_only_rows_that_newly_survive(tmp_path: Path):
    ctx = make_run(tmp_path)
    keep(tmp_path, lambda source, row: row % 2 == 0)
    run_score(Runner(), ctx, shard_tasks(tmp_path, "k"))
    first = scores(tmp_path)
    keep(tmp_path, lambda source, row: row % 3 == 0)
    run_score(Runner(), ctx, shard_tasks(tmp_path, "k"))
    second = scores(tmp_path)
    for name, values in second.items():
        for row, value in enumerate(values):
            assert (value is not None) == (row % 2 == 0 or row % 3 == 0)
            if row % 2 == 0:
                assert value == first[name][row]
    receipt = read_receipts(tmp_path / "annotations/score")["ko-00000.parquet"]
    assert receipt.stats["computed"] == 10  # 3, 9, 15 … of 60


def test_two_workers_write_the_same_bytes_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # the workers read `tests.support`
    one, two = make_run(tmp_path / "one"), make_run(tmp_path / "two")
    run_score(Runner(), one, shard_tasks(one.out, "k"))
    run_score(Runner(workers=2), two, shard_tasks(two.out, "k"))
    for path in sorted((one.out / "annotations/score").glob("*.parquet")):
        assert path.read_bytes() == (two.out / "annotations/score" / path.name).read_bytes()


def test_scores_of_other_rows_than_survive_are_a_fault(tmp_path: Path):
    ctx = make_run(tmp_path)
    task = shard_tasks(tmp_path, "k")[0]
    with pytest.raises(RunFault, match="Run the command again"):
        list(
            WriteValues(ctx, Score.schema).process(
                Inferred(
                    task, (pa.RecordBatch.from_pylist([{"quality": 0.0}], schema=Score.schema),)
                )
            )
        )


@pytest.mark.parametrize(("device", "asks"), [("auto", False), ("cpu", False), ("cuda", True)])
def test_a_gpu_is_asked_for_only_where_the_config_names_one(
    tmp_path: Path, device: str, asks: bool
):
    settings = config({"ko": "ko"}, mixture={"strategy": "unimax"}, quality={"device": device})
    ctx = SmallContext(tmp_path, settings, "score")
    handler = ShardHandler(ctx, Model(Score, make_score, settings.quality.device))
    assert bool(handler.get_resource_hints()) is asks
    assert handler.batch_elements_kwargs() == {"min_batch_size": 1, "max_batch_size": 1}
    assert handler.get_num_bytes([]) == 0
