"""Resume: receipts and manifests decide which shards are done."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from mixtures.shards.token_runs import run_path
from pipelines.driver import locked
from pipelines.engine.resume import begin, finish
from pipelines.storage.files import TEMPORARY, atomic_path
from pipelines.storage.shards import ShardTask, read_batches, write_shard
from schemas.errors import InputError, RunFault
from schemas.manifest import read_manifest

SCHEMA = pa.schema([("n", pa.int64())])


def task(index: int, key: str = "k") -> ShardTask:
    return ShardTask(f"s-{index:05d}.parquet", "sha", 2, key)


def write(folder: Path, one: ShardTask) -> None:
    rows = [pa.record_batch([pa.array([1, 2])], schema=SCHEMA)]
    write_shard(folder / one.name, SCHEMA, rows, key=one.key, documents_sha256="sha")


def test_a_killed_stage_resumes_with_the_shards_that_are_missing(tmp_path: Path):
    tasks = [task(0), task(1)]
    assert begin(tmp_path, "key", tasks, keep=True) == tasks
    write(tmp_path, tasks[0])
    assert begin(tmp_path, "key", tasks, keep=True) == [tasks[1]]


def test_a_folder_without_its_manifest_is_not_finished(tmp_path: Path):
    begin(tmp_path, "key", [task(0), task(1)], keep=True)
    write(tmp_path, task(0))
    with pytest.raises(RunFault, match="1 shards were not written"):
        finish(tmp_path, "stage", "key", [task(0), task(1)])
    assert read_manifest(tmp_path) is None
    write(tmp_path, task(1))
    manifest = finish(tmp_path, "stage", "key", [task(0), task(1)])
    assert [shard.rows for shard in manifest.shards] == [2, 2]
    assert read_manifest(tmp_path) == manifest


def test_a_manifest_lists_its_shards_by_name_whatever_the_order_of_tasks(tmp_path: Path):
    tasks = [task(1), task(0), task(2)]
    begin(tmp_path, "key", tasks, keep=True)
    for each in tasks:
        write(tmp_path, each)
    manifest = finish(tmp_path, "stage", "key", tasks)
    assert [shard.name for shard in manifest.shards] == [task(number).name for number in range(3)]


def test_shards_whose_own_key_holds_are_kept_when_the_stage_changes(tmp_path: Path):
    begin(tmp_path, "one", [task(0), task(1)], keep=True)
    for each in (task(0), task(1)):
        write(tmp_path, each)
    finish(tmp_path, "stage", "one", [task(0), task(1)])
    changed = [task(0), task(1, "other")]
    assert begin(tmp_path, "two", changed, keep=True) == [changed[1]]


def test_a_stage_over_survivors_looks_at_every_shard_again(tmp_path: Path):
    begin(tmp_path, "one", [task(0)], keep=False)
    write(tmp_path, task(0))
    finish(tmp_path, "stage", "one", [task(0)])
    assert begin(tmp_path, "two", [task(0)], keep=False) == [task(0)]
    assert (tmp_path / task(0).name).exists(), "its rows may still be reused"


def test_a_shard_cut_short_after_its_receipt_is_run_again(tmp_path: Path):
    begin(tmp_path, "key", [task(0)], keep=True)
    write(tmp_path, task(0))
    (tmp_path / task(0).name).write_bytes(b"cut")
    assert begin(tmp_path, "key", [task(0)], keep=True) == [task(0)]


def test_leftovers_and_shards_of_a_removed_source_go(tmp_path: Path):
    begin(tmp_path, "key", [task(0), task(9)], keep=True)
    for one in (task(0), task(9)):
        write(tmp_path, one)
        run_path(tmp_path / one.name).write_bytes(b"tokens")
    (tmp_path / f"{TEMPORARY}x").write_bytes(b"half")
    begin(tmp_path, "other", [task(0)], keep=True)
    names = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert names == {task(0).name, run_path(tmp_path / task(0).name).name}
    assert not list(tmp_path.glob(f"{TEMPORARY}*"))


def test_two_runs_never_share_a_folder(tmp_path: Path):
    with locked(tmp_path), pytest.raises(InputError, match="another run"), locked(tmp_path):
        pass


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_an_annotation_of_another_document_shard_is_an_error(tmp_path: Path):
    write(tmp_path / "documents", task(0))
    write(tmp_path / "annotations/x", task(0))
    wanted = {"documents": ["n"], "annotations/x": ["n"]}
    assert len(list(read_batches(tmp_path, task(0).name, wanted, "sha"))) == 1
    with pytest.raises(RunFault, match="belongs to another document shard"):
        list(read_batches(tmp_path, task(0).name, wanted, "changed"))


def test_the_same_rows_make_the_same_bytes(tmp_path: Path):
    for name in ("a", "b"):
        write(tmp_path / name, task(0))
    one, other = ((tmp_path / n / task(0).name).read_bytes() for n in ("a", "b"))
    assert one == other
