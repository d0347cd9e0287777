"""The longest document that each component may have, so that no window is out of balance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mixtures.mixing.component import Others
from mixtures.mixing.documents import Cells, Documents, available_tokens
from mixtures.mixing.plan import Plan, Pool, SourceTokens
from mixtures.mixing.solver import solve_within
from schemas.mixture import ComponentWeight, Mixture


@dataclass(frozen=True)
class StageInput:
    """What a stage may use. `uses`: how often earlier stages took each document.

    `allowed`: the mask of the documents that it may use. `others`: what other stages need.
    """

    pools: Sequence[Pool]
    cells: Cells
    uses: npt.NDArray[np.int16]
    allowed: npt.NDArray[np.bool_]
    others: Others | None

    def available(self, documents: Documents, mask: npt.NDArray[np.bool_]) -> list[SourceTokens]:
        """Return the tokens of each cell, of the documents in `mask` that the stage may use."""
        return available_tokens(documents, self.cells, self.uses, mask & self.allowed)


def longest_documents(plan: Plan, settings: Mixture, ease: float) -> dict[str, int]:
    """Return the longest document, in tokens, that each component may have.

    A document of L tokens adds L(1−w) tokens to its component (share w) above an even spread,
    half before it and half after, and takes L·v from one of share v. A window of W tokens that
    begins or ends there is off by half of that; within tolerance t it has to be at most t·w·W,
    or t·v·W. So L ≤ 2t·W·w/(1−w) and L ≤ 2t·W; `ease` is the share of that allowed. A document
    may also not be longer than half of its component's part in a shard.
    """
    window = min(settings.window, plan.planned)
    tolerance = float(settings.window_tolerance)
    limits = {}
    for name, share in plan.shares().items():
        if share >= 1:  # nothing to be out of balance with
            limits[name] = plan.planned
            continue
        own = share / (1 - share)
        in_window = 2 * tolerance * window * min(own, 1.0) * ease
        in_shard = share * plan.planned / settings.shards / 2
        bound = in_window if plan.planned >= settings.window else in_shard
        limits[name] = max(1, int(min(bound, in_shard)))
    return limits


def short_enough(
    documents: Documents, pools: Sequence[Pool], limits: dict[str, int]
) -> npt.NDArray[np.bool_]:
    """Return the mask of the documents within their component's limit; others are not used."""
    by_pool = np.array([limits.get(pool.component, 0) for pool in pools], dtype=np.int64)
    mask: npt.NDArray[np.bool_] = documents.tokens <= by_pool[documents.pool]
    return mask


def feasible_limits(
    documents: Documents,
    stage: StageInput,
    plan: Plan,
    settings: Mixture,
    limits: dict[str, int],
) -> dict[str, int]:
    """Return `limits`, doubled as often as a component would miss its target otherwise."""
    same = fixed_settings(plan, settings)
    planned = {entry.component: entry.planned for entry in plan.components}
    longest_document = int(documents.tokens.max(initial=1))
    limits = dict(limits)
    while True:
        mask = short_enough(documents, stage.pools, limits)
        again = solve_within(stage.available(documents, mask), same, stage.others)
        short = [
            entry.component
            for entry in again.components
            if entry.planned < planned[entry.component]
        ]
        raised = [name for name in short if limits[name] < longest_document]
        if not raised:
            return limits
        for name in raised:
            limits[name] *= 2


def fixed_settings(plan: Plan, settings: Mixture) -> Mixture:
    """Return settings under which each component's target is `plan`'s, whatever is available."""
    weights = {
        entry.component: ComponentWeight(
            share=entry.share,
            sources=settings.weights[entry.component].sources
            if entry.component in settings.weights
            else {},
        )
        for entry in plan.components
    }
    return settings.model_copy(
        update={
            "tokens": plan.tokens,
            "strategy": "fixed",
            "weights": weights,
            "allow_short": True,
        }
    )
