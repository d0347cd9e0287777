"""The card of a fine-tuning: card.json, card.md, and two pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from schemas.errors import InputError
from trainer.finetune.config import FineTuneConfig
from trainer.finetune.samples import Label

Floats = npt.NDArray[np.float64]


def class_figures(
    truth: Tensor, found: Tensor, classes: int
) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the confusion matrix [true, found], and precision, recall and F1 [classes, 3].

    A share of nothing is 0.
    """
    pairs = (truth * classes + found).numpy()
    matrix = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
    right = np.diag(matrix).astype(np.float64)
    precision = right / np.maximum(matrix.sum(axis=0), 1)
    recall = right / np.maximum(matrix.sum(axis=1), 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return matrix, np.stack([precision, recall, f1], axis=1)


def separation(z: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return the mean squared distance to the own class's mean, and of class means to the mean
    of all of them; features [samples, dim], labels [samples]."""
    kinds = torch.unique(labels)
    means = [z[labels == kind].mean(dim=0) for kind in kinds]
    within = [
        (z[labels == kind] - mean).square().sum(dim=1)
        for kind, mean in zip(kinds, means, strict=True)
    ]
    centre = sum(means) / len(means)
    between = [float((mean - centre).square().sum()) for mean in means]
    return float(np.concatenate([part.numpy() for part in within]).mean()), float(np.mean(between))


@dataclass(frozen=True)
class Measured:
    """What a fine-tuning yields on its held-out samples."""

    truth: Tensor
    """Classes or numbers, [samples]."""
    scores: Tensor
    """[samples, classes], or numbers [samples, 1]."""
    before: Tensor
    """Features before tuning, [samples, dim]."""
    after: Tensor
    """Features after tuning."""


def write_card(
    config: FineTuneConfig,
    labels: Sequence[Label],
    measured: Measured,
    training: Mapping[str, Any],
    out: Path,
) -> None:
    """Write card.json and card.md; with `pictures` also confusion.png and features.png.

    `labels`: the classes, none for regression. `training`: figures of the tuning, by name.
    """
    card: dict[str, Any] = {
        "name": config.name,
        "method": config.method.model_dump(),
        "checkpoint": Path(config.checkpoint).name,
        "kind": config.kind,
        "training": dict(training),
        "held out": len(measured.truth),
        **(_of_classes(labels, measured) if labels else _of_numbers(measured)),
    }
    lines = [f"# {config.name}", "", f"Fine-tuned by `{config.method.name}`."]
    lines += _class_lines(card) if labels else _number_lines(card)
    if config.pictures:
        lines += _pictures(config, labels, measured, card, out)
    text = json.dumps(card, indent=1, ensure_ascii=False)
    (out / "card.json").write_text(text + "\n", "utf-8")
    (out / "card.md").write_text("\n".join(lines) + "\n", "utf-8")


def _of_classes(labels: Sequence[Label], measured: Measured) -> dict[str, Any]:
    """Return accuracy, F1, figures of each class, confusion matrix and distances of features."""
    found = measured.scores.argmax(dim=1)
    matrix, by_class = class_figures(measured.truth, found, len(labels))
    figures = {
        str(label): {
            "held out": int(row.sum()),
            **{
                key: round(float(value), 4)
                for key, value in zip(("precision", "recall", "f1"), values, strict=True)
            },
        }
        for label, row, values in zip(labels, matrix, by_class, strict=True)
    }
    distances = {}
    for moment, z in (("before", measured.before), ("after", measured.after)):
        within, between = separation(z, measured.truth)
        distances[f"distances {moment}"] = {
            "within": round(within, 4),
            "between": round(between, 4),
        }
    return {
        "accuracy": round(float(np.diag(matrix).sum() / matrix.sum()), 4),
        "macro F1": round(float(by_class[:, 2].mean()), 4),
        "classes": figures,
        "confusion": matrix.tolist(),
        **distances,
    }


def _of_numbers(measured: Measured) -> dict[str, Any]:
    """Return the errors of a regression."""
    errors = measured.scores[:, 0] - measured.truth
    return {
        "mean squared error": round(float(errors.square().mean()), 5),
        "mean absolute error": round(float(errors.abs().mean()), 5),
        "variance of the labels": round(float(measured.truth.var(correction=0)), 5),
    }


def _class_lines(card: Mapping[str, Any]) -> list[str]:
    return [
        f"Accuracy {card['accuracy']}, macro F1 {card['macro F1']} on {card['held out']} samples "
        "held out.",
        "",
        "| class | held out | precision | recall | F1 |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | " + " | ".join(map(str, figures.values())) + " |"
            for name, figures in card["classes"].items()
        ),
    ]


def _number_lines(card: Mapping[str, Any]) -> list[str]:
    return [
        f"Mean squared error {card['mean squared error']} (variance of the labels "
        f"{card['variance of the labels']}) on {card['held out']} samples held out."
    ]


def _pictures(
    config: FineTuneConfig,
    labels: Sequence[Label],
    measured: Measured,
    card: Mapping[str, Any],
    out: Path,
) -> list[str]:
    """Draw the pictures; return the lines of card.md that show them."""
    lines = []
    if labels:
        names = [str(label) for label in labels]
        draw_confusion(np.array(card["confusion"]), names, out / "confusion.png")
        lines += ["", "![confusion](confusion.png)"]
    features = (measured.before, measured.after)
    picture = out / "features.png"
    draw_features(features, measured.truth.numpy(), labels, config.projection, picture)
    return [*lines, "", "![features before and after](features.png)"]


def plotting() -> Any:
    """Return matplotlib's pyplot, drawing to files. Raises InputError where it is missing."""
    try:
        import matplotlib
    except ImportError:
        raise InputError(
            "pictures need `pip install 'bibim[train]'`, or say `pictures: false`"
        ) from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def draw_confusion(matrix: npt.NDArray[np.int64], names: Sequence[str], path: Path) -> None:
    """Draw a confusion matrix, rows the truth."""
    plt = plotting()
    size = max(3.0, 0.6 * len(names) + 1.5)
    figure, axes = plt.subplots(figsize=(size, size))
    axes.imshow(
        matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1
    )
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("found")
    axes.set_ylabel("true")
    for (row, column), count in np.ndenumerate(matrix):
        dark = count > matrix[row].sum() / 2
        axes.text(column, row, count, ha="center", va="center", color="white" if dark else "black")
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


MINIMUM = 5
"""Minimum number of samples for t-SNE."""


def project(z: Tensor, projection: str) -> Floats:
    """Return features [samples, dim] in two dimensions, by PCA or t-SNE; few by PCA."""
    if projection == "pca" or len(z) < MINIMUM:
        centred = (z - z.mean(dim=0)).double()
        _, _, axes = np.linalg.svd(centred.numpy(), full_matrices=False)
        flat: Floats = np.zeros((len(z), 2))  # a single sample has no second axis
        flat[:, : len(axes[:2])] = centred.numpy() @ axes[:2].T
        return flat
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        remedy = "run `pip install 'bibim[train]'`, or set `projection: pca`"
        raise InputError(f"t-SNE needs scikit-learn; {remedy}") from None
    near = min(30.0, (len(z) - 1) / 3)
    return np.asarray(TSNE(perplexity=near, random_state=0, init="pca").fit_transform(z.numpy()))


def draw_features(
    features: tuple[Tensor, Tensor],
    truth: npt.NDArray[Any],
    labels: Sequence[Label],
    projection: str,
    path: Path,
) -> None:
    """Draw the held-out samples' features before and after, coloured by label."""
    plt = plotting()
    figure, panels = plt.subplots(1, 2, figsize=(8, 4))
    for axes, z, title in zip(panels, features, ("before", "after"), strict=True):
        flat = project(z, projection)
        if labels:
            for number, label in enumerate(labels):
                own = flat[truth == number]
                axes.scatter(own[:, 0], own[:, 1], s=8, label=str(label))
        else:
            axes.scatter(flat[:, 0], flat[:, 1], s=8, c=truth)
        axes.set_title(f"{title} ({projection})")
        axes.set_xticks([])
        axes.set_yticks([])
    if labels and len(labels) <= 12:
        panels[1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)
