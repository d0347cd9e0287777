"""The network of the small transformer, in torch: encoder layers over sums of n-gram rows.

This module imports without torch; its functions need it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from filters.columnar.arrays import Floats, Longs
from filters.toxicity.tokens import MAX_TOKENS, Tokens, ranges

INITIAL = 0.3
"""Root mean square of the table's numbers before training."""


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


def make_network(shape: Shape) -> Any:
    """Return the network, a `torch.nn.Module`, with random weights."""
    return _network_class(shape, _layer_class(shape))()


def _layer_class(shape: Shape) -> Any:
    """Return the class of one encoder layer: attention, then a feed-forward part, pre-normed."""
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

        def forward(self, x: Any, present: Any) -> Any:
            rows, tokens, width = x.shape
            heads = (rows, tokens, 3, shape.heads, width // shape.heads)
            q, k, v = self.mix(self.before(x)).view(heads).permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=present)
            x = x + self.drop(self.join(mixed.transpose(1, 2).reshape(rows, tokens, width)))
            return x + self.drop(self.narrow(functional.gelu(self.wide(self.middle(x)))))

    return Layer


def _network_class(shape: Shape, layer: Any) -> Any:
    import torch
    from torch import nn
    from torch.nn import functional

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            width = shape.width
            self.bag = nn.EmbeddingBag(1 << shape.bits, width, mode="sum")
            nn.init.normal_(self.bag.weight, std=INITIAL)
            self.first = nn.LayerNorm(width)
            self.place = nn.Parameter(0.1 * torch.randn(MAX_TOKENS, width))
            self.hidden = nn.Parameter(0.1 * torch.randn(width))
            self.layers = nn.ModuleList(layer() for _ in range(shape.layers))
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

        def encode(self, words: Any, position: Any, present: Any) -> Any:
            """Return (rows, tokens, width); the arguments are as `gather` returns them."""
            x = words.new_zeros((*present.shape, shape.width))
            x[present] = words
            x = x + self.place[position]
            mask = present[:, None, None, :]
            for encoder in self.layers:
                x = encoder(x, mask)
            return self.last(x)

        def forward(self, words: Any, position: Any, present: Any, prior: Any) -> Any:
            """Return logits (rows, outputs); `prior`: the n-gram model's logit (rows,)."""
            x = self.encode(words, position, present)
            inside = present[:, :, None]
            mean = (x * inside).sum(1) / inside.sum(1).clamp(min=1)
            top = x.masked_fill(~inside, -1e4).amax(1)
            pooled = functional.gelu(self.inner(self.drop(torch.cat([mean, top], 1))))
            return self.out(self.drop(pooled)) + prior[:, None] * self.prior

    return Network


def gather(tokens: Tokens, rows: Longs) -> tuple[Any, Any, Any, Any]:
    """Return the tensors (ids, begins, position, present) of some rows, each of which has a token.

    `ids`: buckets of all tokens; `begins`: where those of each token begin; `position` and
    `present` (rows, tokens): number of the token in its row, and whether the row has it.
    """
    import torch

    counts = tokens.rows[rows + 1] - tokens.rows[rows]
    positions = np.arange(int(counts.max()))
    present = positions[None, :] < counts[:, None]
    which = (tokens.rows[rows][:, None] + positions[None, :])[present]
    starts = tokens.begins[which]
    sizes = tokens.begins[which + 1] - starts
    begins = np.cumsum(sizes) - sizes
    return (
        torch.from_numpy(tokens.ids[ranges(starts, sizes)]),
        torch.from_numpy(begins.astype(np.int32)),
        torch.from_numpy(np.broadcast_to(positions, present.shape).copy()),
        torch.from_numpy(present),
    )
