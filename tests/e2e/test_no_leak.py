"""Planted personal data is in `documents/` and nowhere else: no file, no message, no token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mixtures.shards.megatron import read_shard
from mixtures.shards.token_runs import Run
from mixtures.tokenizer.tokenizer import Tokenizer
from tests.support.commandline import ROOT, bibim

PLANTED = ROOT / "mixtures/demo/planted.jsonl"


def planted_values() -> list[str]:
    entries = map(json.loads, PLANTED.read_text("utf-8").splitlines())
    return [s["text"] for e in entries if e["planted"] == "pii" for s in e["spans"]]


VALUES = planted_values()


def leaks(text: str) -> list[str]:
    """Return the planted values that `text` holds."""
    return [value for value in VALUES if value in text]


def written(out: Path) -> Iterator[tuple[str, str]]:
    """Yield (name, readable content) of every file of a run outside `documents/`.

    Parquet is read column by column, tokens are decoded, everything else is taken as UTF-8.
    """
    tokenizer = Tokenizer.load(out / "tokenizer")
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name = str(path.relative_to(out))
        if name.startswith("documents/"):
            continue
        if path.suffix == ".parquet":
            for column in pq.read_table(path).itercolumns():
                yield name, str(column.to_pylist())
        elif path.suffix == ".bin":
            shard = read_shard(path.with_suffix(""))
            yield name, tokenizer.decode(np.concatenate([shard[i] for i in range(len(shard))]))
        elif path.suffix == ".run":
            with Run(path) as run:
                yield name, tokenizer.decode(run.read(0, run.header.tokens))
        yield name, path.read_bytes().decode("utf-8", "replace")


def test_the_values_are_planted_and_this_test_would_see_them(demo: Path):
    assert len(VALUES) >= 16
    documents = ""
    for path in sorted((demo / "documents").glob("*.parquet")):
        documents += "\n".join(pq.read_table(path, columns=["text"])["text"].to_pylist())
    assert set(leaks(documents)) == set(VALUES)


def test_no_planted_value_is_in_any_file_outside_documents(demo: Path):
    found = {name: leaks(content) for name, content in written(demo)}
    assert len(found) > 20
    assert {name: values for name, values in found.items() if values} == {}


@pytest.mark.parametrize(
    "arguments",
    [
        ("audit", "show", "OUT"),
        ("audit", "show", "OUT", "--json"),
        ("audit", "check", "OUT"),
        ("what-if", "OUT", "--rule", "ko.hangul_ratio>=0.9"),
    ],
)
def test_no_planted_value_is_in_what_a_command_says(demo: Path, arguments: tuple[str, ...]):
    done = bibim(*(demo if part == "OUT" else part for part in arguments))
    assert done.returncode == 0, done.stderr
    assert leaks(done.stdout + done.stderr) == []


def test_explain_shows_masked_text_only(demo: Path):
    entries = map(json.loads, PLANTED.read_text("utf-8").splitlines())
    origins = [entry["origin"] for entry in entries if entry["planted"] == "pii"]
    for origin in origins[:6]:
        done = bibim("explain", demo, origin)
        assert done.returncode == 0, done.stderr
        assert leaks(done.stdout + done.stderr) == []


def test_no_planted_value_is_in_what_a_run_says(demo: Path):
    output = (demo.parent / "output.txt").read_text("utf-8")
    assert "redact" in output
    assert leaks(output) == []
