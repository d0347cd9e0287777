"""The optimiser and the learning rate of each step."""

from __future__ import annotations

import math

import torch
from torch import nn

from trainer.config import OptimiserConfig


def make_optimiser(model: nn.Module, config: OptimiserConfig) -> torch.optim.AdamW:
    """Return AdamW: matrices decay, vectors (norms) do not."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [w for w in weights if w.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [w for w in weights if w.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=1e-8, fused=True)


WARMUP, LONGEST_WARMUP = 0.02, 0.2
"""Shares of the steps."""


def warmup_steps(steps: int, config: OptimiserConfig) -> int:
    """Return the number of steps, of `steps`, over which the learning rate rises.

    Before 2/(1 - β₂) steps Adam's second moments average too few samples (arXiv 1910.04209): a
    short run with a shorter warm-up may never learn to attend to distant tokens.
    """
    if config.warmup is not None:
        return max(1, math.ceil(config.warmup * steps))
    minimum = round(2 / max(1 - config.betas[1], 1e-9))
    return max(1, math.ceil(min(max(WARMUP * steps, minimum), LONGEST_WARMUP * steps)))


def learning_rate(step: int, steps: int, config: OptimiserConfig) -> float:
    """Return the learning rate of `step` (from 0) of `steps`.

    It rises linearly over the steps of the warm-up; then `cosine` falls to `floor` along half a
    cosine, `wsd` stays constant and falls linearly over the last `decay` of the steps (arXiv
    2404.06395), or over all steps after the warm-up.
    """
    warmup = warmup_steps(steps, config)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    if config.schedule == "cosine":
        done = (step - warmup) / max(1, steps - warmup)
        share = config.floor + (1 - config.floor) * 0.5 * (1 + math.cos(math.pi * done))
        return config.lr * share
    decay = min(math.ceil(config.decay * steps), steps - warmup)
    left = (steps - step) / max(1, decay)
    return config.lr * (config.floor + (1 - config.floor) * min(1.0, left))
