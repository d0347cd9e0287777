"""The documentation agrees with the code: every key, every link, every command with its options."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.support import ROOT
from tests.support.documented import commands, fault

LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.sh"))
)
HISTORY = "CHANGELOG.md"
"""Names commands of earlier releases too."""


@pytest.fixture(scope="module")
def refresh() -> ModuleType:
    spec = importlib.util.spec_from_file_location("refresh", ROOT / "docs" / "refresh.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["refresh"] = module
    spec.loader.exec_module(module)
    return module


def test_every_key_is_in_the_reference(refresh: ModuleType):
    page = (ROOT / "docs" / "config.md").read_text("utf-8")
    missing = [key.path for key in refresh.config_keys() if f"| `{key.path}` |" not in page]
    assert not missing, f"run `make docs`: {missing}"


def test_every_key_has_a_meaning(refresh: ModuleType):
    assert [key.path for key in refresh.config_keys() if not key.meaning] == []


def test_the_reference_is_current(refresh: ModuleType):
    page = (ROOT / "docs" / "config.md").read_text("utf-8")
    assert page == refresh.config_page(), "docs/config.md is out of date; run `make docs`"


def test_the_json_schema_is_current(refresh: ModuleType):
    schema = (ROOT / "docs" / "config.schema.json").read_text("utf-8")
    assert schema == refresh.config_schema(), "docs/config.schema.json is stale; run `make docs`"


def test_every_key_of_a_list_of_sections_is_in_the_reference(refresh: ModuleType):
    paths = {key.path for key in refresh.config_keys()}
    assert {"mixture.upsample[].factor", "mixture.stages[].weights.NAME.share"} <= paths


@pytest.mark.parametrize("recipe", sorted(path.name for path in ROOT.glob("mixtures/*.yaml")))
def test_the_json_schema_accepts_the_recipes(recipe: str):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "docs" / "config.schema.json").read_text("utf-8"))
    data = yaml.safe_load((ROOT / "mixtures" / recipe).read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(data)


@pytest.mark.parametrize(
    "change",
    [
        {"mixture": {"tokens": "many"}},
        {"mixture": {"weights": {"ko": "a third"}}},
        {"dedup": {"ngrams": 5}},
        {"rules": {"ko": {"words": [1]}}},
        {"ingest": {"shard_bytes": "64 furlongs"}},
    ],
)
def test_the_json_schema_refuses_what_the_model_refuses(change: dict[str, Any]):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "docs" / "config.schema.json").read_text("utf-8"))
    whole = {
        "name": "x",
        "sources": {"a": {"component": "ko", "path": "a.jsonl"}},
        "mixture": {"weights": {"ko": 1}},
    }
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(whole)
    assert not validator.is_valid({**whole, **change})


def test_output_goes_between_the_markers_and_nowhere_else(refresh: ModuleType):
    readme = f"before\n{refresh.OPENING}\nold\n{refresh.CLOSING}\nafter\n"
    text = refresh.with_output(readme, r"new \1 output")
    assert text.startswith("before\n") and text.endswith("\nafter\n")
    assert r"new \1 output" in text and "old" not in text
    with pytest.raises(SystemExit, match="0 places"):
        refresh.with_output("no markers", "x")


@pytest.mark.parametrize("page", PAGES)
def test_links_between_files_lead_somewhere(page: str):
    path = ROOT / page
    broken = [
        target
        for target in LINK.findall(path.read_text("utf-8"))
        if not (path.parent / target).exists()
    ]
    assert not broken


@pytest.mark.parametrize("page", [page for page in PAGES if page != HISTORY])
def test_commands_and_options_that_a_page_shows_exist(page: str):
    shown = commands((ROOT / page).read_text("utf-8"))
    assert [f"{line}: {missing}" for line in shown if (missing := fault(line))] == []


def test_a_readme_shows_commands_in_blocks_and_in_its_text():
    shown = commands((ROOT / "README.md").read_text("utf-8"))
    assert "$ bibim audit show out/demo" in shown and "make setup" in shown


@pytest.mark.parametrize(
    "line",
    [
        "bibim no-such-command",
        "bibim audit no-such-command out/demo",
        "$ bibim run mixtures/demo.yaml --no-such-option",
        "bibim audit OUT --check",
        "make no-such-target",
    ],
)
def test_a_command_that_does_not_exist_is_found(line: str):
    assert commands(line) == [line] and fault(line)
