"""Every stage is declared once, wired once, and its key holds all that its result depends on."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from filters.text.boundaries import MODEL
from pipelines import wiring
from pipelines.engine.annotate import run_annotate
from pipelines.engine.keys import parameter_key, shards_key, stage_key
from pipelines.ingest.run import ingest_tasks
from pipelines.stages import catalog
from pipelines.stages.base import Stage
from schemas.config import Config
from tests.support import ROOT

NAMES = [stage.name for stage in catalog.STAGES]


def config(**sections: Any) -> Config:
    return Config.model_validate(
        {
            "name": "small",
            "sources": {"s": {"component": "ko", "path": "x"}},
            "mixture": {"weights": {"ko": 1}},
            **sections,
        }
    )


def changed(old: Config, new: Config) -> set[str]:
    """Return the stages whose own key differs between two configs."""
    return {
        stage.name
        for stage in catalog.STAGES[1:]
        if parameter_key(stage, old) != parameter_key(stage, new)
    }


def over_survivors_after(name: str) -> set[str]:
    """Return the later stages of a run that annotate or take only what the rules keep."""
    names = [stage.name for stage in catalog.active_stages(config())]
    later = names[names.index(name) + 1 :]
    kept = {one for one in later if catalog.stage(one).survivors_only}
    return kept | {"mix"}


def test_every_declared_stage_is_wired_and_every_wired_one_declared():
    unwired = [
        s.name for s in catalog.STAGES[1:] if not s.annotator and s.name not in wiring.WIRING
    ]
    assert unwired == [] and wiring.WIRING.keys() <= set(NAMES[1:])
    assert wiring.run_of(catalog.stage("measure")) is run_annotate
    assert ingest_tasks  # the driver runs `ingest`: it has no document shards to begin with


def test_every_file_of_the_folder_declares_one_stage_that_is_in_the_catalog():
    files = {path.stem for path in (ROOT / "pipelines/stages").glob("*.py")}
    files -= {"__init__", "base", "catalog"}
    declared = {importlib.import_module(f"pipelines.stages.{name}").STAGE for name in files}
    assert declared == set(catalog.STAGES) and files == set(NAMES)


@pytest.mark.parametrize("stage", catalog.STAGES, ids=NAMES)
def test_a_stage_reads_only_stages_before_it(stage: Stage):
    assert all(NAMES.index(name) < NAMES.index(stage.name) for name in stage.reads)


@pytest.mark.parametrize("stage", catalog.STAGES, ids=NAMES)
def test_the_code_of_a_stage_can_be_imported(stage: Stage):
    for module in stage.code:
        importlib.import_module(module)


def test_the_boundary_model_is_in_the_key_of_the_signals_that_read_it():
    assert MODEL in catalog.stage("measure").models(config())
    assert MODEL in catalog.stage("sign").models(config(dedup={"unit": "morphemes"}))
    assert MODEL not in catalog.stage("sign").models(config())


@pytest.mark.parametrize(
    "mixture", [{"strategy": "temperature", "temperature": 0.7}, {"strategy": "unimax"}]
)
def test_what_decides_the_tokenizers_sample_is_in_its_key(mixture: dict[str, Any]):
    first = config(mixture={"strategy": "temperature", "temperature": 0.3})
    assert changed(first, config(mixture=mixture)) == {"tokenize", "mix"}


def test_the_mixture_does_not_decide_the_tokens_of_a_given_tokenizer(tmp_path: Path):
    (tmp_path / "tokenizer.model").write_bytes(b"model")
    given = {"tokenizer": {"path": str(tmp_path)}}
    first = config(mixture={"strategy": "temperature", "temperature": 0.3}, **given)
    other = config(mixture={"strategy": "unimax"}, **given)
    assert changed(first, other) == {"mix"}


def test_a_threshold_moves_the_stages_that_see_survivors_and_no_values():
    loose, strict = config(), config(toxicity={"drop_above": 0.5})
    assert changed(loose, strict) == set()
    moved = {
        stage.name
        for stage in catalog.active_stages(loose)[1:]
        if stage_key(stage, loose, "d") != stage_key(stage, strict, "d")
    }
    assert moved == over_survivors_after("screen")


def test_a_whole_stage_moves_every_stage_over_survivors_after_it():
    one, other = config(), config(dedup={"threshold": 0.7})
    moved = {
        stage.name
        for stage in catalog.active_stages(one)[1:]
        if stage_key(stage, one, "d") != stage_key(stage, other, "d")
    }
    assert moved == {"dedup", *over_survivors_after("dedup")}


def moved(old: Config, new: Config) -> set[str]:
    """Return the stages that a change of the config makes do something."""
    return {
        stage.name
        for stage in catalog.active_stages(new)[1:]
        if stage_key(stage, old, "d") != stage_key(stage, new, "d")
    }


def test_a_new_name_moves_the_mixtures_manifest_and_no_shard():
    old, new = config(), config(name="new")
    assert moved(old, new) == {"mix"}
    mix = catalog.stage("mix")
    assert shards_key(mix, old, "d") == shards_key(mix, new, "d")


def test_the_name_of_a_benchmark_file_counts_where_its_content_does_not_change(tmp_path: Path):
    (tmp_path / "other").mkdir()
    files = [tmp_path / "x1.jsonl", tmp_path / "x2.jsonl", tmp_path / "other/x1.jsonl"]
    for file in files:
        file.write_text('{"text": "the same item"}\n', "utf-8")
    first, renamed, carried = (config(decontaminate={"against": [str(file)]}) for file in files)
    assert "sign" in changed(first, renamed)
    assert changed(first, carried) == set()


@pytest.mark.parametrize(
    ("column", "one", "other"),
    [("alnum_ratio", ">=0.777777731", ">=0.777777851"), ("bytes", "<=1048576", "<=1048580")],
)
def test_every_digit_of_a_threshold_counts(column: str, one: str, other: str):
    rules = [config(rules={"ko": {column: condition}}) for condition in (one, other)]
    assert moved(*rules) == {"dedup", *over_survivors_after("dedup")}
