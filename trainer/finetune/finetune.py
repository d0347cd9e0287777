"""Fine-tuning for classes, sentence pairs and numbers: `bibim train sbr`.

    bibim train sbr sbr.yaml --out out/sentiment
    torchrun --nproc-per-node 2 -m trainer.finetune.finetune sbr.yaml --out out/sentiment

The head is linear on pooled hidden states. Each process takes its part of a step's samples; their
features are gathered, and every process makes the whole batch's loss.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812  # the name that everybody gives it
from pydantic import Field, model_validator
from torch import Tensor, nn

from mixtures.tokenizer.tokenizer import Tokenizer
from schemas.errors import InputError
from schemas.load import load_section
from schemas.values import Section
from trainer.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from trainer.config import Beta, OptimiserConfig, TrainConfig
from trainer.export import load_model
from trainer.finetune.features import (
    DecoderFeatures,
    HuggingFaceFeatures,
    Pooling,
    SeenRows,
    load_hf_decoder,
)
from trainer.finetune.methods import FOR_CLASSES, Method, MethodConfig, Step, make_method
from trainer.finetune.samples import (
    Kind,
    Label,
    Sample,
    balanced_batches,
    find_labels,
    read_samples,
    shuffled_batches,
)
from trainer.finetune.sbr import gather
from trainer.model.model import Decoder
from trainer.optimise import learning_rate
from trainer.processes import World, join_world, leave_world

Say = Callable[[str], None]
HEAD = "head.pt"


class SamplerConfig(Section):
    """What a step sees."""

    kind: Literal["balanced", "shuffled"] = "balanced"
    """`balanced`: so many samples of each class, so that every batch has pairs."""
    per_class: int = Field(8, ge=2)
    classes: int | None = Field(None, ge=1)
    """Classes of a step; left out, all."""
    size: int = Field(16, ge=1)
    """Samples of a step that is shuffled, or of regression."""


class HeadConfig(Section):
    """The head's own optimisation."""

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
    """How a backbone and a head are tuned, whatever they are."""

    method: MethodConfig = MethodConfig()
    sampler: SamplerConfig = SamplerConfig()
    optimiser: TuneOptimiser = TuneOptimiser()
    """Of the feature extractor; schedule, betas and clip are the head's too."""
    head: HeadConfig = HeadConfig()
    steps: int = Field(200, ge=1)
    seed: int = Field(0, ge=0)
    dtype: Literal["float32", "bfloat16"] = "float32"
    """`bfloat16`: autocast."""


class FineTuneConfig(FineTuneSettings):
    """The file of a fine-tuning."""

    name: str
    checkpoint: str
    """A checkpoint of ours, a training's folder, or a folder of a Hugging Face decoder."""
    tokenizer: str | None = None
    """Left out: the one that the checkpoint names."""
    kind: Kind = "classification"
    train: tuple[str, ...] = Field(min_length=1)
    """JSONL files of {text, label}, pairs {sentence1, sentence2, label}."""
    test: tuple[str, ...] = ()
    """Never trained on: the card's figures. Left out, a fifth of `train` is held out."""
    labels: tuple[Label, ...] | None = None
    """The classes in order; left out, those that occur."""
    pooling: Pooling = "mean"
    tokens: int | None = Field(None, ge=4)
    """Longest sample; left out, the model's context."""
    longer: Literal["error", "cut"] = "error"
    """What happens to longer ones."""
    tuned_layers: int | None = Field(None, ge=1)
    """Only the upper ones are tuned, the rest computed once; left out, everything is tuned."""
    device: str = "auto"
    pictures: bool = True
    """Confusion matrix and features before and after, as pictures."""
    projection: Literal["pca", "tsne"] = "pca"

    @model_validator(mode="after")
    def _fits(self) -> FineTuneConfig:
        if self.kind == "regression" and self.method.name in FOR_CLASSES:
            raise ValueError(f"method {self.method.name} needs classes; regression has none")
        return self


def encode_samples(
    encode: Callable[[list[str]], list[list[int]]],
    samples: Sequence[Sample],
    end: int,
    most: int,
    cut: bool,
) -> list[Tensor]:
    """Return each sample's ids: its texts, each with `end` behind it.

    `cut`: samples longer than `most` lose the ends of their texts, of each alike; else InputError
    names the line.
    """
    parts = [encode(list(texts)) for texts in zip(*(s.texts for s in samples), strict=True)]
    found = []
    for sample, ids in zip(samples, zip(*parts, strict=True), strict=True):
        length = sum(map(len, ids)) + len(ids)
        if length > most and not cut:
            raise InputError(
                f"{sample.place}: {length} tokens, the model sees {most}; shorten it, or say "
                "`longer: cut`"
            )
        room = most // len(ids) - 1 if length > most else length
        found.append(torch.tensor([i for part in ids for i in [*part[:room], end]]))
    return found


def our_encoder(tokenizer: Tokenizer) -> Callable[[list[str]], list[list[int]]]:
    """Return a function from texts to their ids."""

    def encode(texts: list[str]) -> list[list[int]]:
        found = tokenizer.encode_batch(pa.array(texts))
        return [
            found.tokens[a:b].tolist()
            for a, b in zip(found.offsets, found.offsets[1:], strict=False)
        ]

    return encode


class Tuning:
    """A backbone and a head under a method, step by step."""

    def __init__(
        self,
        backbone: nn.Module,
        outputs: int,
        settings: FineTuneSettings,
        inputs: Sequence[Tensor],
        labels: Tensor,
        world: World,
    ) -> None:
        """`inputs`: what `backbone.enter` made of the texts; `labels`: [samples], classes (int64)
        or numbers (float32, `outputs` is 1 then)."""
        self.backbone, self.settings, self.world = backbone, settings, world
        self.inputs, self.labels = inputs, labels.to(world.device)
        torch.manual_seed(settings.seed)
        self.head = nn.Linear(int(getattr(backbone, "dim")), outputs).to(world.device)  # noqa: B009
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.method: Method = make_method(settings.method)
        self.method.begin(backbone, inputs, self.labels)
        own = settings.optimiser
        self.weights = [w for w in backbone.parameters() if w.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": self.weights, "lr": own.lr, "weight_decay": own.weight_decay},
            {"params": list(self.head.parameters()), **settings.head.model_dump()},
        ]
        self.optimiser = torch.optim.AdamW(groups, betas=own.betas, fused=True)
        self.rates = [group["lr"] for group in groups]
        self.batches = plan_batches(settings, labels)
        fewest = min(map(len, self.batches))
        if fewest < world.size:
            raise InputError(
                f"{world.size} processes for {fewest} samples a step: start fewer, or raise the "
                "sampler's size or per_class"
            )

    def step(self, number: int) -> float:
        """Take step `number`; return its loss."""
        settings = self.settings
        share = learning_rate(number, len(self.batches), settings.optimiser)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * share / settings.optimiser.lr
        places = self.batches[number][self.world.rank :: self.world.size]
        some = [self.inputs[at] for at in places]
        self.optimiser.zero_grad(set_to_none=True)
        replaced = self.method.weights(self.backbone)
        bf16 = settings.dtype == "bfloat16"
        with torch.autocast(self.world.device.type, torch.bfloat16, enabled=bf16):
            if replaced is None:
                features = self.backbone(some)
            else:
                features = torch.func.functional_call(self.backbone, replaced, (some,))
            z, labels = gather(features.z), gather(self.labels[places])
            logits = self.head(z)
        one = Step(features, z, labels, some, self.world.size / len(z), self.backbone, self.head)
        loss = self.method.loss(supervised_loss(logits, labels), one)
        torch.autograd.backward(loss)
        self._average()
        every = [*self.weights, *self.head.parameters()]
        nn.utils.clip_grad_norm_(every, settings.optimiser.clip)
        self.optimiser.step()
        return float(loss.detach())

    def _average(self) -> None:
        if self.world.size == 1:
            return
        gradients = [w.grad for w in (*self.weights, *self.head.parameters()) if w.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.world.size
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()

    def run(self, say: Say | None = None) -> list[float]:
        """Take all steps; return their losses."""
        self.backbone.train()
        losses = []
        for number in range(len(self.batches)):
            losses.append(self.step(number))
            if say and ((number + 1) % 20 == 0 or number + 1 == len(self.batches)):
                say(f"step {number + 1:,}/{len(self.batches):,}: loss {losses[-1]:.4f}")
        self.backbone.eval()
        return losses


def plan_batches(settings: FineTuneSettings, labels: Tensor) -> list[list[int]]:
    """Return the samples of each step; the same for every method."""
    sampler = settings.sampler
    if labels.is_floating_point() or sampler.kind == "shuffled":
        return shuffled_batches(len(labels), settings.steps, sampler.size, settings.seed)
    return balanced_batches(
        labels.tolist(), settings.steps, sampler.per_class, sampler.classes, settings.seed
    )


def supervised_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return cross-entropy, or for numbers the mean squared error, in float32."""
    if labels.is_floating_point():
        return F.mse_loss(logits[:, 0].float(), labels)
    return F.cross_entropy(logits.float(), labels)


@torch.inference_mode()
def features_of(backbone: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    """Return the features [texts, dim], texts of about the same length together."""
    training = backbone.training
    backbone.eval()
    order = sorted(range(len(inputs)), key=lambda at: len(inputs[at]))
    parts = [
        backbone([inputs[at] for at in order[start : start + 32]]).z
        for start in range(0, len(order), 32)
    ]
    backbone.train(training)
    found = torch.cat(parts).float()
    return found[torch.tensor(np.argsort(order), device=found.device)]


@dataclass(frozen=True)
class Source:
    """A model to fine-tune, with what is needed to read texts and to save it."""

    model: Any
    backbone: nn.Module
    samples: list[Tensor]
    """Ids of the training samples."""
    others: list[Tensor]
    """Ids of the samples held out."""
    longest: int
    """Tokens of a sample that the model sees."""
    base: TrainConfig | None
    """Of our own models."""


def open_source(
    config: FineTuneConfig, train: Sequence[Sample], test: Sequence[Sample], device: torch.device
) -> Source:
    """Load the model, and encode the samples for it."""
    path = Path(config.checkpoint)
    cut = config.longer == "cut"
    if (path / "config.json").exists():
        model, tokenizer = load_hf_decoder(path)
        most = min(config.tokens or 1 << 30, int(model.config.max_position_embeddings))
        end = tokenizer.eos_token_id
        if end is None:
            raise InputError(f"{path}: its tokenizer has no end symbol (eos_token)")

        def encode(texts: list[str]) -> list[list[int]]:
            ids: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
            return ids

        first, second = (encode_samples(encode, part, end, most, cut) for part in (train, test))
        if config.tuned_layers is not None:
            raise InputError("tuned_layers: of our own models only; leave it out")
        backbone: nn.Module = HuggingFaceFeatures(model, config.pooling)
        return Source(model, backbone.to(device), first, second, most, None)
    model, base = load_model(path)
    own = Tokenizer.load(Path(config.tokenizer) if config.tokenizer else base.tokenizer_path)
    if own.vocab_size != model.vocab_size:
        raise InputError(
            f"the tokenizer has {own.vocab_size} pieces, the model {model.vocab_size}; name the "
            "one of its mixture as `tokenizer`"
        )
    most = config.tokens or model.context
    first, second = (
        encode_samples(our_encoder(own), part, own.eod_id, most, cut) for part in (train, test)
    )
    seen = torch.unique(torch.cat(first))
    backbone = DecoderFeatures(model, config.pooling, config.tuned_layers, seen)
    return Source(model, backbone.to(device), first, second, most, base)


def hold_out(samples: Sequence[Sample], seed: int) -> tuple[list[Sample], list[Sample]]:
    """Return samples to train on, and a fifth of each class to measure on."""
    order = np.random.default_rng(seed).permutation(len(samples)).tolist()
    by_label: dict[Label, list[int]] = {}
    for at in order:
        label = samples[at].label
        by_label.setdefault(0 if isinstance(label, float) else label, []).append(at)
    held = {at for places in by_label.values() for at in places[: len(places) // 5]}
    return [s for at, s in enumerate(samples) if at not in held], [
        samples[at] for at in sorted(held)
    ]


def fine_tune(config: FineTuneConfig, out: Path, say: Say = print) -> Path:
    """Fine-tune as the file says; write model, head, card and pictures; return the card.

    Raises InputError naming the line of a sample that is wrong.
    """
    world = join_world(config.device)
    try:
        return _fine_tune(config, out, world, say if world.first else (lambda line: None))
    finally:
        leave_world()


def _fine_tune(config: FineTuneConfig, out: Path, world: World, say: Say) -> Path:
    from trainer.finetune.card import write_card

    _refuse_others(out)
    regression = config.kind == "regression"
    where = ", ".join(config.train)
    train = _read(config.train, config, config.labels)
    labels: list[Label] = [] if regression else find_labels(train, config.labels, where)
    if config.test:
        test = _read(config.test, config, None if regression else labels)
    else:
        train, test = hold_out(train, config.seed)
        if not test:
            raise InputError(f"{where}: too few to hold some out; name other samples as `test`")
    source = open_source(config, train, test, world.device)
    backbone = source.backbone
    targets = [_targets(part, labels) for part in (train, test)]
    inputs, others = (backbone.enter(part) for part in (source.samples, source.others))  # type: ignore[operator]  # a Backbone
    before = features_of(backbone, others)
    tuning = Tuning(backbone, max(1, len(labels)), config, inputs, targets[0], world)
    say(f"{len(train):,} samples to train on, {len(test):,} to measure on: {config.method.name}")
    losses = tuning.run(say)
    after = features_of(backbone, others)
    with torch.inference_mode():
        scores = tuning.head(after).cpu()
    if world.first:
        _save(config, source, tuning, labels, out)
        write_card(
            config,
            labels,
            scores,
            targets[1],
            (before.cpu(), after.cpu()),
            {
                "samples": len(train),
                "steps": len(losses),
                "last loss": round(losses[-1], 5),
                "bytes held by the method": tuning.method.held(),
            },
            out,
        )
    world.wait()
    return out / "card.json"


def _refuse_others(out: Path) -> None:
    """Raise InputError where `out` holds the checkpoint of a training that is no fine-tuning."""
    if checkpoints(out) and "sbr" not in load_checkpoint(out)["identity"]:
        raise InputError(f"{out}: another training's checkpoint is here; name another --out")


def _read(
    files: Sequence[str], config: FineTuneConfig, labels: Sequence[Label] | None
) -> list[Sample]:
    found: list[Sample] = []
    for name in files:
        some = read_samples(Path(name), config.kind, labels)
        if found and type(some[0].label) is not type(found[0].label):
            raise InputError(
                f"{some[0].place}: label {some[0].label!r} is of another type than "
                f"those of {files[0]}; write all labels in one type"
            )
        found += some
    return found


def _targets(samples: Sequence[Sample], labels: Sequence[Label]) -> Tensor:
    if not labels:
        return torch.tensor([float(sample.label) for sample in samples])
    place = {label: number for number, label in enumerate(labels)}
    return torch.tensor([place[sample.label] for sample in samples])


def _save(
    config: FineTuneConfig, source: Source, tuning: Tuning, labels: Sequence[Label], out: Path
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    model = source.model
    if source.base is None:
        model.save_pretrained(out / "model")
    else:
        assert isinstance(model, Decoder) and isinstance(source.backbone, DecoderFeatures)
        if isinstance(source.backbone.embed, SeenRows):
            with torch.no_grad():
                model.embed.weight.copy_(source.backbone.embed.whole())
        state = {
            "identity": {"sbr": config.model_dump(mode="json")},
            "config": source.base.model_dump(mode="json"),
            "vocab_size": model.vocab_size,
            "rope_base": model.rope_base,
            "context": model.context,
            "model": {name: weight.cpu() for name, weight in model.state_dict().items()},
        }
        save_checkpoint(out, config.steps, state, keep=1)
    head = {
        "weight": tuning.head.weight.detach().cpu(),
        "bias": tuning.head.bias.detach().cpu(),
        "labels": list(labels),
        "pooling": config.pooling,
        "tokens": source.longest,
    }
    torch.save(head, out / HEAD)


class Classifier:
    """A fine-tuned decoder of ours with its head, as a training's folder has them."""

    def __init__(self, folder: Path, tokenizer: Path | None = None) -> None:
        """Raises InputError where the folder holds none."""
        if not (folder / HEAD).exists():
            raise InputError(f"{folder}: no {HEAD} is here; name the --out of `train sbr`")
        kept = torch.load(folder / HEAD, weights_only=True)
        model, base = load_model(folder)
        said = load_checkpoint(folder)["identity"]["sbr"]["tokenizer"]
        self.tokenizer = Tokenizer.load(tokenizer or (Path(said) if said else base.tokenizer_path))
        self.labels: list[Label] = kept["labels"]
        self.backbone = DecoderFeatures(model, kept["pooling"], tuned_layers=1).eval()
        self.weight, self.bias = kept["weight"], kept["bias"]
        self.longest = int(kept["tokens"])

    def scores(self, texts: Sequence[tuple[str, ...]]) -> Tensor:
        """Return chances [samples, classes], for regression the number [samples, 1].

        A sample is a text or two; longer ones than those it was tuned on are cut.
        """
        samples = [Sample(parts, 0, f"text {n}") for n, parts in enumerate(texts, 1)]
        ids = encode_samples(
            our_encoder(self.tokenizer), samples, self.tokenizer.eod_id, self.longest, cut=True
        )
        z = features_of(self.backbone, self.backbone.enter(ids))
        logits = F.linear(z, self.weight, self.bias)
        return torch.softmax(logits, dim=1) if self.labels else logits


def load_fine_tuning(file: Path, overrides: Sequence[str] = ()) -> FineTuneConfig:
    """Return the file's content. Raises InputError that lists every fault."""
    return load_section(file, FineTuneConfig, overrides)


def main() -> None:
    """Run from `torchrun`, where the command line is not."""
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    print(json.dumps(str(fine_tune(load_fine_tuning(args.config, args.set), args.out))))


if __name__ == "__main__":
    main()
