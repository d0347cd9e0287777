"""Instruction tuning on chats: loss on the assistant's turns, batches by tokens.

A chat is `<|user|>` question `<|endofturn|>` `<|assistant|>` answer `<|endofturn|>` …, each text
encoded alone: a special string inside a text is ordinary pieces, so no user can end a turn.

With `sbr`, chats of the same task pull each other's features together (`trainer/finetune/sbr.py`):
Bibim's
own extension of a method for classes. A chat's feature is the mean of the last states from which
its learnt tokens are predicted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xxhash
from pydantic import Field
from torch import nn

from mixtures.tokenizer.tokenizer import CHAT, Tokenizer
from schemas.errors import InputError
from schemas.files import read_lines
from schemas.load import load_section
from schemas.values import Count, Section
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
from trainer.optimise import learning_rate, make_optimiser
from trainer.pretrain import Say
from trainer.processes import join_world

ROLES = ("user", "assistant")


class TaskSbr(Section):
    """SBR over chats of the same task."""

    strength: float = Field(1e-3, gt=0)
    """β, the weight of L_SBR beside the mean loss of a token."""
    distance: Distance = "euclidean"


class SftOptimiser(OptimiserConfig):
    """AdamW, gentler than in pre-training."""

    lr: float = Field(1e-4, gt=0)
    weight_decay: float = Field(0.01, ge=0)


class SftConfig(Section):
    """The file of an instruction tuning."""

    name: str
    checkpoint: str
    """A checkpoint, or a run's folder."""
    chats: list[str]
    """JSONL files of {messages: [{role, content}, …], task: a tag, if there is one}."""
    sbr: TaskSbr | None = None
    """Chats with the same `task` regularise each other, and come into batches in twos."""
    epochs: int = Field(3, ge=1)
    batch_tokens: Count = 16_384
    """Tokens of a batch, padding included: as many chats of about the same length as fit."""
    longest: int = Field(4096, ge=2)
    """Longer chats are left out, and counted."""
    optimiser: SftOptimiser = SftOptimiser()
    seed: int = Field(0, ge=0)
    """Of the order of chats."""
    save_every: int = Field(500, ge=1)
    """Steps from checkpoint to checkpoint; the last one stays, and the same command goes on."""
    device: str = "auto"


@dataclass(frozen=True)
class Chat:
    """A chat's tokens, which of them give loss, and the tag of its task."""

    ids: npt.NDArray[np.int64]
    learnt: npt.NDArray[np.bool_]
    task: str | None = None


def encode_chat(
    tokenizer: Tokenizer, messages: Sequence[dict[str, str]], task: str | None = None
) -> Chat:
    """Return a chat's tokens; those of the assistant's texts and their ends are learnt.

    Raises InputError for what is no message, or a tokenizer without roles.
    """
    if any(name not in tokenizer.ids for name in CHAT):
        raise InputError(f"the tokenizer has no {', '.join(CHAT)}; use one that Bibim trained")
    user, assistant, end = (tokenizer.ids[name] for name in CHAT)
    ids: list[int] = []
    learnt: list[bool] = []
    for number, message in enumerate(messages, 1):
        role, content = _turn(message, number)
        own = [*tokenizer.encode(content), end]
        ids += [user if role == "user" else assistant, *own]
        learnt += [False, *[role == "assistant"] * len(own)]
    return Chat(np.array(ids, np.int64), np.array(learnt, np.bool_), task)


def _turn(message: Any, number: int) -> tuple[str, str]:
    """Return role and content of a chat's message. Raises InputError where it is none."""
    if not isinstance(message, dict) or not {"role", "content"} <= message.keys():
        raise InputError(f'message {number} is not {{"role": …, "content": …}}: {message!r:.60}')
    role, content = message["role"], message["content"]
    if role not in ROLES:
        raise InputError(f"role {role!r} is none of {', '.join(ROLES)}")
    if not isinstance(content, str):
        raise InputError(
            f"message {number}: content {json.dumps(content)[:60]} is no string; write the text"
        )
    return role, content


def read_chats(tokenizer: Tokenizer, path: Path) -> list[Chat]:
    """Return the chats of a JSONL file, plain or packed (gzip, zstd).

    Raises InputError naming file and line, or where no chat is there.
    """
    chats = []
    lines = list(read_lines(path, "chats"))
    if not lines:
        raise InputError(f"{path}: no chat is here")
    for number, line in lines:
        try:
            row = json.loads(line)
            task = row.get("task")
            if task is not None and not isinstance(task, str):
                raise InputError(f"task {task!r} is no string; write a tag, or leave it out")
            messages = row["messages"]
            if not isinstance(messages, list):
                raise InputError('messages is no list; write [{"role": …, "content": …}, …]')
            chats.append(encode_chat(tokenizer, messages, task))
        except InputError as error:
            raise InputError(f"{path}: line {number}: {error}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(
                f"{path}: line {number} is no chat: "
                '{"messages": [{"role": "user", "content": "…"}, …]}'
            ) from None
    return chats


def batches(
    chats: Sequence[Chat], most: int, seed: int | Sequence[int], twos: bool = False
) -> list[list[int]]:
    """Return the places of chats, batch by batch: of about the same length, `most` tokens each.

    Chats are shuffled, ordered by length among a few hundred, cut, and the batches shuffled. With
    `twos` a chat comes with the next longer one of its task, if both fit into a batch.
    """
    chance = np.random.default_rng(seed)
    order = chance.permutation(len(chats))
    found: list[list[int]] = []
    for start in range(0, len(order), 512):
        some = sorted(order[start : start + 512].tolist(), key=lambda at: len(chats[at].ids))
        units = _twos(chats, some, most) if twos else [[at] for at in some]
        batch: list[int] = []
        for unit in units:  # ascending: the last of the new ones is the longest
            if batch and (len(batch) + len(unit)) * len(chats[unit[-1]].ids) > most:
                found.append(batch)
                batch = []
            batch += unit
        if batch:
            found.append(batch)
    return [found[at] for at in chance.permutation(len(found)).tolist()]


def _twos(chats: Sequence[Chat], places: Sequence[int], most: int) -> list[list[int]]:
    """Return `places`, by ascending length, in twos of a task, by ascending length of the longer.

    Alone: chats without a task, those left over, and those of which no two are within `most`.
    """
    waiting: dict[str, int] = {}
    units = []
    for at in places:
        task = chats[at].task
        if task is None or 2 * len(chats[at].ids) > most:
            units.append([at])
        elif task in waiting:
            units.append([waiting.pop(task), at])
        else:
            waiting[task] = at
    units += [[at] for at in waiting.values()]
    return sorted(units, key=lambda unit: len(chats[unit[-1]].ids))


def padded(chats: Sequence[Chat], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs and targets [chats, longest − 1]; what is not learnt is IGNORE."""
    longest = max(len(chat.ids) for chat in chats)
    ids = np.full((len(chats), longest - 1), pad, np.int64)
    targets = np.full((len(chats), longest - 1), IGNORE, np.int64)
    for row, chat in enumerate(chats):
        length = len(chat.ids) - 1
        ids[row, :length] = chat.ids[:-1]
        targets[row, :length] = np.where(chat.learnt[1:], chat.ids[1:], IGNORE)
    return torch.from_numpy(ids), torch.from_numpy(targets)


def task_loss(
    hidden: torch.Tensor, targets: torch.Tensor, tasks: Sequence[str | None], distance: Distance
) -> torch.Tensor:
    """Return L_SBR of chats by task: a scalar, 0 where no two have the same one.

    `hidden`: [chats, positions, dim]; `targets`: [chats, positions], IGNORE where nothing is
    learnt; a chat's feature is the mean of its other states. A chat without a task pulls at none.
    """
    tagged = [row for row, task in enumerate(tasks) if task is not None]
    if len(tagged) < 2:
        return hidden.new_zeros((), dtype=torch.float32)
    learnt = (targets[tagged] != IGNORE)[..., None]
    z = (hidden[tagged].float() * learnt).sum(dim=1) / learnt.sum(dim=1).clamp(min=1)
    number = {task: place for place, task in enumerate(dict.fromkeys(tasks))}
    kinds = torch.tensor([number[tasks[row]] for row in tagged], device=hidden.device)
    # sbr_loss averages over the rows that it sees; the batch is all chats
    return sbr_loss(z, kinds, distance) * (len(tagged) / len(tasks))


def tune(config: SftConfig, out: Path, say: Say = print) -> Path:
    """Tune a checkpoint on chats, or go on in `out`; return the last checkpoint.

    Raises InputError where `out` holds another tuning, or no chat can be learnt from.
    """
    world = join_world(config.device)
    model, base = load_model(Path(config.checkpoint))
    tokenizer = Tokenizer.load(base.tokenizer_path)
    chats = _usable_chats(config, tokenizer, say)
    plan = [
        batch
        for epoch in range(config.epochs)
        for batch in batches(
            chats, config.batch_tokens, (config.seed, epoch), twos=config.sbr is not None
        )
    ]
    identity = {
        "sft": config.model_dump(mode="json", exclude={"save_every", "device"}),
        "weights": _hash_of(model),
        "chats": xxhash.xxh3_64_hexdigest(
            b"".join(chat.ids.tobytes() + repr(chat.task).encode() for chat in chats)
        ),
    }
    state = _saved(out, identity)
    if state:
        model.load_state_dict(state["model"])
    model = model.to(world.device).train()
    optimiser = make_optimiser(model, config.optimiser)
    start = int(state["step"]) if state else 0
    if state and "optimiser" in state:
        optimiser.load_state_dict(state["optimiser"])
        say(f"going on after step {start:,}/{len(plan):,}")

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

    for number in range(start, len(plan)):
        some = [chats[at] for at in plan[number]]
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(number, len(plan), config.optimiser)
        ids, targets = (part.to(world.device) for part in padded(some, tokenizer.pad_id))
        optimiser.zero_grad(set_to_none=True)
        hidden, _ = model.hidden(ids)
        loss = model.loss(hidden, targets) / (targets != IGNORE).sum()
        pull = None
        if config.sbr:
            pull = task_loss(hidden, targets, [chat.task for chat in some], config.sbr.distance)
            torch.autograd.backward(loss + config.sbr.strength * pull)
        else:
            torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), config.optimiser.clip)
        optimiser.step()
        done = number + 1
        if done % 10 == 0 or done == len(plan):
            beside = "" if pull is None else f", SBR of tasks {pull.item():.4f}"
            say(f"step {done:,}/{len(plan):,}: loss {loss.item():.4f}{beside}")
        if done % config.save_every == 0 and done < len(plan):
            save(done)
    return save(len(plan)) if start < len(plan) else checkpoint_path(out, start)


def _hash_of(model: nn.Module) -> str:
    """Return a hash of the weights: what stands at a path may be trained further."""
    digest = xxhash.xxh3_64()
    for weight in model.state_dict().values():
        digest.update(weight.cpu().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()


def _usable_chats(config: SftConfig, tokenizer: Tokenizer, say: Say) -> list[Chat]:
    """Return the chats to learn from. Raises InputError where there are none, or no pairs."""
    chats = [chat for name in config.chats for chat in read_chats(tokenizer, Path(name))]
    answered = [chat for chat in chats if chat.learnt.any()]
    found = [chat for chat in answered if len(chat.ids) <= config.longest]
    files = ", ".join(config.chats)
    if not answered:
        raise InputError(
            f"chats: {files}: no chat has an assistant's turn, which is what is learnt"
        )
    if not found:
        raise InputError(
            f"chats: {files}: no chat with an assistant's turn has {config.longest:,} tokens or "
            "fewer; raise `longest`, or cut them"
        )
    if len(found) < len(chats):
        say(f"{len(chats) - len(found):,} of {len(chats):,} chats left out: too long, or no answer")
    tasks = Counter(chat.task for chat in found if chat.task is not None)
    if config.sbr and max(tasks.values(), default=0) < 2:
        raise InputError(
            'sbr: no two chats have the same task; write "task": "…" beside "messages", or leave '
            "`sbr` out"
        )
    return found


def _saved(out: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """Return the checkpoint to go on from. Raises InputError where it is of something else."""
    if not checkpoints(out):
        return None
    state = load_checkpoint(out)
    if state["identity"] != identity:
        raise InputError(
            f"{out}: its checkpoint is of another training; name another --out, or the same "
            "settings, chats and source"
        )
    return state


def load_sft(file: Path, overrides: Sequence[str] = ()) -> SftConfig:
    """Return the file's content. Raises InputError that lists every fault."""
    return load_section(file, SftConfig, overrides)
