"""A small transformer over words, for windows in Hangul: the slow, better toxicity model.

A window's words (long ones in parts of PART_CHARS characters) are the tokens. A token is the sum
of learned rows for its hashed n-grams, so that no vocabulary is needed and informal spelling stays
near the usual one: characters by 1 to 4 with the word's edges, syllables without their
final consonant by 1 to 3, and the whole word. On top stand a few encoder layers, the mean and the
maximum over the tokens, and beside them the logit of an n-gram model
(`filters/toxicity/ngram_model.py`)
that the same folder holds. Windows that are not in Hangul get that model's probability alone.

A folder holds `transformer.npz`, `ngram.npz` and `card.md`; `bibim fit toxicity --transformer`
writes it. torch is imported when a model is made, not before.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.columnar.arrays import Bytes, Floats, Ints, Longs
from filters.columnar.kernels import GOLDEN, bucket, kernel
from filters.columnar.npz import read_npz, write_npz
from filters.columnar.windows import MAX_CHARS, SPACE_CODE, read_window, utf8_buffers
from filters.toxicity import ngram_model
from filters.toxicity.ngram_model import NgramModel
from schemas.errors import InputError
from schemas.extras import TORCH, needs

FORMAT = "bibim-transformer-1"
WEIGHTS, NGRAM, CARD = "transformer.npz", "ngram.npz", "card.md"
MAX_TOKENS = 64
PART_CHARS = 5
INITIAL = 0.3
"""Root mean square of the table's numbers before training."""
LOGIT_BOUND = 6.0
"""The n-gram model's logit is cut here before the head sees it."""

_IDS_PER_CHAR = 8  # 4 n-grams of characters, 3 of open syllables, the word: an upper bound
_FAMILY = (0x3C6EF372FE94F82B, 0x5BE0CD19137E2179, 0x1F83D9ABFB41BD6B)


@dataclass(frozen=True)
class Shape:
    """Sizes of a model: 2**`bits` rows of `width` numbers, `layers` layers of `heads` heads.

    `outputs`: label first, then what training adds (`filters/fit/transformer.py`).
    """

    bits: int = 16
    width: int = 128
    layers: int = 2
    heads: int = 4
    outputs: int = 1


@dataclass(frozen=True)
class Tokens:
    """Tokens of texts: `ids` of all n-grams, `begins` by token (and end), `rows` by text."""

    ids: Ints
    begins: Longs
    rows: Longs

    def lengths(self) -> Longs:
        """Return how many tokens each text has."""
        return np.diff(self.rows)

    def take(self, rows: Longs) -> Tokens:
        """Return the tokens of some texts."""
        counts = self.lengths()[rows]
        which = _ranges(self.rows[rows], counts)
        sizes = np.diff(self.begins)[which]
        return Tokens(
            self.ids[_ranges(self.begins[which], sizes)],
            np.concatenate([[0], np.cumsum(sizes)]),
            np.concatenate([[0], np.cumsum(counts)]),
        )


def _ranges(starts: Longs, counts: Longs) -> Longs:
    """Return start, start + 1 … (count numbers) of each start, one after another."""
    before = np.cumsum(counts) - counts
    return np.asarray(np.arange(int(counts.sum())) + np.repeat(starts - before, counts), np.int64)


def tokenise(text: pa.Array, bits: int) -> Tokens:
    """Return the tokens of texts, each one window of at most MAX_CHARS characters."""
    data, offsets = utf8_buffers(text)
    chars = int(np.minimum(np.diff(offsets), 4 * MAX_CHARS).sum()) + 3 * len(text)
    ids = np.zeros(chars * _IDS_PER_CHAR, np.int32)
    begins = np.zeros(chars + 1, np.int64)
    rows = np.zeros(len(text) + 1, np.int64)
    _tokenise(data, offsets, bits, ids, begins, rows)
    used = begins[: rows[-1] + 1].copy()
    return Tokens(ids[: used[-1]].copy(), used, rows)


def make_network(shape: Shape) -> Any:
    """Return the network, a `torch.nn.Module`, with random weights."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            width = shape.width
            self.before, self.middle = nn.LayerNorm(width), nn.LayerNorm(width)
            self.mix, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
            self.drop = nn.Dropout(0.1)

        def forward(self, x: Any, seen: Any) -> Any:
            rows, tokens, width = x.shape
            heads = (rows, tokens, 3, shape.heads, width // shape.heads)
            q, k, v = self.mix(self.before(x)).view(heads).permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
            x = x + self.drop(self.join(mixed.transpose(1, 2).reshape(rows, tokens, width)))
            return x + self.drop(self.narrow(functional.gelu(self.wide(self.middle(x)))))

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            width = shape.width
            self.bag = nn.EmbeddingBag(1 << shape.bits, width, mode="sum")
            nn.init.normal_(self.bag.weight, std=INITIAL)
            self.first = nn.LayerNorm(width)
            self.place = nn.Parameter(0.1 * torch.randn(MAX_TOKENS, width))
            self.hidden = nn.Parameter(0.1 * torch.randn(width))
            self.layers = nn.ModuleList(Layer() for _ in range(shape.layers))
            self.last = nn.LayerNorm(width)
            self.drop = nn.Dropout(0.2)
            self.inner = nn.Linear(2 * width, width)
            self.out = nn.Linear(width, shape.outputs)
            self.prior = nn.Parameter(torch.ones(shape.outputs) * 0.5)

        def start_from(self, table: Floats) -> None:
            """Take a learned table for the n-grams, scaled as the random one is."""
            scaled = table * (INITIAL / np.sqrt(np.square(table).mean()))
            self.bag.weight.data = torch.from_numpy(scaled.astype(np.float32))

        def embed(self, ids: Any, begins: Any) -> Any:
            """Return (tokens, width): the scaled sums of each token's rows."""
            return self.first(self.bag(ids, begins))

        def encode(self, words: Any, place: Any, seen: Any) -> Any:
            """Return (rows, tokens, width). `place` and `seen`: (rows, tokens)."""
            x = words.new_zeros((*seen.shape, shape.width))
            x[seen] = words
            x = x + self.place[place]
            mask = seen[:, None, None, :]
            for layer in self.layers:
                x = layer(x, mask)
            return self.last(x)

        def forward(self, words: Any, place: Any, seen: Any, prior: Any) -> Any:
            """Return logits (rows, outputs); `prior`: the n-gram model's logit (rows,)."""
            x = self.encode(words, place, seen)
            inside = seen[:, :, None]
            mean = (x * inside).sum(1) / inside.sum(1).clamp(min=1)
            top = x.masked_fill(~inside, -1e4).amax(1)
            pooled = functional.gelu(self.inner(self.drop(torch.cat([mean, top], 1))))
            return self.out(self.drop(pooled)) + prior[:, None] * self.prior

    return Network()


def gather(tokens: Tokens, rows: Longs) -> tuple[Any, Any, Any, Any]:
    """Return tensors of some rows: ids, where each token begins, place and seen (rows, tokens).

    Every row must have a token.
    """
    import torch

    counts = tokens.rows[rows + 1] - tokens.rows[rows]
    places = np.arange(int(counts.max()))
    seen = places[None, :] < counts[:, None]
    which = (tokens.rows[rows][:, None] + places[None, :])[seen]
    starts = tokens.begins[which]
    sizes = tokens.begins[which + 1] - starts
    begins = np.cumsum(sizes) - sizes
    return (
        torch.from_numpy(tokens.ids[_ranges(starts, sizes)]),
        torch.from_numpy(begins.astype(np.int32)),
        torch.from_numpy(np.broadcast_to(places, seen.shape).copy()),
        torch.from_numpy(seen),
    )


@kernel
def _open(code: int) -> int:
    """Return a syllable without its final consonant; other characters as they are."""
    if 0xAC00 <= code <= 0xD7A3:
        return code - (code - 0xAC00) % 28
    return code


@kernel
def _part(
    chars: Ints, word: int, end: int, first: int, last: int, bits: int, ids: Ints, used: int
) -> int:
    """Append the buckets of the part [first, last) of the word [word, end); return the new end.

    chars[word - 1] and chars[end] are the white space around the word.
    """
    shift = 64 - bits
    whole = np.uint64(_FAMILY[2])
    for at in range(word, end):
        whole = (whole ^ np.uint64(chars[at])) * GOLDEN
    ids[used] = bucket(whole, shift)
    used += 1
    for start in range(first - 1 if first == word else first, last):
        state = np.uint64(_FAMILY[0])
        for at in range(start, min(start + 4, end + 1)):
            state = (state ^ np.uint64(chars[at])) * GOLDEN
            if at > start or start >= word:
                ids[used] = bucket(state, shift)
                used += 1
        if start < word:
            continue
        state = np.uint64(_FAMILY[1])
        for at in range(start, min(start + 3, end)):
            state = (state ^ np.uint64(_open(chars[at]))) * GOLDEN
            ids[used] = bucket(state, shift)
            used += 1
    return used


@kernel
def _tokenise(
    data: Bytes, offsets: Longs, bits: int, ids: Ints, begins: Longs, rows: Longs
) -> None:
    chars = np.zeros(MAX_CHARS + 3, np.int32)
    used = 0
    token = 0
    for row in range(offsets.size - 1):
        _, count = read_window(
            data, offsets[row], offsets[row + 1], MAX_CHARS, MAX_CHARS, MAX_CHARS, chars
        )
        first_token = token
        word = 1
        while word < count - 1 and token - first_token < MAX_TOKENS:
            end = word
            while chars[end] != SPACE_CODE:
                end += 1
            parts = (end - word + PART_CHARS - 1) // PART_CHARS
            for part in range(parts):
                if token - first_token == MAX_TOKENS:
                    break
                first = word + (end - word) * part // parts
                last = word + (end - word) * (part + 1) // parts
                used = _part(chars, word, end, first, last, bits, ids, used)
                token += 1
                begins[token] = used
            word = end + 1
        rows[row + 1] = token


@dataclass(frozen=True)
class SmallModel:
    """A trained model: weights by name, the n-gram model beside it, and the last curve.

    The probability is logistic(`offset` + `slope` · [outputs of the network, the n-gram model's
    logit]); `slope` is float32 (outputs + 1,).
    """

    shape: Shape
    weights: dict[str, Floats]
    slope: Floats
    offset: float
    ngram: NgramModel
    card: dict[str, object]


class SmallClassifier:
    """Scores windows with a `SmallModel`."""

    def __init__(self, model: SmallModel, device: str = "auto") -> None:
        import torch

        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = model
        self._device = device
        network = make_network(model.shape)
        network.load_state_dict({k: torch.from_numpy(v) for k, v in model.weights.items()})
        self._network = network.eval().to(device)

    def __call__(self, windows: pa.Array, kind: Ints) -> Floats:
        """Return float32 (rows,). `kind`: 0 where a window is in Hangul, else 1."""
        chance = chances(self._model.ngram, windows)
        here = np.flatnonzero(np.asarray(kind) == 0)
        prior = bounded_logit(chance[here])
        tokens = tokenise(windows.take(pa.array(here)), self._model.shape.bits)
        out = outputs(self._network, tokens, prior, self._device)
        margin = out @ self._model.slope[:-1] + self._model.slope[-1] * prior + self._model.offset
        has = tokens.lengths() > 0
        chance[here[has]] = (1 / (1 + np.exp(-margin.astype(np.float64))))[has]
        return chance


def chances(model: NgramModel, windows: pa.Array) -> Floats:
    """Return the n-gram model's probability of each window."""
    return model.score(windows)[0]


def bounded_logit(chance: npt.NDArray[Any]) -> Floats:
    """Return log(p / (1 - p)) within ± LOGIT_BOUND."""
    least = 1 / (1 + np.exp(LOGIT_BOUND))
    clipped = np.clip(chance.astype(np.float64), least, 1 - least)
    return np.asarray(np.log(clipped / (1 - clipped)), np.float32)


def outputs(network: Any, tokens: Tokens, prior: Floats, device: str = "cpu") -> Floats:
    """Return the network's outputs, float32 (rows, outputs); 0 for rows without a token."""
    import torch

    lengths = tokens.lengths()
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    found = np.zeros((len(lengths), network.out.out_features), np.float32)
    network.eval()
    with torch.inference_mode():
        for at in range(0, len(order), 256):
            rows = order[at : at + 256]
            ids, begins, place, seen = (part.to(device) for part in gather(tokens, rows))
            before = torch.from_numpy(prior[rows]).to(device)
            found[rows] = network(network.embed(ids, begins), place, seen, before).cpu().numpy()
    return found


def save(model: SmallModel, folder: Path) -> None:
    """Write the two files of a model; matrices as int8 with a scale by row, all else float32."""
    arrays: dict[str, npt.NDArray[Any]] = {"slope": model.slope, "offset": np.array(model.offset)}
    for name, value in model.weights.items():
        if value.ndim == 2:
            codes, scale = quantise(value)
            arrays[f"{name}:codes"], arrays[f"{name}:scale"] = codes, scale
        else:
            arrays[f"{name}:plain"] = value
    card = {"format": FORMAT, "shape": asdict(model.shape), **model.card}
    arrays["card"] = np.frombuffer(
        json.dumps(card, ensure_ascii=False, sort_keys=True).encode(), np.uint8
    )
    write_npz(folder / WEIGHTS, arrays)
    ngram_model.save(model.ngram, folder / NGRAM)


def quantise(value: Floats) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float16]]:
    """Return `value` as int8 codes and a float16 scale by row."""
    top = np.abs(value).max(axis=1, keepdims=True)
    scale = np.maximum(top / 127, 1e-7).astype(np.float16)
    codes = np.clip(np.rint(value / scale.astype(np.float32)), -127, 127)
    return codes.astype(np.int8), scale


def read(folder: Path) -> SmallModel:
    """Read a model. Raises InputError where a file is missing or is none of ours."""
    arrays = read_npz(folder / WEIGHTS)
    try:
        card = json.loads(arrays["card"].tobytes())
        if card["format"] != FORMAT:
            raise ValueError(f"format {card['format']!r}, this version reads {FORMAT!r}")
        weights = {}
        for key, value in arrays.items():
            name, _, sort = key.partition(":")
            if sort == "plain":
                weights[name] = value.astype(np.float32)
            elif sort == "codes":
                scale = arrays[f"{name}:scale"].astype(np.float32)
                weights[name] = value.astype(np.float32) * scale
        return SmallModel(
            Shape(**card["shape"]),
            weights,
            arrays["slope"].astype(np.float32),
            float(arrays["offset"]),
            ngram_model.load(folder / NGRAM),
            card,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{folder}: not a small transformer ({error}); make one with "
            "`bibim fit toxicity --transformer`"
        ) from None


def load(folder: Path, device: str = "auto") -> SmallClassifier:
    """Return the classifier of a folder. Raises InputError as `read` does."""
    model = read(folder)
    try:
        with needs(TORCH, f"toxicity.model: {folder}", "write `model: default`"):
            return SmallClassifier(model, device)
    except RuntimeError as error:
        raise InputError(
            f"{folder}: its weights do not fit its shape ({str(error).splitlines()[0]}); make "
            "it again with `bibim fit toxicity --transformer`"
        ) from None


def compile_kernels() -> None:
    """Compile (or fetch from Numba's cache) the kernels, so that no batch waits for it."""
    tokenise(pa.array(["가 a"], pa.large_string()), 10)
