"""Tuning: the steps of a fine-tuning, and the features of texts.

Each process takes its part of a step's samples. Their features are gathered, and every process
computes the loss of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812  # the name that everybody gives it
from torch import Tensor, nn

from schemas.errors import InputError
from trainer.finetune.config import FineTuneSettings
from trainer.finetune.methods import Method, MethodInput, make_method
from trainer.finetune.samples import balanced_batches, shuffled_batches
from trainer.finetune.sbr import gather
from trainer.optimise import learning_rate
from trainer.processes import World

Say = Callable[[str], None]


class Tuning:
    """A backbone and a head under a method, step by step."""

    def __init__(
        self,
        backbone: nn.Module,
        outputs: int,
        settings: FineTuneSettings,
        inputs: Sequence[Tensor],
        labels: Tensor,
        world: World,
    ) -> None:
        """`inputs`: texts that have been through `backbone.enter`; `labels`: [samples], classes
        (int64) or numbers (float32; `outputs` is then 1)."""
        self.backbone, self.settings, self.world = backbone, settings, world
        self.inputs, self.labels = inputs, labels.to(world.device)
        torch.manual_seed(settings.seed)
        self.head = nn.Linear(int(getattr(backbone, "dim")), outputs).to(world.device)  # noqa: B009
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.method: Method = make_method(settings.method)
        self.method.begin(backbone, inputs, self.labels)
        own = settings.optimiser
        self.weights = [w for w in backbone.parameters() if w.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": self.weights, "lr": own.lr, "weight_decay": own.weight_decay},
            {"params": list(self.head.parameters()), **settings.head.model_dump()},
        ]
        self.optimiser = torch.optim.AdamW(groups, betas=own.betas, fused=True)
        self.rates = [group["lr"] for group in groups]
        self.batches = plan_batches(settings, labels)
        smallest = min(map(len, self.batches))
        if smallest < world.size:
            raise InputError(
                f"{world.size} processes for {smallest} samples per step: start fewer processes, "
                "or raise sampler.size or sampler.per_class"
            )

    def step(self, number: int) -> float:
        """Take step `number`; return its loss."""
        settings = self.settings
        current = learning_rate(number, len(self.batches), settings.optimiser)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * current / settings.optimiser.lr
        places = self.batches[number][self.world.rank :: self.world.size]
        some = [self.inputs[at] for at in places]
        self.optimiser.zero_grad(set_to_none=True)
        replaced = self.method.weights(self.backbone)
        bf16 = settings.dtype == "bfloat16"
        with torch.autocast(self.world.device.type, torch.bfloat16, enabled=bf16):
            if replaced is None:
                features = self.backbone(some)
            else:
                features = torch.func.functional_call(self.backbone, replaced, (some,))
            z, labels = gather(features.z), gather(self.labels[places])
            logits = self.head(z)
        share = self.world.size / len(z)
        seen = MethodInput(features, z, labels, some, share, self.backbone, self.head)
        loss = self.method.loss(supervised_loss(logits, labels), seen)
        torch.autograd.backward(loss)
        self._average()
        every = [*self.weights, *self.head.parameters()]
        nn.utils.clip_grad_norm_(every, settings.optimiser.clip)
        self.optimiser.step()
        return float(loss.detach())

    def _average(self) -> None:
        """Average the gradients over processes."""
        if self.world.size == 1:
            return
        gradients = [w.grad for w in (*self.weights, *self.head.parameters()) if w.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.world.size
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()

    def run(self, say: Say | None = None) -> list[float]:
        """Take all steps; return their losses."""
        self.backbone.train()
        losses = []
        for number in range(len(self.batches)):
            losses.append(self.step(number))
            if say and ((number + 1) % 20 == 0 or number + 1 == len(self.batches)):
                say(f"step {number + 1:,}/{len(self.batches):,}: loss {losses[-1]:.4f}")
        self.backbone.eval()
        return losses


def plan_batches(settings: FineTuneSettings, labels: Tensor) -> list[list[int]]:
    """Return the samples of each step; the same for every method."""
    sampler = settings.sampler
    if labels.is_floating_point() or sampler.kind == "shuffled":
        return shuffled_batches(len(labels), settings.steps, sampler.size, settings.seed)
    return balanced_batches(
        labels.tolist(), settings.steps, sampler.per_class, sampler.classes, settings.seed
    )


def supervised_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return cross-entropy, or for numbers the mean squared error, in float32."""
    if labels.is_floating_point():
        return F.mse_loss(logits[:, 0].float(), labels)
    return F.cross_entropy(logits.float(), labels)


@torch.inference_mode()
def features_of(backbone: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    """Return the features [texts, dim]; texts of similar length are computed together."""
    training = backbone.training
    backbone.eval()
    order = sorted(range(len(inputs)), key=lambda at: len(inputs[at]))
    parts = [
        backbone([inputs[at] for at in order[start : start + 32]]).z
        for start in range(0, len(order), 32)
    ]
    backbone.train(training)
    found = torch.cat(parts).float()
    return found[torch.tensor(np.argsort(order), device=found.device)]
