"""Random requests for a mixture, and an exact answer to whether each can be met.

Targets are fractions, as docs/mixtures.md defines shares; what documents allow is a linear program
over (stage, group of documents that are drawn alike).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.optimize import linprog

from tests.oracles.mixture_corpus import Doc

MARGIN = 16
"""Tokens per component and stage within which whole documents and rounding decide."""


def _parts(rng: random.Random, count: int) -> list[Fraction]:
    """Return `count` positive fractions that sum to 1."""
    drawn = [rng.randint(1, 9) for _ in range(count)]
    return [Fraction(number, sum(drawn)) for number in drawn]


def _weights(rng: random.Random, docs: Sequence[Doc]) -> dict[str, Any]:
    components = sorted({doc.component for doc in docs})
    chosen = rng.sample(components, rng.randint(1, len(components)))
    made: dict[str, Any] = {}
    for name, share in zip(chosen, _parts(rng, len(chosen)), strict=True):
        sources = sorted({doc.source for doc in docs if doc.component == name})
        made[name] = {"share": str(share)}
        kind = rng.random()
        if kind < 0.25:
            drawn = {source: rng.randint(0, 4) for source in sources}
            if any(drawn.values()):
                made[name]["sources"] = drawn
        elif kind < 0.4 and len(sources) > 1:
            made[name]["sources"] = {rng.choice(sources): str(Fraction(rng.randint(1, 9), 10))}
    return made


def _condition(rng: random.Random, docs: Sequence[Doc], scoped: bool = True) -> str:
    column = rng.choice(["bytes", "quality", "knowledge", "license"])
    if column == "license":
        text = rng.choice(["license==MIT", "license!=MIT", "license==GPL, null: keep"])
    elif column == "bytes":
        sizes = sorted(doc.values["bytes"] for doc in docs)
        text = f"bytes{rng.choice(['>=', '<='])}{rng.choice(sizes)}"
    else:
        null = rng.choice(["", "", ", null: drop", ", null: keep"])
        text = f"{column}{rng.choice(['>=', '<='])}{rng.randint(1, 9) / 10}{null}"
    scopes = sorted({doc.component for doc in docs} | {doc.source for doc in docs})
    return f"{rng.choice(scopes)}.{text}" if scoped and rng.random() < 0.3 else text


def met(condition: str, doc: Doc, null: bool | None = None) -> bool | None:
    """Return whether a condition of the mixture holds; None where it does not cover `doc`.

    `null` is what null means where the condition does not say; None: as in `rules`.
    """
    text, _, word = condition.partition(", null: ")
    scope, dot, rest = text.partition(".")
    if dot and not rest[:1].isdigit() and scope.replace("-", "").isalnum():
        if scope not in (doc.component, doc.source):
            return None
        text = rest
    for op in (">=", "<=", "==", "!="):
        if op in text:
            break
    column, value = text.split(op)
    got = doc.values[column]
    if got is None:
        default = (column != "license") if null is None else null
        return {"keep": True, "drop": False}.get(word, default)
    if column == "license":
        return bool((got == value) == (op == "=="))
    return bool(got >= float(value)) if op == ">=" else bool(got <= float(value))


def draw_request(rng: random.Random, docs: Sequence[Doc]) -> dict[str, Any]:
    """Return a section `mixture` drawn at random, all but `tokens`."""
    strategy = rng.choice(["fixed", "fixed", "fixed", "proportional", "temperature", "unimax"])
    total = sum(doc.size for doc in docs)
    made: dict[str, Any] = {
        "strategy": strategy,
        "max_epochs": rng.choice([0.5, 1, 1, 1.5, 2, 2, 3, 4]),
        "seed": rng.randint(0, 3),
        "window_tolerance": rng.choice(["3/100", "1/10", "1/2", "1"]),
        "window": rng.choice(["5M", max(200, total // rng.randint(2, 40))]),
    }
    if strategy == "fixed":
        made["weights"] = _weights(rng, docs)
    if strategy == "temperature":
        made["temperature"] = rng.choice([0.5, 1, 2, 3.5])
    if rng.random() < 0.25:
        made["upsample"] = [
            {"when": _condition(rng, docs), "factor": rng.choice(["2", "3/2", "3", "1/2"])}
            for _ in range(rng.randint(1, 2))
        ]
    if strategy != "unimax" and rng.random() < 0.6:
        made["stages"] = [
            _stage(rng, docs, share, strategy) for share in _parts(rng, rng.randint(1, 3))
        ]
    made["shards"] = len(made.get("stages", [1])) + rng.randint(0, 5)
    return made


def _stage(
    rng: random.Random, docs: Sequence[Doc], share: Fraction, strategy: str
) -> dict[str, Any]:
    stage: dict[str, Any] = {"share": str(share)}
    if rng.random() < 0.5:
        stage["weights"] = _weights(rng, docs)
    if rng.random() < 0.5 and (strategy == "fixed" or "weights" in stage):
        stage["only"] = [_condition(rng, docs)]
    return stage


def eligible(request: dict[str, Any], stage: int, doc: Doc) -> bool:
    """Return whether a stage's `only` admits the document."""
    stages = request.get("stages") or [{}]
    return all(met(text, doc) in (True, None) for text in stages[stage].get("only", ()))


def factor(request: dict[str, Any], doc: Doc) -> Fraction:
    """Return the document's weight per token: of the first `when` that holds, else 1."""
    for rule in request.get("upsample", ()):
        if met(rule["when"], doc, null=False):
            return Fraction(rule["factor"])
    return Fraction(1)


def component_shares(request: dict[str, Any], stage: int, docs: Sequence[Doc]) -> dict[str, float]:
    """Return the share of each component that a stage asks for; not for UniMax."""
    stages = request.get("stages") or [{}]
    weights = stages[stage].get("weights") or request.get("weights")
    if weights:
        return {name: float(Fraction(one["share"])) for name, one in weights.items()}
    sizes: dict[str, float] = {}
    for doc in docs:
        sizes[doc.component] = sizes.get(doc.component, 0) + doc.size
    power = 1 / request.get("temperature", 1)
    raised = {name: (size / max(sizes.values())) ** power for name, size in sizes.items()}
    return {name: value / sum(raised.values()) for name, value in raised.items()}


def unimax(caps: dict[str, float], tokens: float) -> dict[str, float]:
    """Return an even split of `tokens` with none above its cap: the smallest caps first."""
    left, made = tokens, {}
    for place, name in enumerate(sorted(caps, key=lambda each: caps[each])):
        made[name] = min(caps[name], left / (len(caps) - place))
        left -= made[name]
    return made


def pool_targets(
    request: dict[str, Any], component: str, tokens: int, pools: dict[tuple[Any, ...], list[Doc]]
) -> dict[tuple[Any, ...], float]:
    """Return the part of each pool (source, factor) of a component, in one stage.

    Sources divide it by weight, and pools of one source by their tokens times the factor; what a
    pool at `max_epochs` lacks is divided again among the others.
    """
    stages = request.get("stages") or [{}]
    shares = stages[0].get("weights") or request.get("weights") or {}
    named = shares.get(component, {}).get("sources", {})
    sizes = {key: sum(doc.size for doc in docs) for key, docs in pools.items()}
    weighed = {key: float(size * key[1]) for key, size in sizes.items()}
    rest = 1 - float(sum(Fraction(weight) for weight in named.values()))
    weights = {}
    for key, own in weighed.items():
        if named and key[0] in named:
            of_source = sum(each for other, each in weighed.items() if other[0] == key[0])
            weights[key] = float(Fraction(named[key[0]])) * own / of_source
        else:
            others = sum(each for other, each in weighed.items() if other[0] not in named)
            weights[key] = (rest if named else 1.0) * own / others
    caps = {key: float(int(size * request["max_epochs"])) for key, size in sizes.items()}
    found = dict.fromkeys(pools, 0.0)
    while True:
        free = [key for key, part in found.items() if weights[key] and part < caps[key]]
        left = tokens - sum(found[key] for key in found if key not in free)
        if not free or left <= 0:
            return found
        whole = sum(weights[key] for key in free)
        over = [key for key in free if left * weights[key] / whole >= caps[key]]
        found |= {key: left * weights[key] / whole for key in free} if not over else {}
        found |= {key: caps[key] for key in over}
        if not over:
            return found


def _excluded(request: dict[str, Any], stage: int, component: str, source: str) -> bool:
    """Return whether the weights give the source nothing."""
    stages = request.get("stages") or [{}]
    weights = stages[stage].get("weights") or request.get("weights") or {}
    named = weights.get(component, {}).get("sources", {})
    return source in named and Fraction(named[source]) == 0


@dataclass
class Limits:
    """Tokens per group: `may[stage][group]` says which stages may take of it."""

    tokens: np.ndarray
    component: list[str]
    may: list[list[bool]]


def limits(request: dict[str, Any], docs: Sequence[Doc]) -> Limits:
    """Return the groups of documents that the stages of `request` treat alike."""
    stages = range(len(request.get("stages") or [{}]))
    groups: dict[tuple[Any, ...], int] = {}
    for doc in docs:
        may = tuple(
            eligible(request, s, doc) and not _excluded(request, s, doc.component, doc.source)
            for s in stages
        )
        key = (doc.source, doc.component, factor(request, doc), may)
        groups[key] = groups.get(key, 0) + doc.size
    keys = list(groups)
    return Limits(
        np.array([groups[key] for key in keys], float),
        [key[1] for key in keys],
        [[key[3][s] for key in keys] for s in stages],
    )


def most_tokens(request: dict[str, Any], docs: Sequence[Doc], slack: float = 0) -> float:
    """Return the largest number of tokens that can be met, 0 for none.

    `slack` tokens are added to what each component of each stage asks for, and taken from what
    each group has; a negative one relaxes both.
    """
    found = limits(request, docs)
    caps = np.maximum(found.tokens * request["max_epochs"] - slack, 0)
    if request["strategy"] == "unimax":
        return float(caps.sum())
    stages = request.get("stages") or [{"share": "1"}]
    groups, count = len(caps), len(stages)
    rows, right = [], []
    for s, stage in enumerate(stages):
        for name, share in component_shares(request, s, docs).items():
            row = np.zeros(1 + count * groups)
            row[0] = float(Fraction(stage["share"])) * share
            for g in range(groups):
                if found.may[s][g] and found.component[g] == name:
                    row[1 + s * groups + g] = -1
            rows.append(row)
            right.append(-slack)
    top = np.zeros((groups, 1 + count * groups))
    for g in range(groups):
        top[g, 1 + g :: groups] = 1
    solved = linprog(
        np.concatenate([[-1.0], np.zeros(count * groups)]),
        A_ub=np.concatenate([top, np.array(rows)]),
        b_ub=np.concatenate([caps, np.array(right, float)]),
        bounds=[(0, None)] * (1 + count * groups),
    )
    return float(-solved.fun) if solved.status == 0 else 0.0
