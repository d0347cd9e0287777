"""One process or several: the environment that `torchrun` sets, and the collectives of a run."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist

from schemas.errors import InputError


@dataclass(frozen=True)
class World:
    """This process, and the number of all processes of a run."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes files and messages."""
        return self.rank == 0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum over all processes."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def wait(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            dist.barrier()


def join_world(device: str) -> World:
    """Join the processes that `torchrun` started; without it this is the only one.

    Raises InputError for a device that is not available.
    """
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"run.device: {device} is not available; write `cpu` or `auto`")
    try:
        chosen = torch.device(f"cuda:{local}" if device == "cuda" else device)
    except RuntimeError:
        raise InputError(
            f"run.device: {device!r} is not a device; write `cpu`, `cuda` or `auto`"
        ) from None
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World(0, 1, chosen)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if not dist.is_initialized():
        # a few numbers are summed on the CPU
        dist.init_process_group("cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo")
    return World(dist.get_rank(), size, chosen)


def leave_world() -> None:
    """Leave the process group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()
