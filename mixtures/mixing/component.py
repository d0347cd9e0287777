"""One component in one stage: what its sources can contribute, and how they divide its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from mixtures.mixing.flow import Request, divide, flow, most
from mixtures.mixing.plan import Cell, Pool, SourceTokens
from mixtures.mixing.shares import fill
from schemas.errors import InputError
from schemas.mixture import Mixture


@dataclass(frozen=True)
class Others:
    """What other stages of the mixture need of the same documents.

    `left`: tokens that each cell may contribute to this stage and the others together.
    `needs`: by component, the tokens of each other stage and the cells that may give them.
    """

    left: Mapping[Cell, int]
    needs: Mapping[str, Sequence[tuple[int, frozenset[Cell]]]]


@dataclass(frozen=True)
class Component:
    """A component in a stage. `cells`: in order; `limits` and `left`: of each cell.

    `weights`: of each of its pools. `limits`: tokens that the stage may take. `left`: tokens that
    it and the stages of `others` may take together.
    """

    cells: list[SourceTokens]
    weights: dict[Pool, Fraction]
    limits: list[int]
    left: list[int]
    others: list[Request]

    @property
    def pools(self) -> list[SourceTokens]:
        """The pools, each the sum of its cells."""
        return merged(self.cells)

    @property
    def tokens(self) -> int:
        """Tokens of its documents that have a weight."""
        return sum(cell.tokens for cell in self.cells if self.weights[cell.pool])

    @property
    def open(self) -> frozenset[Cell]:
        """The cells that the stage may take from."""
        return frozenset(
            cell.cell for cell in self.cells if cell.tokens and self.weights[cell.pool]
        )

    def most(self) -> int:
        """Return how many tokens it can contribute without a loss for the other stages."""
        return most(Request(sum(self.limits), self._of(range(len(self.cells)))), *self._rest)

    def more(self, cell: Cell, given: Mapping[Cell, int]) -> int:
        """Return how many tokens beyond `given` a cell has without a loss for the other stages.

        `given`: the tokens that the stage takes of each of its cells.
        """
        place = {entry.cell: number for number, entry in enumerate(self.cells)}
        number = place[cell]
        spare = max(0, self.limits[number] - given.get(cell, 0))
        if not spare or not self.others:
            return spare
        taken = [Request(tokens, {place[one]: tokens}) for one, tokens in given.items() if tokens]
        return most(Request(spare, {number: spare}), [*self.others, *taken], self.left)

    def divided(self, tokens: int) -> list[int]:
        """Return the part of each cell of `tokens`, which is at most `most()`.

        Pools divide them by weight, and a pool's cells so that none is passed over more often
        than another; both as far as other stages leave enough.
        """
        pools = self.pools
        of: dict[Pool, list[int]] = {pool.pool: [] for pool in pools}
        for number, cell in enumerate(self.cells):
            of[cell.pool].append(number)
        parts = {number: self._of(of[pool.pool]) for number, pool in enumerate(pools)}
        weights = [self.weights[pool.pool] for pool in pools]
        by_pool = fill(tokens, weights, [sum(parts[number].values()) for number in parts])
        if not self._fits(list(map(Request, by_pool, parts.values()))):
            weighted = [number for number, weight in enumerate(weights) if weight]

            def by_weight(total: Fraction, numbers: Sequence[int]) -> list[Fraction]:
                whole = sum((weights[number] for number in numbers), Fraction(0))
                return [total * weights[number] / whole for number in numbers]

            found = divide(tokens, weighted, by_weight, parts, *self._rest)
            by_pool = [found.get(number, 0) for number in parts]
        return self._by_cell(by_pool, list(of.values()), parts)

    def _by_cell(
        self, by_pool: Sequence[int], of: Sequence[list[int]], parts: Mapping[int, dict[int, int]]
    ) -> list[int]:
        """Return the part of each cell, `by_pool` being those of the pools and `of` their cells."""
        found = [0] * len(self.cells)
        asked = list(map(Request, by_pool, parts.values()))
        for pool, numbers in enumerate(of):
            if len(numbers) == 1:
                found[numbers[0]] = by_pool[pool]
            elif by_pool[pool]:
                usable = [number for number in numbers if self.limits[number]]
                others = [*self.others, *asked[:pool], *asked[pool + 1 :]]
                own = {number: self._of([number]) for number in usable}
                got = divide(by_pool[pool], usable, self._even_passes, own, others, self.left)
                for number, tokens in got.items():
                    found[number] = tokens
                asked[pool] = Request(by_pool[pool], got)
        return found

    def _even_passes(self, total: Fraction, numbers: Sequence[int]) -> list[Fraction]:
        """Return the parts of cells that bring all to the same pass, or as near as can be."""
        cells = [self.cells[number] for number in numbers]
        order = sorted(cells, key=lambda cell: Fraction(cell.used, cell.tokens))
        size, used, level = 0, 0, Fraction(0)
        for cell in order:
            if size and level <= Fraction(cell.used, cell.tokens):
                break
            size, used = size + cell.tokens, used + cell.used
            level = (total + used) / size
        return [max(Fraction(0), level * cell.tokens - cell.used) for cell in cells]

    def _of(self, numbers: Sequence[int]) -> dict[int, int]:
        return {number: self.limits[number] for number in numbers if self.limits[number]}

    @property
    def _rest(self) -> tuple[list[Request], list[int]]:
        return self.others, self.left

    def _fits(self, asked: Sequence[Request]) -> bool:
        """Return whether the requests can be met beside those of other stages."""
        usable = {number for number, tokens in enumerate(self.limits) if tokens}
        if all(usable <= set(other.cells) for other in self.others):
            return True  # whichever cells are taken, the other stages lose the same
        every = [*self.others, *asked]
        return flow(every, self.left) == sum(request.tokens for request in every)


def component_of(
    name: str, cells: list[SourceTokens], settings: Mixture, others: Others | None
) -> Component:
    """Return a component of a stage, whose `settings` are those of a mixture of its own."""
    pools = merged(cells)
    weights = dict(
        zip([pool.pool for pool in pools], source_weights(name, pools, settings), strict=True)
    )
    max_epochs = Fraction(str(settings.max_epochs))
    limits = [cell.limit(max_epochs) if weights[cell.pool] else 0 for cell in cells]
    if others is None:
        return Component(cells, weights, limits, limits, [])
    left = [others.left.get(cell.cell, 0) for cell in cells]
    place = {cell.cell: number for number, cell in enumerate(cells)}
    requests: list[Request] = []
    for tokens, usable in others.needs.get(name, ()):
        numbers = [place[cell] for cell in usable if cell in place]
        wanted = Request(tokens, {number: left[number] for number in sorted(numbers)})
        requests.append(replace(wanted, tokens=most(wanted, requests, left)))
    return Component(cells, weights, list(map(min, limits, left)), left, requests)


def merged(cells: Sequence[SourceTokens]) -> list[SourceTokens]:
    """Return the pools of cells, in order of their first cell."""
    pools: dict[Pool, SourceTokens] = {}
    for cell in cells:
        last = pools.get(cell.pool)
        pools[cell.pool] = replace(
            cell,
            tokens=cell.tokens + (last.tokens if last else 0),
            documents=cell.documents + (last.documents if last else 0),
            used=cell.used + (last.used if last else 0),
            stages=-1,
        )
    return list(pools.values())


def source_weights(
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
