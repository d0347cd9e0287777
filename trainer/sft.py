"""Instruction tuning on chats: loss on the assistant's turns, batches by tokens.

A chat is `<|user|>` question `<|endofturn|>` `<|assistant|>` answer `<|endofturn|>` …, each text
encoded alone: a special string inside a text is ordinary pieces, so no user can end a turn.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from mixtures.tokenizer import CHAT, Tokenizer
from schemas.config import Count, Section
from schemas.errors import InputError
from schemas.load import load_section
from trainer.checkpoint import save_checkpoint
from trainer.config import OptimiserConfig
from trainer.export import load_model
from trainer.loss import IGNORE
from trainer.optimise import learning_rate, make_optimiser
from trainer.pretrain import Say
from trainer.processes import join_world

ROLES = ("user", "assistant")


class SftConfig(Section):
    """The file of an instruction tuning."""

    name: str
    checkpoint: str
    """A checkpoint, or a run's folder."""
    chats: list[str]
    """JSONL files of {messages: [{role, content}, …]}."""
    epochs: int = 3
    batch_tokens: Count = 16_384
    """Tokens of a batch, padding included: as many chats of about the same length as fit."""
    longest: int = 4096
    """Longer chats are left out, and counted."""
    optimiser: OptimiserConfig = OptimiserConfig(lr=1e-4, weight_decay=0.01)
    seed: int = 0
    device: str = "auto"


@dataclass(frozen=True)
class Chat:
    """A chat's tokens, and which of them give loss."""

    ids: npt.NDArray[np.int64]
    learnt: npt.NDArray[np.bool_]


def encode_chat(tokenizer: Tokenizer, messages: Sequence[dict[str, str]]) -> Chat:
    """Return a chat's tokens; those of the assistant's texts and their ends are learnt.

    Raises InputError for a role that is not there, or a tokenizer without roles.
    """
    if any(name not in tokenizer.ids for name in CHAT):
        raise InputError(f"the tokenizer has no {', '.join(CHAT)}; use one that Bibim trained")
    user, assistant, end = (tokenizer.ids[name] for name in CHAT)
    ids: list[int] = []
    learnt: list[bool] = []
    for message in messages:
        role = message["role"]
        if role not in ROLES:
            raise InputError(f"role {role!r} is none of {', '.join(ROLES)}")
        own = [*tokenizer.encode(message["content"]), end]
        ids += [user if role == "user" else assistant, *own]
        learnt += [False, *[role == "assistant"] * len(own)]
    return Chat(np.array(ids, np.int64), np.array(learnt, np.bool_))


def read_chats(tokenizer: Tokenizer, path: Path) -> list[Chat]:
    """Return the chats of a JSONL file. Raises InputError naming file and line."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a JSONL file of chats") from None
    chats = []
    for number, line in enumerate(lines, 1):
        try:
            chats.append(encode_chat(tokenizer, json.loads(line)["messages"]))
        except InputError as error:
            raise InputError(f"{path}: line {number}: {error}") from None
        except (ValueError, KeyError, TypeError):
            raise InputError(
                f"{path}: line {number} is no chat: "
                '{"messages": [{"role": "user", "content": "…"}, …]}'
            ) from None
    return chats


def batches(chats: Sequence[Chat], most: int, seed: int) -> list[list[int]]:
    """Return the places of chats, batch by batch: of about the same length, `most` tokens each.

    Chats are shuffled, ordered by length among a few hundred, cut, and the batches shuffled.
    """
    chance = np.random.default_rng(seed)
    order = chance.permutation(len(chats))
    found: list[list[int]] = []
    for start in range(0, len(order), 512):
        some = sorted(order[start : start + 512].tolist(), key=lambda at: len(chats[at].ids))
        batch: list[int] = []
        for at in some:  # ascending: the new one is the longest
            if batch and (len(batch) + 1) * len(chats[at].ids) > most:
                found.append(batch)
                batch = []
            batch.append(at)
        if batch:
            found.append(batch)
    return [found[at] for at in chance.permutation(len(found)).tolist()]


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


def tune(config: SftConfig, out: Path, say: Say = print) -> Path:
    """Tune a checkpoint on chats; return the new checkpoint."""
    world = join_world(config.device)
    model, base = load_model(Path(config.checkpoint))
    model = model.to(world.device).train()
    tokenizer = Tokenizer.load(base.tokenizer_path)
    chats = [chat for name in config.chats for chat in read_chats(tokenizer, Path(name))]
    short = [chat for chat in chats if len(chat.ids) <= config.longest and chat.learnt.any()]
    if not short:
        raise InputError("chats: none has an assistant's turn and is short enough")
    if len(short) < len(chats):
        say(f"{len(chats) - len(short):,} of {len(chats):,} chats left out: too long, or no answer")
    plan = [b for e in range(config.epochs) for b in batches(short, config.batch_tokens, e)]
    optimiser = make_optimiser(model, config.optimiser)
    for number, places in enumerate(plan):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(number, len(plan), config.optimiser)
        ids, targets = padded([short[at] for at in places], tokenizer.pad_id)
        count = int((targets != IGNORE).sum())
        optimiser.zero_grad(set_to_none=True)
        loss = model(ids.to(world.device), targets.to(world.device)) / count
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.optimiser.clip)
        optimiser.step()
        if (number + 1) % 10 == 0 or number + 1 == len(plan):
            say(f"step {number + 1:,}/{len(plan):,}: loss {loss.item():.4f}")
    state = {
        "identity": {"sft": config.model_dump(mode="json")},
        "config": base.model_dump(mode="json"),
        "vocab_size": model.vocab_size,
        "rope_base": model.rope_base,
        "model": model.state_dict(),
    }
    return save_checkpoint(out, len(plan), state, keep=1)


def load_sft(file: Path, overrides: Sequence[str] = ()) -> SftConfig:
    """Return the file's content. Raises InputError that lists every fault."""
    return load_section(file, SftConfig, overrides)
