"""The training file: model, batch, optimiser, schedule and what a run writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.load import load_section
from schemas.values import Count, Section, Unit


class ModelConfig(Section):
    """Shape of the decoder."""

    dim: int = Field(256, ge=16)
    layers: int = Field(6, ge=1)
    heads: int = Field(4, ge=1)
    kv_heads: int | None = Field(None, ge=1)
    """Heads of keys and values (grouped-query attention). Default: as many as `heads`."""
    hidden: int | None = Field(None, ge=16)
    """Width of SwiGLU. Default: 8/3 of `dim`, rounded up to a multiple of 64."""
    rope_base: float = Field(10_000.0, gt=1)
    long_rope_base: float | None = Field(None, gt=1)
    """Base of the rotary angles in stages whose context is longer than the first one's."""
    norm_eps: float = Field(1e-5, gt=0)
    tied: bool = True
    """Whether the output layer is the embedding."""
    z_loss: float = Field(0.0, ge=0)
    """Weight of the squared logarithm of the softmax's sum (PaLM, arXiv 2204.02311: 1e-4)."""

    @property
    def key_heads(self) -> int:
        """Heads of keys and values."""
        return self.kv_heads or self.heads

    @property
    def width(self) -> int:
        """Width of SwiGLU."""
        return self.hidden or -(-self.dim * 8 // 3 // 64) * 64

    @model_validator(mode="after")
    def _divides(self) -> ModelConfig:
        if self.dim % self.heads or self.dim // self.heads % 2:
            raise ValueError(f"dim {self.dim} is not an even multiple of heads {self.heads}")
        if self.heads % self.key_heads:
            raise ValueError(f"heads {self.heads} are not a multiple of kv_heads {self.key_heads}")
        return self


class BatchConfig(Section):
    """The tokens of a step. Nothing here depends on the number of processes."""

    tokens: Count = 65_536
    """Tokens per step, over all processes."""
    context: int = Field(512, ge=16)
    """Tokens per sequence, in stages for which the mixture names no context."""
    most: int | None = Field(None, ge=16)
    """Maximum of the mixture's contexts, for small machines."""
    micro: Count = 16_384
    """Tokens per forward pass of a process; the gradients of a step are accumulated."""
    fim: Unit = 0.0
    """Share of documents for fill-in-the-middle, cut in thirds: half of them PSM, half SPM."""
    spread: int = Field(64, ge=1)
    """Stride: distance in the stream between the sequences of one step, so that they are of
    different documents; 1: consecutive sequences."""
    separate: bool = False
    """Document mask: whether attention is masked across document boundaries."""


Beta = Annotated[float, Field(ge=0, lt=1)]


class OptimiserConfig(Section):
    """AdamW."""

    lr: float = Field(1e-3, gt=0)
    betas: tuple[Beta, Beta] = (0.9, 0.95)
    weight_decay: float = Field(0.1, ge=0)
    """Decay of matrices only."""
    clip: float = Field(1.0, gt=0)
    schedule: Literal["cosine", "wsd"] = "cosine"
    """`wsd`: warm-up, constant, linear decay over the last `decay` of the steps."""
    warmup: float | None = Field(None, ge=0, lt=1)
    """Share of the steps. Default: 0.02, but at least 2/(1 - β₂) steps and at most a fifth."""
    decay: float = Field(0.2, gt=0, le=1)
    floor: float = Field(0.1, ge=0, le=1)
    """Learning rate at the end, as a share of `lr`."""


class RunConfig(Section):
    """Length, evaluation, checkpoints and device of a run."""

    steps: int | None = Field(None, ge=1)
    """Default: one pass over the mixture."""
    seed: int = Field(0, ge=0)
    held_out: float = Field(0.005, ge=0, lt=0.5)
    """Share of documents, chosen by a hash of their ids, that are never trained on."""
    evaluate_every: int = Field(200, ge=1)
    evaluate_tokens: Count = 100_000
    """Held-out tokens per component."""
    save_every: int = Field(500, ge=1)
    keep: int = Field(2, ge=1)
    """Number of checkpoints to keep."""
    log_every: int = Field(10, ge=1)
    spike: float = Field(4.0, gt=0)
    """Stop the run if the loss exceeds the mean of the last hundred steps by this much."""
    device: str = "auto"
    dtype: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    """Compile the layers."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """With several processes: each holds all weights, or its share of them (FSDP2)."""
    checkpointing: bool = False
    """Recompute activations in the backward pass."""
    trackers: tuple[Literal["tensorboard", "mlflow"], ...] = ()
    """Trackers beside `metrics.jsonl`, which is always written."""
    peak_tflops: float | None = Field(None, gt=0)
    """Peak of the device in TFLOPS, for MFU: 989 for an H100 or H200 in bfloat16."""


class TrainConfig(Section):
    """The whole file."""

    name: str
    mixture: str
    """Folder of a mixture: `OUT/mixture` of a run."""
    tokenizer: str | None = None
    """Default: `../tokenizer` beside the mixture."""
    model: ModelConfig = ModelConfig()
    batch: BatchConfig = BatchConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    run: RunConfig = RunConfig()

    @property
    def tokenizer_path(self) -> Path:
        """Return the tokenizer's folder."""
        return Path(self.tokenizer) if self.tokenizer else Path(self.mixture).parent / "tokenizer"

    @model_validator(mode="after")
    def _whole(self) -> TrainConfig:
        if self.batch.tokens % self.batch.context:
            raise ValueError(
                f"batch.tokens {self.batch.tokens} is not a multiple of "
                f"batch.context {self.batch.context}"
            )
        return self


def load_training(file: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Return the training file's content. Raises InputError that lists every fault."""
    return load_section(file, TrainConfig, overrides)
