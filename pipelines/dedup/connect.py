"""Clusters from edges: connected components, in one process or by rounds of two star operations.

Both give the same labels: the smallest document number of the component.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import apache_beam as beam
import numpy as np
import numpy.typing as npt

from filters.dedup.connected import (
    Nodes,
    both_ways,
    components,
    large_star,
    small_star,
    unique_pairs,
)
from pipelines.dedup.pairs import PAIR
from pipelines.engine.exchange import Exchange, Slice, load_array, partitions_for, save_array
from pipelines.runners.runner import Runner, distribute
from pipelines.storage.store import as_path, remove_tree
from schemas.errors import RunFault
from schemas.kernels import GOLDEN

IN_PROCESS = 40_000_000
"""Edges up to which one process connects them (about 100 bytes of memory each)."""
SMALL = 100_000


def connect(
    runner: Runner, work: Path, edges: Sequence[Path], in_process: int = IN_PROCESS
) -> tuple[Nodes, Nodes]:
    """Return (nodes, labels), sorted by node, of the graph whose edges are in the files `edges`.

    `in_process`: with more edges than that, rounds of large-star and small-star operations
    (Kiveris et al. 2014) run in `work` until a round changes nothing.
    """
    total = sum(len(load_array(path)) for path in edges)
    if total <= in_process:
        arrays = [load_array(path) for path in edges]
        return components(np.concatenate([np.zeros((0, 2), np.int64), *arrays]))
    partitions = partitions_for(2 * total, PAIR.itemsize, SMALL)
    last: list[Path] = []
    now = list(edges)
    number = 0
    while not _equal(last, now):
        number += 1
        last, folder = now, work / f"stars-{number:03d}"
        _round(runner, folder, partitions, now)
        now = sorted((folder / "stars").glob("*.npy"))
        if number > 1:
            remove_tree(work / f"stars-{number - 2:03d}")
    stars = np.concatenate([load_array(path) for path in now])
    labels = np.unique(stars[:, 0])
    nodes = np.concatenate([labels, stars[:, 1]])
    order = np.argsort(nodes, kind="stable")
    nodes, labels = nodes[order], np.concatenate([labels, stars[:, 0]])[order]
    if (nodes[1:] == nodes[:-1]).any():
        raise RunFault("dedup: the rounds of star operations ended with a document in two clusters")
    return nodes, labels


class Turn(beam.DoFn):
    """(number, file of edges) in, (partition of the node, slice) out, edges from both ends."""

    def __init__(self, exchange: Exchange, partitions: int) -> None:
        self._exchange = exchange
        self._partitions = partitions

    def process(self, element: tuple[int, str]) -> Iterator[tuple[int, Slice]]:
        number, path = element
        edges = both_ways(load_array(as_path(path)))
        yield from self._exchange.write(
            f"{number:05d}", edges, _partition(edges[:, 0], self._partitions)
        )


class LargeStar(beam.DoFn):
    """(partition, slices of edges) in, (partition of the larger end, slice) out."""

    def __init__(self, before: Exchange, after: Exchange, partitions: int) -> None:
        self._before = before
        self._after = after
        self._partitions = partitions

    def process(self, element: tuple[int, Iterable[Slice]]) -> Iterator[tuple[int, Slice]]:
        partition, slices = element
        edges = large_star(self._before.read(slices))
        yield from self._after.write(
            f"{partition:05d}", edges, _partition(edges[:, 1], self._partitions)
        )


class SmallStar(beam.DoFn):
    """(partition, slices of edges) in, (partition of the larger end, slice) out."""

    def __init__(self, before: Exchange, after: Exchange, partitions: int) -> None:
        self._before = before
        self._after = after
        self._partitions = partitions

    def process(self, element: tuple[int, Iterable[Slice]]) -> Iterator[tuple[int, Slice]]:
        partition, slices = element
        edges = small_star(self._before.read(slices))
        yield from self._after.write(
            f"{partition:05d}", edges, _partition(edges[:, 1], self._partitions)
        )


class Settle(beam.DoFn):
    """(partition, slices of edges) in; writes the partition's edges once each, sorted."""

    def __init__(self, before: Exchange, folder: Path) -> None:
        self._before = before
        self._folder = folder

    def process(self, element: tuple[int, Iterable[Slice]]) -> Iterator[int]:
        partition, slices = element
        save_array(self._folder / f"{partition:05d}.npy", unique_pairs(self._before.read(slices)))
        yield partition


def _partition(nodes: Nodes, partitions: int) -> npt.NDArray[np.int64]:
    mixed = nodes.astype(np.uint64) * GOLDEN
    return ((mixed >> np.uint64(32)) % np.uint64(partitions)).astype(np.int64)


def _round(runner: Runner, folder: Path, partitions: int, edges: Sequence[Path]) -> None:
    """Run one large-star and one small-star operation, which writes its edges to `folder/stars`."""
    turned, large, small = (Exchange(folder / name, PAIR) for name in ("turned", "large", "small"))
    slices = tuple[int, Slice]

    def build(pipeline: beam.Pipeline) -> None:
        (
            distribute(pipeline, "stars", [(at, str(path)) for at, path in enumerate(edges)])
            | "stars: turn" >> beam.ParDo(Turn(turned, partitions)).with_output_types(slices)
            | "stars: by node" >> beam.GroupByKey()
            | "stars: large"
            >> beam.ParDo(LargeStar(turned, large, partitions)).with_output_types(slices)
            | "stars: by larger end" >> beam.GroupByKey()
            | "stars: small"
            >> beam.ParDo(SmallStar(large, small, partitions)).with_output_types(slices)
            | "stars: by larger end again" >> beam.GroupByKey()
            | "stars: settle" >> beam.ParDo(Settle(small, folder / "stars"))
        )

    runner.run("dedup-stars", build)
    for exchange in (turned, large, small):
        remove_tree(exchange.folder)


def _equal(one: Sequence[Path], other: Sequence[Path]) -> bool:
    """Return whether two rounds left the same edges in the same partitions."""
    return [path.name for path in one] == [path.name for path in other] and all(
        np.array_equal(load_array(a), load_array(b)) for a, b in zip(one, other, strict=True)
    )
