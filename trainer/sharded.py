"""Fully sharded data parallelism (FSDP2): each process holds its share of every weight.

Weights are sent and gradients summed in float32 as with DDP, so both give the same numbers. A
checkpoint holds whole tensors either way, so a run resumes from it with either, on any number of
processes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from trainer.model.model import Decoder
from trainer.processes import World


def shard_model(model: Decoder, world: World) -> None:
    """Split the weights of each layer, and those outside of layers, over all processes.

    Each layer's weights are gathered before it is computed, forward and backward, and freed after.
    """
    mesh = init_device_mesh(world.device.type, (world.size,))
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def gathered(value: Any, keep: bool) -> Any:
    """Return `value` (a state, nested) with whole tensors on the CPU. All processes call it.

    `keep`: whether this process keeps them; the others only send their shares.
    """
    if isinstance(value, dict):
        return {key: gathered(one, keep) for key, one in value.items()}
    if isinstance(value, list):
        return [gathered(one, keep) for one in value]
    if isinstance(value, DTensor):
        value = value.full_tensor()
    return value.detach().cpu() if isinstance(value, Tensor) and keep else value


def load_optimiser(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load a state of whole tensors, each split as its weight is.

    Rates, betas and decay stay those that `optimiser` was made with: the training file's.
    """
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    own = {
        number: {name: _like(value, weights[number]) for name, value in entry.items()}
        for number, entry in state["state"].items()
    }
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": own, "param_groups": groups})


def _like(value: Any, weight: Tensor) -> Any:
    if not isinstance(weight, DTensor) or not isinstance(value, Tensor) or not value.dim():
        return value
    value = value.to(weight.device)
    return distribute_tensor(value, weight.device_mesh, weight.placements, src_data_rank=None)
