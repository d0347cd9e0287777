"""`bibim fit toxicity --transformer`: training of the small transformer.

1. The table of n-grams learns from unlabelled lines and the training rows (`filters/fit/cbow.py`).
2. The network learns from the training rows in Hangul: the label and, where rows name them, the
   label as each `source` draws it, the source, and its classes (`fine`). One of its inputs is the
   logit of an n-gram model that had not seen the row.
3. A tenth of the training rows is kept back. On it a logistic regression over all outputs becomes
   the curve that gives the probability.

One thread and one seed: the same input gives the same model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from filters.columnar.arrays import Floats, Ints, Longs, Mask
from filters.fit.cbow import train_table
from filters.fit.labelled import Row, fold_of, is_held_out, read_texts
from filters.fit.linear import MIN_ROWS, card_text, described, read_rows
from filters.fit.logistic import Figures, figures, fit_logistic
from filters.fit.ngram import FOLDS, extract, fit_with_logits
from filters.toxicity import small_transformer
from filters.toxicity.network import Shape, gather, make_network
from filters.toxicity.ngram_model import NgramModel, features
from filters.toxicity.small_transformer import (
    CARD,
    LOGIT_BOUND,
    SmallClassifier,
    SmallModel,
    outputs,
)
from filters.toxicity.tokens import Tokens, tokenise
from schemas.errors import InputError
from schemas.extras import TORCH, needs

SHAPE = Shape()
LINE_CHARS = 8
"""Unlabelled lines of more characters than this are read."""
PARTS = 2
"""Of the unlabelled lines one in PARTS is read, drawn by hash."""
TABLE_EPOCHS = 3
KEPT_BACK = 10
"""One training row in KEPT_BACK is kept for the last curve."""
BATCH_TOKENS = 1024
RATE = 6e-4
SIDE_WEIGHT = 0.3
"""Weight in the loss of each output beside the label."""
SMOOTHING = 0.1
HIDDEN = 0.1
"""Share of tokens hidden from the network in training."""
CURVE_COST = 0.3


@dataclass(frozen=True)
class Examples:
    """Labelled rows as the network reads them; arrays are by row unless noted."""

    rows: Sequence[Row]
    held_out: Mask
    labels: Mask
    texts: pa.Array
    kind: Ints
    """0 where the text is in Hangul, else 1."""
    tokens: Tokens
    train: Longs
    """Row numbers of what is trained on: not held out, in Hangul, with a token."""
    prior: Floats
    """The logit of an n-gram model that had not seen the row, bounded; 0 outside `train`."""
    ngram: NgramModel


def fit_transformer(
    data: Sequence[Path],
    out: Path,
    text: Sequence[Path] = (),
    epochs: int = 4,
    seed: int = 0,
    shape: Shape = SHAPE,
    note: str = "",
    licence: str = "",
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Fit a small transformer on labelled rows {text, label: 1 = toxic}; write the folder `out`.

    `data` as for `filters.fit.linear.fit_toxicity`; rows may carry `source` and `fine` (classes,
    separated by commas). `text`: JSON Lines of similar text without labels; documents whose id is
    held out are not read. `report` is called with lines of progress. Returns the card's figures.
    Raises InputError where rows, labels or the output's name are not what is needed, or too few
    rows are in Hangul.
    """
    with needs(TORCH, "fit toxicity --transformer"):
        import torch

    if out.suffix == ".npz" or out.is_file():
        raise InputError(f"--out {out}: a transformer is written as a folder; name one")
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    examples = _read_examples(data, shape)
    names, targets = make_targets(examples.rows)
    shape = Shape(shape.bits, shape.width, shape.layers, shape.heads, len(names))
    network = _started_network(examples, shape, text, seed, report)
    ids = [examples.rows[row].id for row in examples.train]
    back = np.array([fold_of(identity, KEPT_BACK, salt="curve") == 0 for identity in ids])
    train_network(network, examples, targets, examples.train[~back], epochs, seed, report)
    slope, offset = _fit_curve(network, examples, examples.train[back])
    weights = {name: value.numpy().copy() for name, value in network.state_dict().items()}
    model = SmallModel(shape, weights, slope, offset, examples.ngram, {})
    small_transformer.save(model, out)

    found = _held_out_figures(small_transformer.load(out, "cpu"), examples)
    card = {
        "task": "toxicity",
        "data": described(data),
        "text": described(text),
        "rows": len(examples.train),
        "licence": licence,
        "outputs": names,
        "figures": {name: figure.as_dict() for name, figure in found.items()},
    }
    small_transformer.save(replace(model, card=card), out)
    run = f"--epochs {epochs} --seed {seed} --out {out.name}"
    (out / CARD).write_text(_card_page(card, shape, found, run, note), "utf-8")
    return card


def _read_examples(data: Sequence[Path], shape: Shape) -> Examples:
    """Return the rows of `data`. Raises InputError where too few of a label are in Hangul."""
    rows, held_out = read_rows(data)
    labels = np.array([row.label for row in rows], dtype=bool)
    texts = pa.array([row.text for row in rows], pa.large_string())
    kind = features(texts, 10)[2]
    train = np.flatnonzero(~held_out)
    ngram, logits = fit_with_logits(
        extract(texts.take(pa.array(train))),
        labels[train],
        np.array([fold_of(rows[row].id, FOLDS, salt="fold") for row in train]),
    )
    tokens = tokenise(texts, shape.bits)
    usable = (kind[train] == 0) & (tokens.lengths()[train] > 0)
    train, prior = train[usable], np.zeros(len(rows), np.float32)
    prior[train] = np.clip(logits[usable], -LOGIT_BOUND, LOGIT_BOUND)
    for label in (True, False):
        if (count := int((labels[train] == label).sum())) < MIN_ROWS:
            raise InputError(
                f"{', '.join(map(str, data))}: {count} training rows in Hangul with label "
                f"{int(label)}; a transformer needs at least {MIN_ROWS} of each"
            )
    return Examples(rows, held_out, labels, texts, kind, tokens, train, prior, ngram)


def _started_network(
    examples: Examples,
    shape: Shape,
    text: Sequence[Path],
    seed: int,
    report: Callable[[str], None],
) -> Any:
    """Return a network of random weights and a table learned from training rows and `text`."""
    network = make_network(shape)
    lines = [examples.rows[row].text for row in examples.train] + list(_lines(text))
    report(
        f"{len(examples.train):,} labelled rows in Hangul; {len(lines):,} lines to learn words from"
    )
    tokens = tokenise(pa.array(lines, pa.large_string()), shape.bits)
    network.start_from(train_table(tokens, shape.bits, shape.width, TABLE_EPOCHS, seed))
    return network


def _fit_curve(network: Any, examples: Examples, rows: Longs) -> tuple[Floats, float]:
    """Return (slope, offset) of `SmallModel`, fitted on `rows`."""
    prior = examples.prior[rows]
    evidence = np.column_stack([outputs(network, examples.tokens.take(rows), prior), prior])
    slope, offset = fit_logistic(evidence.astype(np.float64), examples.labels[rows], CURVE_COST)
    return slope.astype(np.float32), offset


def _held_out_figures(model: SmallClassifier, examples: Examples) -> dict[str, Figures]:
    """Return figures on the held-out rows by the groups of the card, empty groups left out."""
    found = {}
    for name, where in _groups(examples.rows, examples.kind):
        here = np.flatnonzero(examples.held_out & where)
        if len(here):
            score = model(examples.texts.take(pa.array(here)), examples.kind[here])
            found[name] = figures(score, examples.labels[here])
    return found


def _card_page(
    card: dict[str, Any], shape: Shape, found: dict[str, Figures], run: str, note: str
) -> str:
    """Return the card as Markdown; `run`: the last options of the command that makes the model."""
    command = " ".join(
        ["bibim fit toxicity --transformer"]
        + [f"--data {name}" for name in card["data"]]
        + [f"--text {name}" for name in card["text"]]
        + [run]
    )
    what = (
        "Probability that a window of text is toxic (hate, abuse, obscene insult). Windows in "
        f"Hangul: {shape.layers} encoder layers of width {shape.width} over words made of hashed "
        "n-grams (`filters/toxicity/small_transformer.py`), with the n-gram model beside it; other "
        "windows: that model alone. Training: `filters/fit/transformer.py`."
    )
    return card_text("Toxicity transformer", what, card, found, command, note)


def make_targets(rows: Sequence[Row]) -> tuple[list[str], Floats]:
    """Return the names of the outputs and their targets, float32 (rows, outputs).

    The label comes first. NaN where the target is unknown: another source's label or classes.
    Classes that no row with label 1 has (`none`) follow from the label and are left out.
    """
    sources = sorted({row.source for row in rows if row.source})
    names = ["label"]
    columns = [np.array([float(bool(row.label)) for row in rows])]
    if len(sources) > 1:
        for source in sources:
            here = np.array([row.source == source for row in rows])
            names += [f"label of {source}", source]
            columns += [np.where(here, columns[0], np.nan), here.astype(np.float64)]
    toxic = sorted({(row.source, name) for row in rows if row.label for name in row.classes})
    for source, name in toxic:
        names.append(f"{source}: {name}")
        columns.append(
            np.array(
                [
                    float(name in row.classes) if row.source == source and row.classes else np.nan
                    for row in rows
                ]
            )
        )
    return names, np.column_stack(columns).astype(np.float32)


def train_network(
    network: Any,
    examples: Examples,
    targets: Floats,
    rows: Longs,
    epochs: int,
    seed: int,
    report: Callable[[str], None],
) -> None:
    """Train on `rows` with AdamW, the rate falling to zero; report each epoch."""
    import torch
    from torch.nn import functional

    rng = np.random.default_rng(seed)
    tokens, lengths = examples.tokens, examples.tokens.lengths()
    adam = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01, foreach=True)
    total = epochs * int(lengths[rows].sum())
    weight = torch.full((targets.shape[1],), SIDE_WEIGHT)
    weight[0] = 1.0
    done = 0
    for epoch in range(epochs):
        network.train()
        for step, batch in enumerate(_batches(lengths, rows, rng), epoch * len(rows)):
            ids, begins, position, present = gather(tokens, batch)
            words = network.embed(ids, begins)
            hide = torch.from_numpy(rng.random(len(words)) < HIDDEN)
            words = torch.where(hide[:, None], network.hidden, words)
            logits = network(words, position, present, torch.from_numpy(examples.prior[batch]))
            truth = torch.from_numpy(targets[batch])
            known = ~truth.isnan()
            loss = functional.binary_cross_entropy_with_logits(
                logits,
                torch.where(known, truth * (1 - SMOOTHING) + SMOOTHING / 2, 0.5),
                reduction="none",
            )
            for group in adam.param_groups:
                group["lr"] = RATE * min((step + 1) / 30, 1.02 - done / total)
            adam.zero_grad()
            torch.autograd.backward((loss * known * weight).sum() / len(batch))
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            adam.step()
            done += int(present.sum())
        report(f"pass {epoch + 1}/{epochs} over the labels")


def _batches(lengths: Longs, rows: Longs, rng: np.random.Generator) -> Iterator[Longs]:
    """Yield `rows` in random order, in batches of about BATCH_TOKENS tokens and similar lengths."""
    rows = rng.permutation(rows)
    found = []
    for start in range(0, len(rows), 1 << 13):
        chunk = rows[start : start + (1 << 13)]
        chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
        full = np.cumsum(lengths[chunk]) // BATCH_TOKENS
        found += np.split(chunk, np.flatnonzero(np.diff(full)) + 1)
    for number in rng.permutation(len(found)):
        yield found[number]


def _lines(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        for row in read_texts(path):
            if is_held_out(row.id):
                continue
            for number, line in enumerate(row.text.split("\n")):
                if len(line) > LINE_CHARS and fold_of(f"{row.id}-{number}", PARTS, "line") == 0:
                    yield line


def _groups(rows: Sequence[Row], kind: Ints) -> Iterator[tuple[str, Mask]]:
    """Yield the groups of the card: by kind of window, and of Hangul by source."""
    yield "Hangul", kind == 0
    sources = sorted({row.source for row, number in zip(rows, kind, strict=True) if number == 0})
    for source in sources if len(sources) > 1 else ():
        yield f"Hangul, {source}", (kind == 0) & np.array([row.source == source for row in rows])
    yield "other", kind == 1
