"""The tokenizer without a run: train from files, encode a text, compare with others.

`bibim tokenizer train|encode|stats` call these functions.
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import xxhash

from mixtures.keys import named_key
from mixtures.tokenizer.fertility import Fertility, compare
from mixtures.tokenizer.tokenizer import Tokenizer
from mixtures.tokenizer.training import Card, train_tokenizer
from pipelines.engine.context import Context
from pipelines.runners.machine import usable_cores
from pipelines.storage.files import open_input
from pipelines.storage.layout import DOCUMENTS, TOKENIZER
from pipelines.tokenize.sample import budgets, component_bytes, draw, sample_keys
from schemas.config import Tokenizer as Settings
from schemas.errors import InputError
from schemas.files import read_whole
from schemas.json_lines import read_objects, text_of
from schemas.manifest import read_manifest

MEASURED: int = 2_000_000
"""Bytes of text per component that `stats` measures."""


@dataclass(frozen=True)
class Token:
    """One token of `encode`: its id and its text (escaped bytes where they are not UTF-8)."""

    id: int
    text: str


def train_from_files(paths: Sequence[str], settings: Settings, out: Path) -> Card:
    """Train on texts of files (JSONL with a `text` field, or plain text; gzip and zstd too).

    Each file contributes an equal part of `settings.sample` bytes, drawn by a hash of the text.
    Raises InputError for a file that cannot be read.
    """
    if not paths:
        raise InputError("no file to train on; name JSONL or text files")
    budget = settings.sample // len(paths)
    texts = [text for path in paths for text in drawn(path, budget, settings.seed)]
    return train_tokenizer(texts, settings, out, workers=usable_cores())


def drawn(path: str, budget: int, seed: int) -> list[str]:
    """Return texts of `path` of about `budget` bytes: those with the smallest keys.

    Raises InputError for a file without text.
    """
    salt = int(named_key("tokenizer sample", seed))
    heap: list[tuple[int, str]] = []
    size = 0
    known: set[int] = set()
    for text in file_texts(path):
        key = xxhash.xxh3_64_intdigest(text.encode(), salt)
        if key in known or not text.strip():
            continue
        known.add(key)
        heapq.heappush(heap, (-key, text))
        size += len(text.encode())
        while len(heap) > 1 and size - len(heap[0][1].encode()) >= budget:
            size -= len(heapq.heappop(heap)[1].encode())
    if not heap:
        raise InputError(f"{path}: it holds no text to train on; check the path")
    return [text for _, text in sorted(heap, reverse=True)]


def file_texts(path: str) -> Iterator[str]:
    """Yield the texts of a JSONL or plain-text file (one text per paragraph)."""
    try:
        with open_input(path) as raw:
            if ".jsonl" in path or ".ndjson" in path:
                for number, row in read_objects(raw, "texts", path):
                    try:
                        yield text_of(row)
                    except ValueError as error:
                        raise InputError(f"{path}: line {number}: {error}") from None
            else:
                yield from read_whole(raw, "text", path).decode("utf-8").split("\n\n")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: {type(error).__name__}: {error}; JSONL needs a `text` field per line, "
            "other files UTF-8 text"
        ) from None


def encode_text(tokenizer: Tokenizer, text: str) -> list[Token]:
    """Return the tokens of `text`, each with its text."""
    return [
        Token(number, tokenizer.piece_bytes[number].decode("utf-8", "backslashreplace"))
        for number in tokenizer.encode(text)
    ]


def run_stats(
    ctx: Context, others: Mapping[str, Path], measured: int = MEASURED
) -> list[Fertility]:
    """Measure the tokenizer of a run, plain BPE of its size, and `others` (name → model file).

    Plain BPE (no morphemes) is trained here on the same sample. The measured texts are not in the
    sample, as far as the run has others. `ctx.stage` is `tokenize`. Raises InputError where
    the run has no tokenizer yet.
    """
    own = Tokenizer.load(ctx.folder(TOKENIZER))
    manifest = read_manifest(ctx.folder(DOCUMENTS))
    if manifest is None:
        raise InputError(f"{ctx.out}: no documents; run `bibim run … --out {ctx.out}` first")
    names = [shard.name for shard in manifest.shards]
    sizes = component_bytes(ctx, names)
    limits = budgets(ctx, sizes)
    sample, held_out = _texts(ctx, names, sizes, limits, measured)
    tokenizers = {"bibim": own}
    plain = ctx.config.tokenizer.model_copy(
        update={"morphemes": False, "path": None, "vocab_size": own.vocab_size}
    )
    with tempfile.TemporaryDirectory() as folder:
        train_tokenizer(sample, plain, Path(folder))
        tokenizers["plain BPE"] = Tokenizer.load(Path(folder))
    tokenizers.update({name: Tokenizer.load(path) for name, path in others.items()})
    return compare(held_out, tokenizers, workers=usable_cores())


def _texts(
    ctx: Context,
    names: Sequence[str],
    sizes: Mapping[str, int],
    limits: Mapping[str, int],
    measured: int,
) -> tuple[list[str], dict[str, list[str]]]:
    """Return the texts to train on, and those to measure on by component.

    Documents with keys below the budget's share are the sample; those above it (near the end of the
    range, those at its end) are measured.
    """
    seed = ctx.config.tokenizer.seed
    share = {name: min(1.0, limits[name] / max(1, sizes.get(name, 0))) for name in limits}
    sample: list[str] = []
    held_out: dict[str, list[str]] = {name: [] for name in sorted(limits)}
    thresholds = {name: min(2**64 - 1, int(share[name] * 2**64)) for name in limits}
    for name in names:
        for batch in ctx.read(name, ["id", "assigned", "exact_hash", "text"]):
            sample += draw(batch, thresholds, seed).column("text").to_pylist()
            keys = sample_keys(batch.column("exact_hash"), seed)
            for component in held_out:
                own = pa.array(
                    [value == component for value in batch.column("assigned").to_pylist()]
                )
                rest = measured / max(1, sizes.get(component, 0))
                low = share[component] if share[component] + rest < 1 else max(0.0, 1 - rest)
                within = (keys >= low * 2.0**64) & (keys < (low + rest) * 2.0**64)
                chosen = batch.filter(own).filter(
                    pa.array(within[own.to_numpy(zero_copy_only=False)])
                )
                held_out[component] += chosen.column("text").to_pylist()
    return sample, held_out
