"""Evaluation: loss and bits per byte by component, and multiple choice."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mixtures.tokenizer.tokenizer import Tokenizer
from schemas.errors import InputError
from schemas.json_lines import fields_of, read_objects
from trainer.data import Corpus
from trainer.export import load_model
from trainer.model.loss import IGNORE
from trainer.model.model import Decoder
from trainer.processes import World


@dataclass(frozen=True)
class HeldOutLoss:
    """A model's loss on the held-out documents of a component."""

    component: str
    tokens: int
    text_bytes: int
    nats: float
    """Summed over the tokens."""

    @property
    def loss(self) -> float:
        """Nats per token."""
        return self.nats / max(1, self.tokens)

    @property
    def bits_per_byte(self) -> float:
        """Bits per byte of text: comparable between tokenizers."""
        return self.nats / math.log(2) / max(1, self.text_bytes)

    def figures(self) -> dict[str, float]:
        """Return the figures by name, as trackers take them."""
        return {
            f"held_out/{self.component}/loss": self.loss,
            f"held_out/{self.component}/bits_per_byte": self.bits_per_byte,
        }

    def shown(self) -> str:
        """Return the figures as text."""
        return f"{self.component} {self.loss:.3f} ({self.bits_per_byte:.3f} bits/byte)"


def held_out_loss(
    model: Decoder, corpus: Corpus, max_tokens: int, world: World
) -> list[HeldOutLoss]:
    """Return the loss on held-out documents by component, each of up to `max_tokens` tokens.

    In the context of the first stage; documents follow one another as in training. The processes
    divide the work.
    """
    context = corpus.stages[0].context
    sizes = np.array([len(piece) for piece in corpus.tokenizer.piece_bytes])
    found = []
    for component in corpus.components:
        documents = list(corpus.held_out(component, max_tokens))
        if not documents:
            continue
        tokens = np.concatenate(documents)[:max_tokens].astype(np.int64)
        rows = -(-len(tokens) // context)
        targets = np.full((-(-rows // world.size) * world.size, context), IGNORE, np.int64)
        targets.flat[: len(tokens)] = tokens
        ids = np.full(targets.shape, corpus.tokenizer.eod_id, np.int64)
        ids.flat[1 : len(tokens)] = tokens[:-1]
        nats = sum(
            _nats(model, ids[row], targets[row], world.device)
            for row in range(world.rank, len(ids), world.size)
        )
        nats = float(world.sum(torch.tensor([nats], dtype=torch.float64)))
        found.append(HeldOutLoss(component, len(tokens), int(sizes[tokens].sum()), nats))
    return found


def unmeasured(corpus: Corpus, losses: Sequence[HeldOutLoss]) -> list[str]:
    """Return a line for each component of the mixture that has no loss in `losses`."""
    share = corpus.config.run.held_out
    known = {row.component for row in losses}
    return [
        f"{name}: no document is held out (run.held_out {share:g}"
        + (f" of {corpus.documents(name):,} documents)" if share else ")")
        for name in corpus.components
        if name not in known
    ]


@torch.no_grad()
def _nats(
    model: Decoder, ids: np.ndarray[Any, Any], targets: np.ndarray[Any, Any], device: torch.device
) -> float:
    """Return the summed loss of a sequence [positions]."""
    training = model.training
    model.eval()
    rows = [torch.from_numpy(array)[None].to(device) for array in (ids, targets)]
    loss = model(*rows)
    model.train(training)
    return float(loss)


@dataclass(frozen=True)
class Question:
    """A multiple-choice question: the model answers with the likeliest continuation."""

    prompt: str
    choices: tuple[str, ...]
    answer: int


NLI = {"entailment": 0, "neutral": 1, "contradiction": 2}


def read_questions(path: Path, limit: int | None = None) -> Iterator[Question]:
    """Yield the questions of a JSONL file (gzip and zstd too).

    Rows are {prompt, choices, answer}, sentence pairs {sentence1, sentence2, label} (entailment,
    neutral, contradiction) or reviews {text, label} (0 bad, 1 good). Raises InputError naming
    the line, or for a file without questions.
    """
    for number, row in itertools.islice(read_objects(path, "questions"), limit):
        try:
            yield _question(row)
        except (ValueError, KeyError, TypeError):
            raise InputError(
                f"{path}: line {number} is not a question ({fields_of(row)}): "
                "{prompt, choices, answer}, {sentence1, sentence2, label} or {text, label}, "
                "the answer being a choice's number, from 0"
            ) from None


def _question(row: dict[str, Any]) -> Question:
    if "choices" in row:
        found = Question(row["prompt"], tuple(row["choices"]), int(row["answer"]))
    elif "sentence1" in row:
        label = row["label"]
        answer = NLI[label] if isinstance(label, str) else int(label)
        prompt = f"{row['sentence1']}\n질문: {row['sentence2']} 맞나요?\n답:"
        found = Question(prompt, (" 네", " 알 수 없음", " 아니요"), answer)
    else:
        found = Question(f"{row['text']}\n이 영화는", (" 별로다", " 좋다"), int(row["label"]))
    if not 0 <= found.answer < len(found.choices):
        raise ValueError(f"answer {found.answer} is not the number of a choice")
    return found


def accuracy(model: Decoder, tokenizer: Tokenizer, questions: Sequence[Question]) -> float:
    """Return the share of questions whose answer is the likeliest choice.

    A choice's likelihood is the summed log-probability of its tokens after the prompt; see
    `encode_choice`.
    """
    device = next(model.parameters()).device
    right = 0
    for question in questions:
        scores = []
        for choice in question.choices:
            before, own = encode_choice(tokenizer, question.prompt, choice)
            prompt = [tokenizer.eod_id, *before]
            ids = np.array([*prompt, *own][:-1], np.int64)
            targets = np.array([*[IGNORE] * (len(prompt) - 1), *own], np.int64)
            scores.append(-_nats(model, ids, targets, device))
        right += int(np.argmax(scores)) == question.answer
    return right / max(1, len(questions))


def encode_choice(tokenizer: Tokenizer, prompt: str, choice: str) -> tuple[list[int], list[int]]:
    """Return the ids of a prompt and those of a choice after it, divided as lm-eval does.

    White space at the prompt's end belongs to the choice, since pieces begin with it. The choice's
    ids are those of both texts together, after as many as the prompt alone has.
    """
    context = prompt.rstrip()
    before = tokenizer.encode(context)
    whole = tokenizer.encode(prompt + choice)
    return before, whole[len(before) :]


def evaluate_checkpoint(
    path: Path, max_tokens: int, tasks: Sequence[Path], limit: int | None = None
) -> dict[str, float]:
    """Return held-out figures by component, and the accuracy on each task, by name.

    `max_tokens`: held-out tokens per component. Components without held-out documents have no
    figures; a line on standard error names them.
    """
    model, config = load_model(path)
    corpus = Corpus(config, verify=False)
    found: dict[str, float] = {}
    losses = held_out_loss(model, corpus, max_tokens, World(0, 1, torch.device("cpu")))
    for row in losses:
        found |= row.figures()
    for line in unmeasured(corpus, losses):
        print(line, file=sys.stderr)
    for task in tasks:
        questions = list(read_questions(task, limit))
        name = task.name.split(".")[0]
        found[f"{name}/accuracy"] = accuracy(model, corpus.tokenizer, questions)
        answers = np.bincount([question.answer for question in questions])
        found[f"{name}/always_the_commonest"] = float(answers.max() / max(1, len(questions)))
    return found
