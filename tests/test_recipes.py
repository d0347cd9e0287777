"""Every recipe in mixtures/ is one that this version takes, down to the columns of its rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.stages.catalog import effective_rules
from schemas.load import load_config
from tests.support import ROOT

RECIPES = sorted((ROOT / "mixtures").glob("*.yaml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_valid_and_its_rules_name_columns(recipe: Path, monkeypatch):
    monkeypatch.setenv("BIBIM_STDLIB", "lib")
    config = load_config(recipe)
    assert config.name == recipe.stem
    scopes = {rule.scope for rule in effective_rules(config)}
    assert {"ko", "en", "code"} <= scopes


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_linked_from_the_readme(recipe: Path):
    assert f"(mixtures/{recipe.name})" in (ROOT / "README.md").read_text("utf-8")


def test_the_public_recipe_is_of_billions_and_needs_no_variable(monkeypatch):
    monkeypatch.delenv("BIBIM_STDLIB", raising=False)
    config = load_config(ROOT / "mixtures" / "public-billion.yaml")
    assert config.mixture.tokens is not None and config.mixture.tokens >= 10**9
    assert {source.path.split("://")[0] for source in config.sources.values()} == {
        "hf",
        "gs",
        "s3",
    }


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_no_recipe_drops_by_quality(recipe: Path, monkeypatch):
    monkeypatch.setenv("BIBIM_STDLIB", "lib")
    columns = {rule.column for rule in effective_rules(load_config(recipe))}
    assert columns and "quality" not in columns
