"""Ways of regularising a fine-tuning, SBR among them, behind one interface.

A method makes the loss of a step from the supervised one. `begin` sees the source model and the
training samples once; `weights` may change the weights of a step; `bytes_kept` is its memory.
The gradients of all methods flow through the loss, so the optimiser is the same for all.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # the name that everybody gives it
from torch import Tensor, nn

from schemas.errors import InputError
from trainer.finetune.config import MethodConfig, MethodName
from trainer.finetune.features import Features
from trainer.finetune.sbr import sbr_loss, sbr_loss_regression


@dataclass(frozen=True)
class MethodInput:
    """What a method may use of a step."""

    features: Features
    """Features of this process's samples."""
    z: Tensor
    """Features of all processes' samples, [batch, dim]."""
    labels: Tensor
    """Labels of all processes' samples, [batch]: classes, or targets (float) in regression."""
    inputs: Sequence[Tensor]
    """Inputs of this process's samples."""
    share: float
    """Processes / samples of all processes: the factor that makes a sum over this process's samples
    the mean over all, once gradients are averaged over processes."""
    backbone: nn.Module
    head: nn.Linear


class Method:
    """Plain fine-tuning: supervised + α·‖head‖². The other methods override what differs."""

    def __init__(self, config: MethodConfig) -> None:
        self.config = config

    def begin(self, backbone: nn.Module, inputs: Sequence[Tensor], labels: Tensor) -> None:
        """Look at the source model and the training samples, before the first step."""

    def weights(self, backbone: nn.Module) -> dict[str, Tensor] | None:
        """Return weights to use in this step instead of the backbone's own."""
        return None

    def loss(self, supervised: Tensor, step: MethodInput) -> Tensor:
        """Return the loss of a step."""
        return supervised + self._head(step)

    def bytes_kept(self) -> int:
        """Return the bytes kept beside model and optimiser during training."""
        return 0

    def _head(self, step: MethodInput) -> Tensor:
        return self.config.head * step.head.weight.square().sum()


class Sbr(Method):
    """Sample-based regularisation (2007.05181): supervised + α·‖head‖² + β·L_SBR.

    In regression L_SBR weights pairs by the distance of their targets: Bibim's own extension.
    """

    def begin(self, backbone: nn.Module, inputs: Sequence[Tensor], labels: Tensor) -> None:
        deviation = float(labels.std()) if labels.is_floating_point() and len(labels) > 1 else 1.0
        self.width = self.config.width or max(deviation, 1e-6)

    def loss(self, supervised: Tensor, step: MethodInput) -> Tensor:
        distance = self.config.distance
        if step.labels.is_floating_point():
            apart = sbr_loss_regression(step.z, step.labels, self.width, distance)
        else:
            apart = sbr_loss(step.z, step.labels, distance)
        return supervised + self._head(step) + self.config.strength * apart


class L2(Method):
    """Weight decay in the loss: supervised + λ/2·‖w‖² over backbone and head."""

    def loss(self, supervised: Tensor, step: MethodInput) -> Tensor:
        both = [*tuned(step.backbone).values(), step.head.weight]
        squares = sum(weight.square().sum() for weight in both)
        return supervised + self._head(step) + self.config.strength / 2 * squares


class L2Sp(Method):
    """L2 towards the starting point (1802.01483): supervised + α/2·‖w − w⁰‖² + β/2·‖head‖².

    w⁰ are the source weights; β/2 is `head`.
    """

    def begin(self, backbone: nn.Module, inputs: Sequence[Tensor], labels: Tensor) -> None:
        self.source = {name: w.detach().clone() for name, w in tuned(backbone).items()}

    def loss(self, supervised: Tensor, step: MethodInput) -> Tensor:
        apart = sum(
            (weight - self.source[name]).square().sum()
            for name, weight in tuned(step.backbone).items()
        )
        return supervised + self._head(step) + self.config.strength / 2 * apart

    def bytes_kept(self) -> int:
        return _bytes(self.source.values())


class Delta(Method):
    """Feature maps are kept near the source's, weighted by importance (DELTA, 1901.09229):

    supervised + α·Ω, Ω = 1/2·mean_x Σ_l Σ_j D·W_lj·mean_t (h_ltj(x) − h⁰_ltj(x))² + head.

    h_l are the states [tokens t, channels j of D] of a layer, h⁰ the source's. W_l is the softmax
    over channels of how much the source's loss rises when the channel is switched off; the loss
    is that of a linear probe on the layer's mean state (the paper: of the source's features with
    a head fitted to the target's samples).
    """

    def begin(self, backbone: nn.Module, inputs: Sequence[Tensor], labels: Tensor) -> None:
        self.source = copy.deepcopy(backbone).requires_grad_(False).eval()
        with torch.no_grad():
            parts = [self.source(inputs[at : at + 32]) for at in range(0, len(inputs), 32)]
        layers = range(len(parts[0].states))[-(self.config.layers or 1 << 30) :]
        self.layers = list(layers)
        self.attention = []
        for layer in self.layers:
            means = torch.cat([token_mean(part, part.states[layer]) for part in parts])
            self.attention.append(channel_attention(means, labels))

    def loss(self, supervised: Tensor, step: MethodInput) -> Tensor:
        with torch.no_grad():
            source = self.source(step.inputs)
        omega = supervised.new_zeros(())
        for layer, weight in zip(self.layers, self.attention, strict=True):
            apart = (step.features.states[layer] - source.states[layer]).square()
            per_text = token_mean(step.features, apart) @ weight
            omega = omega + 0.5 * len(weight) * step.share * per_text.sum()
        return supervised + self._head(step) + self.config.strength * omega

    def bytes_kept(self) -> int:
        return _bytes([*self.source.parameters(), *self.attention])


class Bss(Method):
    """Batch spectral shrinkage (NeurIPS 2019): supervised + η·Σ_{i≤k} σ₋ᵢ² + head.

    σ₋ᵢ is the i-th smallest singular value of the batch's features [batch, dim].
    """

    def loss(self, supervised: Tensor, step: MethodInput) -> Tensor:
        # In float64 and of the features themselves: the eigenvalues of a Gram matrix are the
        # squares, so its rounding hides every singular value below 3e-4 of the largest.
        descending: Tensor = torch.linalg.svdvals(step.z.double())
        shrunk = descending[-self.config.smallest :].square().sum().to(supervised.dtype)
        return supervised + self._head(step) + self.config.strength * shrunk


class SupCon(Method):
    """Supervised contrastive fine-tuning (2011.01403): (1 − λ)·supervised + λ·SCL + head.

    SCL = mean_i −1/(N_{y_i} − 1) Σ_{j≠i, y_j=y_i} log softmax_{k≠i}(u_i·u_k/τ)_j with u = z/‖z‖; a
    sample alone in its class adds 0.
    """

    def loss(self, supervised: Tensor, step: MethodInput) -> Tensor:
        share = self.config.strength
        contrast = contrastive(step.z, step.labels, self.config.temperature)
        return (1 - share) * supervised + share * contrast + self._head(step)


class Mixout(Method):
    """Dropout towards the source weights (1909.11299).

    A step uses w̃ = (m·w⁰ + (1 − m)·w − p·w⁰)/(1 − p), m is 1 with probability p for each weight of
    each matrix; its mean is w. p is `strength`.
    """

    def begin(self, backbone: nn.Module, inputs: Sequence[Tensor], labels: Tensor) -> None:
        if self.config.strength >= 1:
            raise InputError("method.strength: must be below 1: it is Mixout's probability")
        self.source = {
            name: w.detach().clone() for name, w in tuned(backbone).items() if w.dim() >= 2
        }

    def weights(self, backbone: nn.Module) -> dict[str, Tensor]:
        probability = self.config.strength
        current = tuned(backbone)
        return {
            name: mixed(current[name], source, torch.rand_like(source) < probability, probability)
            for name, source in self.source.items()
        }

    def loss(self, supervised: Tensor, step: MethodInput) -> Tensor:
        return supervised + self._head(step)

    def bytes_kept(self) -> int:
        return _bytes(self.source.values())


METHODS: Mapping[MethodName, type[Method]] = {
    "plain": Method,
    "l2": L2,
    "l2-sp": L2Sp,
    "delta": Delta,
    "bss": Bss,
    "supcon": SupCon,
    "mixout": Mixout,
    "sbr": Sbr,
}


def make_method(config: MethodConfig) -> Method:
    """Return the method that `config` names."""
    return METHODS[config.name](config)


def tuned(module: nn.Module) -> dict[str, Tensor]:
    """Return the weights that are tuned, by name."""
    return {name: weight for name, weight in module.named_parameters() if weight.requires_grad}


def token_mean(features: Features, values: Tensor) -> Tensor:
    """Return the mean over each text's tokens of values [tokens, channels]: [texts, channels]."""
    texts = len(features.z)
    counts = torch.bincount(features.owner, minlength=texts).to(values.dtype)
    sums = values.new_zeros(texts, values.shape[1]).index_add(0, features.owner, values)
    return sums / counts[:, None]


def channel_attention(means: Tensor, labels: Tensor) -> Tensor:
    """Return DELTA's weights of channels [channels], which sum to one.

    `means`: source states [samples, channels]. A linear probe is fitted to them; a channel's
    score is how much the probe's loss rises when the channel is zero.
    """
    kinds, classes = torch.unique(labels, return_inverse=True)
    with torch.enable_grad():
        probe = nn.Linear(means.shape[1], len(kinds)).to(means)
        nn.init.zeros_(probe.weight)
        nn.init.zeros_(probe.bias)
        solver = torch.optim.LBFGS(probe.parameters(), max_iter=20)

        def closure() -> Tensor:
            solver.zero_grad()
            loss = F.cross_entropy(probe(means), classes) + 1e-2 * probe.weight.square().sum()
            torch.autograd.backward(loss)
            return loss

        solver.step(closure)  # type: ignore[no-untyped-call]
    return attention_of_probe(means, classes, probe.weight.detach(), probe.bias.detach())


def attention_of_probe(means: Tensor, classes: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return softmax_j(loss without channel j − loss) of a linear probe, [channels]."""
    logits = means @ weight.T + bias
    whole = F.cross_entropy(logits, classes)
    rises = [
        F.cross_entropy(logits - means[:, [j]] * weight[:, j], classes) - whole
        for j in range(means.shape[1])
    ]
    return torch.softmax(torch.stack(rises), dim=0)


def contrastive(z: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return SCL of features [batch, dim]; see SupCon."""
    unit = F.normalize(z.float(), dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    scores = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
    logs = torch.log_softmax(scores, dim=1).masked_fill(itself, 0.0)
    positives = (labels[:, None] == labels[None, :]) & ~itself
    counts = positives.sum(dim=1).clamp(min=1)
    return -((logs * positives).sum(dim=1) / counts).mean()


def mixed(weight: Tensor, source: Tensor, mask: Tensor, probability: float) -> Tensor:
    """Return Mixout's weight where `mask` takes the source's; see Mixout."""
    return (torch.where(mask, source, weight) - probability * source) / (1 - probability)


def _bytes(tensors: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
