"""The stages in order, the folder of each column, and the rules that follow from a config.

A new stage is one more line in `STAGES`. Importing this loads neither Beam nor a model: the columns
of a stage are known before it runs.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

import pyarrow as pa

from filters.rules.evaluate import mistyped
from pipelines.stages import (
    dedup,
    identify,
    ingest,
    measure,
    mix,
    redact,
    score,
    screen,
    semantic,
    sign,
    tokenize,
)
from pipelines.stages.base import Stage
from pipelines.storage.columns import Columns
from schemas.config import Config
from schemas.documents import DOCUMENT
from schemas.errors import InputError
from schemas.rules import Rule, parse_condition

STAGES: tuple[Stage, ...] = (
    ingest.STAGE,
    identify.STAGE,
    measure.STAGE,
    sign.STAGE,
    dedup.STAGE,
    redact.STAGE,
    screen.STAGE,
    score.STAGE,
    semantic.STAGE,
    tokenize.STAGE,
    mix.STAGE,
)
"""Every stage, in the order in which they run."""

COMMANDS = tuple(dict.fromkeys(stage.command for stage in STAGES))
"""Names that `--stages` accepts, in order."""


def stage(name: str) -> Stage:
    """Return the stage called `name`. KeyError if there is none."""
    return _BY_NAME[name]


_BY_NAME = {each.name: each for each in STAGES}


def position(name: str) -> int:
    """Return the index of the stage called `name` in STAGES."""
    return STAGES.index(stage(name))


def active_stages(config: Config) -> tuple[Stage, ...]:
    """Return the stages of a run of `config`, in order."""
    return tuple(each for each in STAGES if each.enabled(config))


def annotating(config: Config) -> tuple[Stage, ...]:
    """Return the active stages that write annotations: all but the first and the last."""
    return active_stages(config)[1:-1]


@lru_cache
def stage_schemas() -> dict[str, pa.Schema]:
    """Return the annotation schema of each stage that adds columns, in order."""
    return {each.name: each.schema for each in STAGES[1:] if len(each.schema)}


def columns_of(config: Config, before: str | None = None) -> Columns:
    """Return the folder of each column, of the documents and of every stage before `before`."""
    last = len(STAGES) if before is None else position(before)
    active = {each.name for each in active_stages(config) if position(each.name) < last}
    return folders({name: s for name, s in stage_schemas().items() if name in active})


def folders(schemas: Mapping[str, pa.Schema]) -> Columns:
    """Return the folder of each column, of the documents and of the stages of `schemas`."""
    annotations = {stage(name).folder: schema for name, schema in schemas.items()}
    return Columns({ingest.STAGE.folder: DOCUMENT, **annotations})


DOCUMENT_RULES = identify.STAGE.name
"""The stage that drops documents by their own columns (`license`, `url`): the one that assigns the
component, by which a rule's scope is decided."""


def stage_of(column: str, schemas: Mapping[str, pa.Schema] | None = None) -> str:
    """Return the stage to which rules on `column` belong: the one that adds it, DOCUMENT_RULES for
    columns of the document itself. KeyError if none."""
    if column in DOCUMENT.names:
        return DOCUMENT_RULES
    for name, schema in (stage_schemas() if schemas is None else schemas).items():
        if column in schema.names:
            return name
    raise KeyError(column)


def effective_rules(
    config: Config,
    before: str | None = None,
    schemas: Mapping[str, pa.Schema] | None = None,
) -> list[Rule]:
    """Return every rule in the order in which it decides, those of stages before `before`.

    The order is that of the stages; inside a stage the config's. `schemas`: the columns of every
    stage before `before`, if they are known without importing the annotators. Raises InputError
    for a column that no stage adds, or that the config leaves null.
    """
    by_stage = {each.name: each.rules(config) for each in STAGES}
    for scope, conditions in config.rules.items():
        for column, condition in conditions.items():
            rules = parse_condition(scope, column, condition)
            if schemas is not None:
                with contextlib.suppress(KeyError):  # else of a stage from `before` on
                    by_stage[stage_of(column, schemas)] += rules
                continue
            name = rule_stage(scope, column)
            by_stage[name] += rules
            check_types(rules, f"rules.{scope}.{column}")
            if column in (remedies := stage(name).not_computed(config)):
                raise InputError(
                    f"rules.{scope}.{column} reads a column that is not computed; "
                    f"set {remedies[column]}"
                )
    last = len(STAGES) if before is None else position(before)
    return [rule for each in STAGES[:last] for rule in by_stage[each.name]]


def upsample_rules(config: Config) -> list[tuple[Rule, Fraction]]:
    """Return conditions and factors of `mixture.upsample`. Raises InputError as `check_types`."""
    factors = [(entry.rule, entry.factor) for entry in config.mixture.upsample]
    for number, (rule, _) in enumerate(factors):
        check_types([rule], f"mixture.upsample[{number}].when")
    return factors


def only_rules(config: Config) -> list[list[Rule]]:
    """Return the conditions of each stage of the mixture. Raises InputError as `check_types`."""
    conditions = [stage.rules for stage in config.mixture.stages] or [[]]
    for number, rules in enumerate(conditions):
        check_types(rules, f"mixture.stages[{number}].only")
    return conditions


def rule_stage(
    scope: str,
    column: str,
    schemas: Mapping[str, pa.Schema] | None = None,
    key: str | None = None,
) -> str:
    """Return the stage whose column a rule reads, searched in `schemas` first.

    `key`: the rule's key in the config, if it is not in `rules`. Raises InputError with near names.
    """
    if schemas is not None:
        with contextlib.suppress(KeyError):
            return stage_of(column, schemas)
    try:
        return stage_of(column)
    except KeyError:
        known = [name for schema in stage_schemas().values() for name in schema.names]
        near = difflib.get_close_matches(column, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "docs/signals.md lists them."
        raise InputError(
            f"{key or f'rules.{scope}.{column}'}: no stage adds a column {column!r}; {hint}"
        ) from None


def check_types(
    rules: Sequence[Rule], key: str, schemas: Mapping[str, pa.Schema] | None = None
) -> None:
    """Raise InputError, naming `key`, where a rule does not fit the type of its column.

    Also where no stage adds the column. `schemas`: the stages' columns, searched first.
    """
    for rule in rules:
        rule_stage(rule.scope, rule.column, schemas, key)
        known = [DOCUMENT, *(schemas or {}).values()]
        schema = next((one for one in known if rule.column in one.names), None)
        if schema is None:
            schema = next(one for one in stage_schemas().values() if rule.column in one.names)
        if fault := mistyped(rule, schema.field(rule.column).type):
            raise InputError(f"{key}: {fault}")


def rule_columns(rules: Sequence[Rule]) -> list[str]:
    """Return the columns that `decide` needs for `rules`, each once."""
    return list(dict.fromkeys(["source", "assigned", *(rule.column for rule in rules)]))


def check_inputs(config: Config, commands: Sequence[str]) -> None:
    """Check inputs that would otherwise fail late: missing files, unknown secrets and columns.

    `commands`: as `--stages` names them. Raises InputError that names the key.
    """
    for each in active_stages(config):
        if each.command not in commands:
            continue
        each.check(config)
        for path in each.models(config):
            if not path.exists():
                named = _strings(config.model_dump(mode="json"))
                keys = (
                    key
                    for key, text in named
                    if text not in ("", ".") and path.is_relative_to(text)
                )
                key = next(keys, each.command)
                raise InputError(f"{key}: {path}: there is no such file; name one that exists")
    if mix.STAGE.command in commands:
        upsample_rules(config)
        only_rules(config)


def check_packages(config: Config, commands: Sequence[str]) -> None:
    """Raise InputError where the config names a model whose packages are not installed.

    Call it for runners whose workers use the packages of this machine.
    """
    for each in active_stages(config):
        if each.command in commands:
            each.packages(config)


def _strings(section: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted key and the value of every string in a config."""
    if isinstance(section, str):
        yield key, section
    elif isinstance(section, dict):
        for name, value in section.items():
            yield from _strings(value, f"{key}.{name}" if key else name)
    elif isinstance(section, list):
        for number, value in enumerate(section):
            yield from _strings(value, f"{key}[{number}]")
