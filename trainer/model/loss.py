"""The loss of the next token without ever holding all logits.

The last matrix is by far the widest: its scores for a batch would take more memory than all the
rest. They are made a chunk of positions at a time, and while a chunk is in the cache its gradient
is made too; the backward pass then only scales what is there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

IGNORE = -100
"""A target that gives no loss."""
CHUNK_BYTES = 1 << 24
"""Of scores at a time: what a processor's cache holds."""
CHUNK_BYTES_GPU = 1 << 30
"""There the products must be large, and the sum of the last matrix's gradient seldom read."""


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add `left`ᵀ · `right` to `total` (float32), summed in float32 whatever their type.

    A GPU multiplies bfloat16 on its tensor cores; on a CPU the product of the same numbers is
    made in float32, for want of such a kernel.
    """
    if left.is_cuda and left.dtype != torch.float32:
        total.copy_(torch.addmm(total, left.T, right, out_dtype=torch.float32))
    else:
        total.addmm_(left.T.float(), right.float())


class _NextTokenLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, z_loss: float, wanted: bool
    ) -> Tensor:
        size = CHUNK_BYTES_GPU if hidden.is_cuda else CHUNK_BYTES
        rows = max(64, size // (4 * weight.shape[0]))
        own = weight.to(hidden.dtype)
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        d_hidden = torch.empty_like(hidden) if wanted else None
        d_weight = torch.zeros_like(weight, dtype=torch.float32) if wanted else None
        for start in range(0, len(hidden), rows):
            x, target = hidden[start : start + rows], targets[start : start + rows]
            counted = target != IGNORE
            place = target.clamp(min=0)[:, None]
            scores = x @ own.T
            chance = torch.log_softmax(scores, dim=-1, dtype=torch.float32)
            found = chance.gather(1, place)[:, 0]
            log_sum = scores.gather(1, place)[:, 0].float() - found
            loss = z_loss * log_sum * log_sum - found
            total += loss.masked_fill(~counted, 0.0).sum()
            if d_hidden is None or d_weight is None:
                continue
            factor = counted * (1 + 2 * z_loss * log_sum)
            gradient = chance.exp_().mul_(factor[:, None])
            gradient.scatter_add_(1, place, -counted[:, None].to(gradient.dtype))
            small = gradient.to(x.dtype)
            torch.mm(small, own, out=d_hidden[start : start + rows])
            _add_product(d_weight, small, x)
        if wanted:
            ctx.save_for_backward(d_hidden, d_weight)
            ctx.dtype = weight.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        d_hidden, d_weight = ctx.saved_tensors
        scale = gradients[0]
        return d_hidden * scale.to(d_hidden.dtype), (d_weight * scale).to(ctx.dtype), *[None] * 3


def next_token_loss(hidden: Tensor, weight: Tensor, targets: Tensor, z_loss: float = 0.0) -> Tensor:
    """Return the summed cross-entropy of `targets` under the scores `hidden` · `weight`ᵀ.

    `hidden`: [positions, dim]; `weight`: [vocabulary, dim]; `targets`: [positions], IGNORE gives
    none. `z_loss` adds its multiple of the squared logarithm of the softmax's sum (PaLM, arXiv
    2204.02311). Under autocast the products are in its type, the softmax in float32.
    """
    if torch.is_autocast_enabled(hidden.device.type):
        hidden = hidden.to(torch.get_autocast_dtype(hidden.device.type))
    wanted = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    with torch.autocast(hidden.device.type, enabled=False):  # types are chosen in there
        found = _NextTokenLoss.apply(hidden, weight, targets, z_loss, wanted)
    assert isinstance(found, Tensor)
    return found
