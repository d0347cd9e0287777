"""Clusters of duplicates, found again for other documents: what `dedup` would do after a change.

A run keeps no pairs of duplicates, but signatures, content hashes and URL keys of all documents.
From these the buckets follow: documents that share a key. A change of some documents can alter
clusters only among those that are connected with them through buckets, so only these are compared
again, by the steps of `pipelines.dedup`: candidates, exact similarity of the texts, components,
survivors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from audit.query.columns import Bools, Ints
from audit.query.frame import Frame
from audit.query.reading import read_columns
from filters.columnar.arrays import fixed_matrix
from filters.dedup.annotator import morphemes
from filters.dedup.connected import components
from filters.dedup.lsh import MISS_WEIGHT, band_keys, bands_and_rows, candidates, jaccard
from filters.dedup.minhash import shingle_sets
from pipelines.dedup.clusters import KINDS, clusters_of
from pipelines.dedup.numbers import documents_of, rows_of, shards_of
from pipelines.engine.context import Context
from pipelines.stages.catalog import folders
from pipelines.stages.dedup import STAGE as DEDUP
from pipelines.stages.sign import STAGE as SIGN
from pipelines.storage.layout import DOCUMENTS
from pipelines.storage.shards import ShardTask, read_batches
from schemas.rules import Rule

MAX_COMPARED = 20_000
"""Documents whose texts are read and compared for one question."""


@dataclass(frozen=True)
class Labels:
    """What `dedup` finds for the documents `rows` (sorted), all those that a change may reach.

    `known` is false where that is not computed; the other fields are then meaningless.
    """

    rows: Ints
    duplicate: Bools
    size: npt.NDArray[np.int32]
    kind: npt.NDArray[np.int8]
    known: bool

    def column(self, rule: Rule) -> pa.Array | None:
        """Return the new values of the column of `rule`; None where they are the stored ones."""
        if rule.column == "duplicate":
            return pa.array(self.duplicate)
        if rule.column == "duplicate_of":  # rules only ask whether it is null
            return pa.array(np.ones(len(self.rows), bool), mask=~self.duplicate)
        if rule.column == "duplicate_kind":
            names = np.array(KINDS, object)[self.kind]
            return pa.array(names, pa.string(), mask=~self.duplicate)
        return pa.array(self.size) if rule.column == "cluster_size" else None


@dataclass(frozen=True)
class StoredContext(Context):
    """The context of a stage in a finished run: its columns are those that are stored."""

    schemas: Mapping[str, pa.Schema]

    def read(
        self, name: str, columns: Sequence[str], documents_sha256: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        wanted = folders(self.schemas).by_folder(columns)
        for batch in read_batches(self.out, name, wanted, documents_sha256):
            yield batch.select(list(columns))


Keys = tuple[npt.NDArray[np.uint64], Ints]


class Buckets:
    """The buckets of all documents of a run, and the similarities that were asked for.

    Documents go by the numbers of `pipelines.dedup.numbers`: shards in the order of their names.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._settings = frame.config.dedup
        self._shards = sorted(frame.shards, key=lambda shard: shard.name)
        self._first = np.array([shard.first for shard in self._shards], np.int64)
        context = StoredContext(frame.out, frame.config, DEDUP.name, frame.schemas)
        self._corpus = [
            (context, ShardTask(shard.name, shard.sha256, shard.rows, "")) for shard in self._shards
        ]
        self._similar: dict[tuple[int, int], float] = {}
        keys, urls, self._contents = self._read()
        self._keys, self._documents = _shared(*keys)
        self._urls, self._addressed = _shared(*urls)

    def _read(self) -> tuple[Keys, Keys, dict[int, npt.NDArray[np.uint64]]]:
        """Return keys and their documents: of bands and contents, and of URLs.

        Last, the content hashes by the number of a shard, uint64 [documents, 2].
        """
        settings = self._settings
        bands, rows = settings.bands, settings.rows
        if not (bands and rows):
            weight = MISS_WEIGHT if settings.verify else 0.5
            bands, rows = bands_and_rows(settings.threshold, settings.permutations, weight)
        keys, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        urls, addressed = list(keys), list(owners)
        contents = {}
        for number, shard in enumerate(self._shards):
            path = self._frame.out / SIGN.folder / shard.name
            columns = ["signature", "exact_hash", "url_key"]
            table = read_columns(self._frame.out, path, columns)
            if not table.num_rows:
                continue
            signature, content, url = (_whole(table.column(name)) for name in columns)
            documents = documents_of(number, np.arange(table.num_rows))
            contents[number] = fixed_matrix(content, 16, "<u8")
            own = band_keys(fixed_matrix(signature, 4 * settings.permutations, "<u4"), bands, rows)
            own = np.column_stack([_short(content), own])
            keys.append(own.ravel())
            owners.append(np.repeat(documents, own.shape[1]))
            known = np.asarray(url.is_valid())
            if settings.urls and known.any():
                urls.append(_short(url.drop_null()))
                addressed.append(documents[known])
        return (
            (np.concatenate(keys), np.concatenate(owners)),
            (np.concatenate(urls), np.concatenate(addressed)),
            contents,
        )

    def rows(self, documents: Ints) -> Ints:
        """Return the frame's rows of documents by number."""
        return self._first[shards_of(documents)] + rows_of(documents)

    def again(self, before: Bools, after: Bools) -> Labels | None:
        """Return what `dedup` finds with the documents `after` in place of `before` (by row).

        None where no cluster can differ.
        """
        reached = self._reached(before | after, before != after)
        if not len(reached):
            return None
        live = reached[after[self.rows(reached)]]
        labels = Labels(
            rows=np.sort(self.rows(reached)),
            duplicate=np.zeros(len(reached), bool),
            size=np.ones(len(reached), np.int32),
            kind=np.zeros(len(reached), np.int8),
            known=not self._settings.against and len(live) <= MAX_COMPARED,
        )
        if labels.known:
            nodes, clusters = components(self._edges(live))
            found = clusters_of(self._corpus, len(self._shards), self._settings, nodes, clusters)
            at = np.searchsorted(labels.rows, self.rows(found["document"]))
            labels.duplicate[at] = found["duplicate"]
            labels.size[at] = found["size"]
            labels.kind[at] = found["kind"]
        return labels

    def _reached(self, alive: Bools, changed: Bools) -> Ints:
        """Return the documents that buckets connect with a changed one, sorted."""
        links = [
            _links(keys[chosen], documents[chosen])
            for keys, documents in (
                (self._keys, self._documents),
                (self._urls, self._addressed),
            )
            for chosen in (alive[self.rows(documents)],)
        ]
        nodes, labels = components(np.concatenate(links))
        touched = np.unique(labels[changed[self.rows(nodes)]])
        return nodes[np.isin(labels, touched)]

    def _edges(self, live: Ints) -> Ints:
        """Return the pairs of duplicates among the documents `live`, sorted, as the run does.

        See `pipelines.dedup.pairs` and `pipelines.dedup.verify`.
        """
        chosen, addressed = (np.isin(own, live) for own in (self._documents, self._addressed))
        verify = self._settings.verify
        pairs = candidates(self._keys[chosen], self._documents[chosen], chain=verify)
        if verify:
            one, other = (self._content(pairs[:, side]) for side in (0, 1))
            unequal = (one != other).any(axis=1)
            similar = np.ones(len(pairs))  # exact copies, whatever their shingles are
            similar[unequal] = self._similarity(pairs[unequal])
            pairs = pairs[similar >= self._settings.threshold]
        urls = candidates(self._urls[addressed], self._addressed[addressed], chain=False)
        return np.concatenate([pairs, urls])

    def _content(self, documents: Ints) -> npt.NDArray[np.uint64]:
        """Return the content hashes of `documents`, uint64 [documents, 2]."""
        found = np.zeros((len(documents), 2), np.uint64)
        shards = shards_of(documents)
        for number in np.unique(shards).tolist():
            chosen = shards == number
            found[chosen] = self._contents[number][rows_of(documents[chosen])]
        return found

    def _similarity(self, pairs: Ints) -> npt.NDArray[np.float64]:
        """Return the exact similarity of each pair; each is computed once."""
        asked = [(one, other) for one, other in pairs.tolist()]
        missing = np.array([pair for pair in asked if pair not in self._similar], np.int64)
        if len(missing):
            documents = np.unique(missing)
            text = self._texts(documents)
            unit, ngram = self._settings.unit, self._settings.ngram
            values, ends = shingle_sets(
                morphemes(text) if unit == "morphemes" else text, unit, ngram
            )
            at = np.searchsorted(documents, missing)
            one, other = (np.column_stack([ends[at[:, n]], ends[at[:, n] + 1]]) for n in (0, 1))
            similar = jaccard(values, one, values, other)
            self._similar.update(
                ((one, other), value)
                for (one, other), value in zip(missing.tolist(), similar.tolist(), strict=True)
            )
        return np.array([self._similar[pair] for pair in asked], np.float64)

    def _texts(self, documents: Ints) -> pa.Array:
        parts = []
        for number in np.unique(shards_of(documents)).tolist():
            path = self._frame.out / DOCUMENTS / self._shards[number].name
            column = read_columns(self._frame.out, path, ["text"]).column(0)
            rows = rows_of(documents[shards_of(documents) == number])
            parts.append(_whole(column.take(pa.array(rows))))
        return pa.concat_arrays(parts)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _short(column: pa.Array) -> npt.NDArray[np.uint64]:
    """Return 64 bits of each 16-byte hash, as `pipelines.dedup.pairs` does."""
    halves = fixed_matrix(column, 16, "<u8")
    return np.asarray(halves[:, 0] ^ (halves[:, 1] >> np.uint64(1)))


def _shared(keys: npt.NDArray[np.uint64], documents: Ints) -> tuple[npt.NDArray[np.uint64], Ints]:
    """Return the keys that two documents or more have, sorted, and their documents."""
    order = np.lexsort((documents, keys))
    keys, documents = keys[order], documents[order]
    same = keys[1:] == keys[:-1]
    shared = np.zeros(len(keys), bool)
    shared[1:] |= same
    shared[:-1] |= same
    return keys[shared], documents[shared]


def _links(keys: npt.NDArray[np.uint64], documents: Ints) -> Ints:
    """Return pairs that connect the documents of each key (sorted)."""
    same = np.flatnonzero(keys[1:] == keys[:-1])
    return np.column_stack([documents[same], documents[same + 1]])
