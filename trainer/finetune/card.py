"""What a fine-tuning says of itself: card.json, card.md, and two pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from schemas.errors import InputError
from trainer.finetune.samples import Label

if TYPE_CHECKING:
    from trainer.finetune.finetune import FineTuneConfig

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


def write_card(
    config: FineTuneConfig,
    labels: Sequence[Label],
    scores: Tensor,
    truth: Tensor,
    features: tuple[Tensor, Tensor],
    training: Mapping[str, Any],
    out: Path,
) -> None:
    """Write card.json and card.md, and unless the config says no confusion.png and features.png.

    `scores`: [samples, classes] of the samples held out, or [samples, 1]; `features`: before
    and after, [samples, dim].
    """
    card: dict[str, Any] = {
        "name": config.name,
        "method": config.method.model_dump(),
        "checkpoint": Path(config.checkpoint).name,
        "kind": config.kind,
        "training": dict(training),
        "held out": len(truth),
    }
    lines = [f"# {config.name}", "", f"Fine-tuned by `{config.method.name}`."]
    if labels:
        matrix, by_class = class_figures(truth, scores.argmax(dim=1), len(labels))
        card["accuracy"] = round(float(np.diag(matrix).sum() / matrix.sum()), 4)
        card["macro F1"] = round(float(by_class[:, 2].mean()), 4)
        names = [str(label) for label in labels]
        card["classes"] = {
            name: {
                "held out": int(row.sum()),
                **{
                    key: round(float(value), 4)
                    for key, value in zip(("precision", "recall", "f1"), figures, strict=True)
                },
            }
            for name, row, figures in zip(names, matrix, by_class, strict=True)
        }
        card["confusion"] = matrix.tolist()
        for moment, z in zip(("before", "after"), features, strict=True):
            within, between = separation(z, truth)
            card[f"distances {moment}"] = {"within": round(within, 4), "between": round(between, 4)}
        lines += [
            f"Accuracy {card['accuracy']}, macro F1 {card['macro F1']} on {len(truth)} samples "
            "held out.",
            "",
            "| class | held out | precision | recall | F1 |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {k} | " + " | ".join(map(str, v.values())) + " |"
            for k, v in card["classes"].items()
        ]
    else:
        apart = scores[:, 0] - truth
        card["mean squared error"] = round(float(apart.square().mean()), 5)
        card["mean absolute error"] = round(float(apart.abs().mean()), 5)
        card["variance of the labels"] = round(float(truth.var(correction=0)), 5)
        lines += [
            f"Mean squared error {card['mean squared error']} (variance of the labels "
            f"{card['variance of the labels']}) on {len(truth)} samples held out."
        ]
    if config.pictures:
        colours = truth.numpy()
        if labels:
            draw_confusion(np.array(card["confusion"]), names, out / "confusion.png")
            lines += ["", "![confusion](confusion.png)"]
        draw_features(features, colours, labels, config.projection, out / "features.png")
        lines += ["", "![features before and after](features.png)"]
    text = json.dumps(card, indent=1, ensure_ascii=False)
    (out / "card.json").write_text(text + "\n", "utf-8")
    (out / "card.md").write_text("\n".join(lines) + "\n", "utf-8")


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


FEWEST = 5
"""Samples below which t-SNE has no neighbours to speak of."""


def project(z: Tensor, projection: str) -> Floats:
    """Return features [samples, dim] in two dimensions, by PCA or t-SNE; PCA for very few."""
    if projection == "pca" or len(z) < FEWEST:
        centred = (z - z.mean(dim=0)).double()
        _, _, axes = np.linalg.svd(centred.numpy(), full_matrices=False)
        flat: Floats = np.zeros((len(z), 2))  # a single sample has no second axis
        flat[:, : len(axes[:2])] = centred.numpy() @ axes[:2].T
        return flat
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        raise InputError("t-SNE needs `pip install 'bibim[train]'`; or say pca") from None
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
