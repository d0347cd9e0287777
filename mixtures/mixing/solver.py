"""The solver: how many tokens each source gives to a mixture.

All arithmetic is in integers and fractions, so targets add up to the token and the same figures
give the same plan on any machine. Nothing here sees a document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Any, NamedTuple

from schemas.errors import InputError
from schemas.mixture import Mixture


class Pool(NamedTuple):
    """Documents that are drawn alike: of one source, in one component, with one weight."""

    source: str
    component: str
    factor: Fraction = Fraction(1)
    """How many times its tokens a document weighs (`mixture.upsample`)."""


@dataclass(frozen=True)
class SourceTokens:
    """What a pool has. An `auto` source stands here once a component, and once a factor."""

    source: str
    component: str
    tokens: int
    documents: int
    factor: Fraction = Fraction(1)
    used: int = 0
    """Tokens that earlier stages of the mixture took of it; they count for `max_epochs`."""

    @property
    def weight(self) -> Fraction:
        """What it weighs where sources share by their tokens."""
        return self.tokens * self.factor

    def limit(self, max_epochs: Fraction) -> int:
        """Return how many tokens it may still give."""
        return max(0, int(self.tokens * max_epochs) - self.used)


@dataclass(frozen=True)
class SourcePlan:
    """What a source gives. `target` tokens of the `tokens` that it has, in `epochs` passes."""

    source: str
    component: str
    tokens: int
    documents: int
    target: int
    factor: Fraction = Fraction(1)

    @property
    def pool(self) -> Pool:
        """What it is a plan of."""
        return Pool(self.source, self.component, self.factor)

    @property
    def epochs(self) -> float:
        """Passes over the source, 0 where it is empty."""
        return self.target / self.tokens if self.tokens else 0.0


@dataclass(frozen=True)
class ComponentPlan:
    """What a component gives: `planned` of its `target`; they differ by `shortfall`."""

    component: str
    share: Fraction
    target: int
    planned: int

    @property
    def shortfall(self) -> int:
        """Tokens that the component cannot give; not 0 only with `allow_short`."""
        return self.target - self.planned


@dataclass(frozen=True)
class Plan:
    """A solved mixture. `tokens` is what was asked, or the most that is possible."""

    tokens: int
    components: tuple[ComponentPlan, ...]
    sources: tuple[SourcePlan, ...]

    @property
    def planned(self) -> int:
        """Tokens that the mixture will have."""
        return sum(component.planned for component in self.components)

    def shares(self) -> dict[str, float]:
        """Return each component's share of the planned tokens."""
        total = self.planned or 1
        return {plan.component: plan.planned / total for plan in self.components}

    def as_record(self) -> dict[str, Any]:
        """Return the plan as JSON-able data."""
        return {
            "tokens": self.tokens,
            "components": [
                {
                    "component": plan.component,
                    "share": float(plan.share),
                    "target": plan.target,
                    "planned": plan.planned,
                    "shortfall": plan.shortfall,
                }
                for plan in self.components
            ],
            "sources": [
                {
                    "source": plan.source,
                    "component": plan.component,
                    "factor": float(plan.factor),
                    "available": plan.tokens,
                    "documents": plan.documents,
                    "target": plan.target,
                    "epochs": round(plan.epochs, 4),
                }
                for plan in self.sources
            ],
        }


def solve(available: Sequence[SourceTokens], settings: Mixture) -> Plan:
    """Return how many tokens each source gives.

    A component's share follows from the strategy:

    - `fixed`: the config's weights.
    - `proportional`: its tokens.
    - `temperature`: its tokens to the power 1/τ (mT5, arXiv 2010.11934, with α = 1/τ).
    - `unimax`: equal parts, none over `max_epochs`; what a small one cannot give, the larger
      share (UniMax, arXiv 2304.09151, algorithm 1, over components).

    Inside a component sources share by weight. A source at `max_epochs` gives no more; what it
    lacks goes to the others by weight. Raises InputError if the mixture cannot be met, unless
    `allow_short`: the message says by how much, and what would meet it.
    """
    ordered = sorted(available, key=lambda entry: (entry.component, entry.source, entry.factor))
    components = _components(ordered, settings)
    weights = {
        name: _source_weights(name, entries, settings) for name, entries in components.items()
    }
    limit = Fraction(str(settings.max_epochs))
    caps = {
        name: sum(e.limit(limit) for e, w in zip(entries, weights[name], strict=True) if w)
        for name, entries in components.items()
    }
    if settings.strategy == "unimax":
        tokens = settings.tokens or sum(caps.values())
        targets = _unimax(caps, tokens)
    else:
        sizes = {name: sum(e.tokens for e in entries) for name, entries in components.items()}
        shares = component_shares(sizes, settings)
        tokens = settings.tokens or most_tokens(caps, shares)
        targets = apportion(tokens, shares)
    _check(targets, caps, components, settings, tokens)
    plans, gives = [], []
    for name, entries in components.items():
        planned = min(targets[name], caps[name])
        share = Fraction(targets[name], tokens) if tokens else Fraction(0)
        plans.append(ComponentPlan(name, share, targets[name], planned))
        limits = [entry.limit(limit) for entry in entries]
        for entry, target in zip(entries, fill(planned, weights[name], limits), strict=True):
            gives.append(
                SourcePlan(entry.source, name, entry.tokens, entry.documents, target, entry.factor)
            )
    return Plan(tokens, tuple(plans), tuple(gives))


def stage_settings(settings: Mixture) -> list[Mixture]:
    """Return the settings of each stage as a mixture of its own; of all, where there are none.

    Tokens and shards are shared out by the stages' shares, a shard each at the least.
    """
    if not settings.stages:
        return [settings]
    shares = {str(at): stage.share for at, stage in enumerate(settings.stages)}
    tokens = list(apportion(settings.tokens or 0, shares).values())
    spare = settings.shards - len(settings.stages)
    shards = [1 + part for part in apportion(spare, shares).values()]
    return [
        settings.model_copy(
            update={
                "tokens": tokens[at],
                "shards": shards[at],
                "stages": [],
                **({"strategy": "fixed", "weights": stage.weights} if stage.weights else {}),
            }
        )
        for at, stage in enumerate(settings.stages)
    ]


def solve_stages(available: Sequence[SourceTokens], settings: Mixture) -> Plan:
    """Return what each source gives to all stages together; `only` is not known here."""
    used: dict[Pool, int] = {}
    plans = []
    for stage in stage_settings(settings):
        left = [
            replace(entry, used=used.get(Pool(entry.source, entry.component, entry.factor), 0))
            for entry in available
        ]
        plans.append(solve(left, stage))
        for source in plans[-1].sources:
            used[source.pool] = used.get(source.pool, 0) + source.target
    return joined(plans)


def joined(plans: Sequence[Plan]) -> Plan:
    """Return the sum of the plans of several stages."""
    if len(plans) == 1:
        return plans[0]
    tokens = sum(plan.tokens for plan in plans)
    components: dict[str, ComponentPlan] = {}
    sources: dict[Pool, SourcePlan] = {}
    for plan in plans:
        for part in plan.components:
            last = components.get(part.component)
            target = part.target + (last.target if last else 0)
            planned = part.planned + (last.planned if last else 0)
            share = Fraction(target, tokens) if tokens else Fraction(0)
            components[part.component] = ComponentPlan(part.component, share, target, planned)
        for source in plan.sources:
            before = sources.get(source.pool)
            sources[source.pool] = replace(
                source,
                target=source.target + (before.target if before else 0),
                tokens=max(source.tokens, before.tokens if before else 0),
                documents=max(source.documents, before.documents if before else 0),
            )
    return Plan(
        tokens,
        tuple(components[name] for name in sorted(components)),
        tuple(sources[pool] for pool in sorted(sources, key=lambda p: (p[1], p[0], p[2]))),
    )


def fill(total: int, weights: Sequence[Fraction], limits: Sequence[int]) -> list[int]:
    """Share `total` out by `weights`, no part over its limit; return the parts.

    What a part at its limit lacks goes to the others by weight. Parts of weight 0 get nothing.
    The parts add up to `total`, or to all the limits of weighted parts where that is less.
    """
    exact = [Fraction(0)] * len(weights)
    full = {index for index, weight in enumerate(weights) if not weight or not limits[index]}
    left = Fraction(total)
    while left and len(full) < len(weights):
        free = sum((w for index, w in enumerate(weights) if index not in full), Fraction(0))
        over = [
            index
            for index, weight in enumerate(weights)
            if index not in full and left * weight / free >= limits[index]
        ]
        if not over:
            for index, weight in enumerate(weights):
                if index not in full:
                    exact[index] = left * weight / free
            break
        for index in over:
            exact[index] = Fraction(limits[index])
        left -= sum((exact[index] for index in over), Fraction(0))
        full.update(over)
    return _round(exact, min(total, int(sum(exact, Fraction(0)))))


def apportion(total: int, shares: Mapping[str, Fraction]) -> dict[str, int]:
    """Share `total` out by `shares` (they sum to 1): whole numbers that add up to it.

    Largest remainders first (Hamilton's method); ties go by place.
    """
    return dict(
        zip(shares, _round([total * share for share in shares.values()], total), strict=True)
    )


def most_tokens(caps: Mapping[str, int], shares: Mapping[str, Fraction]) -> int:
    """Return the largest mixture of these shares that no component's cap forbids."""
    return min((int(caps[name] / share) for name, share in shares.items() if share), default=0)


def component_shares(sizes: Mapping[str, int], settings: Mixture) -> dict[str, Fraction]:
    """Return the share of each component of `sizes` (in tokens, or bytes); they sum to 1.

    For `unimax` even shares, as where no component is at `max_epochs`.
    Raises InputError where there is nothing to share.
    """
    if settings.strategy == "fixed":
        raw = {name: settings.weights[name].share for name in sizes}
    elif settings.strategy == "proportional":
        raw = {name: Fraction(size) for name, size in sizes.items()}
    elif settings.strategy == "unimax":
        raw = {name: Fraction(1 if size else 0) for name, size in sizes.items()}
    else:
        largest = max(sizes.values(), default=1) or 1
        # Twelve digits: what the mathematics library rounds differently does not matter.
        raw = {
            name: Fraction(round((size / largest) ** (1 / settings.temperature) * 10**12))
            for name, size in sizes.items()
        }
    total = sum(raw.values(), Fraction(0))
    if not total:
        raise InputError("the mixture is empty: no source of its components has a token")
    return {name: value / total for name, value in raw.items()}


def _round(exact: Sequence[Fraction], total: int) -> list[int]:
    whole = [int(value) for value in exact]
    rest = total - sum(whole)
    order = sorted(range(len(exact)), key=lambda index: (whole[index] - exact[index], index))
    for index in order[:rest]:
        whole[index] += 1
    return whole


def _components(
    available: Sequence[SourceTokens], settings: Mixture
) -> dict[str, list[SourceTokens]]:
    """Return the sources of each component of the mixture, in order of its name."""
    names = (
        set(settings.weights) if settings.strategy == "fixed" else {e.component for e in available}
    )
    return {
        name: [entry for entry in available if entry.component == name] for name in sorted(names)
    }


def _source_weights(
    component: str, entries: Sequence[SourceTokens], settings: Mixture
) -> list[Fraction]:
    """Return the weights of a component's pools, in order.

    All sources named in the config: the weights are relative. Some named: theirs are shares of
    the component, and the others divide the rest by their tokens. Pools of one source divide its
    weight. Tokens count `factor` times.
    """
    named = settings.weights[component].sources if component in settings.weights else {}
    known = {entry.source for entry in entries}
    unknown = sorted(set(named) - known)
    if unknown and entries:
        raise InputError(
            f"mixture.weights.{component}.sources: {', '.join(unknown)} give nothing to "
            f"{component!r}; its sources are {', '.join(sorted(known))}"
        )
    others = sum((e.weight for e in entries if e.source not in named), Fraction(0))
    of_source: dict[str, Fraction] = {}
    for entry in entries:
        of_source[entry.source] = of_source.get(entry.source, Fraction(0)) + entry.weight
    taken = sum(named.values(), Fraction(0))
    if named and others and taken >= 1:
        missing = sorted(known - set(named))
        raise InputError(
            f"mixture.weights.{component}.sources: the weights sum to {float(taken):g}, which "
            f"leaves nothing for {', '.join(missing)}; name every source (0 leaves one out), or "
            "let the weights sum to less than 1"
        )
    rest = 1 - taken if named else Fraction(1)
    return [
        named[entry.source] * entry.weight / (of_source[entry.source] or 1)
        if entry.source in named
        else rest * entry.weight / (others or 1)
        for entry in entries
    ]


def _unimax(caps: Mapping[str, int], tokens: int) -> dict[str, int]:
    left = Fraction(tokens)
    exact: dict[str, Fraction] = {}
    ascending = sorted(caps, key=lambda name: (caps[name], name))
    for index, name in enumerate(ascending):
        exact[name] = min(Fraction(caps[name]), left / (len(ascending) - index))
        left -= exact[name]
    if left and ascending:  # more than there is: an even part each, for `_check` to speak of
        even = Fraction(tokens, len(ascending))
        exact = {name: max(part, even) for name, part in exact.items()}
        return apportion(tokens, {n: v / sum(exact.values()) for n, v in exact.items()})
    return dict(zip(caps, _round([exact[name] for name in caps], tokens), strict=True))


def _check(
    targets: Mapping[str, int],
    caps: Mapping[str, int],
    components: Mapping[str, Sequence[SourceTokens]],
    settings: Mixture,
    tokens: int,
) -> None:
    """Raise InputError if a component cannot meet its target and that is not allowed."""
    short = {name: targets[name] - caps[name] for name in targets if targets[name] > caps[name]}
    if not short or settings.allow_short:
        return
    lines = [
        f"{name} is short by {lack:,} tokens: {targets[name]:,} asked for, "
        f"{sum(entry.tokens for entry in components[name]):,} there, {caps[name]:,} at "
        f"max_epochs {settings.max_epochs:g}"
        for name, lack in short.items()
    ]
    raise InputError(
        f"the mixture of {tokens:,} tokens cannot be met: {'; '.join(lines)}. "
        f"What would meet it: {_remedies(targets, caps, components, settings, tokens)}"
    )


def _remedies(
    targets: Mapping[str, int],
    caps: Mapping[str, int],
    components: Mapping[str, Sequence[SourceTokens]],
    settings: Mixture,
    tokens: int,
) -> str:
    if settings.strategy == "unimax":
        most = sum(caps.values())
    else:
        shares = {name: Fraction(target, tokens) for name, target in targets.items()}
        most = most_tokens(caps, shares)
    ways = [f"mixture.tokens: {most}"] if most else []
    sizes = {name: sum(entry.tokens for entry in entries) for name, entries in components.items()}
    if all(sizes[name] for name, target in targets.items() if target):
        epochs = max(Fraction(target, sizes[name]) for name, target in targets.items() if target)
        ways.append(f"mixture.max_epochs: {ceil(epochs * 100) / 100:g}")
    ways.append("mixture.allow_short: true (other shares than asked for)")
    return ", or ".join(ways)
