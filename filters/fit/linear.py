"""`bibim fit toxicity` and `bibim fit quality`: labelled JSON Lines in, a model and a card out.

A fifth of the rows, by the hash of their ids, is held out of training. Every figure of the card is
measured on it with the model as it was written. The card has the model's name with `.md`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from filters.columnar.arrays import Floats, Mask
from filters.fit.labelled import HELD_OUT_PARTS, Row, fold_of, is_held_out, read_labelled
from filters.fit.logistic import Figures, figures, fit_logistic
from filters.fit.ngram import FOLDS, extract, fit_model
from filters.quality.annotator import Head, save_head
from filters.quality.embedding import DEFAULT, load_embedder
from filters.toxicity import ngram_model
from schemas.errors import InputError

MIN_ROWS = 50
"""Training rows of either label, at least."""
QUALITY_COST = 0.2
"""Weight of the loss against the ridge for the head, whose features are unit vectors."""
EMBED_ROWS = 512

_KINDS = ("Hangul", "other")


def fit_toxicity(
    data: Sequence[Path], out: Path, note: str = "", licence: str = ""
) -> dict[str, Any]:
    """Fit a toxicity model on labelled rows {text, label: 1 = toxic} and write it to `out`.

    `data`: JSON Lines (`.gz`, `.zst`, plain) with `text`, `label`, and `id` for a split that
    does not depend on order. `note` and `licence` are written on the card. Returns the card's
    figures. Raises InputError where rows, labels or the output's name are not what is needed.
    """
    _check_out(out)
    rows, held_out = read_rows(data)
    labels = np.array([row.label for row in rows], dtype=bool)
    text = pa.array([row.text for row in rows], pa.large_string())
    fold = np.array([fold_of(row.id, FOLDS, salt="fold") for row in rows])
    train = ~held_out
    features = extract(text.filter(pa.array(train)))
    model = fit_model(features, labels[train], fold[train])
    score, _ = model.score(text.filter(pa.array(held_out)))
    kind = ngram_model.features(text.filter(pa.array(held_out)), 10)[2]
    found = {
        name: figures(score[kind == number], labels[held_out][kind == number])
        for number, name in enumerate(_KINDS)
        if (kind == number).any()
    }
    card = {
        "task": "toxicity",
        "data": described(data),
        "rows": int(train.sum()),
        "licence": licence,
        "figures": {name: figure.as_dict() for name, figure in found.items()},
    }
    ngram_model.save(replace(model, card=card), out)
    text_card = card_text(
        "Toxicity model",
        "Probability that a window of text is toxic (hate, abuse, obscene insult), for text in "
        "Hangul and for other text. Hashed character, letter and word n-grams, logistic "
        "regression, int8 weights: `filters/toxicity/ngram_model.py`; "
        "training: `filters/fit/ngram.py`.",
        card,
        found,
        f"bibim fit toxicity {_arguments(data)} --out {out.name}",
        note,
    )
    out.with_suffix(".md").write_text(text_card, "utf-8")
    return card


def fit_quality(
    data: Sequence[Path],
    out: Path,
    embedder: str = DEFAULT,
    device: str = "auto",
    note: str = "",
    licence: str = "",
) -> dict[str, Any]:
    """Fit a quality head on labelled rows {text, label: 1 = good} and write it to `out`.

    `embedder` and `device` as in the config's `quality` section; the head works with that
    embedder only. Rows may carry `kind`; the card then has figures by kind.
    Returns the card's figures. Raises InputError as `fit_toxicity` does.
    """
    _check_out(out)
    rows, held_out = read_rows(data)
    labels = np.array([row.label for row in rows], dtype=bool)
    embed = load_embedder(embedder, device)
    vectors = np.concatenate(
        [
            embed(pa.array([row.text for row in rows[at : at + EMBED_ROWS]], pa.large_string()))
            for at in range(0, len(rows), EMBED_ROWS)
        ]
    )
    weights, intercept = fit_logistic(
        vectors[~held_out].astype(np.float64), labels[~held_out], QUALITY_COST, steps=500
    )
    head = Head(weights, intercept, embedder, {})
    score = head(vectors[held_out])
    found = {"all": figures(score, labels[held_out])}
    kinds = _by_kind([row for row, out_ in zip(rows, held_out, strict=True) if out_], score)
    card = {
        "task": "quality",
        "data": described(data),
        "rows": int((~held_out).sum()),
        "licence": licence,
        "figures": {name: figure.as_dict() for name, figure in found.items()},
        "kinds": kinds,
    }
    save_head(replace(head, card=card), out)
    text_card = card_text(
        "Quality head",
        f"Probability that a text is well made rather than junk, from embedder `{embedder}`: "
        "a logistic regression (`filters/quality/annotator.py`).",
        card,
        found,
        f"bibim fit quality {_arguments(data)} --embedder {embedder} --out {out.name}",
        note,
    )
    out.with_suffix(".md").write_text(text_card, "utf-8")
    return card


def _check_out(out: Path) -> None:
    if out.suffix != ".npz":
        raise InputError(f"--out {out}: a model is written as .npz; name it {out.stem}.npz")
    out.parent.mkdir(parents=True, exist_ok=True)


def read_rows(data: Sequence[Path]) -> tuple[list[Row], Mask]:
    """Return all rows in the order of their ids, and a mask of the held-out ones.

    Raises InputError where fewer than MIN_ROWS rows of a label are left for training.
    """
    rows = sorted(read_labelled(list(data)), key=lambda row: (row.id, row.text))
    held_out = np.array([is_held_out(row.id) for row in rows], dtype=bool)
    for label in (True, False):
        count = sum(row.label is label for row, out in zip(rows, held_out, strict=True) if not out)
        if count < MIN_ROWS:
            raise InputError(
                f"{', '.join(map(str, data))}: {count} training rows with label {int(label)}; "
                f"at least {MIN_ROWS} of each label are needed"
            )
    return rows, held_out


def _by_kind(rows: Iterable[Row], score: Floats) -> dict[str, list[float]]:
    """Return by kind: rows, median score, share below 0.2, AUC.

    The AUC of a kind that is only junk is against all kinds that are only good, of any other kind
    against all kinds that are only junk.
    """
    groups: dict[str, list[float]] = defaultdict(list)
    labels: dict[str, set[bool | None]] = defaultdict(set)
    for row, value in zip(rows, score, strict=True):
        if row.kind:
            groups[row.kind].append(float(value))
            labels[row.kind].add(row.label)
    table: dict[str, list[float]] = {}
    for kind, values in sorted(groups.items()):
        junk = labels[kind] == {False}
        others = [v for k, vs in groups.items() if labels[k] == {junk} for v in vs]
        high, low = (others, values) if junk else (values, others)
        truth = np.array([True] * len(high) + [False] * len(low))
        table[kind] = [
            len(values),
            round(float(np.median(values)), 3),
            round(float(np.mean(np.array(values) < 0.2)), 4),
            round(figures(np.array(high + low), truth).auc, 4),
        ]
    return table


def described(data: Sequence[Path]) -> list[str]:
    """Return the names of the files without folders, which are local to a machine."""
    return [path.name for path in data]


def _arguments(data: Sequence[Path]) -> str:
    return " ".join(f"--data {path.name}" for path in data)


def card_text(
    title: str,
    what: str,
    card: dict[str, Any],
    found: dict[str, Figures],
    command: str,
    note: str,
) -> str:
    """Return the card as Markdown."""
    lines = [f"# {title}", "", what, ""]
    lines += [note.strip(), ""] if note else []
    lines += [
        f"- Data: {', '.join(card['data'])}; {card['rows']} rows trained on.",
        f"- Licence of the data: {card['licence'] or 'not stated'}.",
        f"- Held out: rows whose xxh3-64 of the id is 0 modulo {HELD_OUT_PARTS}; never trained on.",
        f"- Make it again: `{command}`",
        "",
        "| held-out rows | rows | positives | AUC | macro F1 at 0.5 | ECE |",
        "|---|---|---|---|---|---|",
    ]
    for name, figure in found.items():
        lines.append(
            f"| {name} | {figure.rows} | {figure.positives} | {figure.auc:.4f} | "
            f"{figure.macro_f1:.4f} | {figure.ece:.4f} |"
        )
    for name, figure in found.items():
        lines += ["", f"Reliability, {name}, by tenth of probability:", ""]
        lines += ["| mean probability | share of positives | rows |", "|---|---|---|"]
        lines += [
            f"| {mean:.3f} | {share:.3f} | {rows} |" for mean, share, rows in figure.reliability
        ]
    if card.get("kinds"):
        lines += ["", "| kind (held out) | rows | median score | share below 0.2 | AUC |"]
        lines += ["|---|---|---|---|---|"]
        lines += [
            f"| {kind} | {' | '.join(map(str, values))} |" for kind, values in card["kinds"].items()
        ]
    return "\n".join(lines) + "\n"
