"""Chats: which tokens are learnt, that no text ends a turn, and batches by tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mixtures.tokenizer.tokenizer import CHAT, Tokenizer
from schemas.errors import InputError
from trainer.chats import Chat, batches, encode_chat, padded, read_chats
from trainer.checkpoint import load_checkpoint
from trainer.config import TrainConfig
from trainer.finetune.sbr import sbr_loss_pairwise
from trainer.model.loss import IGNORE
from trainer.pretrain import pretrain
from trainer.sft import SftConfig, task_loss, tune

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


def blank(length: int, task: str | None = None) -> Chat:
    return Chat(np.zeros(length, np.int64), np.ones(length, np.bool_), task)


TAGGED = st.tuples(st.integers(1, 90), st.sampled_from([None, "a", "b", "c"]))


@given(st.lists(TAGGED, min_size=1, max_size=80), st.integers(0, 5), st.booleans())
def test_every_chat_is_in_one_batch_and_batches_keep_the_budget(
    made: list[tuple[int, str | None]], seed: int, pairs: bool
):
    chats = [blank(*one) for one in made]
    plan = batches(chats, 100, seed, pairs)
    assert sorted(at for batch in plan for at in batch) == list(range(len(chats)))
    assert all(len(batch) * max(made[at][0] for at in batch) <= 100 for batch in plan)


@given(st.lists(TAGGED, min_size=1, max_size=80), st.integers(0, 5))
def test_chats_come_with_another_of_their_task(made: list[tuple[int, str | None]], seed: int):
    alone = [
        task
        for batch in batches([blank(*one) for one in made], 100, seed, pairs=True)
        for at in batch
        for length, task in [made[at]]
        if task and length <= 50 and [made[other][1] for other in batch].count(task) == 1
    ]
    # of each task one at most is left over
    assert len(alone) == len(set(alone))


def test_tags_change_nothing_where_they_are_not_asked_for():
    tagged = [blank(5 + n, "ab"[n % 2]) for n in range(40)]
    assert batches(tagged, 100, 3) == batches([blank(5 + n) for n in range(40)], 100, 3)


def test_the_pull_of_tasks_is_that_of_the_means_of_what_is_learnt():
    torch.manual_seed(0)
    hidden = torch.randn(5, 4, 3)
    targets = torch.randint(0, 9, (5, 4))
    targets[:, 0] = IGNORE
    targets[2, 2:] = IGNORE
    means = torch.stack([h[t != IGNORE].mean(dim=0) for h, t in zip(hidden, targets, strict=True)])
    # rows 1 and 4 are of no task: two classes of one sample each
    expected = sbr_loss_pairwise(means, torch.tensor([0, 1, 0, 0, 2]))
    found = task_loss(hidden, targets, ["x", None, "x", "x", None], "euclidean")
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    assert float(task_loss(hidden, targets, ["x", None, "y", "z", None], "euclidean")) == 0.0
    assert float(task_loss(hidden, targets, [None] * 5, "euclidean")) == 0.0


def test_wrong_chats_are_named_by_line(tokenizer: Tokenizer, tmp_path: Path):
    file = tmp_path / "chats.jsonl"
    file.write_text(json.dumps({"messages": MESSAGES}) + '\n{"text": "x"}\n', "utf-8")
    with pytest.raises(InputError, match="line 2 is not a chat: messages not found; fields: text"):
        read_chats(tokenizer, file)
    file.write_text('{"messages": [{"role": "system", "content": "x"}]}\n', "utf-8")
    with pytest.raises(
        InputError, match="line 1: role must be 'user' or 'assistant', got 'system'"
    ):
        read_chats(tokenizer, file)
    file.write_text(json.dumps({"messages": MESSAGES, "task": 3}) + "\n", "utf-8")
    with pytest.raises(InputError, match="line 1: task 3 is not a string"):
        read_chats(tokenizer, file)
    file.write_text("[]\n", "utf-8")
    with pytest.raises(InputError, match="line 1: a list, not an object"):
        read_chats(tokenizer, file)
    file.write_bytes(b"\n" + '{"messages": "가"}'.encode("cp949"))
    with pytest.raises(InputError, match=r"line 2 is not UTF-8"):
        read_chats(tokenizer, file)


def test_chats_of_every_frame_of_a_file_are_read(tokenizer: Tokenizer, tmp_path: Path):
    file = tmp_path / "chats.jsonl.zst"
    line = json.dumps({"messages": MESSAGES}).encode() + b"\n"
    file.write_bytes(zstandard.compress(line * 3) + zstandard.compress(line * 2))
    assert len(read_chats(tokenizer, file)) == 5


@pytest.mark.parametrize("content", [5, None, ["가"], True, {"text": "가"}])
def test_the_content_of_a_message_must_be_a_string(
    tokenizer: Tokenizer, tmp_path: Path, content: object
):
    file = tmp_path / "chats.jsonl"
    wrong = [MESSAGES[0], {"role": "assistant", "content": content}]
    rows = [{"messages": MESSAGES}, {"messages": wrong}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    fault = r"chats\.jsonl: line 2: message 2: content .* is not a string"
    with pytest.raises(InputError, match=fault):
        read_chats(tokenizer, file)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ({"role": "user", "content": "x"}, "messages is not a list"),
        ("가나다", "messages is not a list"),
        (None, "messages is not a list"),
        ([{"role": "user"}], 'message 1 is not {"role": …, "content": …}'),
        ([MESSAGES[0], {"content": "x"}], 'message 2 is not {"role": …, "content": …}'),
        (["x"], 'message 1 is not {"role": …, "content": …}'),
    ],
)
def test_a_chat_of_another_shape_is_named(
    tokenizer: Tokenizer, tmp_path: Path, messages: object, message: str
):
    file = tmp_path / "chats.jsonl"
    file.write_text(json.dumps({"messages": messages}) + "\n", "utf-8")
    with pytest.raises(InputError, match=re.escape(f"chats.jsonl: line 1: {message}")):
        read_chats(tokenizer, file)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], r"a\.jsonl: it holds no chat"),
        ([{"messages": []}, {"messages": MESSAGES[:1]}], r"a\.jsonl: no chat has an assistant's"),
        ([{"messages": MESSAGES}], r"a\.jsonl: no chat with .* has 5 tokens or fewer"),
    ],
)
def test_files_without_anything_to_learn_are_named(
    pretrained: Path, tmp_path: Path, rows: list[dict[str, object]], message: str
):
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    given = {"name": "s", "checkpoint": str(pretrained), "chats": [str(file)], "device": "cpu"}
    with pytest.raises(InputError, match=message):
        tune(SftConfig.model_validate(given | {"longest": 5}), tmp_path / "out")


def test_only_a_line_feed_ends_a_chat(tokenizer: Tokenizer, tmp_path: Path):
    file = tmp_path / "chats.jsonl"
    strange = [{**MESSAGES[0], "content": "a\u2028b\u2029c\x85d"}, MESSAGES[1]]
    row = json.dumps({"messages": strange}, ensure_ascii=False)
    file.write_text(f"{row}\n\n{row}\r\n", "utf-8", newline="")
    chats = read_chats(tokenizer, file)
    assert [chat.ids.tolist() for chat in chats] == [
        encode_chat(tokenizer, strange).ids.tolist()
    ] * 2


def test_one_key_of_the_optimiser_leaves_the_others_as_they_are():
    given = {"name": "s", "checkpoint": "x", "chats": ["y"], "optimiser": {"clip": 1.0}}
    assert SftConfig.model_validate(given) == SftConfig.model_validate(given | {"optimiser": {}})


def test_a_chat_is_learnt(training: Callable[..., TrainConfig], tmp_path: Path):
    from trainer.export import export_hf, load_model
    from trainer.generate import generate

    base = pretrain(training(run={"steps": 3}), tmp_path / "base", lambda line: None)
    file = tmp_path / "chats.jsonl"
    file.write_text((json.dumps({"messages": MESSAGES}) + "\n") * 8, "utf-8")
    lines: list[str] = []
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
    last = tune(config, tmp_path / "chat", lines.append)
    assert load_checkpoint(last)["step"] >= 150
    model, own = load_model(last)
    tokenizer = Tokenizer.load(own.tokenizer_path)
    user, assistant, end = (tokenizer.ids[name] for name in CHAT)
    prompt = [user, *tokenizer.encode(MESSAGES[0]["content"]), end, assistant]
    answer = generate(model, prompt, 20, stop=[end], temperature=0)
    assert tokenizer.decode(answer) == "the river"
    # elsewhere too it stops at the end of its turn
    from transformers import AutoModelForCausalLM

    export_hf(last, tmp_path / "hf")
    theirs = AutoModelForCausalLM.from_pretrained(str(tmp_path / "hf"))
    generated = theirs.generate(torch.tensor([prompt]), max_new_tokens=20, do_sample=False)
    assert generated[0, len(prompt) :].tolist() == [*answer, end]


def test_chats_of_a_task_are_pulled_together(training: Callable[..., TrainConfig], tmp_path: Path):
    from trainer.export import load_model

    base = pretrain(training(run={"steps": 3}), tmp_path / "base", lambda line: None)
    file = tmp_path / "chats.jsonl"
    tasks = ["letters", "numbers"]
    asked = [
        [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"the {n} river"}]
        for n in range(16)
    ]

    def tuned(out: str, tagged: bool, **sbr: object) -> tuple[list[str], float]:
        rows = [
            {"messages": chat, **({"task": tasks[n % 2]} if tagged else {})}
            for n, chat in enumerate(asked)
        ]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        lines: list[str] = []
        config = {"name": "s", "checkpoint": str(base), "chats": [str(file)], "device": "cpu"}
        config |= {"epochs": 10, "batch_tokens": 200, "optimiser": {"lr": 1e-3}, **sbr}
        last = tune(SftConfig.model_validate(config), tmp_path / out, lines.append)
        model, own = load_model(last)
        chats = read_chats(Tokenizer.load(own.tokenizer_path), file)
        ids, targets = padded(chats, 0)
        with torch.no_grad():
            hidden, _ = model.hidden(ids)
        labels = [tasks[n % 2] for n in range(16)]
        return lines, float(task_loss(hidden, targets, labels, "euclidean"))

    _, before = tuned("plain", True)
    lines, after = tuned("pulled", True, sbr={"strength": 1.0})
    assert after < before / 2
    assert "of tasks" in lines[-1]
    with pytest.raises(InputError, match="no two chats have the same task"):
        tuned("none", False, sbr={"strength": 1.0})


def test_a_tuning_that_was_stopped_gives_the_same_weights(
    training: Callable[..., TrainConfig], tmp_path: Path
):
    base = pretrain(training(run={"steps": 3}), tmp_path / "base", lambda line: None)
    file = tmp_path / "chats.jsonl"
    file.write_text(
        "".join(
            json.dumps(
                {"messages": [*MESSAGES[:1], {"role": "assistant", "content": f"river {n}"}]}
            )
            + "\n"
            for n in range(20)
        ),
        "utf-8",
    )
    given = {"name": "s", "checkpoint": str(base), "chats": [str(file)], "device": "cpu"}
    given |= {"epochs": 4, "batch_tokens": 60, "save_every": 3}
    whole = tune(SftConfig.model_validate(given), tmp_path / "whole", lambda line: None)

    class Stopped(Exception):
        pass

    def stop(line: str) -> None:
        if line.startswith("step 10/"):
            raise Stopped

    with pytest.raises(Stopped):
        tune(SftConfig.model_validate(given), tmp_path / "parts", stop)
    lines: list[str] = []
    last = tune(SftConfig.model_validate(given), tmp_path / "parts", lines.append)
    assert lines[0].startswith("resuming after step 9/")
    one, other = load_checkpoint(whole), load_checkpoint(last)
    assert one["step"] == other["step"] > 10 and "optimiser" not in other
    assert all(torch.equal(one["model"][key], other["model"][key]) for key in one["model"])
    # once more: nothing is left to do
    assert tune(SftConfig.model_validate(given), tmp_path / "parts", lines.append) == last
    # the source has been trained further: another tuning
    pretrain(training(run={"steps": 4}), tmp_path / "base", lambda line: None)
    given |= {"checkpoint": str(tmp_path / "base")}
    tune(SftConfig.model_validate(given), tmp_path / "further", lambda line: None)
    pretrain(training(run={"steps": 5}), tmp_path / "base", lambda line: None)
    with pytest.raises(InputError, match="of another training"):
        tune(SftConfig.model_validate(given), tmp_path / "further", lambda line: None)
    with pytest.raises(InputError, match="of another training"):
        tune(SftConfig.model_validate(given | {"seed": 1}), tmp_path / "parts", lines.append)
    with pytest.raises(InputError, match="of another training"):
        tune(SftConfig.model_validate(given), tmp_path / "base", lines.append)
