"""Cost of a larger run, extrapolated from finished ones: `bibim plan --scale`.

A stage of a run over B bytes of text takes `fixed + slope × B` seconds of CPU. `fixed` is what each
worker process spends before its first document (modules, models); two runs of different size
separate it from the slope. With one run it counts as part of the slope: an upper bound for larger
runs. Sizes of outputs grow with the documents. See docs/scale.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from pipelines.dedup.connect import IN_PROCESS
from pipelines.dedup.pairs import KEY, banding
from pipelines.stages.catalog import active_stages, annotating, stage
from pipelines.stages.dedup import STAGE as DEDUP
from pipelines.stages.tokenize import STAGE as TOKENIZE
from pipelines.storage.layout import DOCUMENTS, MIXTURE_MANIFEST, RUNS
from pipelines.storage.store import read_parquet
from schemas.config import Config
from schemas.errors import InputError
from schemas.manifest import MANIFEST, Manifest, read_manifest
from schemas.values import parse_bytes, parse_count

EDGE_BYTES = 100
"""Memory per edge of the process that connects clusters (docs/scale.md)."""
CLUSTERED_BYTES = 300
"""Memory of the driver per document in a cluster."""
ARRANGED_BYTES = 230
"""Memory of the driver in `mix` per document that the rules keep."""
FILE_BYTES = 5_000_000_000
"""The largest file that S3 renames: the shards of a mixture stay below it."""


@dataclass(frozen=True)
class Spent:
    """What one stage of a finished run took."""

    cpu_seconds: float
    peak_rss_bytes: int


@dataclass(frozen=True)
class Measured:
    """A finished run."""

    out: Path
    text_bytes: int
    documents: int
    kept: int
    duplicates: int
    tokens: int
    """Of the mixture."""
    bytes: int
    """Of its documents and annotations in OUT."""
    shards: int
    workers: int
    stages: Mapping[str, Spent]


@dataclass(frozen=True)
class Cost:
    """Seconds of CPU: per worker process, and per byte of text."""

    fixed: float
    slope: float

    def __call__(self, size: float) -> float:
        return self.fixed + self.slope * size


@dataclass(frozen=True)
class Bottleneck:
    """Work that one process does alone: its memory, and what limits it."""

    name: str
    counted: str
    count: int
    bytes: int
    limit: str


@dataclass(frozen=True)
class Forecast:
    """What a run over `text_bytes` takes with `workers` processes of one core each."""

    text_bytes: int
    documents: int
    tokens: int
    workers: int
    cpu_seconds: Mapping[str, float]
    wall_seconds: Mapping[str, float]
    shuffle_bytes: int
    worker_bytes: int
    left_bytes: int
    shards: int
    mixture_shards: int
    files: int
    bottlenecks: Sequence[Bottleneck]
    """The largest first."""


def measured(out: Path, config: Config) -> Measured:
    """Return what the run in `out` took. Raises InputError where it is not finished.

    Per stage the last run that did all of its shards counts.
    """
    path = out / RUNS
    if not path.exists():
        raise InputError(f"{out}: no finished run is here (no run.json); name the --out of one")
    stages: dict[str, Spent] = {}
    workers = 1
    for run in json.loads(path.read_text("utf-8"))["runs"]:
        for entry in run["steps"]:
            if entry["ran"] == entry["shards"] and entry.get("cpu_seconds"):
                spent = Spent(entry["cpu_seconds"], entry["peak_rss_bytes"])
                stages[entry["step"]] = spent
                workers = int(run["runner"]["workers"])
    missing = [each.name for each in active_stages(config) if each.name not in stages]
    if missing:
        raise InputError(
            f"{path}: no costs of {', '.join(missing)}: run all stages once, from an empty folder, "
            "with `--runner local` (older runs did not record CPU time)"
        )
    documents = _manifest(out, DOCUMENTS)
    dedup, tokenize = _manifest(out, DEDUP.folder), _manifest(out, TOKENIZE.folder)
    duplicates = 0
    for shard in dedup.shards:
        column = read_parquet(out / DEDUP.folder / shard.name, ["duplicate"]).column(0)
        duplicates += pc.sum(column).as_py() or 0
    mixture = json.loads((out / MIXTURE_MANIFEST).read_text("utf-8"))
    manifests = [_manifest(out, each.folder) for each in annotating(config)]
    left = sum(shard.bytes for one in (documents, *manifests) for shard in one.shards)
    left += sum(file["bytes"] for shard in tokenize.shards for file in shard.stats["files"])
    return Measured(
        out=out,
        text_bytes=sum(int(shard.stats["text_bytes"]) for shard in documents.shards),
        documents=sum(shard.rows for shard in documents.shards),
        kept=sum(int(shard.stats["survivors"]) for shard in tokenize.shards),
        duplicates=duplicates,
        tokens=int(mixture["achieved_tokens"]),
        bytes=left,
        shards=len(documents.shards),
        workers=workers,
        stages=stages,
    )


def _manifest(out: Path, folder: str) -> Manifest:
    manifest = read_manifest(out / folder)
    if manifest is None:
        raise InputError(f"{out / folder / MANIFEST}: there is no such file; finish the run first")
    return manifest


def costs(runs: Sequence[Measured]) -> dict[str, Cost]:
    """Return the cost of each stage, from the smallest and the largest of `runs`."""
    ordered = sorted(runs, key=lambda run: run.text_bytes)
    small, large = ordered[0], ordered[-1]
    fitted = {}
    for name, spent in large.stages.items():
        slope = spent.cpu_seconds / large.text_bytes
        fixed = 0.0
        if large.text_bytes >= 2 * small.text_bytes:
            gain = spent.cpu_seconds - small.stages[name].cpu_seconds
            slope = max(gain, 0.0) / (large.text_bytes - small.text_bytes)
            fixed = max(spent.cpu_seconds - slope * large.text_bytes, 0.0)
            if not fixed:  # more per byte in the larger run
                slope = spent.cpu_seconds / large.text_bytes
        # Each process of the run spent it.
        fitted[name] = Cost(fixed / large.workers, slope)
    return fitted


def target_bytes(text: str, runs: Sequence[Measured]) -> int:
    """Return the bytes of text that `--scale` means: `1TB`, or `1T` tokens of a mixture."""
    large = max(runs, key=lambda run: run.text_bytes)
    try:
        if text.strip().lower().endswith("b") and text.strip()[-2:-1].isalpha():
            size = int(parse_bytes(text))
        else:
            size = int(parse_count(text)) * large.text_bytes // max(large.tokens, 1)
    except (ValueError, TypeError):
        size = 0
    if size <= 0:
        raise InputError(f"--scale {text}: write 1T (tokens of the mixture) or 4TB (bytes of text)")
    return size


def forecast(config: Config, runs: Sequence[Measured], size: int, workers: int) -> Forecast:
    """Return what a run of `config` over `size` bytes of text takes, from `runs`."""
    large = max(runs, key=lambda run: run.text_bytes)
    factor = size / large.text_bytes
    spent = {name: workers * cost.fixed + cost.slope * size for name, cost in costs(runs).items()}
    documents, kept = int(large.documents * factor), int(large.kept * factor)
    duplicates = int(large.duplicates * factor)
    # A source has a shard at least, and a larger run no fewer than a smaller one.
    least = large.shards if factor >= 1 else len(config.sources)
    shards = max(least, math.ceil(size / config.ingest.shard_bytes))
    tokens = int(large.tokens * factor)
    token_bytes = tokens * (2 if config.tokenizer.vocab_size <= 1 << 16 else 4)
    mixture_shards = max(config.mixture.shards, math.ceil(token_bytes / FILE_BYTES))
    wall = {}
    for name, cost in costs(runs).items():
        tasks = mixture_shards if stage(name).output == "mixture" else shards
        rounds = math.ceil(tasks / workers)  # the last round is as long as the others
        wall[name] = cost.fixed + cost.slope * (size / tasks) * rounds
    bottlenecks = sorted(_bottlenecks(config, kept, duplicates), key=lambda one: -one.bytes)
    bands, _ = banding(config.dedup)
    keys = bands + 1 + int(config.dedup.urls)
    folders = 1 + len(annotating(config))
    return Forecast(
        text_bytes=size,
        documents=documents,
        tokens=tokens,
        workers=workers,
        cpu_seconds=spent,
        wall_seconds=wall,
        # Rows are on disk (decision 14); a key is written once and read once.
        shuffle_bytes=documents * keys * KEY.itemsize if config.dedup.enabled else 0,
        worker_bytes=max(one.peak_rss_bytes for one in large.stages.values()) // large.workers,
        left_bytes=int(large.bytes * factor) + token_bytes,
        shards=shards,
        mixture_shards=mixture_shards,
        files=shards * (folders + 1) + mixture_shards * 3,
        bottlenecks=bottlenecks,
    )


def _bottlenecks(config: Config, kept: int, duplicates: int) -> list[Bottleneck]:
    bottlenecks = [
        Bottleneck(
            "mix: solver and order, in the driver",
            "documents kept",
            kept,
            kept * ARRANGED_BYTES,
            "the driver's memory; above it, mix in parts (one run per part of the sources)",
        )
    ]
    if config.dedup.enabled:
        inside = min(duplicates, IN_PROCESS)
        over = duplicates > IN_PROCESS
        bottlenecks += [
            Bottleneck(
                "dedup: components, in one process",
                "edges",
                inside,
                inside * EDGE_BYTES,
                f"{IN_PROCESS:,} edges; above, rounds of star operations on all workers"
                + (": as here" if over else ""),
            ),
            Bottleneck(
                "dedup: labels of clusters, in the driver",
                "documents in clusters",
                2 * duplicates,
                2 * duplicates * CLUSTERED_BYTES,
                "the driver's memory; a duplicate has at most one survivor beside it",
            ),
        ]
    return bottlenecks


def described(value: float) -> str:
    """Return bytes in decimal units."""
    for unit, scale in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if value >= scale:
            return f"{value / scale:,.1f} {unit}"
    return f"{value:,.0f} B"


def print_forecast(console: Any, plan: Forecast, runs: Sequence[Measured]) -> None:
    """Print the forecast: stages, totals, bottlenecks."""
    from rich.table import Table

    table = Table(
        title=f"{described(plan.text_bytes)} of text, {plan.documents:,} documents, "
        f"{plan.tokens:,} tokens on {plan.workers:,} cores"
    )
    table.add_column("stage")
    for column in ("core-hours", "share", "wall, hours"):
        table.add_column(column, justify="right")
    total = sum(plan.cpu_seconds.values())
    for name, seconds in plan.cpu_seconds.items():
        hours = plan.wall_seconds[name] / 3600
        table.add_row(name, f"{seconds / 3600:,.2f}", f"{seconds / total:.0%}", f"{hours:,.2f}")
    wall = sum(plan.wall_seconds.values())
    table.add_row("all", f"{total / 3600:,.2f}", "", f"{wall / 3600:,.2f}", style="bold")
    console.print(table)
    for name, value in (
        ("shuffled", f"{described(plan.shuffle_bytes)} of keys, on disk"),
        ("memory", f"{described(plan.worker_bytes)} per worker process"),
        (
            "output",
            f"{described(plan.left_bytes)} in {plan.files:,} files; {plan.shards:,} shards of "
            f"documents, {plan.mixture_shards:,} of the mixture",
        ),
    ):
        console.print(f"{name:9} {value}", highlight=False)
    for number, one in enumerate(plan.bottlenecks):
        console.print(
            f"{'then' if number else 'largest bottleneck'}: {one.name}: "
            f"{one.count:,} {one.counted}, {described(one.bytes)}. Limit: {one.limit}",
            highlight=False,
        )
    names = ", ".join(f"{run.out} ({described(run.text_bytes)})" for run in runs)
    console.print(f"from {names}", highlight=False)
    sizes = [run.text_bytes for run in runs]
    if max(sizes) < 2 * min(sizes):
        console.print(
            "Runs of one size do not separate the cost of a start from that of a byte, so this "
            "is an upper bound. Name a run of half the size, or less, with another --measured.",
            highlight=False,
        )
