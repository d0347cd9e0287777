"""Labelled text: JSON lines as samples, classes, and class-balanced mini-batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from schemas.errors import InputError
from schemas.json_lines import not_found, read_objects, whole_text

Kind = Literal["classification", "pairs", "regression"]
Label = str | int | float


@dataclass(frozen=True)
class Sample:
    """A text, or two, and its label; `place` is its file and line."""

    texts: tuple[str, ...]
    label: Label
    place: str


def read_samples(path: Path, kind: Kind, labels: Sequence[Label] | None = None) -> list[Sample]:
    """Return the samples of a JSONL file, plain or packed (gzip, zstd).

    Rows are {text, label}, pairs {sentence1, sentence2, label}. Labels are strings or whole
    numbers; in regression, numbers. `labels`: those that are allowed. Raises InputError naming the
    line: not JSON, a missing field, empty text, an unknown label, labels of mixed types.
    """
    fields = ("sentence1", "sentence2") if kind == "pairs" else ("text",)
    found: list[Sample] = []
    for number, row in read_objects(path, "samples"):
        place = f"{path}: line {number}"
        sample = _sample(row, fields, kind, place)
        if found and type(sample.label) is not type(found[0].label):
            raise InputError(
                f"{place}: label {sample.label!r} is a {_type(sample.label)}, those before it are "
                f"{_type(found[0].label)}s; write all labels in one type"
            )
        if labels is not None and sample.label not in labels:
            known = ", ".join(map(repr, labels))
            raise InputError(f"{place}: label {sample.label!r} is unknown; known: {known}")
        found.append(sample)
    return found


def _sample(row: dict[str, Any], fields: Sequence[str], kind: Kind, place: str) -> Sample:
    for field in (*fields, "label"):
        if field not in row:
            raise InputError(
                f"{place}: {not_found(field, row)}; a line has {', '.join(fields)} and label"
            )
    for field in fields:
        if not isinstance(row[field], str) or not row[field].strip():
            raise InputError(f"{place}: {field} is empty, or not text; remove the line")
    label = row["label"]
    if kind == "regression":
        number = isinstance(label, (int, float)) and not isinstance(label, bool)
        if not number or not math.isfinite(label):
            raise InputError(f"{place}: label {label!r} is not a number; regression needs one")
        label = float(label)
    elif not isinstance(label, (str, int)) or isinstance(label, bool):
        raise InputError(f"{place}: label {label!r} is neither a string nor a whole number")
    return Sample(tuple(whole_text(row[field])[0] for field in fields), label, place)


def _type(label: Label) -> str:
    return "string" if isinstance(label, str) else "number"


def find_labels(
    samples: Sequence[Sample], named: Sequence[Label] | None, where: str
) -> list[Label]:
    """Return the classes in order. Raises InputError if one has no sample, or there is only one."""
    seen = {sample.label for sample in samples}
    empty = [label for label in named or () if label not in seen]
    if empty:
        raise InputError(
            f"{where}: no sample has label {', '.join(map(repr, empty))}; add some, or remove it "
            "from `labels`"
        )
    if len(seen) < 2:
        raise InputError(f"{where}: all samples have label {next(iter(seen))!r}; two are needed")
    return (
        list(named)
        if named is not None
        else sorted(seen, key=lambda label: (str(type(label)), label))
    )


def balanced_batches(
    classes: Sequence[int], steps: int, per_class: int, at_once: int | None, seed: int
) -> list[list[int]]:
    """Return the samples of each step: `per_class` of each of `at_once` classes (None: all).

    The samples of a class are shuffled, and all are used before one is repeated; a class with fewer
    than `per_class` contributes all. So every batch has pairs of each of its classes.
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(np.asarray(classes) == c).tolist() for c in range(max(classes) + 1)]
    waiting: list[list[int]] = [[] for _ in members]
    turn: list[int] = []
    found = []
    for _ in range(steps):
        chosen = _draw(turn, range(len(members)), at_once or len(members), rng)
        found.append([at for c in chosen for at in _draw(waiting[c], members[c], per_class, rng)])
    return found


def shuffled_batches(samples: int, steps: int, size: int, seed: int) -> list[list[int]]:
    """Return the samples of each step: `size` of them, all used before one is repeated."""
    rng = np.random.default_rng(seed)
    waiting: list[int] = []
    return [_draw(waiting, range(samples), size, rng) for _ in range(steps)]


def _draw(
    waiting: list[int], members: Sequence[int], count: int, rng: np.random.Generator
) -> list[int]:
    """Return `count` different members (all, if fewer) off `waiting`, refilled when empty."""
    found: list[int] = []
    while len(found) < min(count, len(members)):
        if not waiting:
            order = rng.permutation(np.asarray(members)).tolist()
            waiting += [at for at in order if at not in found]
        found.append(waiting.pop())
    return found
