"""Text embeddings: a default without download, or any sentence-transformers model.

The default hashes character and word n-grams to rows of a small learned table (int8, part of the
package, see models/embedding.md), adds the rows and scales the sum to length one. The sums are
whole numbers in int32, and a bounded part of a document is read, so they cannot overflow: the
embedding of a document is the same to the bit, alone or in a batch, on any machine. torch is
imported only when a sentence-transformers model is made.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.columnar.arrays import Bytes, Floats, Ints, Longs
from filters.columnar.kernels import GOLDEN, bucket, buffers, kernel
from filters.columnar.npz import read_npz, write_npz
from filters.columnar.windows import SPACE_CODE, decode, fold
from schemas.errors import InputError
from schemas.extras import EMBED, needs

DEFAULT = "default"
DEFAULT_TABLE = Path(__file__).parents[1] / "models" / "embedding.npz"
FORMAT = "bibim-embedding-1"

SPAN_BYTES = 1024
SPANS = 8
"""Of a document of more than SPANS · SPAN_BYTES bytes so many evenly spaced spans are read."""

_IDS_PER_CHAR = 5  # two n-grams and, at a word's end, two words: an upper bound
_FAMILY = (0x51ED270B3A1F4E5D, 0x2545F4914F6CDD1D, 0x6C62272E07BB0142, 0x1B873593CC9E2D51)
_NEWLINE = 10


class Embedder(Protocol):
    """Texts in, unit vectors out."""

    name: str
    dimensions: int

    def __call__(self, text: pa.Array) -> Floats:
        """Return float32 (rows, dimensions); a text without n-grams is the zero vector."""
        ...


@dataclass(frozen=True)
class Table:
    """Rows of the embedding: `codes` int8 (2**bits, dimensions), and a card."""

    codes: npt.NDArray[np.int8]
    card: dict[str, object]

    @property
    def bits(self) -> int:
        return int(self.codes.shape[0]).bit_length() - 1


def load_embedder(name: str = DEFAULT, device: str = "auto", batch: int = 256) -> Embedder:
    """Return the embedder called `name`.

    `name`: `default`, a table that `filters.fit.embedding` wrote (`*.npz`), or a
    sentence-transformers model by name or path. `device` (`cpu`, `cuda`, …, or `auto`: a GPU where
    there is one) and `batch` (texts at once) apply to such a model; a table runs on the CPU. Raises
    InputError with the remedy where a file or a package is missing.
    """
    if is_table(name):
        return HashedEmbedder(load_table(DEFAULT_TABLE if name == DEFAULT else Path(name)))
    return SentenceEmbedder(name, device, batch)


def is_table(name: str) -> bool:
    """Return whether `name` is a table, which needs no torch, and not a model."""
    return name == DEFAULT or name.endswith(".npz")


def embedder_files(name: str) -> list[Path]:
    """Return the local files of the embedder, whose content decides its values."""
    if name == DEFAULT:
        return [DEFAULT_TABLE]
    path = Path(name)
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
    return [path] if path.is_file() else []


class HashedEmbedder:
    """The default embedder."""

    def __init__(self, table: Table) -> None:
        self.name = DEFAULT
        self.dimensions = int(table.codes.shape[1])
        self._table = table

    def __call__(self, text: pa.Array) -> Floats:
        """Return float32 (rows, dimensions), each row of length one (or zero, if empty)."""
        ids, begins = ngrams(text, self._table.bits)
        whole = np.zeros((len(text), self.dimensions), np.int32)
        _add_rows(ids, begins, self._table.codes, whole)
        sums = whole.astype(np.float64)
        length = np.sqrt((sums * sums).sum(axis=1, keepdims=True))  # exact: whole numbers
        return np.asarray(sums / np.maximum(length, 1.0), np.float32)


class SentenceEmbedder:
    """A sentence-transformers model; long texts are truncated to the model's maximum."""

    def __init__(self, name: str, device: str = "auto", batch: int = 256) -> None:
        with needs(EMBED, f"quality.embedder: {name!r}", "write `embedder: default`"):
            from sentence_transformers import SentenceTransformer
        try:
            self._model: Any = SentenceTransformer(
                name, device=None if device == "auto" else device
            )
        except (OSError, ValueError) as error:
            raise InputError(
                f"quality.embedder: {name!r} cannot be loaded ({str(error).splitlines()[0]}); "
                "name a sentence-transformers model or a folder that holds one"
            ) from None
        self.name = name
        self.dimensions = int(self._model.get_sentence_embedding_dimension())
        self._batch = batch

    def __call__(self, text: pa.Array) -> Floats:
        """Return float32 (rows, dimensions). `encode` sorts texts by length."""
        return np.asarray(
            self._model.encode(
                ["" if value is None else value for value in text.to_pylist()],
                batch_size=self._batch,
                normalize_embeddings=True,
                show_progress_bar=False,
                convert_to_numpy=True,
            ),
            np.float32,
        ).reshape(len(text), self.dimensions)


def save_table(table: Table, path: Path) -> None:
    """Write a table as `.npz`; equal tables make equal bytes."""
    card = json.dumps({"format": FORMAT, **table.card}, ensure_ascii=False, sort_keys=True)
    write_npz(path, {"codes": table.codes, "card": np.frombuffer(card.encode(), np.uint8)})


def load_table(path: Path) -> Table:
    """Read a table. Raises InputError where the file is missing or is not such a table."""
    arrays = read_npz(path)
    try:
        card = json.loads(arrays["card"].tobytes())
        table = Table(np.ascontiguousarray(arrays["codes"], np.int8), card)
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: not an embedding table ({error})") from None
    if card.get("format") != FORMAT or 1 << table.bits != table.codes.shape[0]:
        raise InputError(f"{path}: format {card.get('format')!r}; this version reads {FORMAT!r}")
    return table


def ngrams(text: pa.Array, bits: int) -> tuple[Ints, Longs]:
    """Return the buckets of all n-grams, int32, and the offsets of each text's (rows + 1).

    N-grams are three and five characters across white space (a line end is a character of its own),
    words and pairs of words, each family with its own hash seed. At most SPANS · SPAN_BYTES bytes
    of a text are read.
    """
    data, offsets = buffers(text)
    seen = np.minimum(np.diff(offsets), SPANS * SPAN_BYTES) + 2 * SPANS
    ids = np.zeros(int(seen.sum()) * _IDS_PER_CHAR, np.int32)
    begins = np.zeros(len(text) + 1, np.int64)
    _ngrams(data, offsets, bits, ids, begins)
    return ids[: begins[-1]], begins


def compile_kernels() -> None:
    """Compile (or load from the cache) the kernels of this module."""
    HashedEmbedder(Table(np.zeros((1 << 10, 1), np.int8), {}))(
        pa.array(["가 a"], pa.large_string())
    )


@kernel
def _fold_span(data: Bytes, start: int, end: int, chars: Ints) -> int:
    """Fold a span into `chars`, one white space between words; return the characters written."""
    count = 0
    at = start
    previous = SPACE_CODE
    before = SPACE_CODE
    while at < end:
        raw, at = decode(data, at, end)
        code = _NEWLINE if raw == _NEWLINE else fold(raw)
        if code == _NEWLINE and previous == SPACE_CODE and count > 0:
            chars[count - 1] = _NEWLINE
            previous = _NEWLINE
            continue
        if code == 0 or (code in (SPACE_CODE, _NEWLINE) and previous in (SPACE_CODE, _NEWLINE)):
            continue
        if code == previous and code == before:
            continue
        chars[count] = code
        count += 1
        before = previous
        previous = code
    return count


@kernel
def _hash_span(chars: Ints, count: int, bits: int, ids: Ints, used: int) -> int:
    """Append the buckets of a folded span's n-grams to `ids` from `used` on; return the new end."""
    shift = 64 - bits
    word = np.uint64(_FAMILY[2])
    last = np.uint64(0)
    inside = False
    for first in range(count):
        state = np.uint64(_FAMILY[0])
        if first + 3 <= count:
            for at in range(first, first + 3):
                state = (state ^ np.uint64(chars[at])) * GOLDEN
            ids[used] = bucket(state, shift)
            used += 1
        if first + 5 <= count:
            state ^= np.uint64(_FAMILY[1])
            for at in range(first + 3, first + 5):
                state = (state ^ np.uint64(chars[at])) * GOLDEN
            ids[used] = bucket(state, shift)
            used += 1
        code = chars[first]
        space = code in (SPACE_CODE, _NEWLINE)
        if not space:
            word = (word ^ np.uint64(code)) * GOLDEN
            inside = True
        if inside and (space or first == count - 1):
            ids[used] = bucket(word, shift)
            used += 1
            if last != 0:
                pair = (word * np.uint64(3)) ^ last ^ np.uint64(_FAMILY[3])
                ids[used] = bucket(pair, shift)
                used += 1
            last = word
            word = np.uint64(_FAMILY[2])
            inside = False
    return used


@kernel
def _ngrams(
    data: Bytes,
    offsets: Longs,
    bits: int,
    ids: Ints,
    begins: Longs,
) -> None:
    chars = np.zeros(SPANS * SPAN_BYTES + 2, np.int32)
    used = 0
    for row in range(offsets.size - 1):
        begin = offsets[row]
        end = offsets[row + 1]
        size = end - begin
        if size <= SPANS * SPAN_BYTES:
            count = _fold_span(data, begin, end, chars)
            used = _hash_span(chars, count, bits, ids, used)
        else:
            for span in range(SPANS):
                start = begin + (size - SPAN_BYTES) * span // (SPANS - 1)
                stop = start + SPAN_BYTES
                while start < stop and data[start] & 0xC0 == 0x80:  # inside a character
                    start += 1
                while stop < end and data[stop] & 0xC0 == 0x80:
                    stop += 1
                count = _fold_span(data, start, stop, chars)
                used = _hash_span(chars, count, bits, ids, used)
        begins[row + 1] = used


@kernel
def _add_rows(ids: Ints, begins: Longs, codes: npt.NDArray[np.int8], sums: Ints) -> None:
    """Add to `sums` int32 (rows, dimensions) the rows of `codes` that each text's ids name."""
    for row in range(begins.size - 1):
        for at in range(begins[row], begins[row + 1]):
            bucket = ids[at]
            for column in range(sums.shape[1]):
                sums[row, column] += codes[bucket, column]
