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
"""Of scores at a time."""


class _NextTokenLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, z_loss: float, wanted: bool
    ) -> Tensor:
        rows = max(64, CHUNK_BYTES // (4 * weight.shape[0]))
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        d_hidden = torch.empty_like(hidden) if wanted else None
        d_weight = torch.zeros_like(weight, dtype=torch.float32) if wanted else None
        for start in range(0, len(hidden), rows):
            x, target = hidden[start : start + rows], targets[start : start + rows]
            counted = target != IGNORE
            place = target.clamp(min=0)[:, None]
            scores = (x @ weight.to(x.dtype).T).float()
            log_sum = torch.logsumexp(scores, dim=-1)
            loss = log_sum - scores.gather(1, place)[:, 0] + z_loss * log_sum * log_sum
            total += loss.masked_fill(~counted, 0.0).sum()
            if d_hidden is None or d_weight is None:
                continue
            gradient = scores.sub_(log_sum[:, None]).exp_()  # the softmax
            if z_loss:
                gradient.mul_((1 + 2 * z_loss * log_sum)[:, None])
            gradient.scatter_add_(1, place, torch.full_like(place, -1.0, dtype=gradient.dtype))
            gradient.mul_(counted[:, None])
            small = gradient.to(x.dtype)
            d_hidden[start : start + rows] = small @ weight.to(x.dtype)
            d_weight.addmm_(small.T.float(), x.float())
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
    found = _NextTokenLoss.apply(hidden, weight, targets, z_loss, wanted)
    assert isinstance(found, Tensor)
    return found
