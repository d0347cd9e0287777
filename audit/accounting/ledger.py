"""The ledger: what went in, what came out, what each rule dropped, stage by stage.

Every figure is counted from the data (documents, rejects, annotations, the mixture's side-cars),
never from a runner's counters, which retries inflate. `audit.accounting.recount` counts the same
things another way and compares.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from audit.accounting.edits import edits_of
from audit.accounting.mixture_use import MixtureUse, read_mixture_use
from audit.query.reading import (
    decided,
    documents_of,
    finished_steps,
    read_columns,
    rules_of,
    stored_schemas,
)
from filters.rules.decide import KEPT
from mixtures.keys import id_matrix
from pipelines.stages.catalog import position, rule_stage
from pipelines.stages.ingest import STAGE as INGEST
from pipelines.stages.mix import STAGE as MIX
from pipelines.stages.tokenize import STAGE as TOKENIZE
from pipelines.stages.tokenize import cut_columns
from pipelines.storage.layout import REJECTS
from schemas.config import Config
from schemas.documents import DAMAGE, damage_in_words
from schemas.manifest import read_manifest
from schemas.rules import Rule

KEPT_NAME = "kept"


class Count(BaseModel):
    """Documents, bytes as read, characters and bytes of text, tokens where known."""

    documents: int = 0
    raw_bytes: int = 0
    chars: int = 0
    text_bytes: int = 0
    tokens: int = 0

    def plus(self, other: Count) -> Count:
        return Count(
            documents=self.documents + other.documents,
            raw_bytes=self.raw_bytes + other.raw_bytes,
            chars=self.chars + other.chars,
            text_bytes=self.text_bytes + other.text_bytes,
            tokens=self.tokens + other.tokens,
        )


def sum_counts(counts: Iterable[Count]) -> Count:
    """Return the sum of `counts`."""
    total = Count()
    for count in counts:
        total = total.plus(count)
    return total


class Line(BaseModel):
    """One verdict of one source, component and language."""

    source: str
    component: str | None
    language: str | None
    verdict: str
    count: Count


class SourceAccount(BaseModel):
    """Documents read of a source, and their verdicts."""

    read: Count
    structural_bytes: int
    kept: Count
    dropped: dict[str, Count]
    rejected: dict[str, Count]
    faults: int
    damaged_files: int = 0
    """Files of which a part could not be read."""
    lost_bytes: int = 0
    """Bytes that this cost, estimated. Nobody read them: they are in no other figure."""

    @property
    def damage(self) -> str:
        """What damage cost, in words; empty where no file is damaged."""
        return damage_in_words(self.damaged_files, self.lost_bytes) if self.damaged_files else ""


class Flow(BaseModel):
    """What a stage did to one source, component and language.

    entered + added = left + dropped + edited, in documents, characters, bytes and tokens; but
    `edited` has no characters, since spans are bytes. Before `identify` component and language
    are unknown. Tokens are counted from `tokenize` on, which adds them.
    """

    stage: str
    source: str
    component: str | None
    language: str | None
    entered: Count
    added: dict[str, Count] = {}
    """`encoded` by tokenize; `repeated` by mix: the copies beyond a document's first."""
    dropped: dict[str, Count] = {}
    """By reason; in `ingest` what was rejected, in `mix` what the mixture did not use."""
    edited: dict[str, Count] = {}
    """Passages cut or masked when tokens are written: documents touched, bytes of the original
    covered. See `audit.accounting.edits`."""
    left: Count


class Ledger(BaseModel):
    """The accounting of a run. `steps`: those that finished; `rules`: in the order they decide."""

    steps: list[str]
    rules: list[str]
    sources: dict[str, SourceAccount]
    lines: list[Line]
    stages: list[Flow] = []


class StageTotal(BaseModel):
    """What a stage did over all sources."""

    stage: str
    entered: Count
    dropped: Count
    edited: Count
    left: Count


def by_stage(accounts: Ledger) -> list[StageTotal]:
    """Return the sums of each stage's flows, in the order of the stages."""
    totals = []
    for stage in dict.fromkeys(flow.stage for flow in accounts.stages):
        flows = [flow for flow in accounts.stages if flow.stage == stage]
        totals.append(
            StageTotal(
                stage=stage,
                entered=sum_counts(flow.entered for flow in flows),
                dropped=sum_counts(count for flow in flows for count in flow.dropped.values()),
                edited=sum_counts(count for flow in flows for count in flow.edited.values()),
                left=sum_counts(flow.left for flow in flows),
            )
        )
    return totals


Cell = tuple[str, str | None, str | None]
"""Source, component, language: one row of a stage in the ledger."""


def ledger(out: Path, config: Config, mixed: bool = True) -> Ledger:
    """Return the ledger of the run in `out`, as far as it got; `mixed`: with the stage `mix`."""
    steps = finished_steps(out, config)
    rules = rules_of(out, config)
    cuts = cut_columns(config)
    use = read_mixture_use(out) if mixed and "tokenize" in steps else None
    columns = ["source", "assigned", "lang", "raw_bytes"]
    columns += ["chars", "bytes"] if "measure" in steps else []
    columns += ["tokens", *cuts, "pii_spans"] if "tokenize" in steps else []
    columns += ["id"] if use else []
    totals: dict[tuple[Cell, int], Count] = defaultdict(Count)
    edited: dict[tuple[Cell, str], Count] = defaultdict(Count)
    moved: dict[tuple[Cell, str], Count] = defaultdict(Count)
    for group in decided(out, config, rules, columns):
        for cell, verdict, count in _group(group.columns, group.verdict):
            totals[cell, verdict] = totals[cell, verdict].plus(count)
        if "tokenize" in steps:
            kept = group.columns.filter(pa.array(group.kept))
            for key, count in _edited(kept, cuts, config):
                edited[key] = edited[key].plus(count)
            for key, count in _mixed(kept, use) if use else ():
                moved[key] = moved[key].plus(count)
    ranked = sorted(totals.items(), key=lambda item: [str(part) for part in item[0][0]])
    lines = _lines(ranked, rules)
    sources = _by_source(out, lines)
    flows = _read_flows(sources, lines)
    stored = stored_schemas(out, config)
    stage_of = [position(rule_stage(rule.scope, rule.column, stored)) for rule in rules]
    for step in steps:
        edits = edited if step == TOKENIZE.name else {}
        flows += _step_flows(step, ranked, rules, stage_of, edits)
    if use:
        flows += _mix_flows([flow for flow in flows if flow.stage == "tokenize"], moved)
    return Ledger(
        steps=steps,
        rules=[f"{rule} ({rule.reason})" for rule in rules],
        sources=sources,
        lines=lines,
        stages=flows,
    )


def _lines(totals: list[tuple[tuple[Cell, int], Count]], rules: list[Rule]) -> list[Line]:
    """Return one line per cell and reason: several conditions of a column share theirs."""
    found: dict[tuple[Cell, str], Count] = defaultdict(Count)
    for (cell, verdict), count in totals:
        name = KEPT_NAME if verdict == KEPT else rules[verdict].reason
        found[cell, name] = found[cell, name].plus(count)
    return [
        Line(source=source, component=component, language=language, verdict=name, count=count)
        for ((source, component, language), name), count in found.items()
    ]


def _group(
    columns: pa.RecordBatch, verdict: np.ndarray[tuple[int], np.dtype[np.int16]]
) -> list[tuple[Cell, int, Count]]:
    """Sum a row group by source, component, language and verdict."""
    table = pa.Table.from_batches([columns]).append_column("verdict", pa.array(verdict))
    sums = [n for n in ("raw_bytes", "chars", "bytes", "tokens") if n in table.column_names]
    keys = ["source", "assigned", "lang", "verdict"]
    grouped = table.group_by(keys).aggregate([(n, "sum") for n in sums] + [([], "count_all")])
    return [
        (
            (row["source"], row["assigned"], row["lang"]),
            row["verdict"],
            Count(
                documents=row["count_all"],
                raw_bytes=row["raw_bytes_sum"] or 0,
                chars=row.get("chars_sum") or 0,
                text_bytes=row.get("bytes_sum") or 0,
                tokens=row.get("tokens_sum") or 0 if row["verdict"] == KEPT else 0,
            ),
        )
        for row in grouped.to_pylist()
    ]


def _cells(columns: pa.RecordBatch) -> list[Cell]:
    names = ("source", "assigned", "lang")
    return list(zip(*(columns.column(name).to_pylist() for name in names), strict=True))


def _edited(
    kept: pa.RecordBatch, cuts: list[str], config: Config
) -> Iterator[tuple[tuple[Cell, str], Count]]:
    """Yield (cell, label) and what is cut or masked of a row group's survivors."""
    edits = edits_of(kept, cuts, config)
    cells = _cells(kept.take(pa.array(edits.row))) if len(edits.row) else []
    touched: dict[tuple[Cell, str], set[int]] = defaultdict(set)
    covered: dict[tuple[Cell, str], int] = defaultdict(int)
    for cell, label, row, size in zip(
        cells, edits.label, edits.row.tolist(), edits.covered.tolist(), strict=True
    ):
        touched[cell, label].add(row)
        covered[cell, label] += size
    for key, rows in touched.items():
        yield key, Count(documents=len(rows), text_bytes=covered[key])


def _mixed(kept: pa.RecordBatch, use: MixtureUse) -> Iterator[tuple[tuple[Cell, str], Count]]:
    """Yield (cell, "unused" or "repeated") and the count of a row group's survivors."""
    copies, tokens = use.of(id_matrix(kept.column("id")))
    once = np.asarray(kept.column("tokens").fill_null(0)).astype(np.int64)
    extra = kept.set_column(
        kept.schema.get_field_index("tokens"), "tokens", pa.array(np.maximum(tokens - once, 0))
    )
    for rows, what in ((kept.filter(pa.array(copies == 0)), "unused"), (extra, "repeated")):
        for cell, _, count in _group(rows, np.full(rows.num_rows, KEPT, np.int16)):
            if what == "unused" or count.tokens:
                tokens_only = Count(tokens=count.tokens)
                yield (cell, what), count if what == "unused" else tokens_only


def _read_flows(sources: dict[str, SourceAccount], lines: list[Line]) -> list[Flow]:
    """Return the flows of `ingest`, one per source."""
    flows = []
    for source, account in sorted(sources.items()):
        left = sum_counts(line.count for line in lines if line.source == source)
        left = Count(documents=left.documents, raw_bytes=left.raw_bytes)
        dropped = dict(account.rejected)
        if account.structural_bytes:
            dropped["structure"] = Count(raw_bytes=account.structural_bytes)
        flows.append(
            Flow(
                stage=INGEST.name,
                source=source,
                component=None,
                language=None,
                entered=account.read,
                dropped=dropped,
                left=left,
            )
        )
    return flows


def _step_flows(
    step: str,
    totals: list[tuple[tuple[Cell, int], Count]],
    rules: list[Rule],
    stage_of: list[int],
    edited: dict[tuple[Cell, str], Count],
) -> list[Flow]:
    """Return the flows of one annotating step: those that earlier steps' rules let through.

    `stage_of`: for each rule, the position of the step whose column it reads.
    """
    number = position(step)
    flows: dict[Cell, Flow] = {}
    for (cell, verdict), whole in totals:
        count = whole.model_copy(update={"tokens": 0})
        if verdict != KEPT and stage_of[verdict] < number:
            continue
        flow = flows.get(cell)
        if flow is None:
            source, component, language = cell
            flow = flows[cell] = Flow(
                stage=step,
                source=source,
                component=component,
                language=language,
                entered=Count(),
                left=Count(),
            )
        flow.entered = flow.entered.plus(count)
        if verdict != KEPT and stage_of[verdict] == number:
            reason = rules[verdict].reason
            flow.dropped[reason] = flow.dropped.get(reason, Count()).plus(count)
        elif step == TOKENIZE.name:
            flow.added["encoded"] = Count(tokens=whole.tokens)
            flow.left = flow.left.plus(whole)
        else:
            flow.left = flow.left.plus(count)
    for (cell, label), count in sorted(edited.items(), key=lambda item: item[0][1]):
        flow = flows[cell]
        flow.edited[label] = count
        flow.left.text_bytes -= count.text_bytes
    return list(flows.values())


def _mix_flows(tokenized: list[Flow], mixed: dict[tuple[Cell, str], Count]) -> list[Flow]:
    """Return the flows of `mix` from those of `tokenize`, in documents and tokens."""
    flows = []
    for before in tokenized:
        cell = (before.source, before.component, before.language)
        entered = Count(documents=before.left.documents, tokens=before.left.tokens)
        unused, repeated = mixed.get((cell, "unused")), mixed.get((cell, "repeated"))
        left = entered.model_copy()
        flow = Flow(
            stage=MIX.name,
            source=before.source,
            component=before.component,
            language=before.language,
            entered=entered,
            left=left,
        )
        if unused:
            flow.dropped["unused"] = Count(documents=unused.documents, tokens=unused.tokens)
            left.documents -= unused.documents
            left.tokens -= unused.tokens
        if repeated:
            flow.added["repeated"] = repeated
            left.tokens += repeated.tokens
        flows.append(flow)
    return flows


def _by_source(out: Path, lines: list[Line]) -> dict[str, SourceAccount]:
    """Return the readers' counts, the rejects and the verdicts, by source."""
    accounts: dict[str, SourceAccount] = {}

    def of(source: str) -> SourceAccount:
        if source not in accounts:
            accounts[source] = SourceAccount(
                read=Count(), structural_bytes=0, kept=Count(), dropped={}, rejected={}, faults=0
            )
        return accounts[source]

    for shard in documents_of(out).shards:
        account = of(shard.name.rsplit("-", 1)[0])
        stats = shard.stats
        read = Count(documents=stats["records"], raw_bytes=stats["raw_bytes"])
        account.read = account.read.plus(read)
        account.structural_bytes += stats["structural_bytes"]
    for line in lines:
        account = of(line.source)
        if line.verdict == KEPT_NAME:
            account.kept = account.kept.plus(line.count)
        else:
            account.dropped[line.verdict] = account.dropped.get(line.verdict, Count()).plus(
                line.count
            )
    for source, reason, fault, count in rejects(out):
        account = of(source)
        account.rejected[reason] = account.rejected.get(reason, Count()).plus(count)
        account.faults += count.documents if fault else 0
    for source, (files, lost) in damage(out).items():
        account = of(source)
        account.damaged_files, account.lost_bytes = files, lost
    return accounts


def damage(out: Path) -> dict[str, tuple[int, int]]:
    """Return by source how many files are damaged, and the bytes that are lost, estimated."""
    files: dict[str, set[str]] = {}
    lost: Counter[str] = Counter()
    manifest = read_manifest(out / REJECTS)
    for shard in manifest.shards if manifest else ():
        columns = ["source", "origin", "reason", "fault", "lost_bytes"]
        for row in read_columns(out, out / REJECTS / shard.name, columns).to_pylist():
            if row["fault"] and row["reason"] in DAMAGE:
                files.setdefault(row["source"], set()).add(row["origin"].rpartition(":")[0])
                lost[row["source"]] += row["lost_bytes"]
    return {source: (len(names), lost[source]) for source, names in files.items()}


def rejects(out: Path) -> list[tuple[str, str, bool, Count]]:
    """Return (source, reason, fault, count) of everything that could not be read."""
    manifest = read_manifest(out / REJECTS)
    found = []
    for shard in manifest.shards if manifest else ():
        path = out / REJECTS / shard.name
        table = read_columns(out, path, ["source", "reason", "fault", "raw_bytes"])
        grouped = table.group_by(["source", "reason", "fault"]).aggregate(
            [("raw_bytes", "sum"), ([], "count_all")]
        )
        for row in grouped.to_pylist():
            count = Count(documents=row["count_all"], raw_bytes=row["raw_bytes_sum"])
            found.append((row["source"], row["reason"], row["fault"], count))
    return found
