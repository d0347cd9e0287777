"""The model of blocks of pages, for `filters.text.pages.odds`.

    python -m filters.fit.pages OUT.npz FILE.jsonl …

A line of a FILE holds `html`, the page's whole main text `text`, and optionally `apart`, text that
counts as neither, and `weight` of the page. A block is main text if most runs of four words in it
stand in `text`. Or it holds passages: `with`, each in a block of the main text, and `without`, each
in another block; all other blocks are left out. Needs scikit-learn.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from filters.text.pages.choice import Chooser, dated
from filters.text.pages.marks import AROUND, COMMENTS, DETAIL
from filters.text.pages.odds import features
from filters.text.pages.tree import read_page

TREES, LEAVES, DEPTH, RATE = 60, 10, 4, 0.15
PASSAGE = 1.0
"""Weight of a passage."""
WORDS = 60
"""Words of a block beyond which its weight does not grow."""
_WORD = re.compile(r"\w+")


def runs(words: list[str]) -> set[tuple[str, ...]]:
    """Return the runs of four words."""
    return {tuple(words[at : at + 4]) for at in range(len(words) - 3)}


def labelled(html: str, text: str, apart: str) -> Iterator[tuple[list[float], bool, float]]:
    """Yield the features, label and weight of each block of a page whose label is clear."""
    blocks = Chooser(read_page(html), dated(html)).candidates(COMMENTS | AROUND | DETAIL)
    if not blocks.chosen:
        return
    wanted = _WORD.findall(text)
    main, neither, line = runs(wanted), runs(_WORD.findall(apart)), f" {' '.join(wanted)} "
    for block, row in zip(blocks.chosen, features(blocks), strict=True):
        words = _WORD.findall(blocks.page.texts[block])
        own = runs(words)
        if not words or (own and len(own & neither) * 2 > len(own)):
            continue
        share = len(own & main) / len(own) if own else float(f" {' '.join(words)} " in line)
        if not 0.3 < share < 0.6:
            weight = min(len(words), WORDS) ** 0.5 / (1 + len(blocks.chosen)) ** 0.5
            yield row, share >= 0.5, weight


def marked(
    html: str, wanted: list[str], unwanted: list[str]
) -> Iterator[tuple[list[float], bool, float]]:
    """Yield the features, label and weight of each block that holds a passage."""
    blocks = Chooser(read_page(html), dated(html)).candidates(COMMENTS | AROUND | DETAIL)
    if not blocks.chosen:
        return
    rows = features(blocks)
    for passages, label in ((wanted, True), (unwanted, False)):
        for passage in map(_flat, passages):
            for block, row in zip(blocks.chosen, rows, strict=True):
                if passage and passage in _flat(blocks.page.texts[block]):
                    yield row, label, PASSAGE


def _flat(text: str) -> str:
    return " ".join(_WORD.findall(text))


def fit(paths: list[Path], out: Path) -> None:
    """Fit the trees on the pages of `paths` and write them."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    rows: list[tuple[list[float], bool, float]] = []
    for path in paths:
        for line in path.read_text("utf-8").split("\n"):
            if line:
                page: dict[str, Any] = json.loads(line)
                if "with" in page:
                    found = marked(page["html"], page["with"], page["without"])
                else:
                    found = labelled(page["html"], page["text"], page.get("apart", ""))
                rows += [(row, label, part * page.get("weight", 1)) for row, label, part in found]
    model = HistGradientBoostingClassifier(
        max_leaf_nodes=LEAVES,
        max_depth=DEPTH,
        max_iter=TREES,
        learning_rate=RATE,
        l2_regularization=5,
        min_samples_leaf=30,
        random_state=0,
    )
    values, labels, weights = (np.array(column) for column in zip(*rows, strict=True))
    model.fit(values, labels, sample_weight=weights)
    feature: list[int] = []
    limit: list[float] = []
    children: list[tuple[int, int]] = []
    roots: list[int] = []
    for (tree,) in model._predictors:
        base = len(feature)
        roots.append(base)
        for at, node in enumerate(tree.nodes):
            leaf = bool(node["is_leaf"])
            feature.append(-1 if leaf else int(node["feature_idx"]))
            limit.append(float(node["value"] if leaf else node["num_threshold"]))
            left, right = (at, at) if leaf else (int(node["left"]), int(node["right"]))
            children.append((base + left, base + right))
    np.savez_compressed(
        out,
        base=float(model._baseline_prediction.ravel()[0]),
        roots=np.array(roots, "i2"),
        feature=np.array(feature, "i1"),
        limit=np.array(limit, "f4"),
        left=np.array([left for left, _ in children], "i2"),
        right=np.array([right for _, right in children], "i2"),
    )
    print(f"{len(rows)} blocks, {np.mean(labels):.1%} of them main text, {len(feature)} nodes")


if __name__ == "__main__":
    fit([Path(name) for name in sys.argv[2:]], Path(sys.argv[1]))
