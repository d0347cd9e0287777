"""Small tokenized corpora for the oracle of mixtures: documents, what is masked, columns.

Every value is drawn from a seed. The text that tokens must hold is written beside each document,
made without the program's own masks and cuts, and its ids come from SentencePiece alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from pipelines.engine.context import Context
from pipelines.stages.tokenize import TOKENS
from pipelines.storage.columns import Columns
from pipelines.storage.files import write_manifest
from pipelines.storage.layout import shard_name
from pipelines.storage.shards import read_batches, write_shard
from schemas.documents import DOCUMENT, document_id
from schemas.manifest import Manifest
from tests.support.small_run import GIVEN

WORDS = [
    "바람",
    "창문",
    "나물",
    "시장",
    "고추장",
    "비빔밥",
    "골목",
    "저녁",
    "shard",
    "mixture",
    "reader",
    "order",
    "kettle",
    "harbour",
    "1",
    "22",
    "1984",
    "(",
    ")",
    "=",
    "<|user|>",
    "naïve",
    "é",
    "😀",
    "return",
    "def",
]
MASKS = {
    "someone@example.org": ("EMAIL_ADDRESS", "****@example.org"),
    "900101-1234567": ("KR_RRN", "<KR_RRN>"),
    "서울특별시 강남구 테헤란로 1": ("KR_ADDRESS", "<KR_ADDRESS>"),
}
"""Personal data → its type, and the form that docs/pii.md gives it when masked."""
COLUMNS = GIVEN.append(pa.field("quality", pa.float32())).append(
    pa.field("knowledge", pa.float32())
)
TAIL = "ⓒ 어느 신문, 무단 전재 금지"
LICENSES = ("MIT", "CC0-1.0", "GPL", None)


@dataclass
class Doc:
    """A document: `text` as read, `tokens_of` as tokens must hold it, values of columns."""

    id: bytes
    source: str
    component: str
    text: str
    tokens_of: str
    spans: list[dict[str, Any]]
    tails: list[dict[str, Any]]
    values: dict[str, Any]
    ids: list[int] = field(default_factory=list)
    size: int = 0
    """Tokens that the run counted, the end symbol included. They differ from `ids` and the end
    where a promise about contents is broken, which must not count as a broken share too."""


class OracleContext(Context):
    """A context whose annotations were given; all documents survive."""

    def read(
        self, name: str, columns: Sequence[str], documents_sha256: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        known = Columns(
            {"documents": DOCUMENT, "annotations/given": COLUMNS, "annotations/tokenize": TOKENS}
        )
        for batch in read_batches(self.out, name, known.by_folder(columns), documents_sha256):
            yield batch.select(list(columns))

    def survivors(self, name: str) -> npt.NDArray[np.bool_]:
        return np.concatenate([np.asarray(b.column(0)) for b in self.read(name, ["kept"])])


def draw_corpus(seed: int) -> tuple[dict[str, str], list[Doc]]:
    """Return sources (name → component, or `auto`) and documents drawn from `seed`."""
    rng = random.Random(seed)
    components = rng.sample(["ko", "en", "code", "math"], rng.randint(1, 3))
    sources = {f"{part}-{n}": part for part in components for n in range(rng.randint(1, 2))}
    if len(components) > 1 and rng.random() < 0.5:
        sources["web"] = "auto"
    docs = []
    for source, part in sources.items():
        longest = rng.choice([12, 60, 200])
        for row in range(int(2 ** rng.uniform(3, 8))):
            own = part if part != "auto" else rng.choice(components[:2])
            docs.append(_draw_doc(rng, source, own, row, longest))
    return sources, docs


def _draw_doc(rng: random.Random, source: str, component: str, row: int, longest: int) -> Doc:
    pieces = [f"{source} {row}", *rng.choices(WORDS, k=int(longest ** rng.random()))]
    if rng.random() < 0.3:
        pieces.insert(rng.randint(1, len(pieces)), rng.choice(list(MASKS)))
    text = wanted = " ".join(pieces)
    tails: list[dict[str, Any]] = []
    if rng.random() < 0.2:
        # A cut may begin with personal data, whose mask must go with it.
        tail = rng.choice(["", *MASKS]) + TAIL
        start = len((text + "\n").encode())
        tails = [{"start": start, "end": start + len(tail.encode()), "kind": "copyright"}]
        text, wanted = f"{text}\n{tail}", f"{text}\n"
    spans = []
    for value, (kind, mask) in MASKS.items():
        at = text.find(value)
        while at >= 0:
            start = len(text[:at].encode())
            spans.append({"start": start, "end": start + len(value.encode()), "type": kind})
            at = text.find(value, at + 1)
        wanted = wanted.replace(value, mask)
    return Doc(
        id=document_id(source, str(row)),
        source=source,
        component=component,
        text=text,
        tokens_of=wanted,
        spans=sorted(spans, key=lambda span: span["start"]),
        tails=tails,
        values={
            "bytes": len(text.encode()),
            "license": rng.choice(LICENSES),
            "quality": None if rng.random() < 0.1 else float(np.float32(rng.random())),
            "knowledge": None if rng.random() < 0.1 else float(np.float32(rng.random())),
        },
    )


def write_corpus(out: Path, sources: dict[str, str], docs: Sequence[Doc], rows: int) -> None:
    """Write documents and annotations as shards of `rows` documents; all are kept."""
    shards = []
    for source in sorted(sources):
        own = [doc for doc in docs if doc.source == source]
        for index, first in enumerate(range(0, len(own), rows)):
            part = own[first : first + rows]
            name = shard_name(source, index)
            shard = write_shard(
                out / "documents" / name,
                DOCUMENT,
                [pa.RecordBatch.from_pylist([_document(d, sources) for d in part], DOCUMENT)],
                key="documents",
            )
            write_shard(
                out / "annotations/given" / name,
                COLUMNS,
                [pa.RecordBatch.from_pylist([_given(d) for d in part], COLUMNS)],
                key="given",
                documents_sha256=shard.sha256,
            )
            shards.append(shard)
    write_manifest(out / "documents", Manifest(stage="ingest", key="documents", shards=shards))


def _document(doc: Doc, sources: dict[str, str]) -> dict[str, Any]:
    return {
        "id": doc.id,
        "text": doc.text,
        "source": doc.source,
        "component": sources[doc.source],
        "license": doc.values["license"],
        "origin": f"x:{doc.id.hex()}",
        "raw_bytes": len(doc.text.encode()),
    }


def _given(doc: Doc) -> dict[str, Any]:
    return {
        "assigned": doc.component,
        "exact_hash": xxhash.xxh3_128_digest(doc.text.encode()),
        "pii_spans": doc.spans,
        "tails": doc.tails,
        "kept": True,
        **{name: doc.values[name] for name in ("bytes", "quality", "knowledge")},
    }
