"""What `bibim plan` prints before a run, and rules that neither it nor a run accepts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from bibim.cli.app import app

DOCUMENTS = 2000


def recipe(folder: Path, **sections: Any) -> Path:
    """Write a config over 2,000 documents of 400 bytes in each of two sources."""
    for name in ("ko", "en"):
        rows = [
            json.dumps({"text": f"{name} {number:5d} {'x' * 391}"}) for number in range(DOCUMENTS)
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(rows), "utf-8")
    sources = {
        name: {"component": name, "path": str(folder / f"{name}.jsonl")} for name in ("ko", "en")
    }
    mixture: dict[str, Any] = {"weights": {"ko": 0.5, "en": 0.5}}
    config = {"name": "plan", "sources": sources, "mixture": mixture}
    for name, section in sections.items():
        config[name] = {**config.get(name, {}), **section} if name == "mixture" else section
    if limit := sections.pop("limit", None):
        config.pop("limit")
        sources["ko"]["limit"] = limit
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "200"})


def available(printed: str, source: str) -> int:
    """Return the tokens of a source in the table of the mixture."""
    table = printed[printed.index("Mixture of") :]
    (found,) = re.findall(rf"^│ +│ {source} +│ +([\d,]+) │", table, re.MULTILINE)
    return int(found.replace(",", ""))


@pytest.mark.parametrize("limit", [400, 100])
def test_the_estimate_is_of_the_documents_that_a_limit_lets_through(tmp_path: Path, limit: int):
    done = run("plan", recipe(tmp_path, limit=limit))
    assert done.exit_code == 0, done.output
    share = available(done.output, "ko") / available(done.output, "en")
    assert share == pytest.approx(limit / DOCUMENTS, rel=0.35)


def test_a_limit_above_the_documents_takes_all(tmp_path: Path):
    done = run("plan", recipe(tmp_path, limit=DOCUMENTS))
    everything = available(done.output, "en")
    assert available(done.output, "ko") == pytest.approx(everything, rel=0.1)


def test_a_component_that_falls_short_shows_the_share_that_it_gets(tmp_path: Path):
    short = {"tokens": "300k", "allow_short": True, "max_epochs": 1}
    done = run("plan", recipe(tmp_path, mixture=short, limit=400))
    rows = re.findall(r"([\d,]+) \(([\d.]+)%\)(, asked [\d.]+%)?", done.output)
    tokens = [int(count.replace(",", "")) for count, _, _ in rows]
    for count, (_, share, asked) in zip(tokens, rows, strict=True):
        assert float(share) == pytest.approx(100 * count / sum(tokens), abs=0.01)
        assert bool(asked) == (count < 150_000)
        assert asked in ("", ", asked 50.00%")
    assert min(tokens) < 150_000


@pytest.mark.parametrize(
    ("column", "condition"),
    [
        ("words", "==abc"),
        ("lang", "==1"),
        ("lang", ">=2"),
        ("duplicate", "==1"),
        ("pii_types", "==EMAIL_ADDRESS"),
        ("words", ">=1e400"),
        ("syntax_ok", "==true"),
    ],
)
def test_a_rule_of_the_wrong_type_stops_a_run_before_it_writes(
    tmp_path: Path, column: str, condition: str
):
    config = recipe(tmp_path, rules={"ko": {column: condition}})
    for command in (["plan", config], ["run", config, "--out", tmp_path / "out"]):
        done = run(*command)
        assert done.exit_code == 2, done.output
        assert f"rules.ko.{column}" in done.output.replace("\n", " ")
        assert "Traceback" not in done.output
    assert not (tmp_path / "out" / "documents").exists()
