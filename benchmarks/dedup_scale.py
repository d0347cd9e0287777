"""Deduplication of millions of synthetic signatures: memory, time, exact components.

    python benchmarks/dedup_scale.py [--documents 5 20] [--workers 2] [--rounds]

For each count (in millions), in a process of its own: the keys of 17 bands are made (no texts,
no signatures), exchanged, bucketed, joined and connected as the stage does without verifying;
then every label is compared with the truth. A third of the documents are in clusters of 2 to
10,000, a million of the 20 share one bucket, and in two bands each cluster is a path of pairs,
which is the longest way for labels to travel. `--rounds` connects by star rounds whatever the
size. Prints seconds, the largest resident memory of all processes together, and the growth.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipelines.dedup.connect import IN_PROCESS, connect  # noqa: E402  (path above)
from pipelines.dedup.numbers import ROW_BITS, documents_of  # noqa: E402
from pipelines.dedup.pairs import find_pairs, pack_keys, plan, write_keys  # noqa: E402
from pipelines.engine.exchange import Slice  # noqa: E402
from pipelines.engine.progress import MemoryWatch  # noqa: E402
from pipelines.runners.runner import Runner  # noqa: E402
from schemas.config import Dedup  # noqa: E402

SHARD = 250_000
SETTINGS = Dedup(bands=17, rows=7, verify=False)
STEP = 7_368_787
"""A prime: document × STEP mod n deals neighbours into different clusters."""


def clusters(n: int) -> np.ndarray[Any, Any]:
    """Return where clusters begin among n positions, and at the end where the last one ends."""
    sizes = [n // 20]
    chance = np.random.default_rng(5)
    skewed = np.minimum(2 * (1 / chance.random(n // 4)) ** 0.8, 10_000).astype(np.int64)
    room = n // 3
    ends = np.cumsum(skewed)
    return np.concatenate([[0], sizes, sizes[0] + ends[ends < room]]).astype(np.int64)


def placed(documents: np.ndarray[Any, Any], n: int) -> np.ndarray[Any, Any]:
    """Return the position of each document: a permutation of range(n)."""
    return documents * STEP % n


def mixed(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    values = values.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    values ^= values >> np.uint64(31)
    return values * np.uint64(0xD6E8FEB86659FD93)


class SyntheticKeys(beam.DoFn):
    """(number, None) in, (partition, slice of keys) out, as EmitKeys."""

    def __init__(self, n: int, cut: Any) -> None:
        self._n = n
        self._cut = cut

    def setup(self) -> None:
        self._starts = clusters(self._n)

    def process(self, element: tuple[int, Any]) -> Iterator[tuple[int, Slice]]:
        number, _ = element
        begin = number * SHARD
        documents = np.arange(begin, min(begin + SHARD, self._n), dtype=np.int64)
        numbers = documents_of(number, documents - begin)
        starts = self._starts
        position = placed(documents, self._n)
        cluster = np.searchsorted(starts, position, side="right") - 1
        inside = (cluster < len(starts) - 1) & (cluster >= 0)
        index = position - starts[cluster]
        keys = np.empty((len(documents), 18), np.uint64)
        for band in range(18):
            own = mixed(documents * 64 + band)  # a bucket of one's own
            if band == 0:
                part = index // 2
            elif band == 1:
                part = (index + 1) // 2
            else:
                part = index >> (band % 14)
            shared = mixed(mixed(cluster * 64 + band) ^ mixed(part).view(np.uint64))
            giant = cluster == 0
            keys[:, band] = np.where(inside & ~giant, shared, own)
            if band == 2:  # the largest cluster: one bucket
                keys[giant, band] = mixed(np.array([12345]))[0]
        yield from write_keys(self._cut, number, [pack_keys(keys.ravel(), np.repeat(numbers, 18))])


def measure(n: int, workers: int, rounds: bool) -> dict[str, Any]:
    """Run n documents; return seconds by part, peak memory and what was compared."""
    work = Path(tempfile.mkdtemp(prefix="dedup-scale-"))
    watch = MemoryWatch()
    runner = Runner("local", workers)
    shards = [(number, None) for number in range(-(-n // SHARD))]
    try:
        with watch.watching():
            start = time.monotonic()
            cut = plan(work, len(shards), n, SETTINGS)
            find_pairs(runner, cut, [(SyntheticKeys(n, cut), shards)])  # type: ignore[list-item]  # no tasks
            paired = time.monotonic()
            files = sorted(work.glob("edges-*.npy"))
            edges = sum(len(np.load(path, mmap_mode="r")) for path in files)
            nodes, labels = connect(runner, work, files, 0 if rounds else IN_PROCESS)
            connected = time.monotonic()
        on_disk = sum(path.stat().st_size for path in work.rglob("*.npy"))
        return {
            "documents": n,
            "in clusters": len(nodes),
            "edges": edges,
            "partitions": cut.partitions,
            "pairs s": round(paired - start, 1),
            "connect s": round(connected - paired, 1),
            "seconds": round(connected - start, 1),
            "peak GiB": round(watch.peak / 2**30, 2),
            "disk GiB": round(on_disk / 2**30, 2),
            "wrong labels": wrong(n, nodes, labels),
        }
    finally:
        shutil.rmtree(work, ignore_errors=True)


def wrong(n: int, nodes: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> int:
    """Return how many documents of a cluster have another label than its smallest, or none."""
    starts = clusters(n)
    documents = np.arange(n, dtype=np.int64)
    cluster = np.searchsorted(starts, placed(documents, n), side="right") - 1
    inside = cluster < len(starts) - 1
    sizes = np.diff(starts)
    inside[inside] &= sizes[cluster[inside]] > 1
    documents, cluster = documents[inside], cluster[inside]
    smallest = np.full(len(sizes), n, np.int64)
    np.minimum.at(smallest, cluster, documents)
    first = smallest[cluster]

    def numbered(document: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return (document // SHARD << ROW_BITS) | document % SHARD

    if len(nodes) != len(documents) or not np.array_equal(nodes, numbered(documents)):
        return max(abs(len(nodes) - len(documents)), 1)
    return int((labels != numbered(first)).sum())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--documents", type=float, nargs="+", default=[5, 20], help="in millions")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one, args.workers, args.rounds)))
        return
    found = []
    for millions in args.documents:
        command = [sys.executable, __file__, "--one", str(int(millions * 1e6))]
        command += ["--workers", str(args.workers), *(["--rounds"] if args.rounds else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr[-3000:])
        row = json.loads(done.stdout.splitlines()[-1])
        if found:
            row["growth"] = round(row["seconds"] / found[0]["seconds"], 2)
        found.append(row)
        print(*(f"{key} {value}" for key, value in row.items()), sep="  ", flush=True)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
