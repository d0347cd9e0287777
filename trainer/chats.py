"""Chats: their tokens, which of them are learnt, and batches of similar length.

A chat is `<|user|>` question `<|endofturn|>` `<|assistant|>` answer `<|endofturn|>` …, each text
encoded alone: a special string inside a text is ordinary pieces, so no user can end a turn.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mixtures.tokenizer.tokenizer import CHAT, Tokenizer
from schemas.errors import InputError
from schemas.json_lines import not_found, read_objects, whole_text
from trainer.model.loss import IGNORE

ROLES = ("user", "assistant")


@dataclass(frozen=True)
class Chat:
    """A chat's tokens, which of them are learnt, and the tag of its task."""

    ids: npt.NDArray[np.int64]
    learnt: npt.NDArray[np.bool_]
    task: str | None = None


def encode_chat(
    tokenizer: Tokenizer, messages: Sequence[dict[str, str]], task: str | None = None
) -> Chat:
    """Return a chat's tokens; those of the assistant's texts and their ends are learnt.

    Raises InputError for an invalid message, or a tokenizer without roles.
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
    """Return role and content of a chat's message. Raises InputError if it is not a message."""
    if not isinstance(message, dict) or not {"role", "content"} <= message.keys():
        raise InputError(f'message {number} is not {{"role": …, "content": …}}: {message!r:.60}')
    role, content = message["role"], message["content"]
    if role not in ROLES:
        raise InputError(f"role must be {' or '.join(map(repr, ROLES))}, got {role!r}")
    if not isinstance(content, str):
        raise InputError(
            f"message {number}: content {json.dumps(content)[:60]} is not a string; write the text"
        )
    return role, whole_text(content)[0]


def read_chats(tokenizer: Tokenizer, path: Path) -> list[Chat]:
    """Return the chats of a JSONL file, plain or packed (gzip, zstd).

    Raises InputError naming file and line, or for a file without chats.
    """
    chats = []
    for number, row in read_objects(path, "chats"):
        if "messages" not in row:
            raise InputError(
                f"{path}: line {number} is not a chat: {not_found('messages', row)}; write "
                '{"messages": [{"role": "user", "content": "…"}, …]}'
            )
        try:
            task = row.get("task")
            if task is not None and not isinstance(task, str):
                raise InputError(f"task {task!r} is not a string; write a tag, or remove it")
            messages = row["messages"]
            if not isinstance(messages, list):
                raise InputError('messages is not a list; write [{"role": …, "content": …}, …]')
            chats.append(encode_chat(tokenizer, messages, task))
        except InputError as error:
            raise InputError(f"{path}: line {number}: {error}") from None
    return chats


def batches(
    chats: Sequence[Chat], max_tokens: int, seed: int | Sequence[int], pairs: bool = False
) -> list[list[int]]:
    """Return the places of chats by batch: of similar length, up to `max_tokens` each.

    Chats are shuffled, ordered by length in groups of 512, cut into batches, and the batches
    shuffled. With `pairs` a chat is batched with the next longer one of its task, if both fit.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(chats))
    found: list[list[int]] = []
    for start in range(0, len(order), 512):
        some = sorted(order[start : start + 512].tolist(), key=lambda at: len(chats[at].ids))
        units = _pairs(chats, some, max_tokens) if pairs else [[at] for at in some]
        batch: list[int] = []
        for unit in units:  # ascending: the last of the new ones is the longest
            if batch and (len(batch) + len(unit)) * len(chats[unit[-1]].ids) > max_tokens:
                found.append(batch)
                batch = []
            batch += unit
        if batch:
            found.append(batch)
    return [found[at] for at in rng.permutation(len(found)).tolist()]


def _pairs(chats: Sequence[Chat], places: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Return `places` (by ascending length) in pairs from the same task, by the longer's length.

    Single: chats without a task, those left over, and those too long for two per batch.
    """
    waiting: dict[str, int] = {}
    units = []
    for at in places:
        task = chats[at].task
        if task is None or 2 * len(chats[at].ids) > max_tokens:
            units.append([at])
        elif task in waiting:
            units.append([waiting.pop(task), at])
        else:
            waiting[task] = at
    units += [[at] for at in waiting.values()]
    return sorted(units, key=lambda unit: len(chats[unit[-1]].ids))


def padded(chats: Sequence[Chat], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs and targets [chats, longest − 1]; IGNORE where nothing is learnt."""
    longest = max(len(chat.ids) for chat in chats)
    ids = np.full((len(chats), longest - 1), pad, np.int64)
    targets = np.full((len(chats), longest - 1), IGNORE, np.int64)
    for row, chat in enumerate(chats):
        length = len(chat.ids) - 1
        ids[row, :length] = chat.ids[:-1]
        targets[row, :length] = np.where(chat.learnt[1:], chat.ids[1:], IGNORE)
    return torch.from_numpy(ids), torch.from_numpy(targets)
