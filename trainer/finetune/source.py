"""The model that a fine-tuning begins with, and texts encoded for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor, nn

from mixtures.tokenizer.tokenizer import Tokenizer
from schemas.errors import InputError
from trainer.config import TrainConfig
from trainer.export import load_model
from trainer.finetune.config import FineTuneConfig
from trainer.finetune.features import DecoderFeatures, HuggingFaceFeatures, load_hf_decoder
from trainer.finetune.samples import Sample


@dataclass(frozen=True)
class SourceModel:
    """A model to fine-tune, and its encoded samples."""

    model: Any
    backbone: nn.Module
    samples: list[Tensor]
    """Ids of the training samples."""
    others: list[Tensor]
    """Ids of the held-out samples."""
    longest: int
    """Maximum tokens of a sample."""
    base: TrainConfig | None
    """The training file of a Bibim checkpoint; None for a Hugging Face model."""


def open_source(
    config: FineTuneConfig, train: Sequence[Sample], test: Sequence[Sample], device: torch.device
) -> SourceModel:
    """Load the model, and encode the samples for it."""
    path = Path(config.checkpoint)
    cut = config.longer == "cut"
    if (path / "config.json").exists():
        model, tokenizer = load_hf_decoder(path)
        longest = min(config.tokens or 1 << 30, int(model.config.max_position_embeddings))
        end = tokenizer.eos_token_id
        if end is None:
            raise InputError(f"{path}: its tokenizer has no end symbol (eos_token)")

        def encode(texts: list[str]) -> list[list[int]]:
            ids: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
            return ids

        first, second = (encode_samples(encode, part, end, longest, cut) for part in (train, test))
        if config.tuned_layers is not None:
            raise InputError("tuned_layers: only for checkpoints of Bibim; leave it out")
        backbone: nn.Module = HuggingFaceFeatures(model, config.pooling)
        return SourceModel(model, backbone.to(device), first, second, longest, None)
    model, base = load_model(path)
    own = Tokenizer.load(Path(config.tokenizer) if config.tokenizer else base.tokenizer_path)
    if own.vocab_size != model.vocab_size:
        raise InputError(
            f"the tokenizer has {own.vocab_size} pieces, the model {model.vocab_size}; name the "
            "one of its mixture as `tokenizer`"
        )
    longest = config.tokens or model.context
    first, second = (
        encode_samples(our_encoder(own), part, own.eod_id, longest, cut) for part in (train, test)
    )
    seen = torch.unique(torch.cat(first))
    backbone = DecoderFeatures(model, config.pooling, config.tuned_layers, seen)
    return SourceModel(model, backbone.to(device), first, second, longest, base)


def encode_samples(
    encode: Callable[[list[str]], list[list[int]]],
    samples: Sequence[Sample],
    end: int,
    longest: int,
    cut: bool,
) -> list[Tensor]:
    """Return each sample's ids: its texts, each followed by `end`.

    `cut`: the texts of a sample with more than `longest` tokens are cut, all to the same length;
    otherwise such a sample raises InputError, which names its line.
    """
    parts = [encode(list(texts)) for texts in zip(*(s.texts for s in samples), strict=True)]
    found = []
    for sample, ids in zip(samples, zip(*parts, strict=True), strict=True):
        length = sum(map(len, ids)) + len(ids)
        if length > longest and not cut:
            raise InputError(
                f"{sample.place}: {length} tokens, the model sees {longest}; shorten it, or set "
                "`longer: cut`"
            )
        room = longest // len(ids) - 1 if length > longest else length
        found.append(torch.tensor([i for part in ids for i in [*part[:room], end]]))
    return found


def our_encoder(tokenizer: Tokenizer) -> Callable[[list[str]], list[list[int]]]:
    """Return the function from texts to their ids."""

    def encode(texts: list[str]) -> list[list[int]]:
        found = tokenizer.encode_batch(pa.array(texts))
        return [
            found.tokens[a:b].tolist()
            for a, b in zip(found.offsets, found.offsets[1:], strict=False)
        ]

    return encode
