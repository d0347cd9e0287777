"""Training of the default embedder's table, from good text and junk made of it.

    python -m filters.fit.embedding OUT.npz NAME=FILE.jsonl.zst …

The loss has two parts. Two halves of a document are pulled together and pushed away from other
documents (InfoNCE, van den Oord et al. 2018, arXiv:1807.03748). A linear layer predicts the
collection of a text, or the kind of junk (`filters/fit/junk.py`) that was made of it. One thread
and one seed: the same input gives the same table. Documents of the held-out fifth are not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.columnar.arrays import Ints, Longs
from filters.fit.junk import KINDS, make_junk
from filters.fit.labelled import fold_of, is_held_out, out_and_files, read_texts
from filters.quality.embedding import Table, ngrams, save_table
from schemas.extras import TORCH, needs

BITS = 14
DIMENSIONS = 64
MIN_CHARS, MAX_CHARS = 150, 4000
"""A document is cut to a length between these, drawn by hash, so that short texts occur too."""
DOCUMENTS = 6000
"""Documents of each collection, at most, drawn by hash."""
EPOCHS = 6
BATCH = 128
TEMPERATURE = 0.07
RATE = 3e-3
LOGIT_SCALE = 12.0


def fit_embedding(collections: dict[str, Sequence[tuple[str, str]]], seed: int = 0) -> Table:
    """Return a table trained on `collections`: name → (id, text) pairs, none of them held out."""
    first, second, bad, kinds, bad_kinds = [], [], [], [], []
    junk = list(KINDS)
    for number, rows in enumerate(collections.values()):
        for identity, text in rows:
            draw = fold_of(identity, 1000, salt="cut") / 1000
            seen = text[: int(MIN_CHARS * (MAX_CHARS / MIN_CHARS) ** draw)]
            middle = _middle(seen)
            kind = fold_of(identity, len(junk), salt="junk")
            first.append(seen[:middle])
            second.append(seen[middle:])
            bad.append(make_junk(junk[kind], seen, fold_of(identity, 1 << 31, salt="seed")))
            kinds.append(number)
            bad_kinds.append(len(collections) + kind)
    views = [ngrams(pa.array(texts, pa.large_string()), BITS) for texts in (first, second, bad)]
    codes = _train(views, np.array(kinds), np.array(bad_kinds), len(collections) + len(junk), seed)
    return Table(codes, {"collections": {name: len(rows) for name, rows in collections.items()}})


def _middle(text: str) -> int:
    at = text.find("\n", len(text) // 2)
    return at if 0 < at < 3 * len(text) // 4 else len(text) // 2


def _train(
    views: Sequence[tuple[Ints, Longs]],
    kinds: Longs,
    bad_kinds: Longs,
    classes: int,
    seed: int,
) -> npt.NDArray[np.int8]:
    with needs(TORCH, "filters.fit.embedding"):
        import torch
    from torch.nn import functional

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    bag = torch.nn.EmbeddingBag(1 << BITS, DIMENSIONS, mode="sum")
    torch.nn.init.normal_(bag.weight, std=0.1)
    head = torch.nn.Linear(DIMENSIONS, classes)
    steps = EPOCHS * (len(kinds) // BATCH)
    adam = torch.optim.Adam([*bag.parameters(), *head.parameters()], lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, RATE, total_steps=max(steps, 2))

    def embed(view: int, rows: Longs) -> Any:
        ids, begins = views[view]
        pieces = [ids[begins[row] : begins[row + 1]] for row in rows]
        starts = np.cumsum([0, *(len(piece) for piece in pieces[:-1])])
        sums = bag(
            torch.from_numpy(np.concatenate(pieces)), torch.from_numpy(starts.astype(np.int32))
        )
        return functional.normalize(sums, dim=1)

    for _ in range(EPOCHS):
        order = rng.permutation(len(kinds))
        for at in range(0, len(order) - BATCH + 1, BATCH):
            rows = order[at : at + BATCH]
            one, two, worse = (embed(view, rows) for view in range(3))
            alike = one @ two.T / TEMPERATURE
            same = torch.arange(len(rows))
            near = functional.cross_entropy(alike, same) + functional.cross_entropy(alike.T, same)
            good = torch.from_numpy(kinds[rows])
            classed = functional.cross_entropy(
                LOGIT_SCALE * head(torch.cat([one, two, worse])),
                torch.cat([good, good, torch.from_numpy(bad_kinds[rows])]),
            )
            loss = near / 2 + 4 * classed
            adam.zero_grad()
            torch.autograd.backward(loss)
            adam.step()
            schedule.step()
    weight = bag.weight.detach().numpy()
    top = np.quantile(np.abs(weight), 0.9999)
    return np.asarray(np.clip(np.rint(weight / top * 127), -127, 127), np.int8)


def main() -> None:
    """Train on the named files and write the table."""
    out, files = out_and_files(__doc__, "OUT.npz")
    collections: dict[str, Sequence[tuple[str, str]]] = {}
    for name, _, path in files:
        rows = [(row.id, row.text) for row in read_texts(path) if not is_held_out(row.id)]
        rows.sort(key=lambda row: fold_of(row[0], 1 << 60, salt="draw"))
        collections[name] = rows[:DOCUMENTS]
    save_table(fit_embedding(collections), out)


if __name__ == "__main__":
    main()
