"""The contract of annotators: importing one reads no model, making one may."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support import ROOT

ANNOTATORS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "filters").rglob("annotator.py")
    if path.parent != ROOT / "filters"
)
PROGRAM = """
import importlib, sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
for name in sys.argv[2:]:
    importlib.import_module(name)
exec(sys.argv[1])
print("OPENED", *sorted({name for name in opened if "/models/" in name}), sep="\\n")
"""


def models_opened(after: str = "") -> list[str]:
    """Return the files of filters/models that a fresh process opens: all annotators, then `after`."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, after, *ANNOTATORS],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    return done.stdout.split("OPENED\n")[1].split()


def test_importing_the_annotators_opens_no_model():
    assert len(ANNOTATORS) == 6
    assert models_opened() == []


@pytest.mark.parametrize(
    ("program", "model"),
    [
        ("from filters.text.boundaries import load_weights; load_weights()", "boundaries.npz"),
        (
            "from filters.toxicity.annotator import Screen; from schemas.config import Toxicity\n"
            "Screen(Toxicity())",
            "toxicity.npz",
        ),
    ],
)
def test_a_model_that_is_opened_would_be_seen(program: str, model: str):
    assert [name.rsplit("/", 1)[1] for name in models_opened(program)] == [model]
