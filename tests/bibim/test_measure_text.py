"""`bibim measure`: one text in, every signal out, as a run computes them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bibim.cli.app import app
from bibim.cli.measure import IDENTIFIED, signals_of
from filters.language.annotator import Identify
from filters.measure.annotator import Measure

KOREAN = "비빔밥은 밥에 나물과 고추장을 얹어 비벼 먹는 음식이다. 전주 비빔밥이 이름났다."
PYTHON = "import os\n\n\ndef size(path):\n    return os.stat(path).st_size\n"
ROOT = Path(__file__).parents[2]


def measure(*arguments: str, given: bytes = b"") -> dict[str, Any]:
    done = CliRunner().invoke(app, ["measure", *arguments, "--json"], input=given)
    assert done.exit_code == 0, done.stderr
    return {signal["name"]: signal["value"] for signal in json.loads(done.stdout)}


def test_every_column_of_the_two_stages_is_shown_with_a_meaning():
    signals = signals_of(KOREAN, None)
    assert [signal.name for signal in signals] == [*Identify.schema.names, *Measure.schema.names]
    assert list(IDENTIFIED) == Identify.schema.names
    assert all(signal.meaning and signal.unit for signal in signals)


def test_shares_are_between_nothing_and_all():
    for text in (KOREAN, PYTHON, "", "a"):
        for signal in signals_of(text, None):
            if signal.unit in ("0 to 1", "0 or 1") and signal.value is not None:
                assert 0 <= signal.value <= 1, signal


def test_a_korean_text_is_assigned_to_ko_and_has_no_signal_of_code():
    values = measure(KOREAN)
    assert (values["lang"], values["assigned"]) == ("ko", "ko")
    assert values["hangul_ratio"] == 1
    assert values["chars"] == len(KOREAN)
    assert values["comment_lines"] is None


def test_a_text_is_read_from_a_file_and_from_standard_input(tmp_path: Path):
    path = tmp_path / "text.txt"
    path.write_text(KOREAN, "utf-8")
    assert measure("--file", str(path)) == measure(KOREAN)
    assert measure("-", given=KOREAN.encode()) == measure(KOREAN)


def test_lang_names_the_component():
    values = measure("--lang", "code", PYTHON)
    assert (values["assigned"], values["code_lang"], values["syntax_ok"]) == ("code", "python", 1)
    assert values["words"] is None
    assert measure("--lang", "en", PYTHON)["words"] is not None


def test_a_text_is_repaired_as_ingest_does():
    assert measure("한\u200b글 문서이다.")["repaired"] > 0
    assert measure("한글 문서이다.")["repaired"] == 0


@pytest.mark.parametrize("arguments", [(), ("text", "--file", "text.txt")])
def test_it_wants_one_text(arguments: tuple[str, ...]):
    done = CliRunner().invoke(app, ["measure", *arguments])
    assert done.exit_code == 2
    assert "--file" in done.stderr


def test_bytes_that_are_not_utf_8_are_named_by_position(tmp_path: Path):
    path = tmp_path / "text.txt"
    path.write_bytes(b"abc\xff")
    done = CliRunner().invoke(app, ["measure", "--file", str(path)])
    assert done.exit_code == 2
    assert "byte 3 is not UTF-8" in done.stderr.replace("\n", " ")


def test_the_table_has_the_assigned_language():
    done = CliRunner().invoke(app, ["measure", KOREAN])
    row = next(line for line in done.stdout.splitlines() if line.strip().startswith("assigned"))
    assert row.split()[1] == "ko"


def test_it_loads_neither_beam_nor_a_model_but_the_language_identifiers():
    program = (
        "import sys\n"
        "from bibim.cli.measure import signals_of\n"
        f"signals_of({KOREAN!r}, None)\n"
        "print(*({'apache_beam', 'torch', 'kiwipiepy', 'presidio_analyzer', 'sentencepiece'}\n"
        "        & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.split() == []
