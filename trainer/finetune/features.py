"""The input of a classifier's head: a text's hidden states, pooled.

The texts of a batch are packed into rows, and each attends to itself alone. So there is little
padding, and because rotary positions are relative the states are those of the text alone. Layers
that are not tuned are computed once per text (`enter`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F  # noqa: N812  # the name that everybody gives it
from torch import Tensor, nn

from schemas.errors import InputError
from trainer.model.model import Decoder, rotary

Pooling = Literal["mean", "last"]
ROW = 64
"""Tokens of a row unless a text is longer: the cost of attention is quadratic in the row."""


@dataclass(frozen=True)
class Features:
    """The features of a batch of texts."""

    z: Tensor
    """[texts, dim]: the input of the head."""
    states: tuple[Tensor, ...]
    """States after each tuned layer, [tokens, dim], text after text."""
    owner: Tensor
    """[tokens]: the text of each token."""


class Backbone(Protocol):
    """A feature extractor: an `nn.Module` with these two methods."""

    dim: int

    def enter(self, texts: Sequence[Tensor]) -> list[Tensor]:
        """Return the input of the tuned part for each text; computed once, without gradient."""
        ...

    def __call__(self, inputs: Sequence[Tensor]) -> Features:
        """Return the features of texts that have been through `enter`."""
        ...


def pool(states: Tensor, owner: Tensor, texts: int, pooling: Pooling) -> Tensor:
    """Return [texts, dim] of states [tokens, dim], text after text: their mean, or the last."""
    counts = torch.bincount(owner, minlength=texts)
    if pooling == "last":
        return states[counts.cumsum(0) - 1]
    sums = states.new_zeros(texts, states.shape[1]).index_add(0, owner, states)
    return sums / counts[:, None].to(states.dtype)


class SeenRows(nn.Module):
    """An embedding of which only the rows that occur are tuned.

    The others have no gradient, so the optimiser skips them. That is exact except for a decay
    towards zero, which here acts on the rows that occur only.
    """

    def __init__(self, table: Tensor, seen: Tensor) -> None:
        """`table`: [vocabulary, dim]; `seen`: the ids that occur."""
        super().__init__()
        place = torch.full((len(table),), -1)
        place[seen] = torch.arange(len(seen))
        self.table: Tensor
        self.place: Tensor
        self.register_buffer("table", table.detach())
        self.register_buffer("place", place)
        self.rows = nn.Parameter(table.detach()[seen].clone())

    def forward(self, ids: Tensor) -> Tensor:
        place = self.place[ids]
        tuned = F.embedding(place.clamp(min=0), self.rows)
        return torch.where((place >= 0)[..., None], tuned, F.embedding(ids, self.table))

    def whole(self) -> Tensor:
        """Return the table with the tuned rows in it."""
        table = self.table.clone()
        table[self.place >= 0] = self.rows.detach()[self.place[self.place >= 0]]
        return table


class DecoderFeatures(nn.Module):
    """A Bibim decoder without its output layer."""

    def __init__(
        self,
        model: Decoder,
        pooling: Pooling,
        tuned_layers: int | None = None,
        seen: Tensor | None = None,
    ) -> None:
        """`tuned_layers`: number of upper layers to tune; None: all, and the rows `seen` of the
        embedding (None: all rows). The model's parts are used, not copied."""
        super().__init__()
        layers = len(model.blocks)
        if tuned_layers is not None and not 1 <= tuned_layers <= layers:
            raise InputError(f"tuned_layers: {tuned_layers}; the model has {layers} layers")
        self.dim, self.pooling = model.config.dim, pooling
        self.head_dim = model.config.dim // model.config.heads
        self.rope_base = model.rope_base
        first = 0 if tuned_layers is None else layers - tuned_layers
        self.frozen = tuned_layers is not None
        self.embed: nn.Module = model.embed
        if not self.frozen and seen is not None:
            self.embed = SeenRows(model.embed.weight, seen)
        self.lower, self.blocks = model.blocks[:first], model.blocks[first:]
        self.norm = model.norm
        for module in (self.embed, self.lower) if self.frozen else ():
            module.requires_grad_(False)

    @torch.no_grad()
    def enter(self, texts: Sequence[Tensor]) -> list[Tensor]:
        """Return the ids; if lower layers are not tuned, their output [tokens, dim]."""
        if not self.frozen:
            return list(texts)
        found = []
        for start in range(0, len(texts), 16):
            some = texts[start : start + 16]
            flat = self._through(self.lower, some)[-1]
            found += list(torch.split(flat, [len(text) for text in some]))
        return found

    def forward(self, inputs: Sequence[Tensor]) -> Features:
        flat = self._through(self.blocks, inputs)
        lengths = torch.tensor([len(text) for text in inputs], device=flat[-1].device)
        owner = torch.repeat_interleave(torch.arange(len(inputs), device=lengths.device), lengths)
        z = pool(self.norm(flat[-1]), owner, len(inputs), self.pooling)
        return Features(z, tuple(flat[1:]), owner)

    def _through(self, blocks: nn.ModuleList, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Return the states before and after each block, [tokens, dim]."""
        device = self.norm.weight.device
        rows = _rows([len(text) for text in inputs])
        packed = [torch.cat([inputs[at] for at in row]).to(device) for row in rows]
        owners = [
            torch.repeat_interleave(
                torch.arange(len(row)), torch.tensor([len(inputs[at]) for at in row])
            ).to(device)
            for row in rows
        ]
        owner = nn.utils.rnn.pad_sequence(owners, batch_first=True, padding_value=-1)
        x = nn.utils.rnn.pad_sequence(packed, batch_first=True)
        if x.dim() == 2:
            x = self.embed(x)
        length = x.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=device).tril()
        mask = ((owner[:, :, None] == owner[:, None, :]) & causal)[:, None]
        turn = rotary(torch.arange(length, device=device), self.head_dim, self.rope_base)
        real = owner >= 0
        states = [x[real]]
        for block in blocks:
            x, _ = block(x, turn, mask)
            states.append(x[real])
        return states


def _rows(lengths: Sequence[int]) -> list[list[int]]:
    """Return texts in their order, cut into rows."""
    width = max(ROW, *lengths)
    rows: list[list[int]] = [[]]
    used = 0
    for at, length in enumerate(lengths):
        if rows[-1] and used + length > width:
            rows.append([])
            used = 0
        rows[-1].append(at)
        used += length
    return rows


class HuggingFaceFeatures(nn.Module):
    """A decoder of transformers; texts are padded on the right."""

    def __init__(self, model: Any, pooling: Pooling) -> None:
        super().__init__()
        self.model, self.pooling = model, pooling
        self.dim = int(model.config.hidden_size)

    def enter(self, texts: Sequence[Tensor]) -> list[Tensor]:
        """Return the ids: everything is tuned."""
        return list(texts)

    def forward(self, inputs: Sequence[Tensor]) -> Features:
        device = next(self.parameters()).device
        ids = nn.utils.rnn.pad_sequence(list(inputs), batch_first=True).to(device)
        lengths = torch.tensor([len(text) for text in inputs], device=device)
        real = torch.arange(ids.shape[1], device=device)[None] < lengths[:, None]
        out = self.model(
            input_ids=ids, attention_mask=real.long(), output_hidden_states=True, use_cache=False
        )
        owner = torch.repeat_interleave(torch.arange(len(inputs), device=device), lengths)
        z = pool(out.last_hidden_state[real], owner, len(inputs), self.pooling)
        return Features(z, tuple(states[real] for states in out.hidden_states[1:]), owner)


def load_hf_decoder(folder: Path) -> tuple[Any, Any]:
    """Return a model of transformers without its output layer, and its tokenizer, from a folder.

    Raises InputError if transformers is not installed or the folder holds no model.
    """
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError:
        raise InputError("a Hugging Face model needs `pip install transformers`") from None
    try:
        model = AutoModel.from_pretrained(folder, local_files_only=True).float()
        return model, AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: not a model that transformers can load ({error})") from None
