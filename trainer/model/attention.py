"""Attention, and its mask when it does not cross document boundaries.

The documents of a sequence follow one another, so a position attends from its document's first
position to itself. On a CPU the mask is a table of all pairs for `scaled_dot_product_attention`.
On a GPU such a table (1 GiB at 32,768 positions) would rule out the fast kernels: there it is a
table of blocks for `flex_attention`, which skips blocks of other documents and evaluates pairs only
in those that a boundary or the diagonal crosses.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # the name that everybody gives it
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

Mask = Tensor | BlockMask | None
"""Bool [batch, 1, positions, positions], blocks, or None: all earlier positions."""
BLOCK = 128


def document_mask(document: Tensor) -> Mask:
    """Return the mask of attention within documents.

    `document`: [batch, positions], the document of each position.
    """
    first = first_positions(document)
    return blocks_from(first) if document.is_cuda else pairs_from(first)


def first_positions(document: Tensor) -> Tensor:
    """Return for each position the first one of its document, [batch, positions]."""
    places = torch.arange(document.shape[1], device=document.device).expand_as(document)
    begins = F.pad(document[:, 1:] != document[:, :-1], (1, 0), value=True)
    return torch.where(begins, places, 0).cummax(dim=1).values


def pairs_from(first: Tensor) -> Tensor:
    """Return bool [batch, 1, positions, positions]: from `first` of a position to itself."""
    places = torch.arange(first.shape[1], device=first.device)
    return ((places <= places[:, None]) & (places >= first[:, :, None]))[:, None]


def blocks_from(first: Tensor) -> BlockMask:
    """Return the same mask as blocks of 128 positions, each attended in full or in part."""
    length = first.shape[1]
    begins = torch.arange(0, length, BLOCK, device=first.device)
    number = torch.arange(len(begins), device=first.device)
    lowest = first[:, begins] // BLOCK
    highest = first[:, (begins + BLOCK - 1).clamp(max=length - 1)]
    seen = (number >= lowest[:, :, None]) & (number <= number[:, None])
    whole = seen & (number < number[:, None]) & (begins >= highest[:, :, None])

    def pairs(batch: Tensor, head: Tensor, position: Tensor, other: Tensor) -> Tensor:
        return (other <= position) & (other >= first[batch, position])

    return BlockMask.from_kv_blocks(
        *_listed(seen & ~whole),
        *_listed(whole),
        BLOCK_SIZE=BLOCK,
        mask_mod=pairs,
        seq_lengths=(length, length),
    )


def _listed(chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Return the number of chosen blocks per row of blocks, and their numbers first."""
    order = chosen.int().argsort(dim=-1, descending=True, stable=True)
    return chosen.sum(-1, dtype=torch.int32)[:, None], order.to(torch.int32)[:, None]


@cache
def _compiled() -> Any:
    return torch.compile(flex_attention, dynamic=False)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Mask) -> Tensor:
    """Return the attention of `q` [batch, heads, positions, head_dim] to `k` and `v`.

    `k` and `v` may have fewer heads. Without a mask several positions attend causally, and a single
    one to all.
    """
    grouped = q.shape[1] != k.shape[1]
    if isinstance(mask, BlockMask):
        kernel = _compiled() if q.is_cuda else flex_attention
        out: Tensor = kernel(q, k, v, block_mask=mask, enable_gqa=grouped)
        return out
    causal = mask is None and q.shape[2] > 1
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=grouped
    )
