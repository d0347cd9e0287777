"""Sampling with a cache of keys and values: each new token costs one position."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from trainer.model.model import Cache, Decoder


@torch.inference_mode()
def generate(
    model: Decoder,
    prompt: Sequence[int],
    max_tokens: int,
    stop: Sequence[int] = (),
    temperature: float = 0.8,
    top_p: float = 0.95,
    seed: int = 0,
) -> list[int]:
    """Return up to `max_tokens` tokens that follow `prompt`, up to the first one of `stop`.

    `temperature` 0 takes the likeliest token each time; otherwise a token is drawn from the
    smallest set whose probability reaches `top_p` (nucleus sampling, arXiv 1904.09751).
    """
    device = next(model.parameters()).device
    rng = torch.Generator(device="cpu").manual_seed(seed)
    training = model.training
    model.eval()
    ids = torch.tensor([list(prompt)], dtype=torch.int64, device=device)
    cache: Cache | None = None
    found: list[int] = []
    for _ in range(max_tokens):
        hidden, kept = model.hidden(ids, cache=cache)
        cache = kept
        scores = model.logits(hidden[0, -1]).float().cpu()
        token = _draw(scores, temperature, top_p, rng)
        if token in stop:
            break
        found.append(token)
        ids = torch.tensor([[token]], dtype=torch.int64, device=device)
    model.train(training)
    return found


def _draw(scores: torch.Tensor, temperature: float, top_p: float, rng: torch.Generator) -> int:
    if temperature == 0:
        return int(scores.argmax())
    share, order = (scores / temperature).softmax(-1).sort(descending=True)
    outside = share.cumsum(-1) - share >= top_p
    share = share.masked_fill(outside, 0.0)
    return int(order[int(torch.multinomial(share, 1, generator=rng))])
