"""The data: a mixture's shards as one stream of tokens, cut into sequences.

Documents that a hash of their id holds out are skipped; fill-in-the-middle moves the thirds of
a document and adds three symbols. Both follow from the document alone, so the stream is a
function of the mixture and the settings. Sequence `i` of a stage is its tokens from `i·context`
on, one more for the targets. A step takes sequences that lie apart (`dealt`), and a process every
so many-th of them. So neither the number of processes nor of workers changes what is seen, and a
position in that order says all there is to resume.
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
    """A stretch of the training: its shards in order, and the length of its sequences."""

    names: tuple[str, ...]
    context: int
    ends: tuple[int, ...]
    """Where each shard ends in the stage's stream, in tokens: held-out documents left out, symbols
    of fill-in-the-middle counted."""

    @property
    def tokens(self) -> int:
        """Of the stream."""
        return self.ends[-1] if self.ends else 0

    @property
    def sequences(self) -> int:
        """The last one may be short."""
        return -(-max(self.tokens - 1, 0) // self.context)


def dealt(position: int, count: int, lanes: int, steps: int) -> int:
    """Return which of `count` sequences stands at `position` of the order of training.

    The stream is cut into blocks of lanes · steps sequences, a block into `lanes` stretches that
    are read side by side: a step of `lanes` sequences takes one of each. Neighbours in the stream
    are of one document, and a batch of them is one document's gradient. Over a block every sequence
    is seen once, so that what the mixture promises of its windows holds for blocks.

    `position`: 0 to `count` - 1; `lanes`: sequences of a step; `steps`: steps of a block
    (`batch.spread`). One to one over the positions; docs/decisions/0016 says why.
    """
    first = position - position % (lanes * steps)
    size = min(lanes * steps, count - first)
    length = -(-size // lanes)
    stretches = -(-size // length)
    last = size - (stretches - 1) * length  # the last stretch of the last block may be shorter
    at = position - first
    if at < last * stretches:
        step, lane = divmod(at, stretches)
    else:
        step, lane = divmod(at - last * stretches, stretches - 1)
        step += last
    return first + lane * length + step


@dataclass(frozen=True)
class Index:
    """One shard's documents: where each begins in the shard's stream, and what is done to it."""

    shard: Shard
    starts: Ids
    """[documents + 1]; a held-out document has no tokens."""
    held: npt.NDArray[np.bool_]
    fim: npt.NDArray[np.int8]
    """0: as it is, 1: prefix-suffix-middle, 2: suffix-prefix-middle."""
    component: npt.NDArray[np.int16]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """Inputs and targets of one sequence, and for each position the document it is in."""

    ids: Ids
    targets: Ids
    document: Ids


class Corpus:
    """A mixture, checked against its manifest, as stages of sequences."""

    def __init__(self, config: TrainConfig, verify: bool = True) -> None:
        """Open the mixture. Raises RunFault or InputError where it is not what it says.

        `verify`: read every file and compare its hash; one process of a run is enough.
        """
        self.folder = Path(config.mixture)
        self.config = config
        if not self.folder.is_dir():
            raise InputError(
                f"mixture: {self.folder}: there is no such folder; make it with `bibim run "
                "RECIPE --out OUT` and name it: --set mixture=OUT/mixture"
            )
        self.manifest = read_manifest(self.folder)
        self.tokenizer = Tokenizer.load(config.tokenizer_path)
        named = self.manifest["tokenizer"]["sha256"]
        if self.tokenizer.sha256 != named:
            raise InputError(
                f"{config.tokenizer_path}: not the tokenizer of {self.folder} "
                f"({self.tokenizer.sha256[:12]}, the manifest says {named[:12]}); name the one "
                "in the run's own folder as `tokenizer`"
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
        """Return the index of a shard; a few stay open."""
        if name in self._open:
            self._open.move_to_end(name)
            return self._open[name]
        shard = read_shard(self.folder / name)
        side = pq.read_table(self.folder / f"{name}.parquet", columns=["id", "component", "epoch"])
        if side.num_rows != len(shard):
            raise RunFault(f"{name}: {len(shard)} sequences, {side.num_rows} in its side-car")
        chance = _chance(side.column("id").to_pylist(), self.config.run.seed)
        held = chance[0] < self.config.run.held_out
        lengths = np.diff(shard.starts)
        fim = np.where(chance[1] < self.config.batch.fim, 1 + (chance[2] < 0.5), 0)
        fim = np.where(lengths > ADDED, fim, 0).astype(np.int8)
        sizes = np.where(held, 0, lengths + np.where(fim > 0, ADDED, 0))
        component = side.column("component").unify_dictionaries().combine_chunks()
        index = Index(
            shard,
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            held,
            fim,
            component.indices.to_numpy().astype(np.int16),
            tuple(component.dictionary.to_pylist()),
        )
        self._open[name] = index
        while len(self._open) > OPEN_SHARDS:
            self._open.popitem(last=False)
        return index

    def document(self, index: Index, number: int) -> npt.NDArray[Any]:
        """Return a document's tokens as the stream has them."""
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
        """Return the sequence that stands at `position` of the order of training."""
        batch = self.config.batch
        lanes = max(1, batch.tokens // stage.context)
        return self.sequence(stage, dealt(position, stage.sequences, lanes, batch.spread))

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
        """Return how many documents of a component the mixture holds."""
        found: set[bytes] = set()
        for shard in self.manifest["shards"]:
            index = self.index(shard["name"])
            if component not in index.names:
                continue
            mine = np.flatnonzero(index.component == index.names.index(component))
            side = pq.read_table(self.folder / f"{shard['name']}.parquet", columns=["id"])
            found.update(side.column("id").take(mine).to_pylist())
        return len(found)

    def held_out(self, component: str, most: int) -> Iterator[npt.NDArray[Any]]:
        """Yield held-out documents of a component in order, each once, until `most` tokens."""
        seen: set[bytes] = set()
        total = 0
        for shard in self.manifest["shards"]:
            index = self.index(shard["name"])
            if component not in index.names:
                continue
            mine = index.held & (index.component == index.names.index(component))
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
                if total >= most:
                    return


def _chance(ids: list[bytes], seed: int) -> npt.NDArray[np.float64]:
    """Return three numbers in [0, 1) of each document: of its id and the seed alone."""
    drawn = b"".join(xxhash.xxh3_128_digest(name, seed=seed) for name in ids)
    words = np.frombuffer(drawn, "<u4").reshape(-1, 4)
    return np.asarray(words[:, :3].T / 2.0**32, np.float64)
