"""Token shards and runs: read back as written, by us and by Megatron-Core."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from mixtures.shards.megatron import read_shard, write_index
from mixtures.shards.token_runs import Run, index_digest, read_header, write_run
from schemas.errors import RunFault


def write_pair(stem: Path, sequences: list[list[int]], dtype: str) -> None:
    flat = np.array(list(itertools.chain(*sequences)), dtype=dtype)
    flat.tofile(stem.with_suffix(".bin"))
    write_index(stem.with_suffix(".idx"), np.array([len(s) for s in sequences]), flat.dtype)


SEQUENCES = [[1, 2, 3], [4], list(range(100)), [7, 8]]


@pytest.mark.parametrize("dtype", ["<u2", "<i4"])
def test_a_shard_is_read_back(tmp_path: Path, dtype: str):
    write_pair(tmp_path / "shard", SEQUENCES, dtype)
    for name in ("shard", "shard.bin", "shard.idx"):
        shard = read_shard(tmp_path / name)
        assert [shard[i].tolist() for i in range(len(shard))] == SEQUENCES
    assert shard[-1].tolist() == [7, 8]
    with pytest.raises(IndexError, match="sequence 4 of 4"):
        shard[4]


@pytest.mark.parametrize("dtype", ["<u2", "<i4"])
def test_megatron_core_reads_the_same_documents(tmp_path: Path, dtype: str):
    indexed = pytest.importorskip("megatron.core.datasets.indexed_dataset")
    write_pair(tmp_path / "shard", SEQUENCES, dtype)
    for mapped in (True, False):
        dataset = indexed.IndexedDataset(str(tmp_path / "shard"), mmap=mapped)
        assert len(dataset) == len(SEQUENCES)
        assert [dataset[i].tolist() for i in range(len(dataset))] == SEQUENCES
        assert dataset.document_indices.tolist() == [0, 1, 2, 3, 4]
        assert dataset.get(2, offset=10, length=5).tolist() == [10, 11, 12, 13, 14]


def test_an_empty_shard_is_a_shard(tmp_path: Path):
    write_pair(tmp_path / "shard", [], "<u2")
    assert len(read_shard(tmp_path / "shard")) == 0


def test_the_bytes_are_those_that_megatron_writes(tmp_path: Path):
    indexed = pytest.importorskip("megatron.core.datasets.indexed_dataset")
    import torch

    write_pair(tmp_path / "ours", SEQUENCES, "<u2")
    builder = indexed.IndexedDatasetBuilder(str(tmp_path / "theirs.bin"), dtype=np.uint16)
    for sequence in SEQUENCES:
        builder.add_document(torch.tensor(sequence), [len(sequence)])
    builder.finalize(str(tmp_path / "theirs.idx"))
    for ending in (".bin", ".idx"):
        ours, theirs = (tmp_path / f"{name}{ending}" for name in ("ours", "theirs"))
        assert ours.read_bytes() == theirs.read_bytes()


def test_a_missing_or_broken_file_is_named(tmp_path: Path):
    with pytest.raises(RunFault, match=r"gone\.idx"):
        read_shard(tmp_path / "gone")
    write_pair(tmp_path / "shard", SEQUENCES, "<u2")
    data = (tmp_path / "shard.bin").read_bytes()
    (tmp_path / "shard.bin").write_bytes(data[:-2])
    with pytest.raises(RunFault, match=r"shard\.bin: 210 bytes, the index expects 212"):
        read_shard(tmp_path / "shard")
    (tmp_path / "shard.idx").write_bytes(b"nothing of the kind, but long enough to look at it")
    with pytest.raises(RunFault, match="not an index of Megatron tokens"):
        read_shard(tmp_path / "shard")


def test_a_run_gives_slices_in_any_order(tmp_path: Path):
    tokens = np.arange(200_000, dtype=np.uint16)
    write_run(tmp_path / "a.run", tokens, 3, "ab" * 32, "cd" * 16)
    header = read_header(tmp_path / "a.run")
    assert header is not None
    assert (header.documents, header.tokens, header.tokenizer) == (3, 200_000, "ab" * 32)
    starts = np.array([150_000, 10, 0, 60_000])
    counts = np.array([5, 3, 10, 0])
    places = np.array([0, 5, 8, 18])
    out = np.zeros(18, dtype=np.uint16)
    with Run(tmp_path / "a.run") as run:
        run.gather(starts, counts, out, places)
        with pytest.raises(RunFault, match="of 200000 are out of range"):
            run.read(199_999, 200_001)
    assert out[:5].tolist() == tokens[150_000:150_005].tolist()
    assert out[5:8].tolist() == [10, 11, 12]
    assert out[8:].tolist() == list(range(10))


def test_a_truncated_run_has_no_header(tmp_path: Path):
    path = tmp_path / "a.run"
    write_run(path, np.arange(50, dtype=np.int32), 1, "00" * 32, "00" * 16)
    path.write_bytes(path.read_bytes()[:-1])
    assert read_header(path) is None
    assert read_header(tmp_path / "none.run") is None
    with pytest.raises(RunFault, match="not a complete token run"):
        Run(path)


def test_the_index_digest_sees_every_row():
    counts, places = np.array([1, 2], dtype=np.int32), np.array([0, 1], dtype=np.int64)
    digest = index_digest(counts, places)
    assert digest != index_digest(counts[::-1], places)
    assert digest != index_digest(counts, places[::-1])
