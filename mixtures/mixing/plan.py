"""The plan of a mixture: how many tokens each source and each component contributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple


class Pool(NamedTuple):
    """Documents of one source, in one component, with one weight: drawn alike."""

    source: str
    component: str
    factor: Fraction = Fraction(1)
    """Weight per token (`mixture.upsample`)."""


class Cell(NamedTuple):
    """Documents of a pool that the same stages of the mixture may use."""

    pool: Pool
    stages: int = -1
    """A bit per stage (1 << number); -1: all."""


@dataclass(frozen=True)
class SourceTokens:
    """The tokens of a pool, or of its cell: documents that the same stages may use.

    An `auto` source has a pool per component and factor. A pool has a cell for each set of stages.
    """

    source: str
    component: str
    tokens: int
    documents: int
    factor: Fraction = Fraction(1)
    used: int = 0
    """Tokens that earlier stages of the mixture took of it; they count for `max_epochs`."""
    stages: int = -1
    """The stages that may use it, a bit each (1 << number); -1: all."""

    @property
    def pool(self) -> Pool:
        """The pool."""
        return Pool(self.source, self.component, self.factor)

    @property
    def cell(self) -> Cell:
        """The cell."""
        return Cell(self.pool, self.stages)

    @property
    def weight(self) -> Fraction:
        """Its weight where sources divide a component by their tokens."""
        return self.tokens * self.factor

    def limit(self, max_epochs: Fraction) -> int:
        """Return how many tokens it may still contribute."""
        return max(0, int(self.tokens * max_epochs) - self.used)


@dataclass(frozen=True)
class SourcePlan:
    """The part of a pool: `target` tokens out of its `tokens`, in `epochs` passes."""

    source: str
    component: str
    tokens: int
    documents: int
    target: int
    factor: Fraction = Fraction(1)

    @property
    def pool(self) -> Pool:
        """The pool."""
        return Pool(self.source, self.component, self.factor)

    @property
    def epochs(self) -> float:
        """Passes over the source, 0 where it is empty."""
        return self.target / self.tokens if self.tokens else 0.0


@dataclass(frozen=True)
class ComponentPlan:
    """The part of a component: `planned` tokens of its `target`; they differ by `shortfall`."""

    component: str
    share: Fraction
    target: int
    planned: int

    @property
    def shortfall(self) -> int:
        """Tokens that the component lacks; above 0 only with `allow_short`."""
        return self.target - self.planned


@dataclass(frozen=True)
class Plan:
    """A solved mixture. `tokens`: as configured, or the maximum that is possible."""

    tokens: int
    components: tuple[ComponentPlan, ...]
    sources: tuple[SourcePlan, ...]
    cells: tuple[tuple[Cell, int], ...] = ()
    """The tokens that each cell contributes."""

    @property
    def planned(self) -> int:
        """Tokens of the mixture."""
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


def joined(plans: Sequence[Plan], totals: Mapping[Pool, tuple[int, int]]) -> Plan:
    """Return the sum of the plans of several stages.

    `totals`: tokens and documents of each pool that any of the stages may use.
    """
    if len(plans) == 1:
        return plans[0]
    tokens = sum(plan.tokens for plan in plans)
    components: dict[str, ComponentPlan] = {}
    sources: dict[Pool, SourcePlan] = {}
    cells: dict[Cell, int] = {}
    for plan in plans:
        for part in plan.components:
            last = components.get(part.component)
            target = part.target + (last.target if last else 0)
            planned = part.planned + (last.planned if last else 0)
            share = Fraction(target, tokens) if tokens else Fraction(0)
            components[part.component] = ComponentPlan(part.component, share, target, planned)
        for source in plan.sources:
            before = sources.get(source.pool)
            target = source.target + (before.target if before else 0)
            there, documents = totals[source.pool]
            sources[source.pool] = replace(source, target=target, tokens=there, documents=documents)
        for cell, part_of_it in plan.cells:
            cells[cell] = cells.get(cell, 0) + part_of_it
    return Plan(
        tokens,
        tuple(components[name] for name in sorted(components)),
        tuple(sources[pool] for pool in sorted(sources, key=lambda p: (p[1], p[0], p[2]))),
        tuple(cells.items()),
    )
