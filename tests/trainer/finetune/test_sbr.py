"""Sample-based regularisation and its baselines against their definitions and hand-made cases."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from schemas.errors import InputError
from tests.support import ROOT
from trainer.finetune.config import MethodConfig
from trainer.finetune.features import Features
from trainer.finetune.methods import (
    MethodInput,
    attention_of_probe,
    contrastive,
    make_method,
    mixed,
)
from trainer.finetune.sbr import sbr_loss, sbr_loss_pairwise, sbr_loss_regression


@given(st.integers(0, 10_000), st.integers(1, 24), st.integers(1, 6))
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_class_means_give_the_pairwise_loss(distance: str, seed: int, samples: int, kinds: int):
    chance = torch.Generator().manual_seed(seed)
    z = torch.randn(samples, 7, generator=chance, dtype=torch.float64)
    labels = torch.randint(0, kinds, (samples,), generator=chance)
    one, other = sbr_loss(z, labels, distance), sbr_loss_pairwise(z, labels, distance)
    assert abs(float(one - other)) <= 1e-9 * max(1.0, float(other))
    assert abs(float(sbr_loss(z.float(), labels, distance) - one)) <= 1e-5 * max(1.0, float(one))


def test_the_loss_of_a_case_made_by_hand():
    z = torch.tensor([[0.0, 0.0], [3.0, 4.0], [7.0, 7.0]])
    # One pair, counted both ways, at squared distance 25, and a class of one sample: 50 / (2 · 3).
    assert float(sbr_loss(z, torch.tensor([1, 1, 5]))) == pytest.approx(50 / 6)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_gradients_agree_with_finite_differences(distance: str):
    torch.manual_seed(3)
    z = torch.randn(9, 5, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 3, 3, 3])
    targets = torch.randn(9, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: sbr_loss(x, labels, distance), z)
    assert torch.autograd.gradcheck(lambda x: sbr_loss_regression(x, targets, 0.7, distance), z)


def test_a_class_with_one_sample_adds_nothing():
    z = torch.randn(4, 3, requires_grad=True)
    sbr_loss(z, torch.tensor([0, 0, 1, 2])).backward()
    assert z.grad is not None
    assert torch.equal(z.grad[2:], torch.zeros(2, 3))
    assert bool((z.grad[:2] != 0).any())


def test_the_loss_is_made_in_float32_under_autocast():
    z = torch.randn(8, 16)
    labels = torch.arange(8) % 2
    with torch.autocast("cpu", torch.bfloat16):
        found = sbr_loss(z.bfloat16(), labels)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(sbr_loss(z.bfloat16().float(), labels)))


def test_equal_targets_give_the_loss_of_classes():
    z = torch.randn(10, 4)
    labels = torch.arange(10) % 3
    apart = sbr_loss_regression(z, labels.float() * 9, width=1.0)
    assert torch.allclose(apart, sbr_loss(z, labels))


TWO_RANKS = """
import sys, torch, torch.distributed as dist
from trainer.finetune.sbr import gather, sbr_loss
dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
x, labels = torch.randn(7, 5), torch.tensor([0, 1, 0, 1, 2, 2, 0])
weight = torch.nn.Parameter(torch.randn(5, 3))
z, y = gather(x[rank::2] @ weight), gather(labels[rank::2])
loss = sbr_loss(z, y)
loss.backward()
dist.all_reduce(weight.grad)
if rank == 0:
    torch.save((loss.detach(), weight.grad / 2), sys.argv[1])
dist.destroy_process_group()
"""


def test_pairs_cross_ranks_as_in_one_process(tmp_path: Path):
    script, file = tmp_path / "two.py", tmp_path / "two.pt"
    script.write_text(textwrap.dedent(TWO_RANKS), "utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, str(script), str(file)],
        env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    torch.manual_seed(0)
    x, labels = torch.randn(7, 5), torch.tensor([0, 1, 0, 1, 2, 2, 0])
    weight = nn.Parameter(torch.randn(5, 3))
    loss = sbr_loss(x @ weight, labels)
    loss.backward()
    two, gradient = torch.load(file)
    assert float(two) == pytest.approx(float(loss.detach()), abs=1e-5)
    assert torch.allclose(gradient, weight.grad, atol=1e-5)


class Backbone(nn.Module):
    """One matrix, so that a method's terms can be made by hand."""

    dim = 2

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))

    def forward(self, inputs: list[torch.Tensor]) -> Features:
        z = torch.stack(list(inputs)) @ self.matrix
        return Features(z, (z,), torch.arange(len(z)))


def a_step(backbone: Backbone, inputs: list[torch.Tensor], labels: torch.Tensor) -> MethodInput:
    head = nn.Linear(2, 2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    features = backbone(inputs)
    return MethodInput(features, features.z, labels, inputs, 1 / len(inputs), backbone, head)


INPUTS = [torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])]
LABELS = torch.tensor([0, 1])
SUPERVISED = torch.tensor(10.0)


def loss_of(name: str, **settings: float) -> float:
    """Return a method's loss after the backbone moved by 1 in one weight."""
    method = make_method(MethodConfig(name=name, **settings))
    backbone = Backbone()
    method.begin(backbone, INPUTS, LABELS)
    with torch.no_grad():
        backbone.matrix[0, 0] += 1.0
    return float(method.loss(SUPERVISED, a_step(backbone, INPUTS, LABELS)).detach())


def test_plain_fine_tuning_is_the_supervised_loss_and_the_heads_squares():
    assert loss_of("plain", strength=9.0) == 10.0
    assert loss_of("plain", strength=9.0, head=0.2) == pytest.approx(10 + 0.2 * 5)


def test_l2_is_half_the_squares_of_backbone_and_head():
    # Matrix 2, 2, 3, 4: 33; head 1, 2: 5; λ/2 = 0.05; α·5 = 1.
    assert loss_of("l2", strength=0.1, head=0.2) == pytest.approx(10 + 0.05 * (33 + 5) + 1.0)


def test_l2_sp_is_half_the_squares_away_from_the_source():
    assert loss_of("l2-sp", strength=0.1, head=0.2) == pytest.approx(10 + 0.05 * 1 + 1.0)


def test_bss_is_the_smallest_squared_singular_value():
    smallest = float(np.linalg.svd(np.array([[2.0, 2.0], [3.0, 4.0]]))[1][-1]) ** 2
    assert loss_of("bss", strength=0.3) == pytest.approx(10 + 0.3 * smallest, rel=1e-5)


@pytest.mark.parametrize(("rows", "columns"), [(32, 256), (256, 32), (24, 24)])
@pytest.mark.parametrize("apart", [1e-1, 1e-3, 1e-4, 0.0])
def test_bss_is_right_for_nearly_equal_features_and_its_gradient_too(
    rows: int, columns: int, apart: float
):
    z = torch.from_numpy(np.random.default_rng(3).normal(0, 30, (rows, columns))).float()
    short = z if rows <= columns else z.T
    short[1] = short[0]
    short[1, 0] += apart
    z.requires_grad_()
    method = make_method(MethodConfig(name="bss", strength=1.0, smallest=1))
    features = Features(z, (z,), torch.arange(len(z)))
    step = MethodInput(features, z, LABELS, [], 1 / rows, Backbone(), nn.Linear(2, 2))
    loss = method.loss(torch.zeros((), dtype=torch.float64), step)
    left, values, right = np.linalg.svd(z.detach().double().numpy(), full_matrices=False)
    assert float(loss.detach()) == pytest.approx(values[-1] ** 2, rel=1e-6, abs=1e-18)
    loss.backward()
    expected = 2 * values[-1] * np.outer(left[:, -1], right[-1])
    assert np.allclose(z.grad.numpy(), expected, rtol=1e-5, atol=1e-7 * (1 + values[-1]))


def test_delta_weighs_how_far_feature_maps_moved():
    # Only channel 0 of the first text moved, by 1; the weights of channels sum to one.
    backbone = Backbone()
    method = make_method(MethodConfig(name="delta", strength=1.0))
    method.begin(backbone, INPUTS, LABELS)
    assert float(sum(method.attention[0])) == pytest.approx(1.0)
    expected = 0.5 * 2 * 0.5 * float(method.attention[0][0]) * 1.0
    assert loss_of("delta", strength=1.0) == pytest.approx(10 + expected, rel=1e-4)


def test_a_channel_that_the_probe_needs_has_more_of_deltas_attention():
    means = torch.tensor([[1.0, 0.3], [-1.0, 0.3], [1.0, -0.3], [-1.0, -0.3]])
    weight = torch.tensor([[2.0, 0.0], [-2.0, 0.0]])
    attention = attention_of_probe(means, torch.tensor([0, 1, 0, 1]), weight, torch.zeros(2))
    # Without channel 0 the loss is ln 2, with it ln(1 + e⁻⁴); channel 1 does nothing.
    rise = float(np.log(2) - np.log1p(np.exp(-4)))
    assert float(attention[0]) == pytest.approx(float(1 / (1 + np.exp(-rise))), rel=1e-5)


def test_supervised_contrast_of_a_case_made_by_hand():
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    labels = torch.tensor([0, 1, 0])
    # Samples 0 and 2 are of one class at cosine 1, sample 1 is alone: −log(e/(e + 1)), twice of three.
    each = -np.log(np.e / (np.e + 1))
    assert float(contrastive(z, labels, 1.0)) == pytest.approx(2 * each / 3, rel=1e-5)


def test_mixouts_mean_is_the_weight_itself():
    weight, source = torch.tensor([5.0]), torch.tensor([1.0])
    taken = mixed(weight, source, torch.tensor([True]), 0.3)
    left = mixed(weight, source, torch.tensor([False]), 0.3)
    assert float(0.3 * taken + 0.7 * left) == pytest.approx(5.0)
    with pytest.raises(InputError, match="below 1"):
        make_method(MethodConfig(name="mixout", strength=1.0)).begin(Backbone(), INPUTS, LABELS)


def test_every_method_adds_the_heads_squares():
    for name in ("plain", "l2", "l2-sp", "delta", "bss", "supcon", "mixout", "sbr"):
        losses = []
        for head in (0.0, 0.2):
            backbone = Backbone()
            method = make_method(MethodConfig(name=name, strength=0.1, head=head))
            method.begin(backbone, INPUTS, LABELS)
            losses.append(float(method.loss(SUPERVISED, a_step(backbone, INPUTS, LABELS))))
        assert losses[1] - losses[0] == pytest.approx(0.2 * 5), name


def test_sbr_adds_the_head_and_pulls_a_class_together():
    backbone = Backbone()
    method = make_method(MethodConfig(name="sbr", strength=0.5, head=0.2))
    labels = torch.tensor([4, 4])
    method.begin(backbone, INPUTS, labels)
    step = a_step(backbone, INPUTS, labels)
    # z = (1, 2), (3, 4): squared distance 8, both ways, over 2 · 2.
    assert float(method.loss(SUPERVISED, step)) == pytest.approx(10 + 0.2 * 5 + 0.5 * 4)
    assert method.bytes_kept() == 0


def test_only_methods_that_need_the_source_keep_it():
    sizes = {}
    for name in ("plain", "l2", "l2-sp", "delta", "bss", "supcon", "mixout", "sbr"):
        method = make_method(MethodConfig(name=name, strength=0.1))
        method.begin(Backbone(), INPUTS, LABELS)
        sizes[name] = method.bytes_kept()
    assert {name for name, size in sizes.items() if size} == {"l2-sp", "delta", "mixout"}
    assert sizes["l2-sp"] == 4 * 4  # one float32 matrix
