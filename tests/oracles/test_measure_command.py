"""`bibim measure` shows what a batch of the repaired text has in its columns."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bibim.cli.app import app
from filters.text.repair import repair
from schemas.config import Ingest
from tests.oracles.compare import CODE_KIND, PROSE_KIND, measured
from tests.oracles.texts import FULL, adversarial, documents

LEFT_OUT = {"syntax_ok", "repaired"}
"""The command checks syntax, and counts what it repairs itself."""
COUNT = 200 if FULL else 12


def run(*arguments: str) -> str:
    result = CliRunner().invoke(
        app, ["measure", *arguments], env={"COLUMNS": "200", "TERM": "dumb"}
    )
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return result.output


def samples() -> list[tuple[str, str]]:
    texts = [text for text in adversarial() if text and "\r" not in text][:: max(1, 1_000 // COUNT)]
    found = [(text, "ko") for text in (*texts, *documents("ko_reviews")[:COUNT])[:COUNT]]
    return found + [(text, "code") for text in documents("code")[:COUNT]]


def columns(text: str, component: str) -> dict[str, object]:
    kinds = () if component == "code" else Ingest().repair
    kind = CODE_KIND if component == "code" else PROSE_KIND
    return measured([repair(text, kinds)[0]], kind)[0]


@pytest.mark.parametrize(("text", "component"), samples())
def test_the_json_of_a_text_equals_its_columns(text: str, component: str, tmp_path: Path):
    path = tmp_path / "text"
    path.write_bytes(text.encode())
    rows = json.loads(run("--file", str(path), "--lang", component, "--json"))
    shown = {row["name"]: row["value"] for row in rows if row["stage"] == "measure"}
    wanted = columns(text, component)
    assert list(shown) == list(wanted)
    wrong = {
        n: (shown[n], wanted[n]) for n in wanted if n not in LEFT_OUT and shown[n] != wanted[n]
    }
    assert not wrong, (text, wrong)


def test_the_table_shows_the_same_numbers_in_the_same_order(tmp_path: Path):
    text = "비빔밥은 밥에 나물과 고추장을 얹어 비벼 먹는 한국 음식이다. #맛집"
    path = tmp_path / "text"
    path.write_text(text, "utf-8")
    table = run("--file", str(path), "--lang", "ko")
    table = re.split(r"^measure *$", table, flags=re.MULTILINE)[1]
    wanted = columns(text, "ko")
    shown = [line.split() for line in table.split("\n") if re.match(r" \w", line)]
    shown = [words for words in shown if words[0] != "signal"]
    assert [words[0] for words in shown] == list(wanted)
    for name, value, *_ in shown:
        column = wanted[name]
        if isinstance(column, int | float) and name not in LEFT_OUT:
            assert float(value.replace(",", "")) == pytest.approx(column, rel=1e-3), name
        elif column is None:
            assert value == "–", name
