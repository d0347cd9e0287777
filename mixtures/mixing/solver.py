"""The solver: how many tokens each source contributes to a mixture.

All arithmetic is in integers and fractions, so targets add up to the token and the same figures
give the same plan on any machine. The solver reads token counts, never documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil

from mixtures.mixing.plan import ComponentPlan, Plan, Pool, SourcePlan, SourceTokens, joined
from mixtures.mixing.shares import apportion, component_shares, fill, max_tokens, unimax
from schemas.errors import InputError
from schemas.mixture import Mixture


def solve(available: Sequence[SourceTokens], settings: Mixture) -> Plan:
    """Return how many tokens each source contributes.

    A component's share follows from the strategy:

    - `fixed`: the config's weights.
    - `proportional`: its tokens.
    - `temperature`: its tokens to the power 1/τ (mT5, arXiv 2010.11934, with α = 1/τ).
    - `unimax`: equal parts, none over `max_epochs`; the larger components divide what a small
      one lacks (UniMax, arXiv 2304.09151, algorithm 1, over components).

    Sources divide a component by weight. What a source at `max_epochs` lacks goes to the others
    by weight. Raises InputError if the mixture cannot be met, unless `allow_short`; the message
    gives the shortfall and the remedies.
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
        targets = unimax(caps, tokens)
    else:
        sizes = {name: sum(e.tokens for e in entries) for name, entries in components.items()}
        shares = component_shares(sizes, settings)
        tokens = settings.tokens or max_tokens(caps, shares)
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
    """Return the settings of each stage as a mixture of its own; `settings` if it has no stages.

    Tokens and shards are divided by the stages' shares, at least one shard each.
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
    """Return what each source contributes to all stages together; `only` is not applied."""
    used: dict[Pool, int] = {}
    plans = []
    for stage in stage_settings(settings):
        left = [replace(entry, used=used.get(entry.pool, 0)) for entry in available]
        plans.append(solve(left, stage))
        for source in plans[-1].sources:
            used[source.pool] = used.get(source.pool, 0) + source.target
    return joined(plans)


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

    All sources named in the config: the weights are relative. Some named: their weights are shares
    of the component, and the others divide the rest by their tokens. Pools of one source divide
    its weight. Tokens count `factor` times.
    """
    named = settings.weights[component].sources if component in settings.weights else {}
    known = {entry.source for entry in entries}
    unknown = sorted(set(named) - known)
    if unknown and entries:
        raise InputError(
            f"mixture.weights.{component}.sources: no document of {', '.join(unknown)} "
            f"is in {component!r}; its sources are {', '.join(sorted(known))}"
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
    """Return the changes of the config that would each make the mixture possible."""
    if settings.strategy == "unimax":
        possible = sum(caps.values())
    else:
        shares = {name: Fraction(target, tokens) for name, target in targets.items()}
        possible = max_tokens(caps, shares)
    ways = [f"mixture.tokens: {possible}"] if possible else []
    sizes = {name: sum(entry.tokens for entry in entries) for name, entries in components.items()}
    if all(sizes[name] for name, target in targets.items() if target):
        epochs = max(Fraction(target, sizes[name]) for name, target in targets.items() if target)
        ways.append(f"mixture.max_epochs: {ceil(epochs * 100) / 100:g}")
    ways.append("mixture.allow_short: true (other shares than asked for)")
    return ", or ".join(ways)
