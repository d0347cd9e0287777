"""Sample-based regularisation (arXiv 2007.05181): samples of a class pull each other together.

For a mini-batch B with features z, the input of the head,

    L_SBR = 1/(2|B|) Σ_c Σ_{i,j∈c} d(z_i, z_j)
    total = supervised loss + α·‖head‖² + β·L_SBR

with d the squared Euclidean distance or 1 − cosine. It does not contain the source weights. Since
Σ_{i,j∈c} ‖z_i − z_j‖² = 2·n_c·Σ_{i∈c} ‖z_i − z̄_c‖², the class means give it in O(|B|·dim).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812  # the name that everybody gives it
from torch import Tensor

Distance = Literal["euclidean", "cosine"]


def sbr_loss(features: Tensor, labels: Tensor, distance: Distance = "euclidean") -> Tensor:
    """Return L_SBR through the class means: a scalar, float32 also under autocast.

    `features`: [batch, dim], `labels`: whole numbers [batch]. A class with one sample adds
    0. Float64 features stay float64.
    """
    z = _prepared(features, distance)
    kinds, place = torch.unique(labels, return_inverse=True)
    counts = torch.bincount(place, minlength=len(kinds)).to(z.dtype)
    sums = z.new_zeros(len(kinds), z.shape[1]).index_add(0, place, z)
    apart = (z - (sums / counts[:, None])[place]).square().sum(dim=1)
    # 1 − cosine is half the squared distance of the unit vectors
    scale = 1.0 if distance == "euclidean" else 0.5
    return scale * (counts[place] * apart).sum() / len(z)


def sbr_loss_pairwise(features: Tensor, labels: Tensor, distance: Distance = "euclidean") -> Tensor:
    """Return L_SBR as it is defined, pair by pair, in O(batch²·dim): what `sbr_loss` must equal."""
    z = _prepared(features, distance)
    same = labels[:, None] == labels[None, :]
    return (_distances(z, distance) * same).sum() / (2 * len(z))


def sbr_loss_regression(
    features: Tensor, targets: Tensor, width: float, distance: Distance = "euclidean"
) -> Tensor:
    """Return 1/(2|B|) Σ_{i,j} max(0, 1 − |y_i − y_j|/width)·d(z_i, z_j).

    Bibim's own extension, not the paper's: the weight of a pair falls linearly with the
    distance of its targets [batch], to 0 at `width`. If all targets are equal or at least `width`
    apart, it is L_SBR.
    """
    z = _prepared(features, distance)
    y = targets.to(z.dtype)
    weight = (1 - (y[:, None] - y[None, :]).abs() / width).clamp(min=0)
    return (_distances(z, distance) * weight).sum() / (2 * len(z))


def _prepared(features: Tensor, distance: Distance) -> Tensor:
    z = features if features.dtype == torch.float64 else features.float()
    return F.normalize(z, dim=1) if distance == "cosine" else z


def _distances(z: Tensor, distance: Distance) -> Tensor:
    apart = (z[:, None] - z[None, :]).square().sum(dim=2)
    return apart if distance == "euclidean" else 0.5 * apart


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, sizes: list[int]) -> Tensor:
        parts = [own.new_empty(size, *own.shape[1:]) for size in sizes]
        if len(set(sizes)) == 1:
            dist.all_gather(parts, own.contiguous())
        else:  # some backends cannot gather unequal parts: broadcast each rank's in turn
            for rank, part in enumerate(parts):
                if rank == dist.get_rank():
                    part.copy_(own)
                dist.broadcast(part, rank)
        ctx.start = sum(sizes[: dist.get_rank()])
        ctx.size, ctx.ranks = len(own), len(sizes)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        # All ranks make the same loss of all features. The gradients of the weights are averaged
        # over ranks afterwards, where the exact gradient is their sum.
        return gradients[0][ctx.start : ctx.start + ctx.size] * ctx.ranks, None


def gather(own: Tensor) -> Tensor:
    """Return the rows of all ranks, in their order; gradients flow to this rank's own rows.

    Compute the loss of the gathered rows on every rank and average the weights' gradients over
    ranks: the result is the gradient of one process with the whole batch, because pairs cross
    ranks. With a single process it returns `own`.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return own
    mine = torch.tensor([len(own)], device=own.device)
    sizes = [torch.zeros_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, mine)
    found = _Gather.apply(own, [int(size) for size in sizes])
    assert isinstance(found, Tensor)
    return found
