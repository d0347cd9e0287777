"""Dividing documents among stages that may use different ones: maximum flows, exact in integers.

Stages ask for tokens, cells of documents have them, and a stage may use some cells only. What
fits together is a maximum flow from the requests to the cells. A division by weights that leaves
enough for the other requests is the lexicographically optimal base of a polymatroid, found by
splitting at minimum cuts (Fujishige 1980; Groenevelt 1991).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Final

from mixtures.mixing.shares import round_parts

_SINK: Final = 1
_SOURCE: Final = 0


@dataclass(frozen=True)
class Request:
    """`tokens` that are asked for, and how many of them each cell (by number) may give."""

    tokens: int
    cells: Mapping[int, int]


class _Network:
    """Requests and cells as a graph; nodes are the source, the sink, requests, then cells."""

    def __init__(self, requests: Sequence[Request], left: Sequence[int]) -> None:
        self._first = 2 + len(requests)
        self.ends: list[int] = []
        self.room: list[int] = []
        self.arcs: list[list[int]] = [[] for _ in range(self._first + len(left))]
        for number, request in enumerate(requests):
            self._arc(_SOURCE, 2 + number, request.tokens)
            for cell, most in request.cells.items():
                self._arc(2 + number, self._first + cell, most)
        for cell, tokens in enumerate(left):
            self._arc(self._first + cell, _SINK, tokens)

    def _arc(self, begin: int, end: int, room: int) -> None:
        self.arcs[begin].append(len(self.ends))
        self.arcs[end].append(len(self.ends) + 1)
        self.ends += [end, begin]
        self.room += [room, 0]

    def fill(self) -> int:
        """Return the maximum flow: shortest paths first (Edmonds and Karp)."""
        total = 0
        while (came := self._reach())[_SINK] >= 0:
            path, node = [], _SINK
            while node != _SOURCE:
                path.append(came[node])
                node = self.ends[came[node] ^ 1]
            amount = min(self.room[arc] for arc in path)
            for arc in path:
                self.room[arc] -= amount
                self.room[arc ^ 1] += amount
            total += amount
        return total

    def _reach(self) -> list[int]:
        """Return per node the arc by which it is reached from the source with room left, or -1."""
        came = [-1] * len(self.arcs)
        queue = deque([_SOURCE])
        while queue and came[_SINK] < 0:
            for arc in self.arcs[queue.popleft()]:
                end = self.ends[arc]
                if self.room[arc] and came[end] < 0 and end != _SOURCE:
                    came[end] = arc
                    queue.append(end)
        return came

    def cut(self) -> list[int]:
        """Return the numbers of the requests on the source's side of the minimum cut."""
        came = self._reach()
        return [node - 2 for node in range(2, self._first) if came[node] >= 0]


def flow(requests: Sequence[Request], left: Sequence[int]) -> int:
    """Return how many tokens of the requests can be met together out of cells with `left`."""
    return _Network(requests, left).fill()


def most(request: Request, others: Sequence[Request], left: Sequence[int]) -> int:
    """Return how many tokens `request` can have without a loss for `others`."""
    if not others:
        return min(
            request.tokens, sum(min(most, left[cell]) for cell, most in request.cells.items())
        )
    return flow([*others, request], left) - flow(others, left)


Shape = Callable[[Fraction, Sequence[int]], list[Fraction]]
"""Returns how the numbered parts divide a total where nothing limits them."""


def divide(
    total: int,
    numbers: Sequence[int],
    shape: Shape,
    parts: Mapping[int, Mapping[int, int]],
    others: Sequence[Request],
    left: Sequence[int],
) -> dict[int, int]:
    """Divide `total` among the parts `numbers` as `shape` says, as far as cells and `others` allow.

    `parts`: how many tokens each cell may give to a part. What a part cannot have goes to the rest
    as `shape` says. `total` is at most what all parts can have together.
    """
    wanted = shape(Fraction(total), numbers)
    scale = lcm(*(value.denominator for value in wanted))
    asked = [
        Request(int(value * scale), _times(parts[number], scale))
        for number, value in zip(numbers, wanted, strict=True)
    ]
    asked += [Request(other.tokens * scale, _times(other.cells, scale)) for other in others]
    network = _Network(asked, [tokens * scale for tokens in left])
    if network.fill() == sum(request.tokens for request in asked):
        return _rounded(total, dict(zip(numbers, wanted, strict=True)), parts, others, left)
    over = {numbers[place] for place in network.cut() if place < len(numbers)}
    inside = [number for number in numbers if number in over]
    outside = [number for number in numbers if number not in over]
    if not inside or not outside:  # more than there is: by number
        return _in_turn(total, numbers, parts, others, left)
    most_inside = flow([*others, *(Request(total, parts[number]) for number in inside)], left)
    theirs = min(total, most_inside - flow(others, left))
    found = divide(theirs, inside, shape, parts, others, left)
    others = [*others, *(Request(given, parts[number]) for number, given in found.items())]
    return found | divide(total - theirs, outside, shape, parts, others, left)


def _times(cells: Mapping[int, int], scale: int) -> dict[int, int]:
    return {cell: tokens * scale for cell, tokens in cells.items()}


def _in_turn(
    total: int,
    numbers: Sequence[int],
    parts: Mapping[int, Mapping[int, int]],
    others: Sequence[Request],
    left: Sequence[int],
) -> dict[int, int]:
    """Return what each part can have after those before it, at most `total` together."""
    found: dict[int, int] = {}
    for number in numbers:
        rest = Request(total - sum(found.values()), parts[number])
        before = [Request(given, parts[known]) for known, given in found.items()]
        found[number] = most(rest, [*others, *before], left)
    return found


def _rounded(
    total: int,
    wanted: Mapping[int, Fraction],
    parts: Mapping[int, Mapping[int, int]],
    others: Sequence[Request],
    left: Sequence[int],
) -> dict[int, int]:
    """Return whole numbers near `wanted` that sum to `total` and that the cells can give."""

    def fits(whole: Mapping[int, int]) -> bool:
        asked = [*others, *(Request(given, parts[number]) for number, given in whole.items())]
        return flow(asked, left) == sum(request.tokens for request in asked)

    found = dict(zip(wanted, round_parts(list(wanted.values()), total), strict=True))
    if fits(found):
        return found
    found = {number: int(value) for number, value in wanted.items()}
    for number in sorted(wanted, key=lambda number: (found[number] - wanted[number], number)):
        more = found | {number: found[number] + 1}
        if sum(found.values()) < total and fits(more):
            found = more
    return found
