"""Ingest: files to document shards, one split per shard, in one fused step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa

from filters.text.repair import META, has_text, repair
from pipelines.code_version import code_version
from pipelines.engine.context import Context
from pipelines.engine.keys import file_key
from pipelines.ingest.readers import READERS, read_split
from pipelines.ingest.readers.base import ReadStats, Record, Reject, Split
from pipelines.ingest.readers.fields import LEFT_OUT, MAX_PATHS, meta_json
from pipelines.ingest.readers.plan import plan_splits
from pipelines.ingest.weighing import counts, damage_note, rejects_of, too_many, weigh
from pipelines.runners.runner import Runner, distribute
from pipelines.stages.ingest import STAGE as INGEST
from pipelines.storage.files import remove_temporary, write_manifest
from pipelines.storage.layout import DOCUMENTS, RECEIPTS, REJECTS, SHARDS, source_of
from pipelines.storage.shards import read_receipts, write_shard
from pipelines.storage.store import remove_tree
from schemas.config import Config, Repair, Source
from schemas.documents import (
    BATCH_BYTES,
    BATCH_ROWS,
    DAMAGE,
    DOCUMENT,
    REJECT,
    document_id,
)
from schemas.errors import InputError, RunFault
from schemas.json_lines import whole_text
from schemas.manifest import Manifest, Shard, content_key, read_manifest

CODE = "code"
SHOWN = 3
"""Fields that the message about those left out names."""
MAX_COUNTED = 1000
"""Different fields that are counted per shard as left out of `meta`."""


@dataclass(frozen=True)
class IngestTask:
    """A split and the content key of the shard that it makes."""

    name: str
    key: str
    split: Split


def ingest_tasks(config: Config) -> list[IngestTask]:
    """Return a task for every document shard of the config's sources, sources in order."""
    code = [code_version(*INGEST.code), *(file_key(path) for path in INGEST.models(config))]
    tasks = []
    for name, source in config.sources.items():
        settings = source.model_dump(mode="json", exclude={"path", "limit"})
        for split in plan_splits(name, source, config.ingest):
            limits = config.ingest.model_dump(mode="json", exclude={"max_reject_share"})
            key = content_key(code, split.fingerprint, settings, limits)
            tasks.append(IngestTask(split.name, key, split))
    return tasks


def ingest_key(tasks: Sequence[IngestTask]) -> str:
    """Return the key under which all document shards are read, whatever the order of sources."""
    return content_key(sorted([task.name, task.key] for task in tasks))


class Collector:
    """Makes the rows of one split, and counts documents, rejects and repairs."""

    def __init__(self, split: Split, source: Source, repairs: Sequence[Repair]) -> None:
        self.split = split
        self.component = source.component
        self.license = source.license
        # Code stays as its bytes are, but for what every document undergoes.
        self.repairs: Sequence[Repair] = () if source.component == CODE else repairs
        self.stats: dict[str, Any] = Counter(
            records=0,
            documents=0,
            rejects=0,
            faults=0,
            fault_bytes=0,
            lost_bytes=0,
            damage=0,
            raw_bytes=0,
            text_bytes=0,
            text_chars=0,
            repaired=0,
            replaced_chars=0,
            fields_left_out=0,
        )
        self.left_out: Counter[str] = Counter()
        """Path of a field → documents whose `meta` is without it."""
        self.rejected: list[dict[str, Any]] = []

    def reject(self, reject: Reject) -> None:
        """Count a record that could not become a document, and keep its row for `rejects/`."""
        self.stats["records"] += 1
        self.stats["rejects"] += 1
        self.stats["faults"] += reject.fault
        self.stats["fault_bytes"] += reject.raw_bytes * reject.fault
        self.stats["lost_bytes"] += reject.lost_bytes
        self.stats["damage"] += reject.fault and reject.reason in DAMAGE
        self.stats["raw_bytes"] += reject.raw_bytes
        self.rejected.append(
            {
                "source": self.split.source,
                "origin": f"{reject.file}:{reject.position}",
                "reason": reject.reason,
                "fault": reject.fault,
                "raw_bytes": reject.raw_bytes,
                "lost_bytes": reject.lost_bytes,
                "detail": reject.detail,
                "excerpt": reject.excerpt,
            }
        )

    def row(self, record: Record) -> dict[str, Any] | None:
        """Return the document's row, or None after rejecting an empty text.

        Half a surrogate pair in the text becomes U+FFFD.
        """
        whole, replaced = whole_text(record.text)
        kinds = [kind for kind in self.repairs if kind != "html" or not record.page]
        text, repairs = repair(whole, kinds)
        if not has_text(text):
            detail = "no character of it is drawn: white space, fillers, controls, zero-width marks"
            self.reject(Reject(record.file, record.position, record.raw_bytes, "no_text", detail))
            return None
        origin = f"{record.file}:{record.position}"
        meta, left_out = meta_json(
            {**(record.meta or {}), META: repairs} if repairs else record.meta, record.left_out
        )
        for path in left_out:
            if path in self.left_out or len(self.left_out) < MAX_COUNTED:
                self.left_out[path] += 1
        self.stats["records"] += 1
        self.stats["documents"] += 1
        self.stats["repaired"] += bool(repairs)
        self.stats["replaced_chars"] += replaced
        self.stats["fields_left_out"] += bool(left_out)
        self.stats["raw_bytes"] += record.raw_bytes
        self.stats["text_bytes"] += len(text.encode())
        self.stats["text_chars"] += len(text)
        return {
            "id": document_id(self.split.source, origin),
            "text": text,
            "source": self.split.source,
            "component": self.component,
            "url": record.url,
            "license": record.license or self.license,
            "timestamp": record.timestamp,
            "meta": meta,
            "origin": origin,
            "raw_bytes": record.raw_bytes,
        }


class IngestSplit(beam.DoFn):
    """Task in, shard name out: reads a split, writes its document shard and its rejects."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def process(self, task: IngestTask) -> Iterator[str]:
        """Write `documents/NAME`, and `rejects/NAME` where there are rejects."""
        source = self._ctx.config.sources[task.split.source]
        collector = Collector(task.split, source, self._ctx.config.ingest.repair)
        read = ReadStats()
        stats: dict[str, Any] = {}

        def batches() -> Iterator[pa.RecordBatch]:
            rows: list[dict[str, Any]] = []
            size = 0
            for item in read_split(task.split, source, self._ctx.config.ingest, read):
                if isinstance(item, Reject):
                    collector.reject(item)
                elif (row := collector.row(item)) is not None:
                    rows.append(row)
                    size += len(row["text"])
                if len(rows) >= BATCH_ROWS or size >= BATCH_BYTES:
                    yield pa.RecordBatch.from_pylist(rows, schema=DOCUMENT)
                    rows, size = [], 0
            if rows:
                yield pa.RecordBatch.from_pylist(rows, schema=DOCUMENT)
            stats.update(collector.stats)
            stats["left_out"] = dict(collector.left_out.most_common(MAX_PATHS))
            stats["structural_bytes"] = read.structural_bytes
            stats["raw_bytes"] += read.structural_bytes
            stats["inputs"] = [
                asdict(file) for file in read.files if file.records or file.file_bytes
            ]
            self._write_rejects(task, collector.rejected)

        folder = self._ctx.folder(DOCUMENTS)
        write_shard(folder / task.name, DOCUMENT, batches(), key=task.key, stats=stats)
        yield task.name

    def _write_rejects(self, task: IngestTask, rows: list[dict[str, Any]]) -> None:
        path = self._ctx.folder(REJECTS, task.name)
        if rows:
            batch = pa.RecordBatch.from_pylist(rows, schema=REJECT)
            write_shard(path, REJECT, [batch], key=task.key)
        else:
            path.unlink(missing_ok=True)
            (path.parent / RECEIPTS / f"{task.name}.json").unlink(missing_ok=True)


def run_ingest(runner: Runner, ctx: Context, tasks: list[IngestTask]) -> None:
    """Run one pipeline over `tasks`, the slowest formats and largest files first."""

    def cost(task: IngestTask) -> tuple[bool, float, str]:
        size = sum(file.size for file in task.split.files) / task.split.count
        return (not READERS[task.split.format].slow, -size, task.name)

    ordered = sorted(tasks, key=cost)

    def build(pipeline: beam.Pipeline) -> None:
        distribute(pipeline, "ingest", ordered) | "ingest: write" >> beam.ParDo(IngestSplit(ctx))

    runner.run("ingest", build)


def finish_rejects(out: Path, key: str, tasks: list[IngestTask]) -> Manifest:
    """Write the manifest of the rejects, from their receipts and the previous manifest."""
    folder = out / REJECTS
    folder.mkdir(parents=True, exist_ok=True)
    remove_temporary(folder)
    last = read_manifest(folder)
    known = {**(last.by_name() if last else {}), **read_receipts(folder)}
    keys = {task.name: task.key for task in tasks}
    shards = [
        shard
        for name, shard in sorted(known.items())
        if keys.get(name) == shard.key and (folder / name).exists()
    ]
    names = {shard.name for shard in shards}
    for path in folder.glob(SHARDS):
        if path.name not in names:
            path.unlink()
    manifest = Manifest(stage="ingest", key=key, shards=shards)
    write_manifest(folder, manifest)
    remove_tree(folder / RECEIPTS)
    return manifest


def check_rejects(out: Path, config: Config, shards: Iterable[Shard]) -> list[str]:
    """Return a line for each source without documents, with damage, or without some fields.

    `shards`: those of the documents.

    Raises RunFault if a source has more faults than `ingest.max_reject_share` allows, of its
    records or of its bytes with those lost to damage: with the reasons and their counts, the worst
    positions and the remedy; InputError if no source has a document. Pages without a text (a 404,
    an image) are not faults.
    """
    shards = list(shards)
    weights = weigh(shards)
    most = config.ingest.max_reject_share
    for source, weight in weights.items():
        if max(weight.records_share, weight.bytes_share) > most:
            raise RunFault(too_many(out, source, weight, most))
    damaged = [damage_note(out, name, each) for name, each in weights.items() if each.damage]
    empty = []
    for source in config.sources:
        if source not in weights or not weights[source].documents:
            rows = rejects_of(out, source)
            empty.append(
                f"source {source}: no documents in {config.sources[source].path}"
                + (f" (rejected: {counts(rows)})" if rows else " (it has no records)")
                + "".join(f"\n  {r['origin']}: {r['reason']}: {r['detail']}" for r in rows[:1])
            )
    if len(empty) == len(config.sources):
        raise InputError(
            "\n".join(empty) + f"\nNo documents were ingested; see {out / 'rejects'}, "
            "and check `path` and `format` of the sources"
        )
    return empty + damaged + _changed(shards)


def _changed(shards: Sequence[Shard]) -> list[str]:
    """Return a line per source whose documents lack fields in `meta`, or have U+FFFD in texts."""
    counts: dict[str, Counter[str]] = {}
    fields: dict[str, Counter[str]] = {}
    for shard in shards:
        source = source_of(shard.name)
        for name in ("fields_left_out", "replaced_chars"):
            counts.setdefault(source, Counter())[name] += int(shard.stats.get(name, 0))
        fields.setdefault(source, Counter()).update(shard.stats.get("left_out", {}))
    lines = []
    for source, count in counts.items():
        if number := count["fields_left_out"]:
            names = ", ".join(name for name, _ in fields[source].most_common(SHOWN))
            more = ", …" if len(fields[source]) > SHOWN else ""
            lines.append(
                f"source {source}: fields left out of meta, documents: {number:,}, since JSON "
                f"cannot hold them: {names}{more}; meta.{LEFT_OUT} lists them"
            )
        if number := count["replaced_chars"]:
            lines.append(f"source {source}: {number:,} halves of characters became U+FFFD")
    return lines
