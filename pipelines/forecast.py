"""What a larger run would cost, from what finished ones did: `bibim plan --scale`.

A step of a run over B bytes of text takes `fixed + slope × B` seconds of CPU. `fixed` is what each
worker process spends before its first document (modules, models); it is known from two runs of
different size. From one run alone it counts as part of the slope: an upper bound for larger runs.
Sizes that stages leave behind grow with the documents. See docs/scale.md.
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
from schemas.config import Config, parse_bytes, parse_count
from schemas.errors import InputError
from schemas.manifest import MANIFEST, Manifest, read_manifest

EDGE_BYTES = 100
"""Memory of the one process that connects clusters, an edge (docs/scale.md)."""
CLUSTERED_BYTES = 300
"""Memory of the driver, a document that is in a cluster."""
ARRANGED_BYTES = 230
"""Memory of the driver of `mix`, a document that the rules keep."""
FILE_BYTES = 5_000_000_000
"""The largest file that S3 renames: a mixture has shards enough to stay below."""


@dataclass(frozen=True)
class Spent:
    """What one step of a finished run took."""

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
    """That it left in OUT."""
    shards: int
    workers: int
    steps: Mapping[str, Spent]


@dataclass(frozen=True)
class Cost:
    """Seconds of CPU: for each worker process, and for each byte of text."""

    fixed: float
    slope: float

    def __call__(self, size: float) -> float:
        return self.fixed + self.slope * size


@dataclass(frozen=True)
class Piece:
    """Work that one process does whole: its memory, and what limits it."""

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
    pieces: Sequence[Piece]
    """The largest first."""


def measured(out: Path, config: Config) -> Measured:
    """Return what the run in `out` took. Raises InputError where it is not whole.

    Of each step the last run that did all of its shards counts.
    """
    path = out / RUNS
    if not path.exists():
        raise InputError(f"{out}: no finished run is here (no run.json); name the --out of one")
    steps: dict[str, Spent] = {}
    workers = 1
    for run in json.loads(path.read_text("utf-8"))["runs"]:
        for step in run["steps"]:
            if step["ran"] == step["shards"] and step.get("cpu_seconds"):
                steps[step["step"]] = Spent(step["cpu_seconds"], step["peak_rss_bytes"])
                workers = int(run["runner"]["workers"])
    missing = [each.name for each in active_stages(config) if each.name not in steps]
    if missing:
        raise InputError(
            f"{path}: no costs of {', '.join(missing)}: run all stages once, from an empty folder, "
            "with `--runner local` (older runs noted no CPU time)"
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
    left += sum(int(shard.stats.get("run_bytes", 0)) for shard in tokenize.shards)
    return Measured(
        out=out,
        text_bytes=sum(int(shard.stats["text_bytes"]) for shard in documents.shards),
        documents=sum(shard.rows for shard in documents.shards),
        kept=sum(int(shard.stats.get("computed", 0)) for shard in tokenize.shards),
        duplicates=duplicates,
        tokens=int(mixture["achieved_tokens"]),
        bytes=left,
        shards=len(documents.shards),
        workers=workers,
        steps=steps,
    )


def _manifest(out: Path, folder: str) -> Manifest:
    manifest = read_manifest(out / folder)
    if manifest is None:
        raise InputError(f"{out / folder / MANIFEST}: not there; let the run end first")
    return manifest


def costs(runs: Sequence[Measured]) -> dict[str, Cost]:
    """Return what each step costs, by the smallest and the largest of `runs`."""
    ordered = sorted(runs, key=lambda run: run.text_bytes)
    small, large = ordered[0], ordered[-1]
    found = {}
    for name, spent in large.steps.items():
        slope = spent.cpu_seconds / large.text_bytes
        fixed = 0.0
        if large.text_bytes >= 2 * small.text_bytes:
            gain = spent.cpu_seconds - small.steps[name].cpu_seconds
            slope = max(gain, 0.0) / (large.text_bytes - small.text_bytes)
            fixed = max(spent.cpu_seconds - slope * large.text_bytes, 0.0)
            if not fixed:  # dearer by the byte in the larger run
                slope = spent.cpu_seconds / large.text_bytes
        # The processes of a run each paid it.
        found[name] = Cost(fixed / large.workers, slope)
    return found


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
        raise InputError(f"--scale {text}: say 1T (tokens of the mixture) or 4TB (bytes of text)")
    return size


def forecast(config: Config, runs: Sequence[Measured], size: int, workers: int) -> Forecast:
    """Return what a run of `config` over `size` bytes of text takes, from `runs`."""
    large = max(runs, key=lambda run: run.text_bytes)
    factor = size / large.text_bytes
    spent = {name: workers * cost.fixed + cost.slope * size for name, cost in costs(runs).items()}
    documents, kept = int(large.documents * factor), int(large.kept * factor)
    duplicates = int(large.duplicates * factor)
    shards = max(1, math.ceil(size / config.ingest.shard_bytes))
    tokens = int(large.tokens * factor)
    token_bytes = tokens * (2 if config.tokenizer.vocab_size <= 1 << 16 else 4)
    mixture_shards = max(config.mixture.shards, math.ceil(token_bytes / FILE_BYTES))
    wall = {}
    for name, cost in costs(runs).items():
        tasks = mixture_shards if stage(name).output == "mixture" else shards
        rounds = math.ceil(tasks / workers)  # the last round is as long as the others
        wall[name] = cost.fixed + cost.slope * (size / tasks) * rounds
    pieces = sorted(_pieces(config, kept, duplicates), key=lambda piece: -piece.bytes)
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
        # Rows lie on disk (decision 14); a key is written once and read once.
        shuffle_bytes=documents * keys * KEY.itemsize if config.dedup.enabled else 0,
        worker_bytes=max(one.peak_rss_bytes for one in large.steps.values()) // large.workers,
        left_bytes=int(large.bytes * factor) + token_bytes,
        shards=shards,
        mixture_shards=mixture_shards,
        files=shards * (folders + 1) + mixture_shards * 3,
        pieces=pieces,
    )


def _pieces(config: Config, kept: int, duplicates: int) -> list[Piece]:
    found = [
        Piece(
            "mix: solver and order, in the driver",
            "documents kept",
            kept,
            kept * ARRANGED_BYTES,
            "the driver's memory; above it, mix by parts (a run for each part of the sources)",
        )
    ]
    if config.dedup.enabled:
        inside = min(duplicates, IN_PROCESS)
        over = duplicates > IN_PROCESS
        found += [
            Piece(
                "dedup: components, in one process",
                "edges",
                inside,
                inside * EDGE_BYTES,
                f"{IN_PROCESS:,} edges; above, rounds of star steps on all workers"
                + (": so here" if over else ""),
            ),
            Piece(
                "dedup: labels of clusters, in the driver",
                "documents in clusters",
                2 * duplicates,
                2 * duplicates * CLUSTERED_BYTES,
                "the driver's memory; a duplicate has at most one survivor beside it",
            ),
        ]
    return found


def described(value: float) -> str:
    """Return bytes in decimal units."""
    for unit, scale in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if value >= scale:
            return f"{value / scale:,.1f} {unit}"
    return f"{value:,.0f} B"


def print_forecast(console: Any, plan: Forecast, runs: Sequence[Measured]) -> None:
    """Print the forecast: steps, totals, the largest single pieces."""
    from rich.table import Table

    table = Table(
        title=f"{described(plan.text_bytes)} of text, {plan.documents:,} documents, "
        f"{plan.tokens:,} tokens on {plan.workers:,} cores"
    )
    table.add_column("step")
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
        ("memory", f"{described(plan.worker_bytes)} a worker process"),
        (
            "output",
            f"{described(plan.left_bytes)} in {plan.files:,} files; {plan.shards:,} shards of "
            f"documents, {plan.mixture_shards:,} of the mixture",
        ),
    ):
        console.print(f"{name:9} {value}", highlight=False)
    for number, piece in enumerate(plan.pieces):
        console.print(
            f"{'largest single piece' if not number else 'then'}: {piece.name}: "
            f"{piece.count:,} {piece.counted}, {described(piece.bytes)}. Limit: {piece.limit}",
            highlight=False,
        )
    names = ", ".join(f"{run.out} ({described(run.text_bytes)})" for run in runs)
    console.print(f"from {names}", highlight=False)
    sizes = [run.text_bytes for run in runs]
    if max(sizes) < 2 * min(sizes):
        console.print(
            "Runs of one size do not tell what a start costs from what a byte costs: an upper "
            "bound. Name a run of half the size, or less, with another --measured.",
            highlight=False,
        )
