"""The exported checkpoint under EleutherAI's lm-eval, on a task of local files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from lm_eval.api.model import TemplateLM

from mixtures.tokenizer.tokenizer import Tokenizer
from trainer.evaluate import Question, accuracy, encode_choice
from trainer.export import export_hf, load_model

SCRIPT = """
import json, sys
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager
model, tasks, out = sys.argv[1:]
found = simple_evaluate(
    model="hf",
    model_args={"pretrained": model, "dtype": "float32", "device": "cpu"},
    tasks=["local_choice"],
    task_manager=TaskManager(include_path=tasks, include_defaults=False),
    batch_size=2,
    bootstrap_iters=0,
)
samples = [
    [response[0][0] if isinstance(response[0], (list, tuple)) else response[0]
     for response in sample["resps"]]
    for sample in sorted(found["samples"]["local_choice"], key=lambda s: s["doc_id"])
]
with open(out, "w") as file:
    json.dump({"acc": found["results"]["local_choice"]["acc,none"], "scores": samples}, file)
"""
TASK = """
task: local_choice
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{prompt}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
target_delimiter: ""
metric_list:
  - metric: acc
"""


def test_lm_eval_gives_the_exported_model_our_scores(pretrained: Path, tmp_path: Path):
    choices = [" 구름", " river", " x + 1"]
    rows = [
        {"prompt": f"{word} {number}", "choices": choices, "answer": number % 3}
        for number, word in enumerate(["나무에서 있었다", "the house is", "def f(x):"] * 4)
    ]
    rows += [
        {"prompt": f"{word}답:{end}", "choices": ["구름", "river", "x"], "answer": number % 3}
        for number, word in enumerate(["나무에서 ", "the house\n", ""])
        for end in (" ", "  ", "\n", "")
    ]
    (tmp_path / "tasks").mkdir()
    questions = tmp_path / "questions.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (tmp_path / "tasks" / "local.yaml").write_text(TASK.format(file=questions), "utf-8")
    export_hf(pretrained, tmp_path / "hf")
    arguments = [tmp_path / "hf", tmp_path / "tasks", tmp_path / "found.json"]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)],
        env={
            "PATH": "/usr/bin:/bin",
            "HF_HOME": str(tmp_path / "hub"),
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))

    model, config = load_model(pretrained)
    tokenizer = Tokenizer.load(config.tokenizer_path)
    ours = np.zeros((len(rows), len(choices)))
    for place, row in enumerate(rows):
        for number, choice in enumerate(row["choices"]):
            prompt, own = encode_choice(tokenizer, row["prompt"], choice)
            ids = torch.tensor([*prompt, *own])[None].long()
            with torch.inference_mode():
                scores = F.log_softmax(model.logits(model.hidden(ids)[0])[0], dim=-1)
            after = range(len(prompt) - 1, ids.shape[1] - 1)
            ours[place, number] = sum(float(scores[at, ids[0, at + 1]]) for at in after)
    assert np.allclose(ours, np.array(found["scores"]), atol=1e-3)
    right = np.mean([ours[at].argmax() == row["answer"] for at, row in enumerate(rows)])
    assert found["acc"] == pytest.approx(right)


@pytest.mark.parametrize(
    "prompt", ["Answer: ", "답: \n ", "답:", "a\u3000", "def f(x):\n    ", "x"]
)
@pytest.mark.parametrize("choice", ["A", " A", "나무에서", "return x"])
def test_a_choice_is_divided_from_its_prompt_as_lm_eval_does(
    pretrained: Path, prompt: str, choice: str
):
    tokenizer = Tokenizer.load(load_model(pretrained)[1].tokenizer_path)
    theirs = SimpleNamespace(backend="causal", tok_encode=tokenizer.encode)
    assert encode_choice(tokenizer, prompt, choice) == TemplateLM._encode_pair(
        theirs, prompt, choice
    )


def test_a_space_at_the_prompts_end_counts_like_one_at_the_choices_beginning(pretrained: Path):
    model, config = load_model(pretrained)
    tokenizer = Tokenizer.load(config.tokenizer_path)
    words = ("구름", "river", "x", "나무에서", "the", "house")
    for answer in range(len(words)):
        after = Question("있었다 ", words, answer)
        before = Question("있었다", tuple(f" {word}" for word in words), answer)
        found = [accuracy(model, tokenizer, [question]) for question in (after, before)]
        assert found[0] == found[1]
