"""A second count of a run's figures, by DuckDB over its raw files.

It was written from the documentation of the ledger and shares no code with `audit/`: texts are
measured again, rules become SQL, and each sum is taken over one list of documents.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

AMOUNTS = ("documents", "raw_bytes", "chars", "text_bytes", "tokens")
STEPS = ("identify", "measure", "sign", "dedup", "redact", "screen", "score", "tokenize")
RULE = re.compile(r"(?P<scope>[\w-]+)\.(?P<condition>.+?) \((?P<reason>\w+)\)")


def amounts(**given: int) -> dict[str, int]:
    return {**dict.fromkeys(AMOUNTS, 0), **given}


@dataclass
class Document:
    """One document: what it weighs, and the rule and step that dropped it, if any."""

    id: bytes
    source: str
    component: str | None
    language: str | None
    weight: dict[str, int]
    reason: str | None
    step: int
    edits: list[tuple[str, int]] = field(default_factory=list)

    @property
    def group(self) -> tuple[str, str | None, str | None]:
        return self.source, self.component, self.language


def total(weights: Any) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for weight in weights:
        sums.update(weight)
    return amounts(**sums)


def by_reason(documents: list[Document]) -> dict[str, dict[str, int]]:
    reasons = {d.reason for d in documents if d.reason is not None}
    return {r: total(d.weight for d in documents if d.reason == r) for r in reasons}


def tables(out: Path) -> tuple[pa.Table, dict[str, int]]:
    """Return all documents with the columns of all steps, and each column's step."""
    step_of: dict[str, int] = {}
    shards = []
    for path in sorted((out / "documents").glob("*.parquet")):
        shard = pq.read_table(path)
        for number, step in enumerate(STEPS):
            annotations = out / "annotations" / step / path.name
            if not annotations.exists():
                continue
            for name, column in zip(
                (table := pq.read_table(annotations)).column_names, table.columns, strict=True
            ):
                shard = shard.append_column(name, column)
                step_of[name] = number
        shards.append(shard)
    return pa.concat_tables(shards), step_of


def sql(rule: str, components: set[str]) -> tuple[str, str, str]:
    """Return (condition under which a document breaks `rule`, the rule's column, its reason)."""
    match = RULE.fullmatch(rule)
    assert match is not None, rule
    scope, condition, reason = match.group("scope", "condition", "reason")
    (column,) = re.findall(r"^\w+", condition)
    if condition.endswith("is valid"):
        valid = ", ".join(f"'{name}'" for name in sorted(components))
        condition = f"coalesce({column} in ({valid}), false)"
    else:
        parts = [
            part if part.startswith(column) else column + part for part in condition.split(", ")
        ]
        condition = " and ".join(parts)
    applies = "true" if scope == "all" else f"assigned = '{scope}'"
    return f"({applies}) and not ({condition})", column, reason


def documents_of(out: Path, rules: list[str], components: set[str]) -> list[Document]:
    everything, step_of = tables(out)
    assert everything.num_rows
    broken = [sql(rule, components) for rule in rules]
    cases = " ".join(f"when {test} then {n}" for n, (test, _, _) in enumerate(broken))
    verdict = f"case {cases} end" if cases else "null"
    spans = [name for name in ("tails", "repeats", "pii_spans") if name in step_of]
    query = duckdb.connect().from_arrow(everything)
    found = query.project(
        f"id, source, assigned, lang, raw_bytes, length(text), strlen(text), "
        f"{'tokens' if 'tokens' in step_of else 'null'}, {verdict}, {', '.join(spans) or 'null'}"
    ).fetchall()
    documents = []
    for id, source, component, language, raw, chars, size, tokens, rule, *edits in found:
        weight = amounts(
            documents=1, raw_bytes=raw, chars=chars, text_bytes=size, tokens=tokens or 0
        )
        reason = None if rule is None else broken[rule][2]
        step = len(STEPS) if rule is None else step_of.get(broken[rule][1], 0)
        document = Document(bytes(id), source, component, language, weight, reason, step)
        document.edits = edited(dict(zip(spans, edits, strict=False)))
        documents.append(document)
    return documents


def edited(spans: dict[str, list[dict[str, Any]] | None]) -> list[tuple[str, int]]:
    """Return (label, bytes) of what is cut and then masked; no byte counts twice."""
    taken: set[int] = set()
    found = []
    for column, list_ in spans.items():
        for span in list_ or []:
            label = f"masked {span['type']}" if column == "pii_spans" else f"cut {span['kind']}"
            new = set(range(span["start"], span["end"])) - taken
            taken |= new
            if new:
                found.append((label, len(new)))
    return found


def _damage(row: dict[str, Any]) -> bool:
    kinds = ("corrupt_stream", "truncated_stream", "unreadable")
    kinds += ("malformed_record", "truncated_record")
    return row["fault"] and (row["reason"] in kinds or row["lost_bytes"] > 0)


def sources(out: Path, documents: list[Document]) -> dict[str, Any]:
    """Return the funnel of each source: read = kept + dropped + rejected + structure."""
    rejects: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in sorted((out / "rejects").glob("*.parquet")):
        for row in pq.read_table(path).to_pylist():
            rejects[row["source"]].append(row)
    manifest = json.loads((out / "documents/_manifest.json").read_text("utf-8"))
    structural: Counter[str] = Counter()
    for shard in manifest["shards"]:
        structural[shard["name"].rpartition("-")[0]] += shard["stats"].get("structural_bytes", 0)
    funnel = {}
    for source in structural:
        own = [d for d in documents if d.source == source]
        refused = rejects[source]
        reasons = sorted({row["reason"] for row in refused})
        funnel[source] = {
            "read": amounts(
                documents=len(own) + len(refused),
                raw_bytes=sum(d.weight["raw_bytes"] for d in own)
                + sum(row["raw_bytes"] for row in refused)
                + structural[source],
            ),
            "structural_bytes": structural[source],
            "kept": total(d.weight for d in own if d.reason is None),
            "dropped": by_reason(own),
            "rejected": {
                reason: total(
                    {"documents": 1, "raw_bytes": row["raw_bytes"]}
                    for row in refused
                    if row["reason"] == reason
                )
                for reason in reasons
            },
            "faults": sum(row["fault"] for row in refused),
            "damaged_files": len(
                {row["origin"].rpartition(":")[0] for row in refused if _damage(row)}
            ),
            "lost_bytes": sum(row["lost_bytes"] for row in refused if _damage(row)),
        }
    return funnel


def lines(documents: list[Document]) -> dict[tuple[Any, ...], dict[str, int]]:
    """Return the weight of each (source, component, language, verdict)."""
    groups = {(*d.group, d.reason or "kept") for d in documents}
    return {
        group: total(d.weight for d in documents if (*d.group, d.reason or "kept") == group)
        for group in groups
    }


def flow(
    entered: dict[str, int], left: dict[str, int], **parts: dict[str, dict[str, int]]
) -> dict[str, Any]:
    return {"entered": entered, "added": {}, "dropped": {}, "edited": {}, "left": left, **parts}


def stages(
    out: Path, steps: list[str], documents: list[Document], funnel: dict[str, Any]
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return what enters, leaves, is added, dropped and edited in each stage, by group."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for source, book in funnel.items():
        rows = [d for d in documents if d.source == source]
        left = amounts(documents=len(rows), raw_bytes=sum(d.weight["raw_bytes"] for d in rows))
        dropped = dict(book["rejected"])
        if book["structural_bytes"]:
            dropped["structure"] = amounts(raw_bytes=book["structural_bytes"])
        found["ingest", source, None, None] = flow(book["read"], left, dropped=dropped)
    groups = {d.group for d in documents}
    for group in groups:
        own = [d for d in documents if d.group == group]
        for step in steps:
            number = STEPS.index(step)
            if rows := [d for d in own if d.step >= number]:
                found[(step, *group)] = annotated(rows, number)
        kept = [d for d in own if d.reason is None]
        if (out / "mixture/manifest.json").exists() and kept:
            found[("mix", *group)] = mixed(out, kept)
    return found


def annotated(rows: list[Document], step: int) -> dict[str, Any]:
    dropped = [d for d in rows if d.step == step]
    left = [d for d in rows if d.step > step]
    if STEPS[step] != "tokenize":
        bare = [{**d.weight, "tokens": 0} for d in rows]
        bare_left = [{**d.weight, "tokens": 0} for d in left]
        return flow(total(bare), total(bare_left), dropped=by_reason(dropped))
    edits: dict[str, dict[str, int]] = {}
    for document in left:
        sizes: Counter[str] = Counter()
        for label, size in document.edits:
            sizes[label] += size
        for label, size in sizes.items():
            edits[label] = total([edits.get(label, {}), {"documents": 1, "text_bytes": size}])
    after = total(d.weight for d in left)
    added = {"encoded": amounts(tokens=after["tokens"])} if after["tokens"] else {}
    after["text_bytes"] -= sum(edit["text_bytes"] for edit in edits.values())
    entered = total({**d.weight, "tokens": 0} for d in rows)
    return flow(entered, after, added=added, dropped=by_reason(dropped), edited=edits)


def mixed(out: Path, kept: list[Document]) -> dict[str, Any]:
    paths = [str(path) for path in sorted((out / "mixture").glob("*.parquet"))]
    rows = duckdb.connect().execute(
        "select id, sum(tokens), sum(case when epoch > 0 then tokens else 0 end)"
        " from read_parquet(?) group by id",
        [paths],
    )
    used = {bytes(id): (int(tokens), int(again)) for id, tokens, again in rows.fetchall()}
    own = [(d, *used.get(d.id, (0, 0))) for d in kept]
    entered = amounts(documents=len(kept), tokens=sum(d.weight["tokens"] for d in kept))
    left = amounts(
        documents=sum(tokens > 0 for _, tokens, _ in own),
        tokens=sum(tokens for _, tokens, _ in own),
    )
    repeated = sum(again for _, _, again in own)
    unused = amounts(
        documents=entered["documents"] - left["documents"],
        tokens=entered["tokens"] + repeated - left["tokens"],
    )
    return flow(
        entered,
        left,
        added={"repeated": amounts(tokens=repeated)} if repeated else {},
        dropped={"unused": unused} if any(unused.values()) else {},
    )


def moved(
    out: Path, rules: list[str], components: set[str], number: int, tighter: str, looser: str
) -> tuple[int, int, int]:
    """Return (judged, newly dropped, newly kept) of rule `number` at two other thresholds.

    Judged are the documents of its scope with a value that break no other rule.
    """
    tests = [f"coalesce({sql(rule, components)[0]}, false)" for rule in rules]
    own, column = tests[number], sql(rules[number], components)[1]
    others = " or ".join(test for at, test in enumerate(tests) if at != number) or "false"
    scope, _, _ = own.removeprefix("coalesce(").partition(" and not ")
    tight, loose = (
        f"coalesce({sql(f'{rule} (moved)', components)[0]}, false)" for rule in (tighter, looser)
    )
    judged = f"{scope} and {column} is not null and not ({others})"
    (row,) = (
        duckdb.connect()
        .from_arrow(tables(out)[0])
        .aggregate(
            f"count(*) filter (where {judged}), "
            f"count(*) filter (where {judged} and not {own} and {tight}), "
            f"count(*) filter (where {judged} and {own} and not {loose})"
        )
        .fetchall()
    )
    return int(row[0]), int(row[1]), int(row[2])
