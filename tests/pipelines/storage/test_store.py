"""Run folders on an object store: a real S3 server on loopback, a connection that is cut."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from audit.accounting.check import check_run
from pipelines.driver import Run
from pipelines.engine.exchange import Exchange, load_array, save_array
from pipelines.engine.progress import LogReporter
from pipelines.runners.runner import Runner
from pipelines.storage.files import atomic_path, remove_temporary, write_text
from pipelines.storage.store import TEMPORARY, StorePath, as_path, configure, remove_tree
from schemas.config import Config
from schemas.errors import InputError, RunFault
from tests.support import ROOT
from tests.support.stores import BUCKET, Store, serving

DEMO = ROOT / "mixtures/demo"
ODD = "빈 칸과 100% 한글.txt"


@pytest.fixture(scope="module")
def server() -> Iterator[Store]:
    with serving() as store:
        yield store


@pytest.fixture
def store(server: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    from apache_beam.io.filesystems import FileSystems

    # One attempt: botocore would retry a cut upload four times, over many seconds.
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    before = FileSystems._pipeline_options
    configure(server.options)
    yield server
    server.cut = ""
    FileSystems._pipeline_options = before


def test_an_address_stays_what_it_is_however_it_is_joined_and_sent():
    path = as_path("s3://bucket/run")
    assert str(path / "a" / "b.parquet") == "s3://bucket/run/a/b.parquet"
    assert str((path / "a.parquet").with_suffix(".run").parent) == "s3://bucket/run"
    assert as_path(Path("s3://bucket/run")) == path  # pathlib makes s3:/bucket/run of it
    assert pickle.loads(pickle.dumps(path)) == path
    assert not isinstance(as_path("out/run"), StorePath)


def test_what_reads_local_files_only_says_so_of_an_address():
    with pytest.raises(InputError, match=r"s3://bucket/run/x.bin: .*copy the folder"):
        np.memmap(as_path("s3://bucket/run/x.bin"), dtype="u2", mode="r")


def test_files_of_a_store_are_written_listed_read_and_removed(store: Store):
    root = as_path(f"s3://{BUCKET}/files")
    for name in ("one.txt", "sub/two.txt", f"sub/{ODD}"):
        write_text(root / name, f"{name}\n")
    assert (root / "sub" / ODD).read_text() == f"sub/{ODD}\n"
    assert [path.name for path in root.glob("*")] == ["one.txt", "sub"]
    assert {path.name for path in root.glob("*/*.txt")} == {"two.txt", ODD}
    assert list(root.glob("*/three.txt")) == []
    assert root.is_dir() and (root / "sub").exists() and not (root / "su").exists()
    assert (root / "one.txt").stat().st_size == len("one.txt\n")
    (root / "one.txt").unlink()
    (root / "one.txt").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        (root / "one.txt").read_text()
    with pytest.raises(FileNotFoundError):
        (root / "one.txt").stat()
    remove_tree(root)
    assert not root.exists()


def test_arrays_of_a_store_are_read_whole_and_by_slices(store: Store):
    folder = as_path(f"s3://{BUCKET}/arrays")
    rows = np.arange(60, dtype=np.int64).reshape(30, 2)
    save_array(folder / "a.npy", rows)
    assert np.array_equal(load_array(folder / "a.npy"), rows)
    exchange = Exchange(folder, rows.dtype)
    places = dict(exchange.write("b", rows, rows[:, 0] % 3))
    assert np.array_equal(exchange.read([places[1]]), rows[rows[:, 0] % 3 == 1])


def test_a_file_without_bytes_is_uploaded(store: Store):
    path = as_path(f"s3://{BUCKET}/empty/x.bin")
    write_text(path, "")
    assert path.stat().st_size == 0
    assert path.read_bytes() == b""


def test_a_file_whose_making_fails_is_not_uploaded(store: Store):
    path = as_path(f"s3://{BUCKET}/failed/x.txt")
    write_text(path, "before")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "before"


def test_an_upload_that_is_cut_leaves_the_file_as_it_was(store: Store):
    path = as_path(f"s3://{BUCKET}/cut/x.txt")
    write_text(path, "before")
    store.cut = "/cut/"
    with pytest.raises(RunFault, match=r"x\.txt: its upload failed .*same command again"):
        write_text(path, "after" * 1000)
    cuts, store.cut = store.cuts, ""
    gc.collect()  # a writer that is collected must send nothing more
    assert store.cuts == cuts
    assert "Uploads" not in store.client.list_multipart_uploads(Bucket=BUCKET)
    assert path.read_text() == "before"
    remove_temporary(path.parent)
    assert [found.name for found in path.parent.glob("*")] == ["x.txt"]
    write_text(path, "after")
    assert path.read_text() == "after"


def small(data: str) -> Config:
    return Config.model_validate(
        {
            "name": "small",
            "sources": {
                "ko": {"component": "ko", "path": f"{data}/ko.jsonl"},
                "en": {"component": "en", "path": f"{data}/en.jsonl"},
            },
            "ingest": {"max_reject_share": 0.05},
            "rules": {"ko": {"words": ">=20"}, "en": {"words": ">=20"}},
            "tokenizer": {"vocab_size": 2000, "morphemes": False, "sample": 100_000},
            "mixture": {
                "tokens": 20_000,
                "weights": {"ko": 0.5, "en": 0.5},
                "shards": 2,
                "formats": ["mds", "parquet"],
            },
        }
    )


def run(config: Config, out: Path, runner: Runner) -> dict[str, int]:
    job = Run(config, out, runner, LogReporter())
    job.execute()
    return {result.stage: result.ran for result in job.results}


def test_a_run_on_a_store_whose_upload_was_cut_resumes_to_the_bytes_of_a_local_run(
    store: Store, tmp_path: Path
):
    """Inputs and output are on the store; its settings reach worker processes as options."""
    data, local = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    for name in ("ko.jsonl", "en.jsonl"):
        lines = (DEMO / name).read_bytes().splitlines(keepends=True)
        (data / name).write_bytes(b"".join(lines[:60]))
    run(small(str(data)), local, Runner("local", 1))
    configure(store.options)  # every pipeline sets its own: the local run had none
    out = as_path(f"s3://{BUCKET}/run")
    for name in ("ko.jsonl", "en.jsonl"):
        with atomic_path(as_path(f"s3://{BUCKET}/data/{name}")) as file:
            file.write_bytes((data / name).read_bytes())
    config = small(f"s3://{BUCKET}/data")

    store.cut = "shard-00000-of-00002.bin"
    with pytest.raises(RunFault, match=r"shard-00000-of-00002\.bin: its upload failed"):
        run(config, out, Runner("local", 1, store.options))
    assert store.cuts > 0
    names = {path.name for path in (out / "mixture").glob("*")}
    assert not names & {"shard-00000-of-00002.bin", "manifest.json", "_manifest.json"}

    store.cut = ""
    runner = Runner("local", 2, store.options)
    ran = run(config, out, runner)
    assert [stage for stage, shards in ran.items() if shards] == ["mix"]
    mixture = [path for path in sorted((local / "mixture").rglob("*")) if path.is_file()]
    assert len(mixture) > 10
    for path in mixture:
        there = out / path.relative_to(local)
        if path.name != "_manifest.json":  # its keys tell the inputs' times
            assert there.read_bytes() == path.read_bytes(), path.name
    assert not [path for path in out.below() if TEMPORARY in path]  # type: ignore[attr-defined]
    checks = check_run(out, config)
    assert len(checks) > 8
    assert [check for check in checks if not check.holds] == []
    assert sum(run(config, out, runner).values()) == 0
