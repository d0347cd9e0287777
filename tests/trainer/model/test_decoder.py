"""The decoder: its loss, its cache, its masks, and Llama's own code over the same weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  # the name that everybody gives it
from hypothesis import given, settings
from hypothesis import strategies as st

import trainer.model.loss as loss_module
from trainer.config import ModelConfig
from trainer.export import llama_config, llama_weights
from trainer.generate import generate
from trainer.model.attention import (
    BLOCK,
    attend,
    blocks_from,
    document_mask,
    first_positions,
    pairs_from,
)
from trainer.model.loss import IGNORE, next_token_loss
from trainer.model.model import Decoder

SHAPES = {
    "plain": ModelConfig(dim=32, layers=2, heads=4),
    "grouped": ModelConfig(dim=48, layers=3, heads=6, kv_heads=2, tied=False),
    "long": ModelConfig(dim=32, layers=2, heads=4, kv_heads=1, rope_base=500_000),
}
VOCABULARY = 97


def decoder(shape: str, seed: int = 0) -> Decoder:
    torch.manual_seed(seed)
    model = Decoder(SHAPES[shape], VOCABULARY).eval()
    for weight in model.parameters():  # large enough for attention to matter
        if weight.dim() >= 2:
            torch.nn.init.normal_(weight, std=0.2)
    return model


@pytest.mark.parametrize("tied", [True, False])
def test_weights_are_drawn_as_wide_as_the_width_asks(tied: bool):
    torch.manual_seed(0)
    model = Decoder(ModelConfig(dim=160, layers=8, heads=4, tied=tied), 500)
    for name, weight in model.named_parameters():
        writes = name.endswith(("out.weight", "down.weight"))
        expected = 0.05 / 4 if writes else 0.05  # √(2/(5·160)), over √(2·8) into the stream
        if weight.dim() == 2:
            assert float(weight.std()) == pytest.approx(expected, rel=0.02), name


@pytest.mark.parametrize("shape", SHAPES)
def test_transformers_gives_the_same_logits(shape: str):
    from transformers import LlamaConfig, LlamaForCausalLM

    class Symbols:
        eod_id, pad_id = 2, 0

    model = decoder(shape)
    model.context = 256
    described = llama_config(model, Symbols, chats=False)  # type: ignore[arg-type]  # two ids are all it asks
    peer = LlamaForCausalLM(LlamaConfig(**described)).eval()
    weights = llama_weights(model)
    if model.config.tied:
        weights["lm_head.weight"] = model.embed.weight.detach()
    missing = peer.load_state_dict(weights, strict=True)
    assert not missing.missing_keys
    ids = torch.randint(0, VOCABULARY, (2, 200))
    with torch.inference_mode():
        theirs = peer(ids).logits
        ours = model.logits(model.hidden(ids)[0])
    assert (ours - theirs).abs().max() <= 1e-4


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.sampled_from([0.0, 1e-3]), st.booleans())
def test_the_loss_and_its_gradients_are_those_of_cross_entropy(
    seed: int, length: int, z_loss: float, small: bool
):
    torch.manual_seed(seed)
    hidden = torch.randn(length, 8, dtype=torch.float32, requires_grad=True)
    weight = torch.randn(13, 8, requires_grad=True)
    targets = torch.where(torch.rand(length) < 0.3, IGNORE, torch.randint(0, 13, (length,)))
    before, loss_module.CHUNK_BYTES = loss_module.CHUNK_BYTES, 4 * 13 * (64 if small else 10_000)
    try:
        ours = next_token_loss(hidden, weight, targets, z_loss)
    finally:
        loss_module.CHUNK_BYTES = before
    (3.0 * ours).backward()
    found = [hidden.grad, weight.grad]
    hidden.grad = weight.grad = None
    scores = hidden @ weight.T
    plain = F.cross_entropy(scores, targets, ignore_index=IGNORE, reduction="sum")
    log_sum = torch.logsumexp(scores, -1)[targets != IGNORE]
    plain = plain + z_loss * (log_sum * log_sum).sum()
    (3.0 * plain).backward()
    assert torch.allclose(ours, plain, atol=1e-4)
    for mine, other in zip(found, [hidden.grad, weight.grad], strict=True):
        assert mine is not None
        assert other is not None
        assert torch.allclose(mine, other, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_generation_with_a_cache_takes_the_same_tokens_as_without(shape: str):
    model = decoder(shape)
    prompt = [5, 9, 11, 2, 40]
    found = generate(model, prompt, 20, temperature=0)
    ids = list(prompt)
    with torch.inference_mode():
        for _ in range(20):
            scores = model.logits(model.hidden(torch.tensor([ids]))[0][0, -1])
            ids.append(int(scores.argmax()))
    assert found == ids[len(prompt) :]
    stop = found[3]
    assert generate(model, prompt, 20, stop=[stop], temperature=0) == found[: found.index(stop)]


def test_sampling_follows_its_seed():
    model = decoder("plain")
    one, same, other = (generate(model, [1, 2], 12, seed=seed) for seed in (1, 1, 2))
    assert one == same != other


def test_separate_documents_see_nothing_of_one_another():
    model = decoder("grouped")
    document = torch.tensor([[0, 0, 0, 5, 5, 5, 5, -1]])
    ids = torch.randint(0, VOCABULARY, (1, 8))
    changed = ids.clone()
    changed[0, :3] = (changed[0, :3] + 1) % VOCABULARY
    mask = document_mask(document)
    with torch.inference_mode():
        one, other = (model.hidden(x, mask)[0] for x in (ids, changed))
        free = model.hidden(ids)[0]
    assert torch.equal(one[0, 3:], other[0, 3:])
    assert not torch.equal(one[0, :3], other[0, :3])
    assert torch.allclose(one[0, :3], free[0, :3], atol=1e-5)


def some_documents(length: int) -> torch.Tensor:
    torch.manual_seed(length)
    return torch.randint(0, 2, (2, length)).mul(torch.rand(2, length) < 0.03).cumsum(1)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("length", [128, 300, 512])
def test_blocks_and_pairs_give_the_same_attention_and_gradients(length: int, device: str):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU: on a CPU flex_attention has no backward pass")
    first = first_positions(some_documents(length)).to(device)
    q = torch.randn(2, 4, length, 16, device=device, requires_grad=device == "cuda")
    k, v = torch.randn(2, 2, 2, length, 16, device=device, requires_grad=device == "cuda")
    pairs, blocks = attend(q, k, v, pairs_from(first)), attend(q, k, v, blocks_from(first))
    # a GPU's kernels may multiply in TF32
    close = 1e-5 if device == "cpu" else 2e-2
    assert torch.allclose(pairs, blocks, atol=close)
    assert not torch.allclose(pairs, attend(q, k, v, None), atol=5e-2)
    if device == "cuda":
        toward = torch.randn_like(pairs)
        one, other = (torch.autograd.grad(out, (q, k, v), toward) for out in (pairs, blocks))
        assert all(torch.allclose(a, b, atol=close) for a, b in zip(one, other, strict=True))


def table(count: torch.Tensor | None, order: torch.Tensor | None) -> torch.Tensor:
    """Return bool [batch, blocks, blocks] of the blocks that a BlockMask lists."""
    assert count is not None
    assert order is not None
    found = torch.zeros(order[:, 0].shape, dtype=torch.bool)
    for batch, row in np.ndindex(*count[:, 0].shape):
        found[batch, row, order[batch, 0, row, : int(count[batch, 0, row])].long()] = True
    return found


@pytest.mark.parametrize("length", [128, 512, 1024])
def test_the_blocks_listed_hold_every_pair_and_whole_ones_nothing_else(length: int):
    first = first_positions(some_documents(length))
    mask, pairs = blocks_from(first), pairs_from(first)[:, 0]
    some = table(mask.kv_num_blocks, mask.kv_indices)
    whole = table(mask.full_kv_num_blocks, mask.full_kv_indices)
    inside = pairs.unflatten(2, (-1, BLOCK)).unflatten(1, (-1, BLOCK)).transpose(2, 3).flatten(3)
    assert torch.equal(some | whole, inside.any(-1))
    assert torch.equal(whole, inside.all(-1))
    assert not (some & whole).any()
    # the backward pass of keys and values goes by columns
    assert torch.equal(table(mask.q_num_blocks, mask.q_indices), some.mT)
    assert torch.equal(table(mask.full_q_num_blocks, mask.full_q_indices), whole.mT)


def test_flops_count_the_weights_that_a_token_meets():
    tied, free = decoder("plain"), decoder("grouped")
    for model in (tied, free):
        inner = sum(p.numel() for n, p in model.named_parameters() if n.startswith("blocks"))
        inner += model.norm.weight.numel() + VOCABULARY * model.config.dim
        attention = model.config.layers * model.config.dim * 128
        assert model.flops_per_token(128) == 6 * (inner + attention)
