"""The section `mixture`: how many tokens, from where, in which stages and shards."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from schemas.rules import ALL, Null, Rule, parse_rule
from schemas.values import Count, PositiveShare, Section, Share


class ComponentWeight(Section):
    """A component's share of the tokens, and the weights of its sources."""

    share: Share
    """The component's share; `ko: 1/3` is short for it."""
    sources: dict[str, Share] = {}
    """Weights of sources. All sources named: relative weights. Some named: their shares of the
    component; the others divide the rest by their tokens. Empty: all divide by their tokens."""


def _component_weight(value: Any) -> Any:
    return value if isinstance(value, dict | ComponentWeight) else {"share": value}


def _sum_to_one(weights: dict[str, ComponentWeight]) -> dict[str, ComponentWeight]:
    total = sum((weight.share for weight in weights.values()), Fraction(0))
    if weights and abs(total - 1) > Fraction(1, 1000):
        raise ValueError(
            f"the weights sum to {float(total):.4f}, not 1; fractions such as 1/3 are exact"
        )
    return weights


Weights = Annotated[
    dict[
        str,
        Annotated[
            ComponentWeight,
            BeforeValidator(_component_weight, json_schema_input_type=ComponentWeight | Share),
        ],
    ],
    AfterValidator(_sum_to_one),
]
"""Component → its share, or share and weights of sources; the shares sum to 1."""


def condition_rule(text: str, null: Null | None = None) -> Rule:
    """Return the rule of `knowledge>=0.6` or, for one component or source, `ko.knowledge>=0.6`.

    `null`: what null means where the text does not say; None: as in `rules`.
    """
    scoped = re.match(r"\s*[\w*-]+\.\w", text)
    return parse_rule(text if scoped else f"{ALL}.{text.strip()}", null)


class Upsample(Section):
    """Documents with a higher weight per token."""

    when: str
    """A condition on a column, such as `knowledge>=0.6`, or `ko.knowledge>=0.6` for one component
    or source. It does not hold where the column is null, unless it ends in `, null: keep`."""
    factor: PositiveShare
    """Weight per token: documents with 2 occur twice as often as the others."""

    @property
    def rule(self) -> Rule:
        """The condition, as a rule that holds for the documents with the higher weight."""
        return condition_rule(self.when, "drop")

    @model_validator(mode="after")
    def _parses(self) -> Upsample:
        _ = self.rule
        return self


class MixtureStage(Section):
    """A stage of the training, in shards of its own: other weights, a longer context."""

    share: Annotated[PositiveShare, Field(le=1)]
    """Share of the mixture's tokens; those of all stages sum to 1."""
    context: int | None = Field(None, ge=16)
    """Tokens per training sequence; the trainer reads it from the manifest."""
    weights: Weights = {}
    """Share of the stage's tokens by component. Default: the mixture's strategy and weights."""
    only: list[str] = []
    """Conditions on the stage's documents, such as `quality>=0.7` or `ko.knowledge>=0.5`, to train
    on the best last. A document that no condition covers is taken; null as in `rules`."""

    @property
    def rules(self) -> list[Rule]:
        """The conditions, as rules."""
        return [condition_rule(text) for text in self.only]

    @model_validator(mode="after")
    def _parses(self) -> MixtureStage:
        _ = self.rules
        return self


class Mixture(Section):
    """How many tokens, from where, in how many shards."""

    tokens: Count | None = None
    """Tokens of the mixture; null: as many as `max_epochs` and the weights allow."""
    strategy: Literal["fixed", "proportional", "temperature", "unimax"] = "fixed"
    """How shares follow from sizes; `fixed` takes `weights` as they are."""
    weights: Weights = {}
    """Share of the tokens by component; the shares sum to 1."""
    temperature: float = Field(1.0, gt=0)
    """For `temperature`: shares are proportional to size to the power of 1/`temperature`."""
    upsample: list[Upsample] = []
    """Documents with a higher weight, as HyperCLOVA X upsamples informative text; the first
    condition that holds applies, after deduplication. `max_epochs` still limits it."""
    max_epochs: float = Field(4.0, gt=0)
    """Maximum number of passes over a source, all stages together."""
    stages: list[MixtureStage] = []
    """Stages in the order of the training. A later stage takes the documents last that earlier
    ones took."""
    allow_short: bool = False
    """Whether the mixture may have fewer tokens than `tokens`; otherwise that is an error."""
    shards: int = Field(8, ge=1, le=99_999)
    """Number of files, of about the same number of tokens."""
    formats: list[Literal["megatron", "parquet", "mds"]] = ["megatron"]
    """`.bin` and `.idx` are always written; `parquet` (lists of tokens, for Hugging Face datasets)
    and `mds` (for MosaicML Streaming) beside them, in folders of their own."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Seed of every order. The same seed and data give the same bytes."""
    window: Count = 5_000_000
    """Tokens: in every window of this length each component's share is within
    `window_tolerance`."""
    window_tolerance: Share = Fraction(3, 100)
    """Maximum deviation of a component's share, relative to the share. Documents too long for it
    are left out as long as others can replace them."""

    @model_validator(mode="after")
    def _stages_fit(self) -> Mixture:
        if not self.stages:
            return self
        total = sum((stage.share for stage in self.stages), Fraction(0))
        if total != 1:
            raise ValueError(f"the shares of `stages` sum to {float(total):g}, not to 1")
        if self.tokens is None:
            raise ValueError("`stages` divide `tokens`; give `tokens`, such as 60M")
        if self.shards < len(self.stages):
            raise ValueError(
                f"{len(self.stages)} stages need {len(self.stages)} shards or more; "
                f"raise `shards` from {self.shards}"
            )
        return self

    @model_validator(mode="after")
    def _fixed_has_weights(self) -> Mixture:
        if self.strategy == "fixed" and not self.weights:
            raise ValueError("`weights` is empty; write for example {ko: 1/3, en: 1/3, code: 1/3}")
        return self
