"""The mix stage: solve the mixture, order it, and write each token shard from slices of runs.

The driver reads keys and counts only. It leaves a small plan file for each output shard; a
worker then pulls the shard's documents out of the token runs, a bounded stretch at a time, and
writes `.bin`, `.idx` and side-car. `manifest.json` is written last.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.rules.decide import in_scope
from filters.rules.evaluate import breaks, holds
from mixtures.keys import id_matrix
from mixtures.mixing.order import Arrangement, Documents, arrange_stages
from mixtures.mixing.solver import Plan, Pool, SourceTokens, solve_stages
from mixtures.shards.formats import MDS, MDS_INDEX, PARQUET, ParquetTokens, mds_files, mds_index
from mixtures.shards.megatron import (
    MANIFEST,
    SEQUENCES,
    VERSION,
    shard_stem,
    write_index,
    write_sequences,
)
from mixtures.shards.token_runs import Run, run_path
from mixtures.tokenizer.tokenizer import Tokenizer, token_dtype
from pipelines.engine.context import Context
from pipelines.runners.runner import Runner, distribute
from pipelines.stages.catalog import only_rules, rule_columns, upsample_rules
from pipelines.stages.tokenize import STAGE as TOKENIZE
from pipelines.storage.files import atomic_path, write_text
from pipelines.storage.layout import DOCUMENTS, MIXTURE, PLANS, TOKENIZER
from pipelines.storage.shards import ShardTask, read_receipts, write_receipt
from pipelines.storage.store import StorePath, remove_tree
from schemas.config import Config, Mixture
from schemas.errors import RunFault
from schemas.manifest import Shard, read_manifest, sha256_file
from schemas.rules import Rule

STRETCH: Final = 1 << 23
"""Tokens that a worker holds at a time while it writes a shard."""
MOST_OPEN: Final = 256
"""Runs that a worker keeps open."""

_PLAN: Final = pa.schema(
    [*SEQUENCES, pa.field("run", pa.int32()), pa.field("run_offset", pa.int64())]
)


@dataclass(frozen=True)
class Survivors:
    """The documents that a mixture may use, and where their tokens lie."""

    documents: Documents
    pairs: list[Pool]
    runs: list[str]
    """Names of document shards; `run` numbers them."""
    run: npt.NDArray[np.int32]
    offset: npt.NDArray[np.int64]
    allowed: list[npt.NDArray[np.bool_] | None]
    """For each stage of the mixture which documents it may use; None: all."""


def mix_tasks(config: Config, key: str) -> list[ShardTask]:
    """Return a task for each output shard, named by its side-car, with the step's key."""
    shards = config.mixture.shards
    return [
        ShardTask(f"{shard_stem(index, shards)}.parquet", "", 0, key) for index in range(shards)
    ]


def run_mix(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    """Write the output shards of `tasks` (see `mix_tasks`), then the mixture's manifest.

    Called with no task it writes the manifest only. Raises InputError if the mixture cannot be
    met, RunFault if a run is missing.
    """
    folder = ctx.folder(MIXTURE)
    folder.mkdir(parents=True, exist_ok=True)
    survivors = gather(ctx)
    arrangement = arrange_stages(
        survivors.documents, survivors.pairs, ctx.config.mixture, survivors.allowed
    )
    _clear(folder, ctx.config.mixture, bool(tasks))
    numbers = {task.name: index for index, task in enumerate(mix_tasks(ctx.config, ""))}
    for task in tasks:
        write_plan(folder / PLANS / task.name, survivors, arrangement, numbers[task.name])
    vocab_size = Tokenizer.load(ctx.folder(TOKENIZER)).vocab_size

    def build(pipeline: beam.Pipeline) -> None:
        distribute(pipeline, "mix", tasks) | "mix: write" >> beam.ParDo(
            WriteShard(ctx.out, vocab_size, ctx.config.mixture.formats)
        )

    if tasks:
        runner.run("mix", build)
    remove_tree(folder / PLANS)
    _write_manifest(ctx, arrangement)


def gather(ctx: Context) -> Survivors:
    """Read the keys and counts of all survivors, shard by shard, in name order."""
    documents = read_manifest(ctx.folder(DOCUMENTS))
    if documents is None:
        raise RunFault(f"{ctx.folder('documents')}: no documents; run `ingest` first")
    ids: list[npt.NDArray[np.uint8]] = [np.zeros((0, 16), dtype=np.uint8)]
    run, tokens, offsets = ([np.zeros(0, dtype=np.int64)] for _ in range(3))
    numbers: dict[Pool, int] = {}
    upsample = upsample_rules(ctx.config)
    pair = [np.zeros(0, dtype=np.int32)]
    names = [shard.name for shard in documents.shards]
    stage_rules = only_rules(ctx.config)
    asked = [rule for rule, _ in upsample] + [rule for rules in stage_rules for rule in rules]
    columns = ["id", "tokens", "run_offset", *rule_columns(asked)]
    allowed = [[np.zeros(0, dtype=np.bool_)] for _ in stage_rules]
    for index, shard in enumerate(documents.shards):
        kept = ctx.survivors(shard.name)
        start = 0
        for batch in ctx.read(shard.name, columns, shard.sha256):
            rows = batch.filter(pa.array(kept[start : start + batch.num_rows]))
            start += batch.num_rows
            if not rows.num_rows:
                continue
            if rows.column("tokens").null_count:
                raise RunFault(
                    f"{shard.name}: {rows.column('tokens').null_count} documents that survive "
                    "have no tokens; run the stage `tokenize`"
                )
            ids.append(id_matrix(rows.column("id")).copy())
            pair.append(_number_pairs(rows, numbers, upsample))
            tokens.append(rows.column("tokens").cast(pa.int64()).to_numpy())
            offsets.append(rows.column("run_offset").to_numpy())
            run.append(np.full(rows.num_rows, index, dtype=np.int64))
            for stage, rules in zip(allowed, stage_rules, strict=True):
                stage.append(_met(rows, rules))
    # Pairs in the order of their names: nothing may depend on which shard came first.
    pairs = sorted(numbers)
    place = np.zeros(max(1, len(pairs)), dtype=np.int32)
    for new, name in enumerate(pairs):
        place[numbers[name]] = new
    return Survivors(
        documents=Documents(
            ids=np.concatenate(ids), pair=place[np.concatenate(pair)], tokens=np.concatenate(tokens)
        ),
        pairs=pairs,
        runs=names,
        run=np.concatenate(run).astype(np.int32),
        offset=np.concatenate(offsets),
        allowed=[
            np.concatenate(stage) if rules else None
            for stage, rules in zip(allowed, stage_rules, strict=True)
        ],
    )


def _number_pairs(
    rows: pa.RecordBatch, numbers: dict[Pool, int], upsample: Sequence[tuple[Rule, Fraction]]
) -> npt.NDArray[np.int32]:
    """Return the number of each row's pool, numbering new ones."""
    source = pc.dictionary_encode(rows.column("source"))
    component = pc.dictionary_encode(rows.column("assigned"))
    own = component.dictionary.to_pylist()
    factors = [Fraction(1), *(factor for _, factor in upsample)]
    code = source.indices.to_numpy().astype(np.int64) * len(own) + component.indices.to_numpy()
    code = code * len(factors) + _first_that_holds(rows, upsample)
    found, inverse = np.unique(code, return_inverse=True)
    sources = source.dictionary.to_pylist()
    known = []
    for value in found.tolist():
        (place, part), factor = divmod(value // len(factors), len(own)), value % len(factors)
        pool = Pool(sources[place], own[part], factors[factor])
        known.append(numbers.setdefault(pool, len(numbers)))
    return np.array(known, dtype=np.int32)[inverse]


def _met(rows: pa.RecordBatch, rules: Sequence[Rule]) -> npt.NDArray[np.bool_]:
    """Return for each row whether it breaks none of `rules` that are about it."""
    met = np.ones(rows.num_rows, dtype=np.bool_)
    for rule in rules:
        about = in_scope(rule, rows.column("assigned"), rows.column("source"))
        met &= ~(about & breaks(rule, rows.column(rule.column)))
    return met


def _first_that_holds(
    rows: pa.RecordBatch, upsample: Sequence[tuple[Rule, Fraction]]
) -> npt.NDArray[np.int64]:
    """Return for each row 1 + the place of the first condition that holds, or 0."""
    found = np.zeros(rows.num_rows, dtype=np.int64)
    for place, (rule, _) in enumerate(upsample, 1):
        about = in_scope(rule, rows.column("assigned"), rows.column("source"))
        found[(found == 0) & about & holds(rule, rows.column(rule.column))] = place
    return found


def _clear(folder: Path, settings: Mixture, anew: bool) -> None:
    """Remove files of another mixture, and the manifest if shards are to be written."""
    stems = {shard_stem(index, settings.shards) for index in range(settings.shards)}
    for form in (PARQUET, MDS):
        if form not in settings.formats:
            remove_tree(folder / form)
    for path in [*folder.glob("shard-*"), *folder.glob("[!_]*/shard-*")]:
        if path.name.split(".")[0] not in stems:
            path.unlink()
    remove_tree(folder / PLANS)
    if anew:
        (folder / MANIFEST).unlink(missing_ok=True)


def write_plan(path: Path, survivors: Survivors, arrangement: Arrangement, shard: int) -> None:
    """Write the sequences of one output shard, in order, with the places of their tokens."""
    part = slice(int(arrangement.shards[shard]), int(arrangement.shards[shard + 1]))
    rows = arrangement.rows[part]
    documents = survivors.documents
    pair = pa.array(documents.pair[rows])
    table = pa.Table.from_arrays(
        [
            pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(16), len(rows), [None, pa.py_buffer(documents.ids[rows].tobytes())]
            ),
            _dictionary(pair, [pool.source for pool in survivors.pairs]),
            _dictionary(pair, [pool.component for pool in survivors.pairs]),
            pa.array(arrangement.epochs[part]),
            pa.array(documents.tokens[rows].astype(np.int32)),
            pa.array(survivors.run[rows]),
            pa.array(survivors.offset[rows]),
        ],
        schema=_PLAN,
    )
    with atomic_path(path) as temporary, pa.ipc.new_file(str(temporary), _PLAN) as writer:
        writer.write_table(table)


def read_plan(path: Path) -> pa.Table:
    """Return what `write_plan` wrote, mapped where it lies on a disk."""
    if isinstance(path, StorePath):
        return pa.ipc.open_file(path.read_bytes()).read_all()
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()


def _dictionary(pair: pa.Array, names: Sequence[str]) -> pa.DictionaryArray:
    """Return the names of pair numbers, each name once in the dictionary, sorted."""
    known = sorted(set(names))
    place = np.array([known.index(name) for name in names], dtype=np.int32)
    return pa.DictionaryArray.from_arrays(
        pa.array(place[pair.to_numpy()]), pa.array(known, pa.string())
    )


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
    side = folder / task.name
    stem = side.with_suffix("")
    dtype = token_dtype(vocab_size)
    counts = plan.column("tokens").to_numpy().astype(np.int64)
    bin_path, idx_path = stem.with_suffix(".bin"), stem.with_suffix(".idx")
    files: list[dict[str, Any]] = []
    with atomic_path(bin_path) as temporary:
        digest = hashlib.sha256()
        size = 0
        with temporary.open("wb") as file:
            for _, stretch in stretches(plan, counts, runs, dtype):
                stretch.tofile(file)
                digest.update(stretch.data)
                size += stretch.nbytes
        files.append({"name": bin_path.name, "bytes": size, "sha256": digest.hexdigest()})
    with atomic_path(idx_path) as temporary:
        write_index(temporary, counts, dtype)
        files.append(_file(idx_path.name, temporary))
    with atomic_path(side) as temporary:
        write_sequences(temporary, plan.select(SEQUENCES.names))
        files.append(_file(side.name, temporary))
    mds: list[dict[str, Any]] = []
    if PARQUET in formats:
        path = folder / PARQUET / task.name
        with atomic_path(path) as temporary:
            writer = ParquetTokens(temporary, dtype)
            for rows, stretch in stretches(plan, counts, runs, dtype):
                writer.write(rows, stretch)
            writer.close()
            files.append(_file(f"{PARQUET}/{path.name}", temporary))
    if MDS in formats:
        found = mds_files(stretches(plan, counts, runs, dtype), dtype)
        for number, (data, samples) in enumerate(found):
            path = folder / MDS / f"{stem.name}.{number:05d}.mds"
            with atomic_path(path) as temporary:
                temporary.write_bytes(data)
                files.append(_file(f"{MDS}/{path.name}", temporary))
            mds.append({"basename": path.name, "bytes": len(data), "samples": samples})
    shard = Shard(
        name=task.name,
        rows=plan.num_rows,
        bytes=int(files[2]["bytes"]),
        sha256=str(files[2]["sha256"]),
        key=task.key,
        stats={"tokens": int(counts.sum()), "text_bytes": size, "files": files, "mds": mds},
    )
    write_receipt(folder, shard)
    return shard


def _file(name: str, path: Path) -> dict[str, Any]:
    return {"name": name, "bytes": path.stat().st_size, "sha256": sha256_file(path)}


def stretches(
    plan: pa.Table, counts: npt.NDArray[np.int64], runs: Sequence[Path], dtype: np.dtype[Any]
) -> Iterator[tuple[pa.Table, npt.NDArray[Any]]]:
    """Yield a shard's rows with their tokens in order, about STRETCH tokens at a time.

    Each stretch asks each run for one or a few slices, since runs lie in the mixture's order.
    The tokens are overwritten by the next stretch.
    """
    run = plan.column("run").to_numpy()
    offset = plan.column("run_offset").to_numpy()
    ends = np.cumsum(counts)
    first = 0
    room = np.empty(0, dtype=dtype)
    files: dict[int, Run] = {}
    while first < len(counts):
        done = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, done + STRETCH, side="right")))
        size = int(ends[last - 1]) - done
        if size > len(room):  # kept from stretch to stretch: fresh pages cost as much as copying
            room = np.empty(max(size, min(STRETCH, int(ends[-1]))), dtype=dtype)
        out = room[:size]
        places = ends[first:last] - counts[first:last] - done
        here = run[first:last]
        order = np.argsort(here, kind="stable")
        bounds = np.flatnonzero(np.diff(here[order])) + 1
        for rows in np.split(order, bounds):
            opened = _opened(files, runs, int(here[rows[0]]))
            opened.gather(offset[first + rows], counts[first + rows], out, places[rows])
        yield plan.slice(first, last - first), out
        first = last
    for opened in files.values():
        opened.close()


def _opened(files: dict[int, Run], runs: Sequence[Path], number: int) -> Run:
    """Return a run from `files`, those that are open; the longest open one gives way."""
    if number not in files:
        if len(files) >= MOST_OPEN:
            files.pop(next(iter(files))).close()
        files[number] = Run(runs[number])
    return files[number]


def _write_manifest(ctx: Context, arrangement: Arrangement) -> None:
    """Write manifest.json from the plan and the receipts of all shards."""
    settings = ctx.config.mixture
    folder = ctx.folder(MIXTURE)
    receipts = read_receipts(folder)
    names = [task.name for task in mix_tasks(ctx.config, "")]
    missing = [name for name in names if name not in receipts]
    if missing:
        raise RunFault(f"{folder}: {missing[0]} was not written; run the same command again")
    tokenizer = Tokenizer.load(ctx.folder(TOKENIZER))
    shards = [receipts[name] for name in names]
    record = {
        "name": ctx.config.name,
        "version": VERSION,
        "strategy": settings.strategy,
        "seed": settings.seed,
        "max_epochs": settings.max_epochs,
        "tokens": arrangement.plan.tokens,
        "planned_tokens": arrangement.plan.planned,
        "achieved_tokens": sum(int(shard.stats["tokens"]) for shard in shards),
        "sequences": sum(shard.rows for shard in shards),
        "dtype": tokenizer.dtype.name,
        "tokenizer": {
            "sha256": tokenizer.sha256,
            "vocab_size": tokenizer.vocab_size,
            "end_of_document": tokenizer.eod_id,
        },
        **achieved(arrangement),
        "left_out": arrangement.left_out,
        "balance": arrangement.balance.model_dump(),
        "formats": list(settings.formats),
        "stages": [
            {
                "share": float(stage.share),
                "context": stage.context,
                "tokens": sum(int(s.stats["tokens"]) for s in shards[stage.first : stage.last]),
                "shards": stage.last - stage.first,
                "components": stage.plan.shares(),
                "balance": stage.balance.model_dump(),
            }
            for stage in arrangement.stages
        ],
        "shards": [
            {
                "name": Path(shard.name).stem,
                "stage": number,
                "context": stage.context,
                "sequences": shard.rows,
                "tokens": shard.stats["tokens"],
                "files": shard.stats["files"],
            }
            for number, stage in enumerate(arrangement.stages)
            for shard in shards[stage.first : stage.last]
        ],
        "files": [],
    }
    if MDS in settings.formats:
        entries = [entry for shard in shards for entry in shard.stats["mds"]]
        index = folder / MDS / MDS_INDEX
        write_text(index, mds_index(entries, tokenizer.dtype))
        record["files"] = [_file(f"{MDS}/{MDS_INDEX}", index)]
    write_text(folder / MANIFEST, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def achieved(arrangement: Arrangement) -> dict[str, Any]:
    """Return `components` and `sources` of the manifest: what was planned and what is there."""
    record = arrangement.plan.as_record()
    by_component = arrangement.by_component
    total = sum(tokens for tokens, _ in by_component.values()) or 1
    components = []
    for entry in record["components"]:
        tokens, sequences = by_component.get(entry["component"], (0, 0))
        components.append(
            {**entry, "achieved": tokens, "achieved_share": tokens / total, "sequences": sequences}
        )
    sources = []
    for entry, plan in zip(record["sources"], arrangement.plan.sources, strict=True):
        tokens, sequences = arrangement.by_source.get(plan.pool, (0, 0))
        sources.append({**entry, "achieved": tokens, "sequences": sequences})
    return {"components": components, "sources": sources}


def plan_exact(ctx: Context) -> Plan:
    """Return the solved mixture of a run whose tokens are there."""
    survivors = gather(ctx)
    documents = survivors.documents
    counts = np.bincount(documents.pair, minlength=len(survivors.pairs))
    tokens = np.zeros(len(survivors.pairs), dtype=np.int64)
    np.add.at(tokens, documents.pair, documents.tokens)
    available = [
        SourceTokens(
            pool.source, pool.component, int(tokens[index]), int(counts[index]), pool.factor
        )
        for index, pool in enumerate(survivors.pairs)
    ]
    return solve_stages(available, ctx.config.mixture)


BYTES_PER_TOKEN: Final = {"ko": 3.9, "en": 3.7, "code": 3.9}
"""Bytes a token of a 32,000-piece model trained as Bibim does, on technical text of each
component; 3.8 elsewhere. For estimates only."""


def plan_estimated(
    sizes: Sequence[tuple[str, str, int, int]], settings: Mixture
) -> tuple[list[SourceTokens], Plan]:
    """Return estimated tokens by source and the mixture solved over them.

    `sizes`: (source, component, bytes of text, documents). Nothing is tokenised.
    """
    available = [
        SourceTokens(
            source,
            component,
            int(size / BYTES_PER_TOKEN.get(component, 3.8)) + documents,
            documents,
        )
        for source, component, size, documents in sizes
    ]
    return available, solve_stages(available, settings)
