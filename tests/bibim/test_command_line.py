"""The command line as a whole: helps, examples, choices, exit codes, and what it imports."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_group
from typer.testing import CliRunner

from bibim.cli.app import COMMANDS, app
from bibim.cli.lazy import LazyGroup
from bibim.cli.options import exit_codes, thread_error
from bibim.cli.stage_names import stage_names
from pipelines.stages import catalog

ROOT = Path(__file__).parents[2]
HEAVY = ("pyarrow", "numpy", "numba", "apache_beam", "yaml", "torch", "fasttext")


def group() -> LazyGroup:
    found = get_group(app)
    assert isinstance(found, LazyGroup)
    return found


def leaves(parent: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that is not a group, with its words after `bibim`."""
    for name in parent.table if isinstance(parent, LazyGroup) else parent.commands:
        command = parent.load(name) if isinstance(parent, LazyGroup) else parent.commands[name]
        if hasattr(command, "commands"):
            yield from leaves(command, (*path, name))
        elif not command.hidden:
            yield (*path, name), command


LEAVES = dict(leaves(group()))


def examples(command: Any) -> list[str]:
    lines = (line.strip() for line in (command.epilog or "").splitlines())
    return [line[line.index("bibim") :] for line in lines if "bibim " in line]


def loaded(*arguments: str) -> set[str]:
    """Return which heavy packages a command loads."""
    program = (
        "import sys\n"
        "from bibim.cli.app import app\n"
        f"try: app({list(arguments)!r})\n"
        "except SystemExit: pass\n"
        f"print('LOADED', *({set(HEAVY)!r} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_has_each_commands_own_help(name: str):
    command = group().load(name)
    assert " ".join(command.help.split("\n\n")[0].split()) == COMMANDS[name].help


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_example_of_a_help_is_a_command_line_that_parses(path: tuple[str, ...]):
    shown = examples(LEAVES[path])
    assert any(line.startswith(f"bibim {' '.join(path)}") for line in shown)
    for line in shown:
        words = shlex.split(line.partition("|")[0].partition(" > ")[0], comments=True)[1:]
        command = LEAVES[tuple(words[: len(path)])]
        command.make_context(line, words[len(path) :])


@pytest.mark.parametrize(
    "name", [name for name in COMMANDS if hasattr(group().load(name), "commands")]
)
def test_a_group_shows_examples_of_its_commands(name: str):
    for line in examples(group().load(name)):
        words = shlex.split(line)[1:]
        assert words[0] == name
        LEAVES[tuple(words[:2])].make_context(line, words[2:])
    assert examples(group().load(name))


@pytest.mark.parametrize("command", [("run",), ("audit", "check")])
def test_the_help_shows_exit_codes(command: tuple[str, ...]):
    done = CliRunner().invoke(app, [*command, "--help"])
    assert "Exit codes: 0 success; 1" in done.stdout


def test_the_version_is_the_packages():
    done = CliRunner().invoke(app, ["--version"])
    assert done.stdout == f"bibim {version('bibim')}\n"


def test_the_stages_of_the_help_are_those_of_the_catalog():
    assert stage_names() == catalog.COMMANDS


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--offline", "--out", "out/x"), ("--out", "--offline")),
        (("--workers", "8"), ("--workers", "--scale")),
        (("--measured", "out/x"), ("--measured", "--scale")),
        (("--scale", "1T", "--offline", "--out", "out/x"), ("--offline", "--scale")),
        (("--scale", "1T", "--measured", "out/x", "--out", "out/y"), ("--out", "--measured")),
    ],
)
def test_plan_refuses_an_option_that_it_would_not_use(
    options: tuple[str, ...], named: tuple[str, str]
):
    done = CliRunner().invoke(app, ["plan", str(ROOT / "mixtures/demo.yaml"), *options])
    assert done.exit_code == 2
    assert all(option in done.stderr for option in named)


@pytest.mark.parametrize("only", [[], ["bytes>=100"]])
def test_an_estimate_of_the_plan_reports_that_only_is_not_applied(tmp_path: Path, only: list[str]):
    (tmp_path / "docs.jsonl").write_text('{"text": "the river and the house"}\n' * 400, "utf-8")
    stages = [{"share": 0.5}, {"share": 0.5, "only": only}]
    config = {
        "name": "small",
        "sources": {"docs": {"component": "en", "path": str(tmp_path / "docs.jsonl")}},
        "mixture": {"tokens": 2000, "weights": {"en": 1}, "stages": stages},
    }
    (tmp_path / "small.yaml").write_text(json.dumps(config), "utf-8")
    done = CliRunner().invoke(app, ["plan", str(tmp_path / "small.yaml")])
    assert done.exit_code == 0, done.output
    assert ("`only` of the stages is not applied" in done.output) == bool(only)


@pytest.mark.parametrize(
    ("option", "value", "choice"),
    [("--runner", "flink", "dataflow"), ("--stages", "ingest,cook", "tokenize")],
)
def test_an_unknown_choice_is_refused_with_those_that_are_known(
    tmp_path: Path, option: str, value: str, choice: str
):
    command = ["run", str(ROOT / "mixtures/demo.yaml"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*command, option, value])
    assert done.exit_code == 2
    assert option in done.stderr
    assert choice in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments", [("--help",), ("run", "--help"), ("audit", "--help"), ("audit", "show", "--help")]
)
def test_a_help_loads_no_library_of_data(arguments: tuple[str, ...]):
    assert loaded(*arguments) == set()


def test_what_plan_prints_is_imported_without_beam_and_kernels():
    program = (
        "import sys, bibim.cli.plan\n"
        "print(*({'apache_beam', 'numba', 'scipy', 'duckdb'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.split() == []


def test_an_interrupt_says_how_to_resume(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(typer.Exit) as stop, exit_codes():
        raise KeyboardInterrupt
    assert stop.value.exit_code == 130
    shown = capsys.readouterr().err
    assert shown == "bibim: interrupted; run the same command again to resume\n"


@pytest.mark.parametrize(("code", "shown"), [(-2, False), (130, False), (-9, True)])
def test_only_a_worker_that_control_c_ended_has_no_traceback(
    capsys: pytest.CaptureFixture[str], code: int, shown: bool
):
    error = RuntimeError(f"Worker subprocess exited with return code {code}")
    thread_error(threading.ExceptHookArgs((RuntimeError, error, None, threading.current_thread())))
    assert ("RuntimeError" in capsys.readouterr().err) == shown


def test_control_c_ends_a_command_with_130_and_no_traceback(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "bibim", "measure", "--file", str(pipe)]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        # a shell's background job ignores SIGINT, and its children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    with pipe.open("wb"):  # returns when the command has opened its end
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.decode() == "bibim: interrupted; run the same command again to resume\n"
