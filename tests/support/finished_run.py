"""A finished run made by hand: every folder that the audit reads, without Beam or a model.

A test gives documents with the values that its rules read. Tokens are bytes: each byte of the text
after cuts and masks is one token, and the end of the document is one more.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash
import yaml

from filters.dedup.minhash import sign
from filters.pii.mask import apply_spans
from filters.text.removed_spans import REMOVED_SPANS
from mixtures.mixing.balance import measure
from mixtures.shards.megatron import SEQUENCES, shard_stem, write_index, write_sequences
from mixtures.shards.token_runs import index_digest, run_path, write_run
from mixtures.tokenizer.modelfile import Piece, PieceType, write_model
from mixtures.tokenizer.tokenizer import END_OF_DOCUMENT, PAD, SPECIAL, UNKNOWN, Tokenizer
from mixtures.tokenizer.training import describe, write_tokenizer
from pipelines.stages.dedup import DEDUP
from pipelines.stages.tokenize import TOKENS, cut_columns
from pipelines.storage.files import write_manifest
from pipelines.storage.layout import shard_name
from pipelines.storage.shards import write_shard
from schemas.config import Config
from schemas.documents import DOCUMENT, REJECT, document_id
from schemas.manifest import Manifest, Shard, sha256_file

SPANS = pa.list_(
    pa.struct(
        [
            pa.field("start", pa.int32(), nullable=False),
            pa.field("end", pa.int32(), nullable=False),
            pa.field("type", pa.string(), nullable=False),
        ]
    )
)
COLUMNS: dict[str, pa.Schema] = {
    "identify": pa.schema({"lang": pa.string(), "assigned": pa.string()}),
    "measure": pa.schema(
        {
            "bytes": pa.int64(),
            "chars": pa.int64(),
            "words": pa.int64(),
            "hangul_ratio": pa.float32(),
            "tails": REMOVED_SPANS,
        }
    ),
    "sign": pa.schema({"exact_hash": pa.binary(16), "contaminated_by": pa.string()}),
    "dedup": DEDUP,
    "redact": pa.schema(
        {"pii_spans": SPANS, "pii_count": pa.int32(), "pii_types": pa.list_(pa.string())}
    ),
    "screen": pa.schema({"toxicity": pa.float32(), "spam": pa.float32()}),
    "score": pa.schema({"quality": pa.float32()}),
    "tokenize": TOKENS,
}
"""Columns of each step: those that the tests' rules read, and all that the audit needs."""
SIGNED = pa.schema({"signature": pa.binary(), "url_key": pa.binary(16)})
"""Further columns of `sign`, of a run that is signed."""
STEPS = tuple(COLUMNS)
LATE = STEPS[STEPS.index("redact") :]
ROWS = 3
"""Documents of a shard, so that a few documents make several shards."""
END = SPECIAL.index(END_OF_DOCUMENT)


@dataclass
class Given:
    """A document: its text, source and values; `last`: the last step that annotated it.

    `copy_of`: the number of the survivor of its cluster among all documents. `copies`: its
    sequences in the mixture.
    """

    text: str
    source: str = "ko"
    last: str = "tokenize"
    copy_of: int | None = None
    copies: int = 1
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        return self.last == "tokenize" and self.copy_of is None


def given(text: str, source: str = "ko", **more: Any) -> Given:
    """Return a document; what is not a field of `Given` is the value of a column."""
    fields = {name: more.pop(name) for name in ("last", "copy_of", "copies") if name in more}
    return Given(text, source, values=more, **fields)


def settings(**sections: Any) -> Config:
    """Return a config of the sources `ko`, `en` and `web` (any component), with lenient rules."""
    return Config.model_validate(
        {
            "name": "by-hand",
            "sources": {
                "ko": {"component": "ko", "path": "ko.jsonl"},
                "en": {"component": "en", "path": "en.jsonl"},
                "web": {"component": "auto", "path": "web.jsonl"},
            },
            "rules": {"ko": {"words": ">=3", "hangul_ratio": ">=0.2"}, "en": {"words": ">=2"}},
            "toxicity": {"drop_above": 0.9},
            "mixture": {"tokens": 100, "weights": {"ko": 0.5, "en": 0.5}, "shards": 1},
            "guards": {"least_documents": 1},
            **sections,
        }
    )


def write_finished(
    out: Path,
    documents: Sequence[Given],
    config: Config | None = None,
    *,
    rejects: Sequence[dict[str, Any]] = (),
    structural: int = 0,
    steps: Sequence[str] = STEPS,
    mixed: bool = True,
    signed: bool = False,
) -> Config:
    """Write the run of `documents` into `out` and return its config.

    `rejects`: rows of `rejects/`. `structural`: bytes of the sources' format, in the first shard.
    `steps`: the annotating steps that finished. `mixed`: whether `mix` did. `signed`: with the
    signatures by which clusters can be found again.
    """
    config = config or settings()
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.yaml").write_text(
        yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False), "utf-8"
    )
    rows = _rows(documents)
    written = _write_documents(out, rows, rejects, structural)
    if "tokenize" in steps:
        _write_tokenizer(out / "tokenizer")
        _encode(rows, config)
    for step in steps:
        schema = COLUMNS[step]
        if step == "sign" and signed:
            schema = pa.schema([*schema, *SIGNED])
            _sign(rows, config)
        shards = [_write_step(out, step, schema, shard, own) for shard, own in written]
        write_manifest(out / "annotations" / step, Manifest(stage=step, key=step, shards=shards))
    if mixed and "tokenize" in steps:
        _write_mixture(out, [(row, one) for row, one in zip(rows, documents, strict=True)])
    record = {"started": "2026-01-02T03:04:05Z", "python": "3.11", "versions": {"numpy": "2"}}
    (out / "run.json").write_text(json.dumps({"runs": [record]}), "utf-8")
    return config


def _rows(documents: Sequence[Given]) -> list[dict[str, Any]]:
    """Return each document with the values of all columns, null after its last step."""
    positions = [f"{one.source}.jsonl:{number}" for number, one in enumerate(documents)]
    ids = [
        document_id(one.source, position)
        for one, position in zip(documents, positions, strict=True)
    ]
    clusters: dict[int, int] = {}
    for one in documents:
        if one.copy_of is not None:
            clusters[one.copy_of] = clusters.get(one.copy_of, 1) + 1
    rows = []
    for number, one in enumerate(documents):
        survivor = number if number in clusters else one.copy_of
        spans = one.values.get("pii_spans", [])
        component = one.source if one.source in ("ko", "en") else "ko"
        row = {
            "id": ids[number],
            "text": one.text,
            "source": one.source,
            "component": "auto" if one.source == "web" else one.source,
            "origin": positions[number],
            "raw_bytes": len(one.text.encode()) + 10,
            "lang": component,
            "assigned": component,
            "bytes": len(one.text.encode()),
            "chars": len(one.text),
            "words": len(one.text.split()),
            "hangul_ratio": 0.5,
            "tails": [],
            "exact_hash": xxhash.xxh3_128_digest(one.text.encode()),
            "duplicate": one.copy_of is not None,
            "duplicate_of": None if one.copy_of is None else ids[one.copy_of],
            "duplicate_kind": None if one.copy_of is None else "near",
            "cluster_id": None if survivor is None else ids[survivor],
            "cluster_size": 1 if survivor is None else clusters[survivor],
            "repeats": [],
            "pii_spans": spans,
            "pii_count": len(spans),
            "pii_types": sorted({span["type"] for span in spans}),
            "toxicity": 0.1,
            "spam": 0.0,
            "quality": 0.5,
            **one.values,
        }
        last = STEPS.index("dedup" if one.copy_of is not None else one.last)
        for step in LATE:
            if STEPS.index(step) > last:
                row |= dict.fromkeys(COLUMNS[step].names)
        rows.append(row)
    return rows


def _write_documents(
    out: Path, rows: list[dict[str, Any]], rejects: Sequence[dict[str, Any]], structural: int
) -> list[tuple[Shard, list[dict[str, Any]]]]:
    written: list[tuple[Shard, list[dict[str, Any]]]] = []
    for source in sorted({row["source"] for row in rows}):
        own = [row for row in rows if row["source"] == source]
        refused = [row for row in rejects if row["source"] == source]
        for index, first in enumerate(range(0, len(own), ROWS)):
            part = own[first : first + ROWS]
            extra = structural if not written else 0
            lost = refused if not first else []
            stats = {
                "records": len(part) + len(lost),
                "documents": len(part),
                "rejects": len(lost),
                "faults": sum(row["fault"] for row in lost),
                "raw_bytes": sum(row["raw_bytes"] for row in [*part, *lost]) + extra,
                "text_bytes": sum(len(row["text"].encode()) for row in part),
                "text_chars": sum(len(row["text"]) for row in part),
                "structural_bytes": extra,
            }
            path = out / "documents" / shard_name(source, index)
            batch = _batch(part, DOCUMENT)
            shard = write_shard(path, DOCUMENT, [batch], key="documents", stats=stats)
            written.append((shard, part))
    shards = [shard for shard, _ in written]
    write_manifest(out / "documents", Manifest(stage="ingest", key="documents", shards=shards))
    refusals = []
    for source in sorted({row["source"] for row in rejects}):
        refused = [{"lost_bytes": 0, **row} for row in rejects if row["source"] == source]
        batch = _batch(refused, REJECT)
        path = out / "rejects" / shard_name(source, 0)
        refusals.append(write_shard(path, REJECT, [batch], key="documents"))
    write_manifest(out / "rejects", Manifest(stage="ingest", key="documents", shards=refusals))
    return written


def _batch(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [{name: row.get(name) for name in schema.names} for row in rows], schema=schema
    )


def _write_tokenizer(folder: Path) -> None:
    """Write a tokenizer whose only pieces are the bytes."""
    kinds = {UNKNOWN: PieceType.UNKNOWN}
    pieces = [Piece(text, kinds.get(text, PieceType.CONTROL)) for text in SPECIAL]
    pieces += [Piece(f"<0x{byte:02X}>", PieceType.BYTE) for byte in range(256)]
    data = write_model(pieces, unk=UNKNOWN, eos=END_OF_DOCUMENT, pad=PAD)
    tokenizer = Tokenizer(data)
    write_tokenizer(folder, data, tokenizer, describe(tokenizer))


def _encode(rows: list[dict[str, Any]], config: Config) -> None:
    """Add `tokens` and the ids of each kept document to its row."""
    for row in rows:
        kept = row["quality"] is not None and not row["duplicate"] and "tokens" not in row
        row["ids"] = np.zeros(0, np.uint16)
        if not kept:
            row |= {"tokens": None, "run_offset": None, "cut_key": None}
            continue
        cuts = [pa.array([row[name]], REMOVED_SPANS) for name in cut_columns(config)]
        text = apply_spans(
            pa.array([row["text"]], pa.large_string()),
            pa.array([row["pii_spans"]], SPANS),
            config.pii,
            cuts,
        )[0].as_py()
        encoded = np.frombuffer(text.encode(), np.uint8).astype(np.uint16) + len(SPECIAL)
        row["ids"] = np.append(encoded, np.uint16(END))
        row |= {"tokens": len(row["ids"]), "cut_key": 0}


def _sign(rows: list[dict[str, Any]], config: Config) -> None:
    """Add the signature of each document to its row."""
    dedup = config.dedup
    text = pa.array([row["text"] for row in rows], pa.large_string())
    signatures = sign(text, dedup.unit, dedup.ngram, dedup.permutations, dedup.seed)
    for row, signature in zip(rows, signatures, strict=True):
        row |= {"signature": signature.astype("<u4").tobytes(), "url_key": None}


def _write_step(
    out: Path, step: str, schema: pa.Schema, documents: Shard, rows: list[dict[str, Any]]
) -> Shard:
    path = out / "annotations" / step / documents.name
    stats: dict[str, Any] = {}
    if step == "tokenize":
        offset = 0
        for row in rows:
            if row["tokens"] is not None:
                row["run_offset"] = offset
                offset += row["tokens"]
        counts = np.array([-1 if r["tokens"] is None else r["tokens"] for r in rows], np.int32)
        places = np.array([-1 if r["tokens"] is None else r["run_offset"] for r in rows], np.int64)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_run(
            run_path(path),
            np.concatenate([row["ids"] for row in rows]),
            int((counts >= 0).sum()),
            sha256_file(out / "tokenizer" / "tokenizer.model"),
            index_digest(counts, places),
        )
        run = run_path(path)
        file = {"name": run.name, "bytes": run.stat().st_size, "sha256": sha256_file(run)}
        stats |= {"files": [file], "survivors": int((counts >= 0).sum())}
    return write_shard(
        path,
        schema,
        [_batch(rows, schema)],
        key=step,
        documents_sha256=documents.sha256,
        stats=stats,
    )


def _write_mixture(out: Path, documents: list[tuple[dict[str, Any], Given]]) -> None:
    """Write one shard that holds the copies of each kept document, epoch by epoch."""
    folder = out / "mixture"
    folder.mkdir()
    kept = [(row, one) for row, one in documents if row["tokens"] is not None]
    epochs = max((one.copies for _, one in kept), default=0)
    order = [(row, epoch) for epoch in range(epochs) for row, one in kept if epoch < one.copies]
    stem = folder / shard_stem(0, 1)
    ids = [row["ids"] for row, _ in order]
    np.concatenate([*ids, np.zeros(0, np.uint16)]).astype("<u2").tofile(f"{stem}.bin")
    write_index(
        Path(f"{stem}.idx"), np.array([len(each) for each in ids], np.int64), np.dtype("<u2")
    )
    names = {"component": "assigned"}
    table = pa.Table.from_pylist(
        [
            {n: row[names.get(n, n)] for n in SEQUENCES.names if n != "epoch"} | {"epoch": epoch}
            for row, epoch in order
        ],
        schema=pa.schema(
            [
                pa.field(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type)
                for f in SEQUENCES
            ]
        ),
    )
    write_sequences(Path(f"{stem}.parquet"), table)
    files = [Path(f"{stem}{ending}") for ending in (".bin", ".idx", ".parquet")]
    manifest = _mixture_manifest(out, kept, order) | {
        "shards": [
            {
                "name": stem.name,
                "stage": 0,
                "sequences": len(order),
                "tokens": sum(row["tokens"] for row, _ in order),
                "files": [
                    {"name": f.name, "bytes": f.stat().st_size, "sha256": sha256_file(f)}
                    for f in files
                ],
            }
        ]
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    write_manifest(folder, Manifest(stage="mix", key="mix", shards=[]))


def _mixture_manifest(
    out: Path, kept: list[tuple[dict[str, Any], Given]], order: list[tuple[dict[str, Any], int]]
) -> dict[str, Any]:
    def tokens(source: str | None, component: str) -> tuple[int, int]:
        own = [
            row["tokens"]
            for row, _ in order
            if row["assigned"] == component and source in (None, row["source"])
        ]
        return sum(own), len(own)

    total = sum(row["tokens"] for row, _ in order)
    components = sorted({row["assigned"] for row, _ in kept})
    shares = {name: tokens(None, name)[0] / max(total, 1) for name in components}
    numbers = np.array([components.index(row["assigned"]) for row, _ in order], np.int64)
    sizes = np.array([row["tokens"] for row, _ in order], np.int64)
    edges = np.array([0, len(order)], np.int64)
    balance = measure(numbers, sizes, edges, components, list(shares.values()), 5_000_000)
    return {
        "name": "by-hand",
        "version": 1,
        "achieved_tokens": total,
        "sequences": len(order),
        "dtype": "uint16",
        "tokenizer": {
            "sha256": sha256_file(out / "tokenizer" / "tokenizer.model"),
            "vocab_size": len(SPECIAL) + 256,
            "end_of_document": END,
        },
        "components": [
            {
                "component": name,
                "share": shares[name],
                "target": tokens(None, name)[0],
                "achieved": tokens(None, name)[0],
                "achieved_share": shares[name],
                "sequences": tokens(None, name)[1],
            }
            for name in components
        ],
        "sources": [
            {
                "source": source,
                "component": component,
                "available": sum(
                    r["tokens"] for r, _ in kept if (r["source"], r["assigned"]) == pair
                ),
                "documents": sum((r["source"], r["assigned"]) == pair for r, _ in kept),
                "achieved": tokens(source, component)[0],
                "sequences": tokens(source, component)[1],
            }
            for pair in sorted({(row["source"], row["assigned"]) for row, _ in kept})
            for source, component in [pair]
        ],
        "left_out": {},
        "balance": balance.model_dump(),
        "formats": ["megatron"],
        "stages": [{"share": 1.0, "shards": 1, "components": shares}],
        "files": [],
    }
