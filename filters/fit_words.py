"""Pre-training of the small transformer on text without labels: swapped words and hidden words.

Of a text's words some are swapped for other words of the batch, and some are hidden. The network
tells of each word whether it was swapped (ELECTRA, arXiv 2003.10555, with words drawn at random in
place of a generator's), and a hidden one from all words of the batch (InfoNCE, arXiv 1807.03748).
Neither needs a vocabulary. The layers that answer are thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from filters.small_transformer import Positions, Tokens, gather

SWAPPED, HIDDEN = 0.2, 0.12
"""Shares of the words."""
SWAPPED_WEIGHT = 5.0
"""Of the loss of swapped words, a bit a word at most, beside that of hidden ones."""
BATCH_TOKENS = 4096
RATE = 2e-3
WARMUP_STEPS = 200
LEAST_TOKENS = 3
"""A shorter text has too little around a word to tell it by."""


def word_batches(
    lengths: Positions, rows: Positions, tokens: int, rng: np.random.Generator
) -> Iterator[Positions]:
    """Yield `rows` in random order, in batches of about `tokens` tokens and of like length."""
    rows = rng.permutation(rows)
    found = []
    for start in range(0, len(rows), 1 << 13):
        chunk = rows[start : start + (1 << 13)]
        chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
        full = np.cumsum(lengths[chunk]) // tokens
        found += np.split(chunk, np.flatnonzero(np.diff(full)) + 1)
    for number in rng.permutation(len(found)):
        yield found[number]


def pretrain_network(
    network: Any,
    tokens: Tokens,
    epochs: int,
    seed: int,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Train all of `network` but its last layers on the texts of `tokens`.

    AdamW, the rate falling to nothing. `say` gets a line twenty times an epoch.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    rng = np.random.default_rng(seed)
    lengths = tokens.lengths()
    rows = np.flatnonzero(lengths >= LEAST_TOKENS)
    total = epochs * int(lengths[rows].sum())
    if not total:
        return
    width = network.hidden.shape[0]
    tell, name = nn.Linear(width, 1), nn.Linear(width, width)
    sharpness = nn.Parameter(torch.tensor(-0.5 * float(np.log(width))))
    last = ("inner.", "out.", "prior")
    weights = [w for key, w in network.named_parameters() if not key.startswith(last)]
    weights += [*tell.parameters(), *name.parameters(), sharpness]
    adam = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.01, foreach=True)
    network.train()
    done, step, told = 0, 0, 0
    for _ in range(epochs):
        for batch in word_batches(lengths, rows, BATCH_TOKENS, rng):
            ids, begins, place, seen = gather(tokens, batch)
            words = network.embed(ids, begins)
            whole = ids[begins.long()]  # the bucket of the whole word
            chance = torch.from_numpy(rng.random(len(words)))
            other = torch.from_numpy(rng.integers(0, len(words), len(words)))
            swapped, hidden = chance < SWAPPED, chance >= 1 - HIDDEN
            x = torch.where(swapped[:, None], words[other], words)
            x = torch.where(hidden[:, None], network.hidden, x)
            states = network.encode(x, place, seen)[seen]
            truth = (swapped & (whole != whole[other])).float()
            loss = SWAPPED_WEIGHT * functional.binary_cross_entropy_with_logits(
                tell(states[~hidden])[:, 0], truth[~hidden]
            )
            own = torch.nonzero(hidden)[:, 0]
            if len(own):
                scores = name(states[own]) @ words.T * sharpness.exp()
                same = whole[own][:, None] == whole[None, :]  # is no wrong answer
                same[torch.arange(len(own)), own] = False
                loss = loss + functional.cross_entropy(scores.masked_fill(same, -1e4), own)
            for group in adam.param_groups:
                group["lr"] = RATE * min((step + 1) / WARMUP_STEPS, 1.02 - done / total)
            adam.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(weights, 1.0)
            adam.step()
            step, done = step + 1, done + len(words)
            if 20 * epochs * done // total > told:
                told = 20 * epochs * done // total
                say(f"words: {done:,}/{total:,}, loss {float(loss.detach()):.3f}")
