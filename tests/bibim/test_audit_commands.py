"""The commands of `audit`: each takes its own options, and no option of the old form is ignored."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner, Result

from bibim.cli.app import app
from bibim.cli.audit_old_form import NEW, TAKES, new_form

OUT = "out/nowhere"


def audit(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["audit", *arguments])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--check --html f", ("--check", "--html")),
        ("--check --serve", ("--check", "--serve")),
        ("--check --against out/last", ("--check", "--against")),
        ("--html f --serve", ("--html", "--serve")),
        ("--html f --against out/last", ("--html", "--against")),
        ("--serve --against out/last", ("--serve", "--against")),
        ("--json --html f", ("--json", "--html")),
        ("--json --serve", ("--json", "--serve")),
        ("--check --fail-on-change", ("--fail-on-change", "--check")),
        ("--check --tolerance 0.1", ("--tolerance", "--check")),
        ("--html f --show-pii", ("--show-pii", "--html")),
        ("--against out/last --port 1", ("--port", "--against")),
        ("--fail-on-change", ("--fail-on-change", "--against")),
        ("--tolerance 0.1", ("--tolerance", "--against")),
        ("--show-pii", ("--show-pii", "--serve")),
        ("--host 0.0.0.0", ("--host", "--serve")),
        ("--port 0", ("--port", "--serve")),
    ],
)
@pytest.mark.parametrize("options_first", [False, True])
def test_the_old_form_refuses_options_of_which_one_would_be_ignored(
    options: str, named: tuple[str, str], options_first: bool
):
    words = options.split()
    done = audit(*words, OUT) if options_first else audit(OUT, *words)
    assert done.exit_code == 2
    assert all(option in done.stderr for option in named)
    assert "bibim audit" in done.stderr


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ((), "bibim audit show OUT"),
        (("--json",), "bibim audit show OUT"),
        (("--check", "--json"), "bibim audit check OUT"),
        (("--html", "f"), "bibim audit report OUT --html FILE"),
        (("--serve", "--port", "0"), "bibim audit serve OUT"),
        (("--against", "out/last", "--json"), "bibim audit compare OUT OTHER"),
    ],
)
def test_the_old_form_names_the_new_command(options: tuple[str, ...], command: str):
    done = audit(OUT, *options)
    assert f"use `{command}`" in done.stderr
    assert done.exit_code == 2, "no run is at OUT"


def test_every_pair_of_options_is_either_taken_together_or_refused():
    options = [*NEW, *{option for taken in TAKES.values() for option in taken}]
    for one in options:
        for other in options:
            if "show" in (one, other) or one == other:
                continue
            together = other in TAKES.get(one, ()) or one in TAKES.get(other, ())
            together |= any({one, other} <= taken for taken in TAKES.values() if one in NEW)
            try:
                new_form([one, other])
                accepted = True
            except Exception:
                accepted = False
            assert accepted == together, (one, other)


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (("show", OUT), "--check"),
        (("check", OUT), "--html"),
        (("check", OUT), "--tolerance"),
        (("report", OUT, "--html", "f"), "--json"),
        (("serve", OUT), "--json"),
        (("compare", OUT, OUT), "--check"),
    ],
)
def test_a_command_refuses_the_options_of_another(command: tuple[str, ...], option: str):
    done = audit(*command, option)
    assert done.exit_code == 2
    assert f"No such option: {option}" in done.stderr.replace("\n", " ")


def test_a_tolerance_that_nothing_uses_is_refused():
    done = audit("compare", OUT, OUT, "--tolerance", "0.1")
    assert done.exit_code == 2
    assert "--fail-on-change" in done.stderr


def test_a_mistyped_command_is_not_taken_for_a_folder():
    done = audit("shwo", OUT)
    assert done.exit_code == 2
    assert "No such command 'shwo'" in done.stderr


def test_the_old_form_is_not_in_the_help():
    assert "old-form" not in audit("--help").stdout
