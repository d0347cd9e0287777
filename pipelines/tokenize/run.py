"""The tokenize stage: train or load the tokenizer, then write the tokens of survivors.

Each document shard gets an annotation shard (token counts and offsets) and a token run beside it.
A run may hold documents that no longer survive: tightening a rule costs nothing, and loosening one
encodes only documents without tokens. After a change of tokenizer all are encoded again.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.pii.mask import apply_spans
from filters.text.removed_spans import removed_span_keys
from mixtures.keys import base_keys, id_matrix
from mixtures.shards.token_runs import (
    Run,
    copy_slices,
    index_digest,
    read_header,
    run_path,
    write_run,
)
from mixtures.tokenizer.tokenizer import MODEL, Tokenizer
from mixtures.tokenizer.training import (
    CARD,
    VOCABULARY,
    Card,
    describe,
    train_tokenizer,
    write_tokenizer,
)
from pipelines.code_version import code_version
from pipelines.engine.annotate import stored_batches
from pipelines.engine.context import Context
from pipelines.runners.machine import usable_cores
from pipelines.runners.runner import Runner, distribute
from pipelines.stages.identify import STAGE as IDENTIFY
from pipelines.stages.sign import STAGE as SIGN
from pipelines.stages.tokenize import TOKENS, cut_columns, sampling
from pipelines.storage.files import atomic_path
from pipelines.storage.layout import DOCUMENTS, TOKENIZER
from pipelines.storage.shards import ShardTask, write_receipt, write_shard
from pipelines.storage.store import remove_tree
from pipelines.tokenize.sample import SAMPLE, DrawSample, budgets, component_bytes, sampled_texts
from schemas.errors import RunFault
from schemas.manifest import Shard, content_key, read_manifest, sha256_file


def run_tokenize(runner: Runner, ctx: Context, tasks: list[ShardTask]) -> None:
    """Train or copy the tokenizer to OUT/tokenizer, then write tokens and runs of `tasks`."""
    card = prepare_tokenizer(runner, ctx)

    def build(pipeline: beam.Pipeline) -> None:
        distribute(pipeline, ctx.stage, tasks) | f"{ctx.stage}: encode" >> beam.ParDo(
            TokenizeShard(ctx, card.sha256)
        )

    runner.run(ctx.stage, build)


def prepare_tokenizer(runner: Runner, ctx: Context) -> Card:
    """Return the card of the tokenizer in OUT/tokenizer; train or copy it first where needed."""
    folder = ctx.folder(TOKENIZER)
    settings = ctx.config.tokenizer
    if settings.path is not None:
        path = Path(settings.path)
        tokenizer = Tokenizer.load(path)
        card = describe(tokenizer, content_key("file", tokenizer.sha256))
        if stored_card(folder, card.key) is None:
            data = (path / MODEL if path.is_dir() else path).read_bytes()
            with tempfile.TemporaryDirectory(prefix="bibim-") as new:
                write_tokenizer(Path(new), data, tokenizer, card)
                _install(folder, Path(new))
        return card
    key = training_key(ctx)
    stored = stored_card(folder, key)
    return stored if stored is not None else _train(runner, ctx, key)


def stored_card(folder: Path, key: str) -> Card | None:
    """Return the card in `folder` if it carries `key` and its model is whole."""
    try:
        card = Card.model_validate_json((folder / CARD).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    model = folder / MODEL
    whole = card.key == key and model.exists() and sha256_file(model) == card.sha256
    return card if whole else None


def training_key(ctx: Context) -> str:
    """Return the key of all that a trained tokenizer depends on, which excludes rules."""
    annotations = [
        [shard.name, shard.sha256]
        for read in (IDENTIFY, SIGN)
        for shard in _manifest_shards(ctx.folder(read.folder))
    ]
    settings = ctx.config.tokenizer.model_dump(mode="json", exclude={"path"})
    return content_key(
        "tokenizer",
        settings,
        sampling(ctx.config),
        code_version("mixtures.tokenizer.training", "pipelines.tokenize.sample"),
        annotations,
        [[shard.name, shard.sha256] for shard in _document_shards(ctx)],
    )


def _manifest_shards(folder: Path) -> list[Shard]:
    manifest = read_manifest(folder)
    return manifest.shards if manifest else []


def _document_shards(ctx: Context) -> list[Shard]:
    shards = _manifest_shards(ctx.folder(DOCUMENTS))
    if not shards:
        raise RunFault(f"{ctx.folder(DOCUMENTS)}: no documents; run `ingest` first")
    return shards


def _train(runner: Runner, ctx: Context, key: str) -> Card:
    tasks = [ShardTask(s.name, s.sha256, s.rows, key) for s in _document_shards(ctx)]
    sample = ctx.folder(TOKENIZER, SAMPLE)
    remove_tree(sample)
    sizes = component_bytes(ctx, [task.name for task in tasks])

    def draw(pipeline: beam.Pipeline) -> None:
        distribute(pipeline, "tokenize-sample", tasks) | "tokenize: draw" >> beam.ParDo(
            DrawSample(ctx, sizes)
        )

    def train(pipeline: beam.Pipeline) -> None:
        distribute(pipeline, "tokenize-train", [key]) | "tokenize: train" >> beam.ParDo(
            TrainTokenizer(ctx, budgets(ctx, sizes))
        )

    runner.run("tokenize-sample", draw)
    runner.run("tokenize-train", train)
    remove_tree(sample)
    card = stored_card(ctx.folder(TOKENIZER), key)
    if card is None:
        raise RunFault(f"{ctx.folder(TOKENIZER)}: the tokenizer was not written; run again")
    return card


class TrainTokenizer(beam.DoFn):
    """Key in, the model's SHA-256 out. One element: a worker trains, and frees the memory after."""

    def __init__(self, ctx: Context, limits: dict[str, int]) -> None:
        self._ctx = ctx
        self._limits = limits

    def process(self, key: str) -> Iterator[str]:
        """Train on the drawn texts and copy the files to OUT/tokenizer, the card last."""
        folder = self._ctx.folder(TOKENIZER)
        texts = sampled_texts(folder / SAMPLE, self._limits)
        with tempfile.TemporaryDirectory(prefix="bibim-") as new:
            card = train_tokenizer(
                texts, self._ctx.config.tokenizer, Path(new), key=key, workers=usable_cores()
            )
            _install(folder, Path(new))
        yield card.sha256


def _install(folder: Path, new: Path) -> None:
    (folder / CARD).unlink(missing_ok=True)
    for name in (MODEL, VOCABULARY, CARD):
        with atomic_path(folder / name) as temporary:
            shutil.copyfile(new / name, temporary)


@lru_cache(maxsize=1)
def _tokenizer(path: Path, sha256: str) -> Tokenizer:
    """Return the tokenizer at `path`, loaded once per process. Raises RunFault if it changed."""
    tokenizer = Tokenizer.load(path)
    if tokenizer.sha256 != sha256:
        raise RunFault(f"{path} changed while the stage ran; run again")
    return tokenizer


class TokenizeShard(beam.DoFn):
    """Shard task in, shard name out."""

    def __init__(self, ctx: Context, sha256: str) -> None:
        self._ctx = ctx
        self._sha256 = sha256

    def process(self, task: ShardTask) -> Iterator[str]:
        """Write the task's run and annotation shard and yield its name."""
        yield tokenize_shard(self._ctx, task, self._sha256).name


def tokenize_shard(ctx: Context, task: ShardTask, sha256: str) -> Shard:
    """Write the tokens of the shard's survivors, encoding only those without valid tokens."""
    folder = ctx.annotations
    path = folder / task.name
    survivors = ctx.survivors(task.name)
    old = _stored(path, task, sha256)
    counts, offsets, keys = old if old is not None else (_none(task.rows),) * 3
    cuts = _cut_keys(ctx, task)
    wanted = survivors & ((offsets < 0) | (keys != cuts))
    if old is not None and not wanted.any():
        shard = Shard(
            name=task.name,
            rows=task.rows,
            bytes=path.stat().st_size,
            sha256=sha256_file(path),
            key=task.key,
            stats=_stats(run_path(path), int(survivors.sum()), 0),
        )
        write_receipt(folder, shard)
        return shard
    tokenizer = _tokenizer(ctx.folder(TOKENIZER), sha256)
    encoded = _encode(ctx, task, tokenizer, wanted)
    counts, keys = counts.copy(), keys.copy()
    counts[wanted] = encoded.counts
    keys[wanted] = cuts[wanted]
    rows = np.flatnonzero(counts >= 0)
    order = rows[np.lexsort((base_keys(encoded.ids[rows, 8:]), base_keys(encoded.ids[rows])))]
    positions = _none(task.rows)
    ends = np.cumsum(counts[order])
    positions[order] = ends - counts[order]
    flat = np.empty(int(ends[-1]) if len(ends) else 0, dtype=tokenizer.dtype)
    new = np.flatnonzero(wanted)
    copy_slices(encoded.tokens, encoded.starts, counts[new], flat, positions[new])
    kept = np.flatnonzero((counts >= 0) & ~wanted)
    if len(kept):
        with Run(run_path(path)) as run:
            run.gather(offsets[kept], counts[kept], flat, positions[kept])
    with atomic_path(run_path(path)) as temporary:
        digest = index_digest(counts.astype(np.int32), positions)
        write_run(temporary, flat, len(rows), sha256, digest)
    return write_shard(
        path,
        TOKENS,
        _annotation(counts, positions, keys, encoded.groups),
        key=task.key,
        documents_sha256=task.documents_sha256,
        stats=_stats(run_path(path), int(survivors.sum()), int(wanted.sum())),
    )


class _Encoded:
    """Result of `_encode`: tokens of the wanted rows in order, and ids of all rows."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.groups: list[int] = []
        self._ids: list[npt.NDArray[np.uint8]] = []
        self._tokens: list[npt.NDArray[Any]] = [np.zeros(0, dtype=dtype)]
        self._counts: list[npt.NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]

    def add_group(self, ids: npt.NDArray[np.uint8]) -> None:
        self.groups.append(len(ids))
        self._ids.append(ids.copy())

    def add_tokens(self, tokens: npt.NDArray[Any], counts: npt.NDArray[np.int32]) -> None:
        self._tokens.append(tokens)
        self._counts.append(counts.astype(np.int64))

    @property
    def ids(self) -> npt.NDArray[np.uint8]:
        return np.concatenate([np.zeros((0, 16), dtype=np.uint8), *self._ids])

    @property
    def tokens(self) -> npt.NDArray[Any]:
        return np.concatenate(self._tokens)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        return np.concatenate(self._counts)

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        counts = self.counts
        starts: npt.NDArray[np.int64] = np.cumsum(counts) - counts
        return starts


def _encode(
    ctx: Context, task: ShardTask, tokenizer: Tokenizer, wanted: npt.NDArray[np.bool_]
) -> _Encoded:
    """Encode the wanted rows, per row group, with boilerplate removed and personal data masked."""
    made = _Encoded(tokenizer.dtype)
    start = 0
    cuts = cut_columns(ctx.config)
    for batch in ctx.read(task.name, ["id", "text", "pii_spans", *cuts], task.documents_sha256):
        selected = wanted[start : start + batch.num_rows]
        start += batch.num_rows
        made.add_group(id_matrix(batch.column("id")))
        if selected.any():
            chosen = batch.filter(pa.array(selected))
            texts = apply_spans(
                chosen.column("text"),
                chosen.column("pii_spans"),
                ctx.config.pii,
                [chosen.column(name) for name in cuts],
            )
            encoded = tokenizer.encode_documents(texts)
            made.add_tokens(encoded.tokens, encoded.counts)
    return made


def _cut_keys(ctx: Context, task: ShardTask) -> npt.NDArray[np.int64]:
    """Return for each row a hash of what is to be cut from it (see
    `filters.text.removed_spans.removed_span_keys`)."""
    columns = cut_columns(ctx.config)
    if not columns:
        return np.zeros(task.rows, np.int64)
    batches = ctx.read(task.name, columns, task.documents_sha256)
    return np.concatenate(
        [np.zeros(0, np.int64)]
        + [removed_span_keys(batch.columns, batch.num_rows) for batch in batches]
    )


def _none(rows: int) -> npt.NDArray[np.int64]:
    return np.full(rows, -1, dtype=np.int64)


def _stored(path: Path, task: ShardTask, sha256: str) -> tuple[npt.NDArray[np.int64], ...] | None:
    """Return counts, offsets and cut keys of every row (-1: none) if they and the run are valid.

    They are valid when shard and run carry the task's key, the same tokenizer and the same index.
    """
    batches = stored_batches(path, task)
    header = read_header(run_path(path))
    if batches is None or header is None or header.tokenizer != sha256:
        return None
    columns = [
        np.concatenate(
            [np.zeros(0, np.int64)]
            + [batch.column(name).cast(pa.int64()).fill_null(-1).to_numpy() for batch in batches]
        )
        for name in TOKENS.names
    ]
    counts, offsets, keys = columns
    if header.index != index_digest(counts.astype(np.int32), offsets):
        return None
    return counts, offsets, keys


def _annotation(
    counts: npt.NDArray[np.int64],
    positions: npt.NDArray[np.int64],
    keys: npt.NDArray[np.int64],
    groups: list[int],
) -> Iterator[pa.RecordBatch]:
    start = 0
    for size in groups:
        part = slice(start, start + size)
        start += size
        none = counts[part] < 0
        yield pa.RecordBatch.from_arrays(
            [
                pa.array(counts[part].astype(np.int32), pa.int32(), mask=none),
                pa.array(positions[part], pa.int64(), mask=none),
                pa.array(keys[part], pa.int64(), mask=none),
            ],
            schema=TOKENS,
        )


def _stats(run: Path, survivors: int, computed: int) -> dict[str, Any]:
    """Return what the shard's receipt notes; `files` are whole when the shard is."""
    file = {"name": run.name, "bytes": run.stat().st_size, "sha256": sha256_file(run)}
    return {"computed": computed, "survivors": survivors, "files": [file]}
