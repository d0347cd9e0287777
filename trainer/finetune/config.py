"""The file of a fine-tuning: method, samples of a step, optimiser, model and data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from schemas.load import load_section
from schemas.values import Section
from trainer.config import Beta, OptimiserConfig
from trainer.finetune.features import Pooling
from trainer.finetune.samples import Kind, Label
from trainer.finetune.sbr import Distance

MethodName = Literal["plain", "l2", "l2-sp", "delta", "bss", "supcon", "mixout", "sbr"]
FOR_CLASSES = ("delta", "supcon")
"""Methods that need classes: they have no regression."""


class MethodConfig(Section):
    """A method and its strengths."""

    name: MethodName = "sbr"
    strength: float = Field(1e-3, ge=0)
    """β of SBR, η of BSS, λ of L2, α of L2-SP and DELTA, λ of SupCon, the probability of Mixout;
    `plain` has none."""
    head: float = Field(0.0, ge=0)
    """α: weight of ‖head‖² in the loss of every method. `head.weight_decay` decays the head outside
    of the loss (AdamW)."""
    distance: Distance = "euclidean"
    """SBR's distance between features."""
    width: float | None = Field(None, gt=0)
    """SBR in regression: labels this far apart or further do not attract. Default: their standard
    deviation."""
    temperature: float = Field(0.3, gt=0)
    """SupCon's temperature."""
    smallest: int = Field(1, ge=1)
    """Number of singular values, the smallest ones, that BSS shrinks."""
    layers: int | None = Field(None, ge=1)
    """Number of upper layers whose states DELTA compares. Default: all that are tuned."""


class SamplerConfig(Section):
    """The samples of a step."""

    kind: Literal["balanced", "shuffled"] = "balanced"
    """`balanced`: `per_class` samples of each class, so that every batch has pairs; `shuffled`:
    `size` samples of any class."""
    per_class: int = Field(8, ge=2)
    """Samples per class in a balanced step."""
    classes: int | None = Field(None, ge=1)
    """Classes per step. Default: all."""
    size: int = Field(16, ge=1)
    """Samples per shuffled step, and per step of a regression."""


class HeadConfig(Section):
    """The head's learning rate and decay."""

    lr: float = Field(1e-2, gt=0)
    weight_decay: float = Field(0.0, ge=0)


class TuneOptimiser(OptimiserConfig):
    """AdamW for a short tuning."""

    lr: float = Field(3e-4, gt=0)
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    weight_decay: float = Field(0.0, ge=0)
    warmup: float | None = Field(0.1, ge=0, lt=1)
    floor: float = Field(0.0, ge=0, le=1)


class FineTuneSettings(Section):
    """How a backbone and a head are tuned."""

    method: MethodConfig = MethodConfig()
    sampler: SamplerConfig = SamplerConfig()
    optimiser: TuneOptimiser = TuneOptimiser()
    """For the feature extractor; schedule, betas and clip hold for the head too."""
    head: HeadConfig = HeadConfig()
    steps: int = Field(200, ge=1)
    """Optimiser steps."""
    seed: int = Field(0, ge=0)
    """Seed of the head's weights, of the batches and of what is held out."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """`bfloat16`: autocast."""


class FineTuneConfig(FineTuneSettings):
    """The file of a fine-tuning."""

    name: str
    """Name of the model, on its card."""
    checkpoint: str
    """A Bibim checkpoint, a training's folder, or a folder of a Hugging Face decoder."""
    tokenizer: str | None = None
    """Default: the tokenizer that the checkpoint names."""
    kind: Kind = "classification"
    """Classes of texts, classes of sentence pairs, or numbers."""
    train: tuple[str, ...] = Field(min_length=1)
    """JSONL files of {text, label}, pairs {sentence1, sentence2, label}."""
    test: tuple[str, ...] = ()
    """Samples for the card's figures, never trained on. Default: a fifth of `train` is held out."""
    labels: tuple[Label, ...] | None = None
    """The classes in order. Default: those that occur."""
    pooling: Pooling = "mean"
    """A text's feature: the mean of its states, or the last one."""
    tokens: int | None = Field(None, ge=4)
    """Maximum tokens of a sample. Default: the model's context."""
    longer: Literal["error", "cut"] = "error"
    """Whether longer samples are an error or are cut."""
    tuned_layers: int | None = Field(None, ge=1)
    """Number of upper layers to tune; the others are computed once. Default: all are tuned."""
    device: str = "auto"
    """`cpu`, `cuda`, or `auto`: a GPU where one is available."""
    pictures: bool = True
    """Whether to draw the confusion matrix, and the features before and after."""
    projection: Literal["pca", "tsne"] = "pca"
    """Projection of the features in the picture."""

    @model_validator(mode="after")
    def _fits(self) -> FineTuneConfig:
        if self.kind == "regression" and self.method.name in FOR_CLASSES:
            raise ValueError(f"method {self.method.name} needs classes; regression has none")
        return self


def load_fine_tuning(file: Path, overrides: Sequence[str] = ()) -> FineTuneConfig:
    """Return the file's content. Raises InputError that lists every fault."""
    return load_section(file, FineTuneConfig, overrides)
