"""Fine-tuning for classes, sentence pairs and numbers: `bibim train sbr`.

    bibim train sbr sbr.yaml --out out/sentiment
    torchrun --nproc-per-node 2 -m trainer.finetune.finetune sbr.yaml --out out/sentiment

The head is linear on pooled hidden states.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from schemas.errors import InputError
from trainer.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from trainer.finetune.card import Measured, write_card
from trainer.finetune.classifier import HEAD
from trainer.finetune.config import FineTuneConfig, load_fine_tuning
from trainer.finetune.features import DecoderFeatures, SeenRows
from trainer.finetune.samples import Label, Sample, find_labels, read_samples
from trainer.finetune.source import SourceModel, open_source
from trainer.finetune.tuning import Say, Tuning, features_of
from trainer.model.model import Decoder
from trainer.processes import World, join_world, leave_world


def hold_out(samples: Sequence[Sample], seed: int) -> tuple[list[Sample], list[Sample]]:
    """Return the samples for training, and a fifth of each class as held out."""
    order = np.random.default_rng(seed).permutation(len(samples)).tolist()
    by_label: dict[Label, list[int]] = {}
    for at in order:
        label = samples[at].label
        by_label.setdefault(0 if isinstance(label, float) else label, []).append(at)
    held_out = {at for places in by_label.values() for at in places[: len(places) // 5]}
    return [s for at, s in enumerate(samples) if at not in held_out], [
        samples[at] for at in sorted(held_out)
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
            raise InputError(f"{where}: too few samples to hold any out; name others as `test`")
    source = open_source(config, train, test, world.device)
    backbone = source.backbone
    targets = [_targets(part, labels) for part in (train, test)]
    inputs, others = (backbone.enter(part) for part in (source.samples, source.others))  # type: ignore[operator]  # a Backbone
    before = features_of(backbone, others)
    tuning = Tuning(backbone, max(1, len(labels)), config, inputs, targets[0], world)
    say(f"{len(train):,} samples for training, {len(test):,} held out: {config.method.name}")
    losses = tuning.run(say)
    after = features_of(backbone, others)
    with torch.inference_mode():
        scores = tuning.head(after).cpu()
    if world.first:
        _save(config, source, tuning, labels, out)
        figures = {
            "samples": len(train),
            "steps": len(losses),
            "last loss": round(losses[-1], 5),
            "bytes held by the method": tuning.method.bytes_kept(),
        }
        measured = Measured(targets[1], scores, before.cpu(), after.cpu())
        write_card(config, labels, measured, figures, out)
    world.wait()
    return out / "card.json"


def _refuse_others(out: Path) -> None:
    """Raise InputError where `out` holds the checkpoint of a training that is not a fine-tuning."""
    if checkpoints(out) and "sbr" not in load_checkpoint(out)["identity"]:
        raise InputError(f"{out}: it holds the checkpoint of another training; name another --out")


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
    config: FineTuneConfig, source: SourceModel, tuning: Tuning, labels: Sequence[Label], out: Path
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


def main() -> None:
    """Run under `torchrun`, without the command line."""
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    print(json.dumps(str(fine_tune(load_fine_tuning(args.config, args.set), args.out))))
