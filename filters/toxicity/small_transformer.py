"""A small transformer over words, for windows in Hangul: the slow, better toxicity model.

The tokens are words made of hashed n-grams (`filters/toxicity/tokens.py`). On top are a few encoder
layers, the mean and the maximum over the tokens, and the logit of an n-gram model
(`filters/toxicity/ngram_model.py`) that the same folder holds. Windows that are not in Hangul get
that model's probability alone.

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

from filters.columnar.arrays import Floats, Ints
from filters.columnar.npz import read_npz, write_npz
from filters.toxicity import ngram_model
from filters.toxicity.network import Shape, gather, make_network
from filters.toxicity.ngram_model import NgramModel
from filters.toxicity.tokens import Tokens, tokenise
from schemas.errors import InputError
from schemas.extras import TORCH, needs

FORMAT = "bibim-transformer-1"
WEIGHTS, NGRAM, CARD = "transformer.npz", "ngram.npz", "card.md"
LOGIT_BOUND = 6.0
"""The n-gram model's logit is clipped to ± this before the network reads it."""


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
        probability = ngram_probability(self._model.ngram, windows)
        here = np.flatnonzero(np.asarray(kind) == 0)
        prior = bounded_logit(probability[here])
        tokens = tokenise(windows.take(pa.array(here)), self._model.shape.bits)
        out = outputs(self._network, tokens, prior, self._device)
        margin = out @ self._model.slope[:-1] + self._model.slope[-1] * prior + self._model.offset
        has = tokens.lengths() > 0
        probability[here[has]] = (1 / (1 + np.exp(-margin.astype(np.float64))))[has]
        return probability


def ngram_probability(model: NgramModel, windows: pa.Array) -> Floats:
    """Return the n-gram model's probability of each window."""
    return model.score(windows)[0]


def bounded_logit(probability: npt.NDArray[Any]) -> Floats:
    """Return log(p / (1 - p)) within ± LOGIT_BOUND."""
    low = 1 / (1 + np.exp(LOGIT_BOUND))
    clipped = np.clip(probability.astype(np.float64), low, 1 - low)
    return np.asarray(np.log(clipped / (1 - clipped)), np.float32)


def outputs(network: Any, tokens: Tokens, prior: Floats, device: str = "cpu") -> Floats:
    """Return the network's outputs, float32 (rows, outputs); 0 for rows without a token."""
    import torch

    lengths = tokens.lengths()
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    logits = np.zeros((len(lengths), network.out.out_features), np.float32)
    network.eval()
    with torch.inference_mode():
        for at in range(0, len(order), 256):
            rows = order[at : at + 256]
            ids, begins, position, present = (part.to(device) for part in gather(tokens, rows))
            before = torch.from_numpy(prior[rows]).to(device)
            logits[rows] = (
                network(network.embed(ids, begins), position, present, before).cpu().numpy()
            )
    return logits


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
    """Read a model. Raises InputError where a file is missing or is not of this format."""
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
