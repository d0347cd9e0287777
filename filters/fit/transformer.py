"""`bibim fit toxicity --transformer`: training of the small transformer.

First the table of n-grams, from unlabelled lines and the training rows (`filters/fit/cbow.py`).
Then
the network on the training rows in Hangul: the label, and beside it, where rows say so, the label
as each `source` draws it, the source, and its classes (`fine`); the logit of an n-gram model that
had not seen the row goes in as well. A tenth of the training rows is kept back; on it a logistic
regression over all outputs makes the probability. One thread and one seed: the same input gives
the same model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from filters.columnar.arrays import Floats, Ints, Longs, Mask
from filters.fit.cbow import train_table
from filters.fit.labelled import Row, fold_of, is_held, read_texts
from filters.fit.linear import LEAST_ROWS, card_text, described, read_rows
from filters.fit.logistic import figures, fit_logistic
from filters.fit.ngram import FOLDS, extract, fit_with_logits
from filters.toxicity import small_transformer
from filters.toxicity.ngram_model import features
from filters.toxicity.small_transformer import (
    CARD,
    LOGIT_BOUND,
    Shape,
    SmallClassifier,
    SmallModel,
    Tokens,
    gather,
    make_network,
    outputs,
    tokenise,
)
from schemas.errors import InputError
from schemas.extras import TORCH, needs

SHAPE = Shape()
LINE_CHARS = 8
"""Shorter lines of unlabelled text are left out."""
PARTS = 2
"""Of unlabelled lines one in so many is read, by hash."""
TABLE_EPOCHS = 3
KEPT_BACK = 10
"""One training row in so many makes the last curve."""
BATCH_TOKENS = 1024
RATE = 6e-4
TOLD = 0.3
"""Weight of source and classes beside the label."""
SMOOTHING = 0.1
HIDDEN = 0.1
"""Share of tokens hidden from the network in training."""
CURVE_COST = 0.3


def fit_transformer(
    data: Sequence[Path],
    out: Path,
    text: Sequence[Path] = (),
    epochs: int = 4,
    seed: int = 0,
    shape: Shape = SHAPE,
    note: str = "",
    licence: str = "",
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Fit a small transformer on labelled rows {text, label: 1 = toxic}; write the folder `out`.

    `data` as for `filters.fit.linear.fit_toxicity`; rows may carry `source` and `fine` (classes, by
    commas). `text`: JSON Lines of more text like it, without labels; documents that are held
    out by their id are not read. `say` gets lines of progress. Returns the card's figures.
    Raises InputError where rows or the output's name are not what is needed, or too few rows are
    in Hangul.
    """
    with needs(TORCH, "fit toxicity --transformer"):
        import torch

    if out.suffix == ".npz" or out.is_file():
        raise InputError(f"--out {out}: a transformer is written as a folder; name one")
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rows, held = read_rows(data)
    labels = np.array([row.label for row in rows], dtype=bool)
    texts = pa.array([row.text for row in rows], pa.large_string())
    kind = features(texts, 10)[2]
    train = np.flatnonzero(~held)
    ngram, logits = fit_with_logits(
        extract(texts.take(pa.array(train))),
        labels[train],
        np.array([fold_of(rows[row].id, FOLDS, salt="fold") for row in train]),
    )
    tokens = tokenise(texts, shape.bits)
    good = (kind[train] == 0) & (tokens.lengths()[train] > 0)
    train, prior = train[good], np.zeros(len(rows), np.float32)
    prior[train] = np.clip(logits[good], -LOGIT_BOUND, LOGIT_BOUND)
    for label in (True, False):
        if (count := int((labels[train] == label).sum())) < LEAST_ROWS:
            raise InputError(
                f"{', '.join(map(str, data))}: {count} training rows in Hangul with label "
                f"{int(label)}; a transformer needs at least {LEAST_ROWS} of each"
            )
    names, targets = make_targets(rows)
    shape = Shape(shape.bits, shape.width, shape.layers, shape.heads, len(names))
    network = make_network(shape)
    lines = [rows[row].text for row in train] + list(_lines(text))
    say(f"{len(train):,} labelled rows in Hangul; {len(lines):,} lines to learn words from")
    table = train_table(
        tokenise(pa.array(lines, pa.large_string()), shape.bits),
        shape.bits,
        shape.width,
        TABLE_EPOCHS,
        seed,
    )
    network.start_from(table)
    back = np.array([fold_of(rows[row].id, KEPT_BACK, salt="curve") == 0 for row in train])
    train_network(
        network,
        tokens,
        prior,
        targets,
        train[~back],
        epochs,
        seed,
        lambda epoch: say(f"pass {epoch + 1}/{epochs} over the labels"),
    )

    curve_rows = train[back]
    said = outputs(network, tokens.take(curve_rows), prior[curve_rows])
    said = np.column_stack([said, prior[curve_rows]])
    slope, offset = fit_logistic(said.astype(np.float64), labels[curve_rows], CURVE_COST)
    weights = {name: value.numpy().copy() for name, value in network.state_dict().items()}
    model = SmallModel(shape, weights, slope.astype(np.float32), offset, ngram, {})
    small_transformer.save(model, out)

    written = small_transformer.load(out, "cpu")
    found = {
        name: figures(
            _chances(written, texts, kind, np.flatnonzero(held & where)), labels[held & where]
        )
        for name, where in _groups(rows, kind)
        if (held & where).any()
    }
    card = {
        "task": "toxicity",
        "data": described(data),
        "text": described(text),
        "rows": len(train),
        "licence": licence,
        "outputs": names,
        "figures": {name: figure.as_dict() for name, figure in found.items()},
    }
    small_transformer.save(SmallModel(shape, weights, model.slope, offset, ngram, card), out)
    command = " ".join(
        ["bibim fit toxicity --transformer"]
        + [f"--data {name}" for name in described(data)]
        + [f"--text {name}" for name in described(text)]
        + [f"--epochs {epochs} --seed {seed} --out {out.name}"]
    )
    what = (
        "Probability that a window of text is toxic (hate, abuse, obscene insult). Windows in "
        f"Hangul: {shape.layers} encoder layers of width {shape.width} over words made of hashed "
        "n-grams (`filters/toxicity/small_transformer.py`), with the n-gram model beside it; other "
        "windows: that model alone. Training: `filters/fit/transformer.py`."
    )
    (out / CARD).write_text(
        card_text("Toxicity transformer", what, card, found, command, note), "utf-8"
    )
    return card


def make_targets(rows: Sequence[Row]) -> tuple[list[str], Floats]:
    """Return the outputs' names and what they shall say, float32 (rows, outputs).

    The label first. NaN where a row does not tell: another source's label or classes. A class
    that all rows of a source without label 1 have (`none`) is told by the label and left out.
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
    tokens: Tokens,
    prior: Floats,
    targets: Floats,
    rows: Longs,
    epochs: int,
    seed: int,
    after: Callable[[int], None] = lambda epoch: None,
) -> None:
    """Train on `rows` with AdamW, the rate falling to nothing. `after` is called by epoch."""
    import torch
    from torch.nn import functional

    rng = np.random.default_rng(seed)
    lengths = tokens.lengths()
    adam = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01, foreach=True)
    total = epochs * int(lengths[rows].sum())
    weight = torch.full((targets.shape[1],), TOLD)
    weight[0] = 1.0
    done = 0
    for epoch in range(epochs):
        network.train()
        for step, batch in enumerate(_batches(lengths, rows, rng), epoch * len(rows)):
            ids, begins, place, seen = gather(tokens, batch)
            words = network.embed(ids, begins)
            hide = torch.from_numpy(rng.random(len(words)) < HIDDEN)
            words = torch.where(hide[:, None], network.hidden, words)
            said = network(words, place, seen, torch.from_numpy(prior[batch]))
            truth = torch.from_numpy(targets[batch])
            told = ~truth.isnan()
            loss = functional.binary_cross_entropy_with_logits(
                said,
                torch.where(told, truth * (1 - SMOOTHING) + SMOOTHING / 2, 0.5),
                reduction="none",
            )
            for group in adam.param_groups:
                group["lr"] = RATE * min((step + 1) / 30, 1.02 - done / total)
            adam.zero_grad()
            torch.autograd.backward((loss * told * weight).sum() / len(batch))
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            adam.step()
            done += int(seen.sum())
        after(epoch)


def _batches(lengths: Longs, rows: Longs, rng: np.random.Generator) -> Iterator[Longs]:
    """Yield `rows` in random order, in batches of about BATCH_TOKENS tokens and of like length."""
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
            if is_held(row.id):
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


def _chances(model: SmallClassifier, texts: pa.Array, kind: Ints, rows: Longs) -> Floats:
    return model(texts.take(pa.array(rows)), kind[rows])
