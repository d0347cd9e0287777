"""The shards of a mixture: a plan file per shard, and the files that a worker writes from it.

A plan lists a shard's sequences in order, with the token run of each and the offset in it. The
worker copies them a bounded slice at a time, about SLICE tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtures.mixing.order import Arrangement
from mixtures.shards.formats import MDS, PARQUET, ParquetTokens, mds_files
from mixtures.shards.megatron import SEQUENCES, write_index, write_sequences
from mixtures.shards.token_runs import Run, run_path
from mixtures.tokenizer.tokenizer import token_dtype
from pipelines.mix.gather import Survivors
from pipelines.stages.tokenize import STAGE as TOKENIZE
from pipelines.storage.files import atomic_path
from pipelines.storage.layout import DOCUMENTS, MIXTURE, PLANS
from pipelines.storage.shards import ShardTask, write_receipt
from pipelines.storage.store import StorePath
from schemas.manifest import Shard, read_manifest, sha256_file

SLICE: Final = 1 << 23
"""Tokens that a worker holds at a time while it writes a shard."""
MAX_OPEN: Final = 256
"""Token runs that a worker keeps open."""

_PLAN: Final = pa.schema(
    [*SEQUENCES, pa.field("run", pa.int32()), pa.field("run_offset", pa.int64())]
)


def write_plan(path: Path, survivors: Survivors, arrangement: Arrangement, shard: int) -> None:
    """Write the sequences of one output shard, in order, with run and offset of their tokens."""
    part = slice(int(arrangement.shards[shard]), int(arrangement.shards[shard + 1]))
    rows = arrangement.rows[part]
    documents = survivors.documents
    pool = documents.pool[rows]
    table = pa.Table.from_arrays(
        [
            pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(16), len(rows), [None, pa.py_buffer(documents.ids[rows].tobytes())]
            ),
            _dictionary(pool, [pool.source for pool in survivors.pools]),
            _dictionary(pool, [pool.component for pool in survivors.pools]),
            pa.array(arrangement.epochs[part]),
            pa.array(documents.tokens[rows].astype(np.int32)),
            pa.array(survivors.run[rows]),
            pa.array(survivors.offset[rows]),
        ],
        schema=_PLAN,
    )
    with atomic_path(path) as temporary, pa.ipc.new_file(str(temporary), _PLAN) as writer:
        writer.write_table(table)


def _dictionary(pool: npt.NDArray[np.int32], names: Sequence[str]) -> pa.DictionaryArray:
    """Return the name of each pool number in `pool`; the dictionary is sorted, without repeats."""
    known = sorted(set(names))
    number = np.array([known.index(name) for name in names], dtype=np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(number[pool]), pa.array(known, pa.string()))


def read_plan(path: Path) -> pa.Table:
    """Return what `write_plan` wrote, mapped into memory where it is on a local disk."""
    if isinstance(path, StorePath):
        return pa.ipc.open_file(path.read_bytes()).read_all()
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()


class WriteShard(beam.DoFn):
    """Output shard task in, its name out."""

    def __init__(self, out: Path, vocab_size: int, formats: Sequence[str]) -> None:
        self._out = out
        self._vocab_size = vocab_size
        self._formats = list(formats)

    def process(self, task: ShardTask) -> Iterator[str]:
        """Write the shard's files and its receipt, and yield its name."""
        folder = self._out / MIXTURE
        plan = read_plan(folder / PLANS / task.name)
        documents = read_manifest(self._out / DOCUMENTS)
        tokens = self._out / TOKENIZE.folder
        runs = [run_path(tokens / shard.name) for shard in documents.shards] if documents else []
        yield write_shard_files(folder, task, plan, runs, self._vocab_size, self._formats).name


def write_shard_files(
    folder: Path,
    task: ShardTask,
    plan: pa.Table,
    runs: Sequence[Path],
    vocab_size: int,
    formats: Sequence[str] = (),
) -> Shard:
    """Write `.bin`, `.idx` and side-car of one output shard, and its other forms, each whole.

    `plan` has the side-car's columns with `run` (number in `runs`) and `run_offset`.
    """
    source = _PlannedTokens(plan, runs, token_dtype(vocab_size))
    side = folder / task.name
    stem = side.with_suffix("")
    tokens = _write_tokens(stem.with_suffix(".bin"), source)
    index = stem.with_suffix(".idx")
    with atomic_path(index) as temporary:
        write_index(temporary, source.counts, source.dtype)
        indexed = file_record(index.name, temporary)
    with atomic_path(side) as temporary:
        write_sequences(temporary, plan.select(SEQUENCES.names))
        sequences = file_record(side.name, temporary)
    files = [tokens, indexed, sequences]
    mds: list[dict[str, Any]] = []
    if PARQUET in formats:
        files.append(_write_parquet(folder / PARQUET / task.name, source))
    if MDS in formats:
        records, mds = _write_mds(folder / MDS, stem.name, source)
        files += records
    shard = Shard(
        name=task.name,
        rows=plan.num_rows,
        bytes=int(sequences["bytes"]),
        sha256=str(sequences["sha256"]),
        key=task.key,
        stats={
            "tokens": int(source.counts.sum()),
            "text_bytes": tokens["bytes"],
            "files": files,
            "mds": mds,
        },
    )
    write_receipt(folder, shard)
    return shard


def _write_tokens(path: Path, source: _PlannedTokens) -> dict[str, Any]:
    """Write the tokens one after another, and hash them on the way."""
    digest = hashlib.sha256()
    size = 0
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        for _, tokens in source.slices():
            tokens.tofile(file)
            digest.update(tokens.data)
            size += tokens.nbytes
    return {"name": path.name, "bytes": size, "sha256": digest.hexdigest()}


def _write_parquet(path: Path, source: _PlannedTokens) -> dict[str, Any]:
    with atomic_path(path) as temporary:
        writer = ParquetTokens(temporary, source.dtype)
        for rows, tokens in source.slices():
            writer.write(rows, tokens)
        writer.close()
        return file_record(f"{PARQUET}/{path.name}", temporary)


def _write_mds(
    folder: Path, stem: str, source: _PlannedTokens
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Write `STEM.NUMBER.mds`. Returns the records of the files and their entries in the index."""
    files, entries = [], []
    for number, (data, samples) in enumerate(mds_files(source.slices(), source.dtype)):
        path = folder / f"{stem}.{number:05d}.mds"
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
            files.append(file_record(f"{MDS}/{path.name}", temporary))
        entries.append({"basename": path.name, "bytes": len(data), "samples": samples})
    names = {entry["basename"] for entry in entries}
    for path in folder.glob(f"{stem}.*.mds"):  # of a larger shard that was here
        if path.name not in names:
            path.unlink()
    return files, entries


def file_record(name: str, path: Path) -> dict[str, Any]:
    """Return what the manifest notes of the file at `path`: name, bytes, SHA-256."""
    return {"name": name, "bytes": path.stat().st_size, "sha256": sha256_file(path)}


class _PlannedTokens:
    """The tokens of one output shard, read from the runs in the plan's order."""

    def __init__(self, plan: pa.Table, runs: Sequence[Path], dtype: np.dtype[Any]) -> None:
        self.plan = plan
        self.dtype = dtype
        self.counts = plan.column("tokens").to_numpy().astype(np.int64)
        self._runs = runs

    def slices(self) -> Iterator[tuple[pa.Table, npt.NDArray[Any]]]:
        """Yield rows of the plan with their tokens in order, about SLICE tokens at a time.

        Few reads per slice and run suffice, since runs are stored in the mixture's order. The
        array of tokens is overwritten by the next slice.
        """
        run = self.plan.column("run").to_numpy()
        offset = self.plan.column("run_offset").to_numpy()
        counts = self.counts
        ends = np.cumsum(counts)
        first = 0
        buffer = np.empty(0, dtype=self.dtype)
        files: dict[int, Run] = {}
        while first < len(counts):
            done = int(ends[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(ends, done + SLICE, side="right")))
            size = int(ends[last - 1]) - done
            if size > len(buffer):  # reused: fresh pages cost as much as copying
                buffer = np.empty(max(size, min(SLICE, int(ends[-1]))), dtype=self.dtype)
            tokens = buffer[:size]
            positions = ends[first:last] - counts[first:last] - done
            here = run[first:last]
            order = np.argsort(here, kind="stable")
            bounds = np.flatnonzero(np.diff(here[order])) + 1
            for rows in np.split(order, bounds):
                opened = self._open(files, int(here[rows[0]]))
                at = first + rows
                opened.gather(offset[at], counts[at], tokens, positions[rows])
            yield self.plan.slice(first, last - first), tokens
            first = last
        for opened in files.values():
            opened.close()

    def _open(self, files: dict[int, Run], number: int) -> Run:
        """Return a run from `files`, those that are open; at MAX_OPEN the oldest is closed."""
        if number not in files:
            if len(files) >= MAX_OPEN:
                files.pop(next(iter(files))).close()
            files[number] = Run(self._runs[number])
        return files[number]
