"""Training of `filters.text.boundaries` from Kiwi's morphemes.

    python -m filters.fit.boundaries OUT.npz FILE.jsonl.zst …

Logistic regression over hashed features by AdaGrad (Duchi et al. 2011), one thread, one seed, then
eight bits per weight. Needs the version of kiwipiepy whose morphemes the thresholds count
(FineWeb2: datatrove 0.10 with kiwipiepy 0.20.4, model `sbg`). Documents of the held-out fifth are
not read.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from filters.columnar.arrays import Ints, Mask
from filters.columnar.kernels import kernel
from filters.fit.labelled import is_held_out, read_texts
from filters.text.boundaries import BITS, FEATURES, features

SYLLABLES = 1_500_000
"""Of each file, at most, from its first documents that are not held out."""
MAX_CHARS = 20_000
"""Characters of a document that are read."""
EPOCHS = 6
RATE = 0.1
DECAY = 1e-7
CLIP = 6.0
"""Weights are clipped to ± this many nats, which 127 stands for."""

_RUN = re.compile(r"[가-힣]+")


def read_syllables(path: Path) -> tuple[Ints, Mask, Mask]:
    """Return (features, ends, meets) of the file's syllables.

    int32 [n, FEATURES], and bool [n] for each question of `filters.text.boundaries`.
    """
    from kiwipiepy import Kiwi

    kiwi = Kiwi(model_type="sbg")
    slots: list[Ints] = []
    ends: list[Mask] = []
    meets: list[Mask] = []
    count = 0
    for text in _texts(path):
        over_character = np.zeros(len(text) + 1, np.int32)
        over_gap = np.zeros(len(text) + 1, np.int32)
        for token in kiwi.tokenize(text):
            if token.end > token.start:
                over_character[token.start] += 1
                over_character[token.end] -= 1
                over_gap[token.start] += 1
                over_gap[token.end - 1] -= 1
        several = np.cumsum(over_character) > 1
        parted = np.cumsum(over_gap) == 0
        for run in _RUN.finditer(text):
            a, b = run.span()
            slots.append(run_features(run[0]))
            ends.append(parted[a:b])
            meets.append(several[a:b])
            count += b - a
        if count >= SYLLABLES:
            break
    return np.concatenate(slots), np.concatenate(ends), np.concatenate(meets)


def run_features(run: str) -> Ints:
    """Return int32 [len(run), FEATURES] of a run of Hangul syllables."""
    data = np.frombuffer(run.encode(), np.uint8)
    slots = np.empty((len(run), FEATURES), np.int64)
    _features_of(data, slots)
    return slots.astype(np.int32)


def _texts(path: Path) -> Iterator[str]:
    for row in read_texts(path):
        if not is_held_out(row.id):
            yield row.text[:MAX_CHARS]


@kernel
def _features_of(data, slots):  # type: ignore[no-untyped-def]  # typed by Numba
    for row in range(len(slots)):
        features(data, 0, len(data), 3 * row, slots[row])


@kernel
def _epoch(slots, answers, order, weights, squares, rate, decay):  # type: ignore[no-untyped-def]  # typed by Numba
    """Run one pass of AdaGrad for one question; return the mean loss.

    `weights`, `squares`: float64 [2 ** BITS + 1]; `order`: the rows in the order of the pass.
    """
    bias = len(weights) - 1
    loss = 0.0
    for row in order:
        score = weights[bias]
        for index in range(FEATURES):
            score += weights[slots[row, index]]
        probability = 1.0 / (1.0 + np.exp(-score))
        truth = 1.0 if answers[row] else 0.0
        loss -= np.log(max(probability if answers[row] else 1 - probability, 1e-12))
        slope = probability - truth
        for index in range(FEATURES + 1):
            slot = slots[row, index] if index < FEATURES else bias
            gradient = slope + decay * weights[slot]
            squares[slot] += gradient * gradient
            weights[slot] -= rate * gradient / np.sqrt(squares[slot])
    return loss / len(order)


def fit_boundaries(slots: Ints, ends: Mask, meets: Mask, seed: int = 0) -> npt.NDArray[np.int8]:
    """Return the weights in the form of `filters.text.boundaries.load_weights`."""
    answers = (ends, meets)
    weights = [np.zeros((1 << BITS) + 1) for _ in answers]
    squares = [np.full((1 << BITS) + 1, 1e-6) for _ in answers]
    rng = np.random.default_rng(seed)
    for epoch in range(EPOCHS):
        order = rng.permutation(len(slots))
        losses = [
            _epoch(slots, answer, order, weight, square, RATE, DECAY)
            for answer, weight, square in zip(answers, weights, squares, strict=True)
        ]
        print(f"epoch {epoch + 1} of {EPOCHS}: loss {losses[0]:.4f}, {losses[1]:.4f}", flush=True)
    scaled = np.round(np.clip(np.column_stack(weights) / CLIP, -1, 1) * 127)
    return scaled.astype(np.int8)


def main(out: str, *files: str) -> None:
    parts = [read_syllables(Path(file)) for file in files]
    slots, ends, meets = (np.concatenate(part) for part in zip(*parts, strict=True))
    print(
        f"{len(slots):,} syllables; {ends.mean():.1%} end a morpheme, {meets.mean():.1%} hold two"
    )
    np.savez_compressed(out, weights=fit_boundaries(slots, ends, meets))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
