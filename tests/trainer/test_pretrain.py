"""Pre-training: it learns, and resumes bit by bit, on one process and on two."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bibim.cli.app import app
from schemas.errors import InputError, RunFault
from schemas.files import TEMPORARY
from tests.support import ROOT
from trainer.checkpoint import checkpoint_path, checkpoints, load_checkpoint, save_checkpoint
from trainer.config import OptimiserConfig, TrainConfig, load_training
from trainer.evaluate import read_questions
from trainer.optimise import learning_rate, make_optimiser, warmup_steps
from trainer.pretrain import Pretraining, pretrain
from trainer.processes import World

Make = Callable[..., TrainConfig]


def silent(line: str) -> None:
    """Say nothing."""


def losses(out: Path) -> list[float]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def test_the_loss_falls_and_held_out_figures_are_written(training: Make, tmp_path: Path):
    config = training(run={"evaluate_every": 45})
    pretrain(config, tmp_path, silent)
    found = losses(tmp_path)
    assert found[0] == pytest.approx(math.log(600), rel=0.05)
    assert sum(found[-10:]) / 10 < 0.6 * found[0]
    last = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open(encoding="utf-8")][-1]
    for component in ("ko", "en", "code"):
        assert last[f"held_out/{component}/loss"] < 0.75 * found[0]
        assert 0 < last[f"held_out/{component}/bits_per_byte"] < 8


def test_a_component_of_which_nothing_is_held_out_is_reported_once(training: Make, tmp_path: Path):
    lines: list[str] = []
    # so little that no hash of an id falls below it
    config = training(run={"steps": 4, "evaluate_every": 2, "held_out": 1e-9})
    pretrain(config, tmp_path, lines.append)
    unmeasured = [line for line in lines if "no document is held out" in line]
    assert len(unmeasured) == 3
    for component in ("ko", "en", "code"):
        (line,) = [line for line in unmeasured if line.startswith(f"  {component}: ")]
        assert re.search(r"\(run\.held_out 1e-09 of [12]?\d\d documents\)$", line)
    assert "  held out: " not in lines
    done = CliRunner().invoke(app, ["evaluate", str(tmp_path), "--tokens", "500", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {}
    assert done.stderr.count("no document is held out (run.held_out 1e-09 of ") == 3


def test_a_stopped_run_resumes_bit_by_bit(training: Make, tmp_path: Path):
    config = training(run={"steps": 24, "keep": 5})
    straight = load_checkpoint(pretrain(config, tmp_path / "straight", silent))
    pretrain(config, tmp_path / "stopped", silent, stop_after=11)
    again = load_checkpoint(pretrain(config, tmp_path / "stopped", silent))
    assert again["step"] == straight["step"] == 24
    for name, weight in straight["model"].items():
        assert torch.equal(weight, again["model"][name]), name
    assert losses(tmp_path / "straight") == losses(tmp_path / "stopped")


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_see_the_same_and_come_to_the_same_loss(
    training: Make, tmp_path: Path, parallel: str
):
    config = training(run={"steps": 6, "save_every": 2, "keep": 3, "parallel": parallel})
    pretrain(config, tmp_path / "one", silent)
    begun = 0
    if parallel == "fsdp":  # they resume from the checkpoint of one process
        begun = 2
        (tmp_path / "two").mkdir()
        shutil.copy(checkpoint_path(tmp_path / "one", begun), tmp_path / "two")
    file = tmp_path / "training.yaml"
    file.write_text(yaml.safe_dump(config.model_dump(mode="json")), "utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "trainer.pretrain", str(file)]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "two")],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == 6
    assert max(abs(a - b) for a, b in zip(one[begun:], two, strict=True)) <= 1e-5

    # One process resumes from the checkpoint of two.
    checkpoint_path(tmp_path / "two", 6).unlink()
    (tmp_path / "two" / "metrics.jsonl").unlink()
    pretrain(config, tmp_path / "two", silent)
    rest = losses(tmp_path / "two")
    assert len(rest) == 2
    assert max(abs(a - b) for a, b in zip(one[4:], rest, strict=True)) <= 1e-5


def test_a_killed_process_resumes_bit_by_bit(training: Make, tmp_path: Path):
    config = training(run={"steps": 60, "save_every": 10, "log_every": 1, "keep": 9})
    straight = load_checkpoint(pretrain(config, tmp_path / "straight", silent))
    file = tmp_path / "training.yaml"
    file.write_text(yaml.safe_dump(config.model_dump(mode="json")), "utf-8")
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "trainer.pretrain", str(file), "--out", str(killed)]
    # Threads as here: another number of them adds up in another order.
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **threads}, stdout=subprocess.DEVNULL
    )
    while process.poll() is None and not checkpoint_path(killed, 10).exists():
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    again = load_checkpoint(pretrain(config, killed, silent))
    assert again["step"] == straight["step"] == 60
    for name, weight in straight["model"].items():
        assert torch.equal(weight, again["model"][name]), name


def test_a_loss_that_is_not_finite_stops_with_the_state_saved(training: Make, tmp_path: Path):
    config = training(run={"steps": 40}, optimiser={"lr": 1e30, "clip": 1e30, "warmup": 0.0})
    with pytest.raises(RunFault, match=r"the state is saved in .*\. Lower optimiser\.lr"):
        pretrain(config, tmp_path, silent)
    state = load_checkpoint(tmp_path)
    assert state["step"] < 40


def test_other_settings_do_not_resume_from_a_checkpoint(training: Make, tmp_path: Path):
    pretrain(training(run={"steps": 2}), tmp_path, silent)
    with pytest.raises(InputError, match=r"\(model differ\)"):
        pretrain(training(run={"steps": 2}, model={"layers": 3}), tmp_path, silent)


def test_more_processes_than_sequences_are_refused(training: Make, tmp_path: Path):
    crowd = World(0, 5, torch.device("cpu"))
    with pytest.raises(InputError, match="5 processes for 4 sequences per step"):
        Pretraining(training(), tmp_path, crowd, silent)


FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from pathlib import Path
from trainer.config import load_training
from trainer.pretrain import pretrain
pretrain(load_training(Path(sys.argv[1])), Path(sys.argv[2]))
"""


def test_a_full_disk_leaves_the_last_checkpoint_and_says_so(training: Make, tmp_path: Path):
    config = training(run={"steps": 6})
    out = tmp_path / "out"
    pretrain(config, out, silent, stop_after=3)
    file = tmp_path / "training.yaml"
    file.write_text(yaml.safe_dump(config.model_dump(mode="json")), "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(file), str(out)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "step-00000003.pt is unchanged" in done.stderr
    assert list(out.glob(f"{TEMPORARY}*")) == []
    assert load_checkpoint(out)["step"] == 3


def test_what_a_killed_save_left_goes_with_the_next_one(tmp_path: Path):
    left = tmp_path / f"{TEMPORARY}step-00000003.pt-0"
    left.write_bytes(b"half")
    save_checkpoint(tmp_path, 4, {}, keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000004.pt"]


def test_a_damaged_checkpoint_gives_way_to_the_one_before(training: Make, tmp_path: Path):
    config = training(run={"steps": 6, "save_every": 3, "keep": 3})
    pretrain(config, tmp_path, silent)
    last = checkpoints(tmp_path)[-1]
    last.write_bytes(last.read_bytes()[:5000])
    assert load_checkpoint(tmp_path)["step"] == 3
    with pytest.raises(InputError, match="damaged, or not a checkpoint"):
        load_checkpoint(last)
    # the resumed run saves an earlier step than the damaged file, which must not replace it
    one = training(run={"steps": 6, "save_every": 3, "keep": 1})
    gone_on = pretrain(one, tmp_path, silent, stop_after=5)
    assert load_checkpoint(tmp_path)["step"] == 5
    assert checkpoints(tmp_path) == [gone_on]


def test_what_decides_the_order_of_training_must_be_the_same(training: Make, tmp_path: Path):
    pretrain(training(run={"steps": 2}), tmp_path, silent)
    path = checkpoints(tmp_path)[0]
    state = load_checkpoint(path)
    state["identity"]["contexts"][0][0] *= 2
    torch.save(state, path)
    with pytest.raises(InputError, match=r"\(contexts differ\)"):
        pretrain(training(run={"steps": 2}), tmp_path, silent)


def test_a_resumed_run_follows_the_file_as_it_is_now(training: Make, tmp_path: Path):
    pretrain(training(run={"steps": 6}), tmp_path, silent, stop_after=3)
    other = training(run={"steps": 6}, optimiser={"weight_decay": 0.9, "betas": [0.5, 0.6]})
    run = Pretraining(other, tmp_path, World(0, 1, torch.device("cpu")), silent)
    decayed, free = run.optimiser.param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.9, 0.0)
    assert tuple(decayed["betas"]) == (0.5, 0.6)
    assert run.start == 3 and run.optimiser.state[decayed["params"][0]]["step"] == 3


@given(
    st.integers(1, 300), st.floats(0, 0.99), st.floats(0.01, 1), st.sampled_from(["cosine", "wsd"])
)
def test_the_learning_rate_never_leaps(steps: int, warmup: float, decay: float, schedule: str):
    config = OptimiserConfig(lr=1.0, warmup=warmup, decay=decay, schedule=schedule)  # type: ignore[arg-type]
    rates = [learning_rate(step, steps, config) for step in range(steps)]
    rising = warmup_steps(steps, config)
    assert max(rates) == pytest.approx(1.0)
    falling = rates[rising - 1 :]
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(falling))
    if rising < steps:
        assert rates[rising] == pytest.approx(1.0)


@pytest.mark.parametrize("schedule", ["cosine", "wsd"])
def test_the_learning_rate_rises_then_falls_to_its_floor(schedule: str):
    config = OptimiserConfig(lr=1.0, schedule=schedule, warmup=0.1, floor=0.1, decay=0.2)  # type: ignore[arg-type]
    rates = [learning_rate(step, 100, config) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * (n + 1) for n in range(10)])
    assert rates[100] == pytest.approx(0.1)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
    if schedule == "wsd":
        assert rates[79] == pytest.approx(1.0)


def test_a_short_run_warms_up_as_long_as_adams_second_moments_take():
    config = OptimiserConfig()
    assert warmup_steps(1000, config) == 40  # 2/(1 - 0.95)
    assert warmup_steps(10_000, config) == 200  # two in a hundred
    assert warmup_steps(100, config) == 20  # a fifth
    assert warmup_steps(1, config) == 1
    assert warmup_steps(1000, OptimiserConfig(betas=(0.9, 0.999))) == 200
    assert warmup_steps(1000, OptimiserConfig(warmup=0.0)) == 1


def test_vectors_do_not_decay():
    from trainer.config import ModelConfig
    from trainer.model.model import Decoder

    model = Decoder(ModelConfig(dim=32, layers=1, heads=2), 50)
    decayed, free = make_optimiser(model, OptimiserConfig()).param_groups
    assert all(weight.dim() >= 2 for weight in decayed["params"])
    assert {id(w) for w in free["params"]} == {
        id(w) for n, w in model.named_parameters() if "norm" in n
    }
    assert free["weight_decay"] == 0


@pytest.mark.parametrize("name", ["tiny", "125m", "1b"])
def test_the_training_files_load(name: str):
    assert load_training(ROOT / f"trainer/configs/{name}.yaml").name == name


def test_a_wrong_key_is_named_with_its_line(tmp_path: Path):
    file = tmp_path / "t.yaml"
    file.write_text("name: t\nmixture: x\nmodel:\n  layer: 3\n", "utf-8")
    done = CliRunner().invoke(app, ["train", "pretrain", str(file), "--out", str(tmp_path / "o")])
    assert done.exit_code == 2
    with pytest.raises(
        InputError, match=r"line 4: model\.layer: unknown key; did you mean `layers`"
    ):
        load_training(file)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", "it holds no question"),
        ('{"prompt": "a", "choices": ["b", "c"], "answer": 2}', "line 1 is not a question"),
        ('{"prompt": "a", "choices": ["b", "c"], "answer": -1}', "line 1 is not a question"),
        ('\n{"text": "a", "label": 3}', "line 2 is not a question"),
    ],
)
def test_a_task_that_has_no_answer_is_refused(tmp_path: Path, rows: str, message: str):
    task = tmp_path / "task.jsonl"
    task.write_text(rows, "utf-8")
    with pytest.raises(InputError, match=message):
        list(read_questions(task))


def test_an_unknown_device_is_refused(training: Make, tmp_path: Path):
    with pytest.raises(InputError, match=r"run\.device: 'gpu' is not a device"):
        pretrain(training(run={"device": "gpu"}), tmp_path, silent)


@pytest.mark.parametrize("tokens", ["many", "0"])
def test_a_count_that_is_none_is_refused(tokens: str):
    done = CliRunner().invoke(app, ["evaluate", "nowhere", "--tokens", tokens])
    assert done.exit_code == 2 and "--tokens" in done.output


def test_a_folder_that_processes_do_not_share_is_refused(training: Make, tmp_path: Path):
    class Apart(World):
        def sum(self, values: torch.Tensor) -> torch.Tensor:
            return values + 4  # the other process resumes from step 4

    with pytest.raises(InputError, match="that all processes share"):
        Pretraining(training(), tmp_path, Apart(1, 1, torch.device("cpu")), silent)


def test_the_exported_model_and_the_evaluation_come_from_the_command_line(
    training: Make, tmp_path: Path
):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    pretrain(training(run={"steps": 3}), tmp_path / "out", silent)
    command = ["export", str(tmp_path / "out"), "--to", "hf", "--out", str(tmp_path / "hf")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    model = AutoModelForCausalLM.from_pretrained(str(tmp_path / "hf"))
    assert model.config.max_position_embeddings == 64  # the longer stage is not reached
    ids = AutoTokenizer.from_pretrained(str(tmp_path / "hf"))("구름에서 the river")["input_ids"]
    assert model(torch.tensor([ids])).logits.shape == (1, len(ids), model.config.vocab_size)
    task = tmp_path / "reviews.jsonl"
    rows = [{"text": "나무에서 있었다", "label": n % 2} for n in range(6)]
    task.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    done = CliRunner().invoke(
        app, ["evaluate", str(tmp_path / "out"), "--task", str(task), "--tokens", "500", "--json"]
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["reviews/accuracy"] == 0.5
    assert found["held_out/ko/bits_per_byte"] > 0
