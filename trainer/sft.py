"""Instruction tuning on chats: loss on the assistant's turns, batches by tokens.

With `sbr`, chats of the same task attract each other's features (`trainer/finetune/sbr.py`):
Bibim's own extension of a method for classes. A chat's feature is the mean of the last states from
which its learnt tokens are predicted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import xxhash
from pydantic import Field
from torch import nn

from mixtures.tokenizer.tokenizer import Tokenizer
from schemas.errors import InputError
from schemas.load import load_section
from schemas.values import Count, Section
from trainer.chats import Chat, batches, padded, read_chats
from trainer.checkpoint import (
    checkpoint_path,
    checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from trainer.config import OptimiserConfig
from trainer.export import load_model
from trainer.finetune.sbr import Distance, sbr_loss
from trainer.model.loss import IGNORE
from trainer.model.model import Decoder
from trainer.optimise import learning_rate, make_optimiser
from trainer.pretrain import Say
from trainer.processes import World, join_world


class TaskSbr(Section):
    """SBR over chats of the same task."""

    strength: float = Field(1e-3, gt=0)
    """β: weight of L_SBR beside the mean loss per token."""
    distance: Distance = "euclidean"


class SftOptimiser(OptimiserConfig):
    """AdamW, gentler than in pre-training."""

    lr: float = Field(1e-4, gt=0)
    weight_decay: float = Field(0.01, ge=0)


class SftConfig(Section):
    """The file of an instruction tuning."""

    name: str
    """Name of the model."""
    checkpoint: str
    """A checkpoint, or the folder of a training."""
    chats: list[str]
    """JSONL files of {messages: [{role, content}, …], task: a tag, if there is one}."""
    sbr: TaskSbr | None = None
    """Chats with the same `task` regularise each other, and are batched in pairs."""
    epochs: int = Field(3, ge=1)
    """Passes over the chats."""
    batch_tokens: Count = 16_384
    """Maximum tokens per batch, padding included; its chats are of similar length."""
    longest: int = Field(4096, ge=2)
    """Maximum tokens of a chat; longer ones are left out, and counted."""
    optimiser: SftOptimiser = SftOptimiser()
    seed: int = Field(0, ge=0)
    """Seed of the order of chats."""
    save_every: int = Field(500, ge=1)
    """Steps between checkpoints. The last one is kept; the same command resumes from it."""
    device: str = "auto"
    """`cpu`, `cuda`, or `auto`: a GPU where one is available."""


def load_sft(file: Path, overrides: Sequence[str] = ()) -> SftConfig:
    """Return the file's content. Raises InputError that lists every fault."""
    return load_section(file, SftConfig, overrides)


def tune(config: SftConfig, out: Path, say: Say = print) -> Path:
    """Tune a checkpoint on chats, or resume in `out`; return the last checkpoint.

    Raises InputError if `out` holds another tuning, or no chat can be learnt from.
    """
    world = join_world(config.device)
    model, base = load_model(Path(config.checkpoint))
    tokenizer = Tokenizer.load(base.tokenizer_path)
    chats = _usable_chats(config, tokenizer, say)
    plan = _plan(config, chats)
    identity = _identity(config, model, chats)
    state = _saved(out, identity)
    if state:
        model.load_state_dict(state["model"])
    model = model.to(world.device).train()
    optimiser = make_optimiser(model, config.optimiser)
    start = int(state["step"]) if state else 0
    if state and "optimiser" in state:
        optimiser.load_state_dict(state["optimiser"])
        say(f"resuming after step {start:,}/{len(plan):,}")

    def save(done: int) -> Path:
        kept = {"optimiser": optimiser.state_dict()} if done < len(plan) else {}
        state = {
            "identity": identity,
            "config": base.model_dump(mode="json"),
            "vocab_size": model.vocab_size,
            "rope_base": model.rope_base,
            "context": model.context,
            "model": model.state_dict(),
            **kept,
        }
        return save_checkpoint(out, done, state, keep=1)

    for done, places in enumerate(plan[start:], start + 1):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(done - 1, len(plan), config.optimiser)
        optimiser.zero_grad(set_to_none=True)
        losses = _gradients(model, [chats[at] for at in places], tokenizer.pad_id, config, world)
        nn.utils.clip_grad_norm_(model.parameters(), config.optimiser.clip)
        optimiser.step()
        if done % 10 == 0 or done == len(plan):
            say(f"step {done:,}/{len(plan):,}: {losses}")
        if done % config.save_every == 0 and done < len(plan):
            save(done)
    return save(len(plan)) if start < len(plan) else checkpoint_path(out, start)


def _plan(config: SftConfig, chats: Sequence[Chat]) -> list[list[int]]:
    """Return the places of the chats of every step, epoch by epoch."""
    pairs = config.sbr is not None
    return [
        batch
        for epoch in range(config.epochs)
        for batch in batches(chats, config.batch_tokens, (config.seed, epoch), pairs)
    ]


def _identity(config: SftConfig, model: nn.Module, chats: Sequence[Chat]) -> dict[str, Any]:
    """Return what a checkpoint and the tuning that resumes from it must have in common."""
    return {
        "sft": config.model_dump(mode="json", exclude={"save_every", "device"}),
        "weights": _hash_of(model),
        "chats": xxhash.xxh3_64_hexdigest(
            b"".join(chat.ids.tobytes() + repr(chat.task).encode() for chat in chats)
        ),
    }


def _gradients(
    model: Decoder, chats: Sequence[Chat], pad: int, config: SftConfig, world: World
) -> str:
    """Add the gradients of a batch; return its losses as text."""
    ids, targets = (part.to(world.device) for part in padded(chats, pad))
    hidden, _ = model.hidden(ids)
    loss = model.loss(hidden, targets) / (targets != IGNORE).sum()
    if config.sbr is None:
        torch.autograd.backward(loss)
        return f"loss {loss.item():.4f}"
    attraction = task_loss(hidden, targets, [chat.task for chat in chats], config.sbr.distance)
    torch.autograd.backward(loss + config.sbr.strength * attraction)
    return f"loss {loss.item():.4f}, SBR of tasks {attraction.item():.4f}"


def task_loss(
    hidden: torch.Tensor, targets: torch.Tensor, tasks: Sequence[str | None], distance: Distance
) -> torch.Tensor:
    """Return L_SBR of chats by task: a scalar, 0 if no two chats share a task.

    `hidden`: [chats, positions, dim]; `targets`: [chats, positions], IGNORE where nothing is
    learnt; a chat's feature is the mean of its other states. A chat without a task attracts none.
    """
    tagged = [row for row, task in enumerate(tasks) if task is not None]
    if len(tagged) < 2:
        return hidden.new_zeros((), dtype=torch.float32)
    learnt = (targets[tagged] != IGNORE)[..., None]
    z = (hidden[tagged].float() * learnt).sum(dim=1) / learnt.sum(dim=1).clamp(min=1)
    number = {task: place for place, task in enumerate(dict.fromkeys(tasks))}
    kinds = torch.tensor([number[tasks[row]] for row in tagged], device=hidden.device)
    # sbr_loss averages over the tagged chats; the batch is all chats
    return sbr_loss(z, kinds, distance) * (len(tagged) / len(tasks))


def _hash_of(model: nn.Module) -> str:
    """Return a hash of the weights: the checkpoint at a path may change by further training."""
    digest = xxhash.xxh3_64()
    for weight in model.state_dict().values():
        digest.update(weight.cpu().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()


def _usable_chats(config: SftConfig, tokenizer: Tokenizer, say: Say) -> list[Chat]:
    """Return the chats to learn from. Raises InputError if there are none, or no pairs for SBR."""
    chats = [chat for name in config.chats for chat in read_chats(tokenizer, Path(name))]
    answered = [chat for chat in chats if chat.learnt.any()]
    found = [chat for chat in answered if len(chat.ids) <= config.longest]
    files = ", ".join(config.chats)
    if not answered:
        raise InputError(f"chats: {files}: no chat has an assistant's turn to learn")
    if not found:
        raise InputError(
            f"chats: {files}: no chat with an assistant's turn has {config.longest:,} tokens or "
            "fewer; raise `longest`, or shorten them"
        )
    if len(found) < len(chats):
        dropped = len(chats) - len(found)
        say(f"{dropped:,} of {len(chats):,} chats are left out: too long, or without an answer")
    tasks = Counter(chat.task for chat in found if chat.task is not None)
    if config.sbr and max(tasks.values(), default=0) < 2:
        raise InputError(
            'sbr: no two chats have the same task; write "task": "…" beside "messages", or remove '
            "`sbr`"
        )
    return found


def _saved(out: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """Return the checkpoint to resume from, if any. Raises InputError for another training's."""
    if not checkpoints(out):
        return None
    state = load_checkpoint(out)
    if state["identity"] != identity:
        raise InputError(
            f"{out}: its checkpoint is of another training; name another --out, or use the same "
            "settings, chats and source model"
        )
    return state
