"""The `score` stage: quality of a text from its embedding, 0 (junk) to 1 (well made).

Quality means well-formed, informative text as opposed to junk: shuffled words, menus, keyword
stuffing, advertising templates, mojibake, poor scans, blobs and logs. It does not mean true, formal
or educational: informal reviews and code score high. A head (logistic regression) maps the
embedding to a probability. The default head belongs to the default embedder; another embedder needs
its own head.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from filters.columnar.arrays import Doubles, Floats, fixed_binary
from filters.columnar.npz import read_npz, write_npz
from filters.quality.embedding import DEFAULT, Embedder, embedder_files, load_embedder
from schemas.config import Quality
from schemas.errors import InputError

DEFAULT_HEAD = Path(__file__).parents[1] / "models" / "quality.npz"
FORMAT = "bibim-quality-1"
DECIMALS = 4
"""Decimals of a score, so that an embedder whose last bits vary gives the same decisions."""


@dataclass(frozen=True)
class Head:
    """A logistic regression over an embedding: `weights` float64 (dimensions,), `intercept`.

    `embedder` names the embedder whose vectors it was fitted on.
    """

    weights: Doubles
    intercept: float
    embedder: str
    card: dict[str, object]

    def __call__(self, vectors: Floats) -> Floats:
        """Return the probability of good text, float32 (rows,), rounded to DECIMALS.

        The sum runs dimension by dimension: the order of a matrix product, and so its last bits,
        would depend on the number of rows.
        """
        margin = np.full(len(vectors), self.intercept)
        for column, weight in enumerate(self.weights):
            margin += vectors[:, column].astype(np.float64) * weight
        probability = 1.0 / (1.0 + np.exp(-np.clip(margin, -30, 30)))
        return np.asarray(np.round(probability, DECIMALS), np.float32)


class Score:
    """Adds `quality`, float32 in [0, 1]. A text without n-grams gets 0."""

    reads: tuple[str, ...] = ("text",)
    schema = pa.schema(
        [
            pa.field("quality", pa.float32()),
            pa.field("embedding", pa.binary()),  # float16 little-endian; null unless it is kept
        ]
    )

    def __init__(self, settings: Quality, keep_embeddings: bool = False) -> None:
        """Load embedder and head. Raises InputError where either is missing or they differ."""
        self._keep = keep_embeddings
        head = load_head(head_path(settings))
        if head.embedder != settings.embedder:
            raise InputError(
                f"quality.model: the head was fitted on embedder {head.embedder!r}, the config "
                f"names {settings.embedder!r}; make one with `bibim fit quality --data FILE "
                f"--embedder {settings.embedder} --out PATH.npz` and name it as quality.model"
            )
        self._head = head
        self._embed: Embedder = load_embedder(settings.embedder, settings.device, settings.batch)
        if self._embed.dimensions != len(head.weights):
            raise InputError(
                f"quality.model: {len(head.weights)} weights for an embedding of "
                f"{self._embed.dimensions} dimensions; fit it again with `bibim fit quality`"
            )

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return `quality` for the rows of `batch`."""
        vectors = self._embed(batch.column("text"))
        quality = self._head(vectors)
        quality[~vectors.any(axis=1)] = 0
        embedding = pa.nulls(len(vectors), pa.binary())
        if self._keep:
            half = vectors.astype("<f2")
            embedding = fixed_binary(half, half.itemsize * half.shape[1]).cast(pa.binary())
        return pa.RecordBatch.from_arrays([pa.array(quality), embedding], schema=self.schema)


def head_path(settings: Quality) -> Path:
    """Return the head's file. Raises InputError where the settings have none."""
    if settings.model == DEFAULT and settings.embedder != DEFAULT:
        raise InputError(
            f"quality.model: `default` belongs to `embedder: default`; for {settings.embedder!r} "
            f"make a head with `bibim fit quality --data FILE --embedder {settings.embedder} "
            "--out PATH.npz` and name it"
        )
    path = DEFAULT_HEAD if settings.model == DEFAULT else Path(settings.model)
    if not path.is_file():
        raise InputError(
            f"quality.model: {path}: no such file; write `default`, or make one with "
            "`bibim fit quality --data FILE --out PATH.npz`"
        )
    return path


def model_files(settings: Quality) -> list[Path]:
    """Return the files whose content decides the scores: the head, and a local embedder's."""
    return [head_path(settings), *embedder_files(settings.embedder)]


def save_head(head: Head, path: Path) -> None:
    """Write a head as `.npz`; equal heads make equal bytes."""
    card = {"format": FORMAT, "embedder": head.embedder, **head.card}
    write_npz(
        path,
        {
            "weights": head.weights.astype(np.float64),
            "intercept": np.array([head.intercept]),
            "card": np.frombuffer(
                json.dumps(card, ensure_ascii=False, sort_keys=True).encode(), np.uint8
            ),
        },
    )


def load_head(path: Path) -> Head:
    """Read a head. Raises InputError where the file is missing or is not a head."""
    arrays = read_npz(path)
    try:
        card = json.loads(arrays["card"].tobytes())
        if card["format"] != FORMAT:
            raise ValueError(f"format {card['format']!r}, this version reads {FORMAT!r}")
        return Head(
            arrays["weights"].astype(np.float64),
            float(arrays["intercept"][0]),
            str(card["embedder"]),
            card,
        )
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(
            f"{path}: not a quality head ({error}); make one with `bibim fit quality`"
        ) from None


def compile_kernels() -> None:
    """Compile (or load from the cache) the kernels of the default embedder."""
    from filters.quality.embedding import compile_kernels as compile_embedding

    compile_embedding()
