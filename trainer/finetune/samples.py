"""Labelled text: JSON lines as samples, classes, and class-balanced mini-batches."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from schemas.errors import InputError
from schemas.files import read_lines

Kind = Literal["classification", "pairs", "regression"]
Label = str | int | float


@dataclass(frozen=True)
class Sample:
    """A text, or two, and its label; `place` is where it was read."""

    texts: tuple[str, ...]
    label: Label
    place: str


def read_samples(path: Path, kind: Kind, labels: Sequence[Label] | None = None) -> list[Sample]:
    """Return the samples of a JSONL file, plain or packed (gzip, zstd).

    Rows are {text, label}, pairs {sentence1, sentence2, label}. Labels are strings, or whole
    numbers; in regression, numbers. `labels`: the ones that are known. Raises InputError naming
    the line: no JSON, a missing field, empty text, an unknown label, labels of mixed type.
    """
    fields = ("sentence1", "sentence2") if kind == "pairs" else ("text",)
    found: list[Sample] = []
    for number, line in read_lines(path, "samples"):
        place = f"{path}: line {number}"
        try:
            row = json.loads(line)
        except ValueError:
            raise InputError(f"{place}: no JSON; a line is one object") from None
        if not isinstance(row, dict):
            raise InputError(f"{place}: a line is an object with {', '.join(fields)} and label")
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
    if not found:
        raise InputError(f"{path}: no sample is here")
    return found


def _sample(row: dict[str, Any], fields: Sequence[str], kind: Kind, place: str) -> Sample:
    for field in (*fields, "label"):
        if field not in row:
            raise InputError(f"{place}: no {field!r}; a line has {', '.join(fields)} and label")
    for field in fields:
        if not isinstance(row[field], str) or not row[field].strip():
            raise InputError(f"{place}: {field} is empty, or no text; leave the line out")
    label = row["label"]
    if kind == "regression":
        number = isinstance(label, (int, float)) and not isinstance(label, bool)
        if not number or not math.isfinite(label):
            raise InputError(f"{place}: label {label!r} is no number; regression needs one")
        label = float(label)
    elif not isinstance(label, (str, int)) or isinstance(label, bool):
        raise InputError(f"{place}: label {label!r} is neither a string nor a whole number")
    return Sample(tuple(row[field] for field in fields), label, place)


def _type(label: Label) -> str:
    return "string" if isinstance(label, str) else "number"


def find_labels(
    samples: Sequence[Sample], named: Sequence[Label] | None, where: str
) -> list[Label]:
    """Return the classes in order. Raises InputError where one has no sample, or there is one."""
    seen = {sample.label for sample in samples}
    empty = [label for label in named or () if label not in seen]
    if empty:
        raise InputError(
            f"{where}: no sample has label {', '.join(map(repr, empty))}; add some, or take it "
            "out of `labels`"
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

    Samples of a class come in a shuffled order, all of them before one comes again; a class with
    fewer gives all it has. So every batch has pairs of each of its classes.
    """
    chance = np.random.default_rng(seed)
    members = [np.flatnonzero(np.asarray(classes) == c).tolist() for c in range(max(classes) + 1)]
    waiting: list[list[int]] = [[] for _ in members]
    turn: list[int] = []
    found = []
    for _ in range(steps):
        chosen = _draw(turn, range(len(members)), at_once or len(members), chance)
        found.append(
            [at for c in chosen for at in _draw(waiting[c], members[c], per_class, chance)]
        )
    return found


def shuffled_batches(samples: int, steps: int, size: int, seed: int) -> list[list[int]]:
    """Return the samples of each step: `size` of them, all before one comes again."""
    chance = np.random.default_rng(seed)
    waiting: list[int] = []
    return [_draw(waiting, range(samples), size, chance) for _ in range(steps)]


def _draw(
    waiting: list[int], members: Sequence[int], count: int, chance: np.random.Generator
) -> list[int]:
    """Return `count` different members (all, if fewer) off `waiting`, filled up when empty."""
    found: list[int] = []
    while len(found) < min(count, len(members)):
        if not waiting:
            order = chance.permutation(np.asarray(members)).tolist()
            waiting += [at for at in order if at not in found]
        found.append(waiting.pop())
    return found
