"""Chats: which tokens are learnt, that no text ends a turn, and batches by tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtures.tokenizer import CHAT, Tokenizer
from schemas.errors import InputError
from trainer.checkpoint import load_checkpoint
from trainer.config import TrainConfig
from trainer.loss import IGNORE
from trainer.pretrain import pretrain
from trainer.sft import Chat, SftConfig, batches, encode_chat, padded, read_chats, tune

MESSAGES = [
    {"role": "user", "content": "구름에서 있었다."},
    {"role": "assistant", "content": "the river"},
    {"role": "user", "content": "def x"},
    {"role": "assistant", "content": "나무"},
]


@pytest.fixture(scope="module")
def tokenizer(mixture: Path) -> Tokenizer:
    return Tokenizer.load(mixture.parent / "tokenizer")


def test_the_assistants_words_and_their_ends_are_learnt_and_nothing_else(tokenizer: Tokenizer):
    chat = encode_chat(tokenizer, MESSAGES)
    user, assistant, end = (tokenizer.ids[name] for name in CHAT)
    expected: list[tuple[int, bool]] = []
    for message in MESSAGES:
        mine = message["role"] == "assistant"
        expected.append((assistant if mine else user, False))
        expected += [(token, mine) for token in tokenizer.encode(message["content"])]
        expected.append((end, mine))
    assert list(zip(chat.ids.tolist(), chat.learnt.tolist(), strict=True)) == expected
    ids, targets = padded([chat], tokenizer.pad_id)
    assert ids[0].tolist() == [token for token, _ in expected][:-1]
    assert targets[0].tolist() == [t if learnt else IGNORE for t, learnt in expected][1:]


@given(st.lists(st.sampled_from([*CHAT, "가", " ", "a", "<|endofdoc|>"]), max_size=12))
def test_no_text_of_a_user_ends_a_turn_or_begins_one(tokenizer: Tokenizer, parts: list[str]):
    text = "".join(parts)
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": text}]
    chat = encode_chat(tokenizer, messages)
    special = [tokenizer.ids[name] for name in (*CHAT, "<|endofdoc|>")]
    found = [token for token in chat.ids.tolist() if token in special]
    user, assistant, end = (tokenizer.ids[name] for name in CHAT)
    assert found == [user, end, assistant, end]
    assert tokenizer.decode(chat.ids[chat.learnt]) == text


@given(st.lists(st.integers(1, 90), min_size=1, max_size=80), st.integers(0, 5))
def test_every_chat_is_in_one_batch_and_batches_keep_the_budget(lengths: list[int], seed: int):
    chats = [Chat(np.zeros(n, np.int64), np.ones(n, np.bool_)) for n in lengths]
    plan = batches(chats, 100, seed)
    assert sorted(at for batch in plan for at in batch) == list(range(len(lengths)))
    assert all(len(batch) * max(lengths[at] for at in batch) <= 100 for batch in plan)


def test_wrong_chats_are_named_by_line(tokenizer: Tokenizer, tmp_path: Path):
    file = tmp_path / "chats.jsonl"
    file.write_text(json.dumps({"messages": MESSAGES}) + '\n{"text": "x"}\n', "utf-8")
    with pytest.raises(InputError, match="line 2 is no chat"):
        read_chats(tokenizer, file)
    file.write_text('{"messages": [{"role": "system", "content": "x"}]}\n', "utf-8")
    with pytest.raises(InputError, match="line 1: role 'system'"):
        read_chats(tokenizer, file)


def test_a_chat_is_learnt(training: Callable[..., TrainConfig], tmp_path: Path):
    from trainer.export import load_model
    from trainer.generate import generate

    base = pretrain(training(run={"steps": 3}), tmp_path / "base", lambda line: None)
    file = tmp_path / "chats.jsonl"
    file.write_text((json.dumps({"messages": MESSAGES}) + "\n") * 8, "utf-8")
    said: list[str] = []
    config = SftConfig.model_validate(
        {
            "name": "s",
            "checkpoint": str(base),
            "chats": [str(file)],
            "epochs": 150,
            "batch_tokens": 400,
            "device": "cpu",
            "optimiser": {"lr": 1e-2},
        }
    )
    last = tune(config, tmp_path / "chat", said.append)
    assert load_checkpoint(last)["step"] >= 150
    model, own = load_model(last)
    tokenizer = Tokenizer.load(own.tokenizer_path)
    user, assistant, end = (tokenizer.ids[name] for name in CHAT)
    prompt = [user, *tokenizer.encode(MESSAGES[0]["content"]), end, assistant]
    answer = generate(model, prompt, 20, stop=[end], temperature=0)
    assert tokenizer.decode(answer) == "the river"
