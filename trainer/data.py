"""The data: a mixture's shards as one stream of tokens, cut into sequences.

Documents that a hash of their id holds out are skipped; fill-in-the-middle moves the thirds of
a document and adds three symbols. Both follow from the document alone, so the stream is a
function of the mixture and the settings. Sequence `i` of a stage is its tokens from `i·context`
on, one more for the targets. The sequences of a step are far apart in the stream (`strided`), and
each process takes every N-th of them, for N processes. So the order does not depend on the number
of processes or workers, and a position in that order is the only state needed to resume.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import xxhash

from mixtures.shards.megatron import Shard, read_manifest, read_shard, verify_files
from mixtures.tokenizer.tokenizer import FILL_IN_MIDDLE, Tokenizer
from schemas.errors import InputError, RunFault
from trainer.config import TrainConfig
from trainer.model.loss import IGNORE

Ids = npt.NDArray[np.int64]
OPEN_SHARDS = 8
ADDED = 3
"""Symbols that fill-in-the-middle adds to a document."""


@dataclass(frozen=True)
class Stage:
    """A stage of the training: its shards in order, and the length of its sequences."""

    names: tuple[str, ...]
    context: int
    ends: tuple[int, ...]
    """End of each shard in the stage's stream, in tokens: without held-out documents, with the
    symbols of fill-in-the-middle."""

    @property
    def tokens(self) -> int:
        """Tokens of the stream."""
        return self.ends[-1] if self.ends else 0

    @property
    def sequences(self) -> int:
        """Number of sequences; the last one may be short."""
        return -(-max(self.tokens - 1, 0) // self.context)


def strided(position: int, count: int, lanes: int, stride: int) -> int:
    """Return which of `count` sequences is at `position` of the order of training.

    The stream is cut into blocks of lanes · stride sequences, and a block into `lanes` slices that
    are read in parallel: a step of `lanes` sequences takes one of each slice. Neighbours in the
    stream are often of one document, whose gradient a batch of them would be. Every sequence of a
    block occurs once in it, so the balance of the mixture's windows holds for blocks.

    `position`: 0 to `count` - 1; `lanes`: sequences per step; `stride`: distance in the stream
    between the sequences of a step, and steps per block (`batch.spread`). One to one over the
    positions; see docs/decisions/0016.
    """
    first = position - position % (lanes * stride)
    size = min(lanes * stride, count - first)
    length = -(-size // lanes)
    slices = -(-size // length)
    last = size - (slices - 1) * length  # the last slice of the last block may be shorter
    at = position - first
    if at < last * slices:
        step, lane = divmod(at, slices)
    else:
        step, lane = divmod(at - last * slices, slices - 1)
        step += last
    return first + lane * length + step


@dataclass(frozen=True)
class Index:
    """The documents of a shard: where each begins in the shard's stream, and how it is changed."""

    shard: Shard
    starts: Ids
    """[documents + 1]; a held-out document has no tokens."""
    held_out: npt.NDArray[np.bool_]
    fim: npt.NDArray[np.int8]
    """0: unchanged, 1: prefix-suffix-middle, 2: suffix-prefix-middle."""
    component: npt.NDArray[np.int16]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """Inputs and targets of one sequence, and the document of each position."""

    ids: Ids
    targets: Ids
    document: Ids


class Corpus:
    """A mixture, checked against its manifest, as stages of sequences."""

    def __init__(self, config: TrainConfig, verify: bool = True) -> None:
        """Open the mixture. Raises RunFault or InputError if its files and its manifest differ.

        `verify`: read every file and compare its hash; one process per run is enough.
        """
        self.folder = Path(config.mixture)
        self.config = config
        if not self.folder.is_dir():
            raise InputError(
                f"mixture: {self.folder}: there is no such folder; write it with `bibim run "
                "RECIPE --out OUT` and pass it: --set mixture=OUT/mixture"
            )
        self.manifest = read_manifest(self.folder)
        self.tokenizer = Tokenizer.load(config.tokenizer_path)
        named = self.manifest["tokenizer"]["sha256"]
        if self.tokenizer.sha256 != named:
            raise InputError(
                f"{config.tokenizer_path}: not the tokenizer of {self.folder} "
                f"({self.tokenizer.sha256[:12]}, the manifest has {named[:12]}); set `tokenizer` "
                "to the folder of the run that wrote the mixture"
            )
        faults = list(verify_files(self.folder)) if verify else []
        if faults:
            raise RunFault(f"{self.folder}: {'; '.join(faults[:5])}; run `mix` again")
        symbols = [self.tokenizer.ids.get(name) for name in FILL_IN_MIDDLE]
        if config.batch.fim and None in symbols:
            raise InputError("batch.fim: the tokenizer has no symbols for fill-in-the-middle")
        self._symbols = [symbol or 0 for symbol in symbols]
        self._open: OrderedDict[str, Index] = OrderedDict()

    @property
    def components(self) -> list[str]:
        """Names of the mixture's components."""
        return [entry["component"] for entry in self.manifest["components"]]

    @cached_property
    def stages(self) -> list[Stage]:
        """The stages in order."""
        batch = self.config.batch
        found = []
        first = 0
        for entry in self.manifest["stages"]:
            shards = self.manifest["shards"][first : first + entry["shards"]]
            first += entry["shards"]
            context = min(entry["context"] or batch.context, batch.most or 1 << 62)
            names = tuple(shard["name"] for shard in shards)
            ends = tuple(accumulate(self._sizes[name] for name in names))
            found.append(Stage(names, context, ends))
        return found

    @cached_property
    def _sizes(self) -> dict[str, int]:
        """Tokens of each shard's stream."""
        names = [shard["name"] for shard in self.manifest["shards"]]
        return {name: int(self.index(name).starts[-1]) for name in names}

    def index(self, name: str) -> Index:
        """Return the index of a shard; the last few stay open."""
        if name in self._open:
            self._open.move_to_end(name)
            return self._open[name]
        shard = read_shard(self.folder / name)
        side = pq.read_table(self.folder / f"{name}.parquet", columns=["id", "component", "epoch"])
        if side.num_rows != len(shard):
            raise RunFault(f"{name}: {len(shard)} sequences, {side.num_rows} in its side-car")
        drawn = _draws(side.column("id").to_pylist(), self.config.run.seed)
        held_out = drawn[0] < self.config.run.held_out
        lengths = np.diff(shard.starts)
        fim = np.where(drawn[1] < self.config.batch.fim, 1 + (drawn[2] < 0.5), 0)
        fim = np.where(lengths > ADDED, fim, 0).astype(np.int8)
        sizes = np.where(held_out, 0, lengths + np.where(fim > 0, ADDED, 0))
        component = side.column("component").unify_dictionaries().combine_chunks()
        index = Index(
            shard,
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            held_out,
            fim,
            component.indices.to_numpy().astype(np.int16),
            tuple(component.dictionary.to_pylist()),
        )
        self._open[name] = index
        while len(self._open) > OPEN_SHARDS:
            self._open.popitem(last=False)
        return index

    def document(self, index: Index, number: int) -> npt.NDArray[Any]:
        """Return a document's tokens as they are in the stream."""
        tokens = index.shard[number]
        kind = int(index.fim[number])
        if not kind:
            return tokens
        body, end = tokens[:-1], tokens[-1:]
        third = len(body) // 3
        prefix, middle, suffix = body[:third], body[third : 2 * third], body[2 * third :]
        pre, mid, suf = (np.array([symbol], tokens.dtype) for symbol in self._symbols)
        if kind == 1:
            parts = (pre, prefix, suf, suffix, mid, middle, end)
        else:
            parts = (pre, suf, suffix, mid, prefix, middle, end)
        return np.concatenate(parts)

    def slice(self, stage: Stage, begin: int, end: int) -> tuple[npt.NDArray[Any], Ids]:
        """Return tokens `begin` to before `end` of a stage's stream, and each one's document."""
        tokens, documents = [], []
        while begin < end:
            place = bisect_right(stage.ends, begin)
            base = stage.ends[place - 1] if place else 0
            index = self.index(stage.names[place])
            at = begin - base
            number = int(np.searchsorted(index.starts, at, side="right")) - 1
            own = self.document(index, number)[at - int(index.starts[number]) :][: end - begin]
            tokens.append(own)
            documents.append(np.full(len(own), base + int(index.starts[number]), np.int64))
            begin += len(own)
        if not tokens:
            return np.zeros(0, self.tokenizer.dtype), np.zeros(0, np.int64)
        return np.concatenate(tokens), np.concatenate(documents)

    def sample(self, stage: Stage, position: int) -> Sample:
        """Return the sequence at `position` of the order of training."""
        batch = self.config.batch
        lanes = max(1, batch.tokens // stage.context)
        return self.sequence(stage, strided(position, stage.sequences, lanes, batch.spread))

    def sequence(self, stage: Stage, number: int) -> Sample:
        """Return sequence `number` of a stage, padded with targets that give no loss."""
        begin = number * stage.context
        end = min(begin + stage.context + 1, stage.tokens)
        tokens, documents = self.slice(stage, begin, end)
        ids = np.full(stage.context, self.tokenizer.pad_id, np.int64)
        targets = np.full(stage.context, IGNORE, np.int64)
        document = np.full(stage.context, -1, np.int64)
        length = len(tokens) - 1
        ids[:length], targets[:length] = tokens[:-1], tokens[1:]
        document[:length] = documents[:-1]
        return Sample(ids, targets, document)

    def documents(self, component: str) -> int:
        """Return how many documents of a component are in the mixture."""
        found: set[bytes] = set()
        for shard in self.manifest["shards"]:
            index = self.index(shard["name"])
            if component not in index.names:
                continue
            mine = np.flatnonzero(index.component == index.names.index(component))
            side = pq.read_table(self.folder / f"{shard['name']}.parquet", columns=["id"])
            found.update(side.column("id").take(mine).to_pylist())
        return len(found)

    def held_out(self, component: str, max_tokens: int) -> Iterator[npt.NDArray[Any]]:
        """Yield held-out documents of a component in order, each once, until `max_tokens`."""
        seen: set[bytes] = set()
        total = 0
        for shard in self.manifest["shards"]:
            index = self.index(shard["name"])
            if component not in index.names:
                continue
            mine = index.held_out & (index.component == index.names.index(component))
            if not mine.any():
                continue
            ids = pq.read_table(self.folder / f"{shard['name']}.parquet", columns=["id"]).column(
                "id"
            )
            for number in np.flatnonzero(mine).tolist():
                name = ids[number].as_py()
                if name in seen:
                    continue
                seen.add(name)
                tokens = index.shard[number]
                yield tokens
                total += len(tokens)
                if total >= max_tokens:
                    return


def _draws(ids: list[bytes], seed: int) -> npt.NDArray[np.float64]:
    """Return three numbers in [0, 1) per document, [3, documents], from its id and the seed."""
    drawn = b"".join(xxhash.xxh3_128_digest(name, seed=seed) for name in ids)
    words = np.frombuffer(drawn, "<u4").reshape(-1, 4)
    return np.asarray(words[:, :3].T / 2.0**32, np.float64)
