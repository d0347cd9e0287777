"""One document: where it came from, what was measured, the verdict, where its tokens went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from audit.query.reading import (
    documents_of,
    finished_steps,
    naming_damage,
    read_columns,
    rules_of,
    stored_schemas,
)
from audit.query.texts import masked
from filters.rules.decide import in_scope
from filters.rules.evaluate import holds, valued
from pipelines.stages.catalog import folders
from pipelines.stages.dedup import STAGE as DEDUP
from pipelines.stages.redact import STAGE as REDACT
from pipelines.stages.tokenize import cut_columns
from pipelines.storage.layout import DOCUMENTS, side_cars
from pipelines.storage.shards import read_batches
from schemas.config import Config
from schemas.documents import DOCUMENT
from schemas.errors import InputError

EXCERPT = 400
"""Characters of the text that an explanation shows."""

BINARY = {"id", "duplicate_of", "cluster_id", "exact_hash", "url_key", "semantic_of"}
MASKED = ("url", "meta", "origin")
"""Columns of a document that hold what people wrote, as its text does."""
HIDDEN = {"signature", "embedding"}


class Judged(BaseModel):
    """A rule, the document's value, and whether it holds; None where it does not apply."""

    rule: str
    reason: str
    value: Any
    holds: bool | None


class MixtureCopy(BaseModel):
    """A copy of the document in the mixture: shard, sequence and its tokens."""

    shard: str
    sequence: int
    epoch: int
    first_token: int
    tokens: int


class Explanation(BaseModel):
    """All that the run stores of one document.

    The excerpt, and the address, `meta` and origin, mask personal data if `redact` annotated the
    document.
    """

    id: str
    document: dict[str, Any]
    excerpt: str
    annotations: dict[str, dict[str, Any]]
    verdict: str
    rules: list[Judged]
    duplicates: list[str]
    placed: list[MixtureCopy]


def locate(out: Path, document: str) -> tuple[str, int, str]:
    """Return (shard, row, document shard's SHA-256) of an id in hex or an origin.

    Raises InputError if no document has it.
    """
    try:
        wanted_id = bytes.fromhex(document) if len(document) == 32 else None
    except ValueError:
        wanted_id = None
    column, value = ("origin", document) if wanted_id is None else ("id", wanted_id)
    for shard in documents_of(out).shards:
        file = out / DOCUMENTS / shard.name
        values = read_columns(out, file, [column]).column(column)
        found = pc.index(values, pa.scalar(value, values.type)).as_py()
        if found >= 0:
            return shard.name, found, shard.sha256
    raise InputError(
        f"{out}: no document {document!r}; give an id of 32 hex digits or an origin such as "
        "ko_docs.jsonl.zst:17 (see rejects/ for what could not be read)"
    )


def _row(out: Path, schemas: dict[str, pa.Schema], name: str, row: int, sha: str) -> pa.RecordBatch:
    """Return one row with all document and annotation columns that the run has."""
    names = list(DOCUMENT.names)
    for schema in schemas.values():
        names += [n for n in schema.names if n not in names and n not in HIDDEN]
    start = 0
    wanted = folders(schemas).by_folder(names)
    with naming_damage(out, [out / folder / name for folder in wanted]):
        for batch in read_batches(out, name, wanted, sha):
            if row < start + batch.num_rows:
                return batch.slice(row - start, 1)
            start += batch.num_rows
    raise InputError(f"{out}: {name} has no row {row}")


def _plain(name: str, value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) and name in BINARY else value


def explain_document(out: Path, config: Config, document: str) -> Explanation:
    """Return the explanation of `document` (id in hex, or origin).

    The excerpt shows personal data as the config's action writes it, once `redact` has seen the
    document; columns of MASKED show masks.
    """
    name, row, sha = locate(out, document)
    steps = finished_steps(out, config)
    schemas = stored_schemas(out, config)
    batch = _row(out, schemas, name, row, sha)
    values = {n: _plain(n, batch.column(n)[0].as_py()) for n in batch.schema.names}
    rules = rules_of(out, config)
    judged = []
    verdict = "kept"
    for rule in rules:
        if not in_scope(rule, batch.column("assigned"), batch.column("source"))[0]:
            continue
        column = batch.column(rule.column)
        held: bool | None = bool(holds(rule, column)[0])
        if held and rule.op not in ("null", "valid") and not valued(column)[0]:
            held = None
        shown = values[rule.column]
        judged.append(Judged(rule=str(rule), reason=rule.reason, value=shown, holds=held))
        if held is False and verdict == "kept":
            verdict = rule.reason
    text = _excerpt(batch, config, seen=REDACT.name in steps)
    own = {n: values[n] for n in DOCUMENT.names if n not in ("text", "id")}
    if REDACT.name in steps:
        written = {n: str(own[n]) for n in MASKED if own[n]}
        component = batch.column("assigned")[0].as_py()
        own |= zip(written, masked(list(written.values()), component, config.pii), strict=True)
    cluster = batch.column("cluster_id")[0].as_py() if DEDUP.name in steps else None
    return Explanation(
        id=str(values["id"]),
        document=own,
        excerpt=text,
        annotations={
            step: {
                n: values[n]
                for n in schemas[step].names
                if n in values and n not in own and n not in HIDDEN
            }
            for step in steps
        },
        verdict=verdict,
        rules=judged,
        duplicates=_cluster(out, cluster, str(values["id"])) if cluster else [],
        placed=_copies(out, bytes.fromhex(str(values["id"]))),
    )


def _excerpt(batch: pa.RecordBatch, config: Config, seen: bool) -> str:
    if seen and batch.column("pii_spans").null_count == 0:
        from filters.pii.mask import apply_spans, showable

        cuts = [batch.column(n) for n in cut_columns(config)]
        spans = batch.column("pii_spans")
        text = apply_spans(batch.column("text"), spans, showable(config.pii), cuts)[0].as_py()
    else:
        text = batch.column("text")[0].as_py()
    return str(text[:EXCERPT])


def _cluster(out: Path, cluster: bytes, own: str, limit: int = 20) -> list[str]:
    """Return the ids of up to `limit` other members of a duplicate cluster."""
    members: list[str] = []
    for shard in documents_of(out).shards:
        file = out / DEDUP.folder / shard.name
        labels = read_columns(out, file, ["cluster_id"])
        column = labels.column("cluster_id")
        hits = np.flatnonzero(
            np.asarray(pc.fill_null(pc.equal(column, pa.scalar(cluster, column.type)), False))
        )
        if len(hits):
            file = out / DOCUMENTS / shard.name
            ids = read_columns(out, file, ["id"]).column("id")
            members += [ids[int(hit)].as_py().hex() for hit in hits]
    return [member for member in members if member != own][:limit]


def _copies(out: Path, document: bytes) -> list[MixtureCopy]:
    """Return the document's copies in the mixture."""
    placed = []
    for path in side_cars(out):
        table = read_columns(out, path, ["id", "epoch", "tokens"])
        ids = table.column("id")
        hits = np.flatnonzero(np.asarray(pc.equal(ids, pa.scalar(document, ids.type))))
        if not len(hits):
            continue
        tokens = table.column("tokens").to_numpy()
        starts = np.concatenate([[0], np.cumsum(tokens)])
        for hit in hits:
            placed.append(
                MixtureCopy(
                    shard=path.stem,
                    sequence=int(hit),
                    epoch=table.column("epoch")[int(hit)].as_py(),
                    first_token=int(starts[hit]),
                    tokens=int(tokens[hit]),
                )
            )
    return placed
