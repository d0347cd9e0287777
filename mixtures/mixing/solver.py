"""The solver: how many tokens each source contributes to a mixture.

All arithmetic is in integers and fractions, so targets add up to the token and the same figures
give the same plan on any machine. The solver reads token counts, never documents. Stages are
solved together: an earlier one leaves what a later one needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from mixtures.mixing.component import Component, Others, component_of, merged
from mixtures.mixing.plan import Cell, ComponentPlan, Plan, Pool, SourcePlan, SourceTokens, joined
from mixtures.mixing.remedies import remedies
from mixtures.mixing.shares import apportion, component_shares, max_tokens, unimax
from schemas.errors import InputError
from schemas.mixture import Mixture


@dataclass(frozen=True)
class _Targets:
    """A stage's `tokens`, and by component what is asked for (`targets`) and possible (`caps`)."""

    components: dict[str, Component]
    tokens: int
    targets: dict[str, int]
    caps: dict[str, int]

    @property
    def planned(self) -> dict[str, int]:
        """Tokens of each component: as asked for, or what is possible."""
        return {name: min(target, self.caps[name]) for name, target in self.targets.items()}

    @property
    def short(self) -> dict[str, int]:
        """Tokens that components lack."""
        planned = self.planned
        return {
            name: target - planned[name]
            for name, target in self.targets.items()
            if target > planned[name]
        }


def solve(available: Sequence[SourceTokens], settings: Mixture) -> Plan:
    """Return how many tokens each source contributes, all stages together.

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
    plans = solve_stages(available, settings)
    return joined(plans, pool_totals(available))


def pool_totals(available: Sequence[SourceTokens]) -> dict[Pool, tuple[int, int]]:
    """Return the tokens and documents of each pool that any stage may use."""
    usable = [entry if entry.stages else _without(entry) for entry in available]
    return {entry.pool: (entry.tokens, entry.documents) for entry in merged(usable)}


def solve_stages(available: Sequence[SourceTokens], settings: Mixture) -> list[Plan]:
    """Return the plan of each stage, together within `max_epochs`; see `solve`.

    `available`: pools, or their cells where stages may use different documents. A stage takes by
    weight what later stages do not need; where not all can be met, the earlier ones come first.
    """
    ordered = sorted(
        available, key=lambda entry: (entry.component, entry.source, entry.factor, entry.stages)
    )
    stages = stage_settings(settings)
    found = _stage_targets(ordered, settings)
    if any(stage.short for stage in found) and not settings.allow_short:
        raise InputError(_refusal(found, ordered, settings))
    max_epochs = Fraction(str(settings.max_epochs))
    used = dict.fromkeys((entry.cell for entry in ordered), 0)
    plans = []
    for at, stage in enumerate(stages):
        now = [replace(entry, used=used[entry.cell]) for entry in ordered]
        left = {entry.cell: entry.limit(max_epochs) for entry in now}
        others = Others(left, _needs(found[at + 1 :])) if len(stages) > 1 else None
        targets = replace(found[at], components=_components(of_stage(now, at), stage, others))
        plans.append(_plan(targets))
        for cell, tokens in plans[-1].cells:
            used[cell] += tokens
    return plans


def needs_after(
    available: Sequence[SourceTokens], settings: Mixture, at: int
) -> dict[str, list[tuple[int, frozenset[Cell]]]]:
    """Return what the stages after stage `at` need, by component; see `Others`."""
    return _needs(_stage_targets(available, settings)[at + 1 :])


def solve_within(
    available: Sequence[SourceTokens], settings: Mixture, others: Others | None
) -> Plan:
    """Return the plan of one stage beside `others`, as much of it as there is.

    `available`: what the stage may use, in order. `settings`: those of a mixture of its own.
    """
    return _plan(_targets(_components(available, settings, others), settings))


def of_stage(available: Sequence[SourceTokens], stage: int) -> list[SourceTokens]:
    """Return `available` with 0 tokens where stage number `stage` may not use the documents."""
    return [entry if entry.stages >> stage & 1 else _without(entry) for entry in available]


def _without(entry: SourceTokens) -> SourceTokens:
    return replace(entry, tokens=0, documents=0, used=0)


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


def _stage_targets(ordered: Sequence[SourceTokens], settings: Mixture) -> list[_Targets]:
    """Return the targets of each stage, and what is possible beside the stages before it."""
    max_epochs = Fraction(str(settings.max_epochs))
    left = {entry.cell: entry.limit(max_epochs) for entry in ordered}
    stages = stage_settings(settings)
    found: list[_Targets] = []
    for at, stage in enumerate(stages):
        others = Others(left, _needs(found)) if len(stages) > 1 else None
        found.append(_targets(_components(of_stage(ordered, at), stage, others), stage))
    return found


def _needs(stages: Sequence[_Targets]) -> dict[str, list[tuple[int, frozenset[Cell]]]]:
    needs: dict[str, list[tuple[int, frozenset[Cell]]]] = {}
    for stage in stages:
        for name, tokens in stage.planned.items():
            if tokens:
                needs.setdefault(name, []).append((tokens, stage.components[name].open))
    return needs


def _components(
    available: Sequence[SourceTokens], settings: Mixture, others: Others | None
) -> dict[str, Component]:
    """Return each component of the mixture, in order of its name."""
    names = (
        set(settings.weights) if settings.strategy == "fixed" else {e.component for e in available}
    )
    return {
        name: component_of(
            name, [entry for entry in available if entry.component == name], settings, others
        )
        for name in sorted(names)
    }


def _targets(components: dict[str, Component], settings: Mixture) -> _Targets:
    """Return what the strategy asks of each component, and what each can contribute."""
    caps = {name: component.most() for name, component in components.items()}
    if settings.strategy == "unimax":
        tokens = settings.tokens or sum(caps.values())
        return _Targets(components, tokens, unimax(caps, tokens), caps)
    sizes = {name: sum(cell.tokens for cell in part.cells) for name, part in components.items()}
    shares = component_shares(sizes, settings)
    tokens = settings.tokens or max_tokens(caps, shares)
    return _Targets(components, tokens, apportion(tokens, shares), caps)


def _plan(stage: _Targets) -> Plan:
    """Divide each component's tokens among its sources."""
    plans: list[ComponentPlan] = []
    sources: list[SourcePlan] = []
    cells: list[tuple[Cell, int]] = []
    tokens, planned = stage.tokens, stage.planned
    for name, component in stage.components.items():
        target = stage.targets[name]
        share = Fraction(target, tokens) if tokens else Fraction(0)
        plans.append(ComponentPlan(name, share, target, planned[name]))
        given: dict[Pool, int] = {}
        for cell, part in zip(component.cells, component.divided(planned[name]), strict=True):
            given[cell.pool] = given.get(cell.pool, 0) + part
            cells.append((cell.cell, part))
        sources += [
            SourcePlan(
                pool.source, name, pool.tokens, pool.documents, given[pool.pool], pool.factor
            )
            for pool in component.pools
        ]
    return Plan(tokens, tuple(plans), tuple(sources), tuple(cells))


def _refusal(found: Sequence[_Targets], ordered: Sequence[SourceTokens], settings: Mixture) -> str:
    """Return the message on a mixture that cannot be met: what lacks, and what would meet it."""
    lines = [
        (f"stage {at}: " if settings.stages else "")
        + f"{name} is short by {lack:,} tokens: {stage.targets[name]:,} asked for, "
        f"{stage.components[name].tokens:,} there, {stage.caps[name]:,} at max_epochs "
        f"{settings.max_epochs:g}"
        for at, stage in enumerate(found, 1)
        for name, lack in stage.short.items()
    ]

    def planned(change: Mapping[str, object]) -> int | None:
        """Return the tokens of the mixture after a change of its settings; None: not met."""
        try:
            stages = _stage_targets(ordered, settings.model_copy(update=dict(change)))
        except InputError:
            return None
        short = any(stage.short for stage in stages) and not change.get("allow_short")
        parts = [sum(stage.planned.values()) for stage in stages]
        dropped = any(
            target and not new.targets[name]
            for old, new in zip(found, stages, strict=True)
            for name, target in old.targets.items()
        )
        return None if short or dropped or not all(parts) else sum(parts)

    tokens = sum(stage.tokens for stage in found)
    hint = None if settings.stages else _most_tokens(found[0], settings)
    return (
        f"the mixture of {tokens:,} tokens cannot be met: {'; '.join(lines)}. "
        f"What would meet it: {remedies(planned, tokens, settings.max_epochs, hint)}"
    )


def _most_tokens(stage: _Targets, settings: Mixture) -> int:
    """Return the tokens of the largest mixture with the same shares."""
    if settings.strategy == "unimax":
        return sum(stage.caps.values())
    shares = {name: Fraction(target, stage.tokens) for name, target in stage.targets.items()}
    return max_tokens(stage.caps, shares)
